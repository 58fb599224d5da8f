# SPDX-License-Identifier: Apache-2.0
"""One bench and one first start for all tests of a board's image (`make image-test BOARD=...`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.image_lab import Lab, Started


@pytest.fixture(scope="session")
def lab(kind: str) -> Iterator[Lab]:
    """`kind` is the board's name, from the conftest.py of its folder."""
    with Lab(kind).running() as lab:
        yield lab


@pytest.fixture(scope="session")
def started(lab: Lab) -> Started:
    """Tests work on copies of this disk."""
    return lab.first_start()
