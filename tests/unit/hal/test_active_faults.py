# SPDX-License-Identifier: Apache-2.0
"""Each fault is raised once and cleared once, however many report it."""

from __future__ import annotations

import pytest

from firmware.contract import Event, Fault, FaultCleared, FaultRaised
from hal.active_faults import ActiveFaults
from hal.safety import Finding

RAISED = FaultRaised(fault=Fault.METER, evse=1, detail="first")
CLEARED = FaultCleared(fault=Fault.METER, evse=1)


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def book(told: list[Event]) -> ActiveFaults:
    return ActiveFaults(told.append)


def test_two_sources_are_one_fault(book: ActiveFaults, told: list[Event]) -> None:
    book.add("watch", Fault.METER, 1, detail="first")
    book.add("board", Fault.METER, 1, detail="second")
    book.add("watch", Fault.METER, 1, detail="again")
    book.remove("watch", Fault.METER, 1)
    assert told == [RAISED]
    book.remove("board", Fault.METER, 1)
    assert told == [RAISED, CLEARED]


def test_what_nobody_reported_is_not_cleared(book: ActiveFaults, told: list[Event]) -> None:
    book.add("watch", Fault.METER, 1, detail="first")
    book.remove("board", Fault.METER, 1)
    book.remove("watch", Fault.METER, 2)
    book.remove("watch", Fault.DOOR_OPEN, None)
    assert told == [RAISED]


def test_replace_clears_what_is_no_longer_found(book: ActiveFaults, told: list[Event]) -> None:
    book.replace("watch", 1, [Finding(Fault.METER, "first"), Finding(Fault.PILOT, "")])
    book.add("watch", Fault.METER, 2, detail="other EVSE")
    told.clear()
    book.replace("watch", 1, [Finding(Fault.PILOT, "still")])
    assert told == [CLEARED]
    assert book.own(1) == [Fault.PILOT]
    assert book.own(2) == [Fault.METER]


def test_station_faults_touch_every_evse(book: ActiveFaults) -> None:
    book.add("station", Fault.DOOR_OPEN, None)
    book.add("watch", Fault.METER, 1)
    assert book.touching(1) == {Fault.DOOR_OPEN, Fault.METER}
    assert book.touching(2) == {Fault.DOOR_OPEN}
    assert book.own(None) == [Fault.DOOR_OPEN]
