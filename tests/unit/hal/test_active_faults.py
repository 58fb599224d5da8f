# SPDX-License-Identifier: Apache-2.0
"""Each fault is raised once, and again for another cause, and cleared once, however many sources report it."""

from __future__ import annotations

import pytest

from firmware.contract import Event, Fault, FaultCleared, FaultRaised
from hal.active_faults import MOST_CAUSES, ActiveFaults
from hal.safety import Finding

RAISED = FaultRaised(fault=Fault.METER, evse=1, detail="first")
CLEARED = FaultCleared(fault=Fault.METER, evse=1)


@pytest.fixture
def published() -> list[Event]:
    return []


@pytest.fixture
def faults(published: list[Event]) -> ActiveFaults:
    return ActiveFaults(published.append)


def test_two_sources_are_one_fault(faults: ActiveFaults, published: list[Event]) -> None:
    faults.add("watch", Fault.METER, 1, detail="first")
    faults.add("board", Fault.METER, 1, detail="second")
    faults.add("watch", Fault.METER, 1, detail="first")
    assert published == [RAISED]
    faults.remove("watch", Fault.METER, 1)
    assert published.pop() == FaultRaised(fault=Fault.METER, evse=1, detail="second")
    faults.remove("board", Fault.METER, 1)
    assert published == [RAISED, CLEARED]


def test_another_cause_is_reported(faults: ActiveFaults, published: list[Event]) -> None:
    causes = ["no answer for 2.5 s", "no answer for 3.5 s", "the bus is down", "the bus is down", "no answer for 9.0 s"]
    for cause in causes:
        faults.add("watch", Fault.METER, 1, detail=cause)
    details = [event.detail for event in published if isinstance(event, FaultRaised)]
    assert details == ["no answer for 2.5 s", "the bus is down", "no answer for 9.0 s"]
    faults.remove("watch", Fault.METER, 1)
    assert published[-1] == CLEARED


def test_causes_that_alternate_are_not_reported_for_ever(faults: ActiveFaults, published: list[Event]) -> None:
    for _ in range(20):
        faults.add("watch", Fault.METER, 1, detail="no answer")
        faults.add("watch", Fault.METER, 1, detail="damaged answers")
    assert len(published) == MOST_CAUSES
    faults.remove("watch", Fault.METER, 1)
    faults.add("watch", Fault.METER, 1, detail="first")
    assert published[-2:] == [CLEARED, RAISED]


def test_what_no_source_reported_is_not_cleared(faults: ActiveFaults, published: list[Event]) -> None:
    faults.add("watch", Fault.METER, 1, detail="first")
    faults.remove("board", Fault.METER, 1)
    faults.remove("watch", Fault.METER, 2)
    faults.remove("watch", Fault.DOOR_OPEN, None)
    assert published == [RAISED]


def test_replace_clears_what_is_no_longer_found(faults: ActiveFaults, published: list[Event]) -> None:
    faults.replace("watch", 1, [Finding(Fault.METER, "first"), Finding(Fault.PILOT, "")])
    faults.add("watch", Fault.METER, 2, detail="other EVSE")
    published.clear()
    faults.replace("watch", 1, [Finding(Fault.PILOT, "")])
    assert published == [CLEARED]
    assert faults.own(1) == [Fault.PILOT]
    assert faults.own(2) == [Fault.METER]


def test_station_faults_touch_every_evse(faults: ActiveFaults) -> None:
    faults.add("station", Fault.DOOR_OPEN, None)
    faults.add("watch", Fault.METER, 1)
    assert faults.touching(1) == {Fault.DOOR_OPEN, Fault.METER}
    assert faults.touching(2) == {Fault.DOOR_OPEN}
    assert faults.own(None) == [Fault.DOOR_OPEN]
