# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.support.image_lab import OF_1970, EmulatedBoard, Lab, Started


@pytest.fixture(scope="session")
def kind() -> str:
    return "pc"


@pytest.fixture(scope="session")
def board(lab: Lab, started: Started) -> EmulatedBoard:
    """The second start, again without a battery, after a power cut. Files that need another board have their own."""
    return lab.second_start("second-start", started, clock=OF_1970)
