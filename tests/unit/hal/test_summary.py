# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from firmware.contract import Fault
from hal.summary import summary
from tests.support.hardware import CabinetDouble


def test_what_each_evse_does() -> None:
    fake = CabinetDouble()
    fake.start()
    assert summary(fake.cabinet.snapshot(0, "")) == "EVSE 1 idle, EVSE 2 idle"


def test_faults_of_the_station_and_of_an_evse() -> None:
    fake = CabinetDouble()
    fake.start()
    fake.board.on_fault(Fault.DOOR_OPEN, None, True, "")
    fake.board.on_fault(Fault.CONTACTOR_WELDED, 2, True, "")
    assert summary(fake.cabinet.snapshot(0, "")).endswith("(contactor_welded); door_open")


def test_a_note_comes_first() -> None:
    fake = CabinetDouble()
    fake.start()
    assert summary(fake.cabinet.snapshot(0, ""), "SIMULATED").startswith("SIMULATED; EVSE 1 idle")
