# SPDX-License-Identifier: Apache-2.0
"""The contract's README, which is its specification, and the types that follow it."""

from __future__ import annotations

import re
from pathlib import Path

import firmware.contract
from firmware.contract import Page

README = Path(firmware.contract.__file__).with_name("README.md").read_text("utf-8")


def test_the_readme_lists_the_pages_of_a_display() -> None:
    (row,) = (line for line in README.splitlines() if line.startswith("| `show` |"))
    listed = row.removeprefix("| `show` |").partition(";")[0]
    assert re.findall(r"`(\w+)`", listed) == [page.value for page in Page]
