# SPDX-License-Identifier: Apache-2.0
"""docs/waits.md and the code have the same times, and no stage of the charging sequence is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hal.evse.table import TIME_LIMIT_S
from tests.support.documented import in_code

PAGE = (Path(__file__).parents[2] / "docs" / "waits.md").read_text()
ROW = re.compile(r"^\| ([^|]+) \| ([\d.]+) s \| `([\w/]+)\.py` `([\w.]+)(?:\[(\w+)\])?` \|", re.MULTILINE)
ROWS = ROW.findall(PAGE)


@pytest.mark.parametrize(("wait", "seconds", "module", "name", "key"), ROWS, ids=[row[0] for row in ROWS])
def test_the_time_on_the_page_is_that_of_the_code(wait: str, seconds: str, module: str, name: str, key: str) -> None:
    assert in_code(module, name, key) == float(seconds), wait


def test_each_row_with_a_place_has_a_time_in_seconds() -> None:
    assert len(ROWS) == PAGE.count(".py` `")


def test_every_stage_with_a_time_limit_is_on_the_page() -> None:
    assert {key for *_, name, key in ROWS if name == "TIME_LIMIT_S"} == {stage.name for stage in TIME_LIMIT_S}
