# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io

import pytest

from tools.csms.export import csv_lines


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_of_a_station_is_a_formula(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(csv_lines([[text]]), newline=""))
    assert cell == f"'{text}"


def test_other_cells_are_as_they_are() -> None:
    row = ['[2,"a","b"]', -1.5, None, True, ["no Started event", "x"], "a\nb"]
    ((*cells,),) = csv.reader(io.StringIO(csv_lines([row]), newline=""))
    assert cells == ['[2,"a","b"]', "-1.5", "", "True", "no Started event; x", "a\nb"]
