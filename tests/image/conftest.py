# SPDX-License-Identifier: Apache-2.0
"""Where the tests of images work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def image_folder(request: pytest.FixtureRequest) -> Path:
    """Empty at the start; it stays, with the consoles of all boots in it: build/image-test/BOARD."""
    name = request.path.stem.removeprefix("test_").removesuffix("_image")
    folder = Path(__file__).parents[2] / "build" / "image-test" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
