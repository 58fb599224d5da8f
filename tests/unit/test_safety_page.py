# SPDX-License-Identifier: Apache-2.0
"""docs/safety.md and the code say the same: faults, stops, codes, times and limits, and the tests that prove them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hal.safety
from firmware.contract import Fault
from hal.evse.table import StopKind, stop_kind_of
from services.ocpp.device_model.hardware import COMPONENT_OF_FAULT
from services.ocpp.transactions.reasons import caused_by
from tests.support.documented import in_code

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text()
VALUE = re.compile(r"([\d.]+) ([^\s()]+) \(`([\w/]+)\.py` `(\w+)(?:\[(\w+)\])?`\)")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| `")]
STOPS = {StopKind.EMERGENCY: "emergency", StopKind.ERROR: "error", StopKind.NORMAL: "orderly"}
OF_THE_FAULT = "of the fault"
"""In a row of several faults."""


def faults(row: list[str]) -> list[Fault]:
    return [Fault(name) for name in re.findall(r"`(\w+)`", row[0])]


def test_every_fault_has_a_row() -> None:
    assert {fault for row in ROWS for fault in faults(row)} == set(Fault)
    assert {len(row) for row in ROWS} == {8}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1][:40]}" for row in ROWS])
def test_a_row_is_as_the_code_is(row: list[str]) -> None:
    _, cause, _, _, stop, report, _, test = row
    for fault in faults(row):
        if OF_THE_FAULT in (stop, report):
            assert stop == report == OF_THE_FAULT
            continue
        assert stop == (STOPS[stop_kind_of(fault)] if fault.stops_charging else "none")
        code = fault.mrec(1 if "plug" in cause else None) or fault.value
        reason = caused_by(fault).reason if fault.stops_charging else "–"
        assert report == f"{code} · {COMPONENT_OF_FAULT[fault]} · {reason}"
    exists(test)


def exists(test: str) -> None:
    path, name = re.findall(r"`([^`]+)`", test)
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_every_number_with_a_place_is_that_of_the_code() -> None:
    found = VALUE.findall(PAGE)
    assert len(found) == PAGE.count(".py` `") - len(ROWS), "each constant on the page stands after its value and unit"
    for number, unit, module, name, key in found:
        scale = 100.0 if unit == "%" else 1.0
        assert in_code(module, name, key) * scale == pytest.approx(float(number)), f"{name} of {module}.py"


def test_every_time_of_the_watch_is_on_the_page() -> None:
    times = {name for name in vars(hal.safety) if name.endswith("_S") and not name.startswith("_")}
    assert (
        times - {"PULSE_S"} == {name for _, _, module, name, _ in VALUE.findall(PAGE) if module == "hal/safety"} & times
    )
