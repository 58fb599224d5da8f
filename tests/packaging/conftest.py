# SPDX-License-Identifier: Apache-2.0
"""One booted container for each file: its tests depend on their order, each continues where the one before ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installed_station import NEXT, PACKAGE, Station, booted, with_version


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with booted(tmp_path_factory.mktemp("machine")) as station:
        yield station


@pytest.fixture(scope="session")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_version(PACKAGE, NEXT, tmp_path_factory.mktemp("next"))
