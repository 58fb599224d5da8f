# SPDX-License-Identifier: Apache-2.0
"""Versions and their order."""

from __future__ import annotations

import pytest

from firmware.errors import ImageError
from firmware.update.version import Version
from firmware.version import VERSION

ORDER = ["0.0.1", "0.9.10", "0.10.0", "1.0.0-rc1", "1.0.0-rc10", "1.0.0", "1.0.1", "1.10.0", "2.0.0"]


def test_order() -> None:
    versions = [Version.parse(text) for text in ORDER]
    assert sorted(versions) == versions
    assert [str(version) for version in versions] == ORDER


def test_running_version_can_be_compared() -> None:
    assert Version.parse(VERSION) == Version.parse(VERSION)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "v1.0.0",
        "01.0.0",
        "1.0.0-beta",
        "1.0.0-rc0",
        "1.0.-1",
        "1.0.0\n",
        "1.0.٣",
        "9" * 9 + ".0.0",
    ],
)
def test_what_can_not_be_compared_is_refused(text: str) -> None:
    with pytest.raises(ImageError):
        Version.parse(text)
