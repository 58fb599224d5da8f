# SPDX-License-Identifier: Apache-2.0
"""The contract's README, which is its specification, and the types that follow it."""

from __future__ import annotations

import re
from pathlib import Path

import firmware.contract
from firmware.contract import Page, PageModel

README = Path(firmware.contract.__file__).with_name("README.md").read_text("utf-8")


def test_the_readme_lists_the_pages_of_a_display() -> None:
    table = README.partition("## Displays")[2].partition("## Links")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [page.value for page in Page]


def test_the_readme_names_every_field_of_a_page() -> None:
    section = README.partition("## Displays")[2].partition("## Links")[0]
    assert set(PageModel.__struct_fields__) <= set(re.findall(r"`(\w+)`", section))
