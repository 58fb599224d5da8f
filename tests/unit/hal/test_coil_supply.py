# SPDX-License-Identifier: Apache-2.0
"""The watchdog relay drops out when nothing else can stop the energy, and only then; the board is fed all the time."""

from __future__ import annotations

import pytest

from firmware.contract import Fault, FaultCleared, FaultRaised, Permit, Phase, Problem
from tests.support.hardware import CabinetDouble


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(0.2)
    for evse in (1, 2):
        fake.cars[evse].plug()
        assert fake.cabinet.execute(Permit(evse, f"session {evse}", 60.0)) is None
    fake.run(8.0)
    assert phases(fake) == [Phase.CHARGING, Phase.CHARGING]
    return fake


def phases(fake: CabinetDouble) -> list[Phase]:
    return [each.phase for each in fake.cabinet.snapshot(0, "run").evses]


def feeds(fake: CabinetDouble) -> int:
    return len(fake.board.called("feed_watchdog"))


def test_energy_that_cannot_be_commanded_loses_its_supply(fake: CabinetDouble) -> None:
    assert fake.board.coils_fed
    fake.contactors[1].failing = fake.shelf.failing = True
    fake.run(0.8)
    assert fake.board.coils_fed
    before = feeds(fake)
    fake.run(2.0)
    assert not fake.board.coils_fed
    assert feeds(fake) - before >= 4, "the board is fed: a reset would mend nothing"
    raised = [each for each in fake.of_kind(FaultRaised) if each.evse is None]
    assert [(each.fault, each.detail) for each in raised] == [
        (
            Fault.CONTACTOR_FAILED,
            "no coil has its supply, because the contactor of EVSE 1 does not open:"
            " neither it nor the modules can be commanded",
        )
    ]
    fake.shelf.failing = False
    fake.run(20.0)
    assert not fake.board.coils_fed, "its line may still be on: the contactor would close again"
    assert fake.cabinet.execute(Permit(2, "another", 60.0)) == (Problem.FAULTED, "contactor_failed")
    fake.contactors[1].failing = False
    fake.run(1.0)
    assert fake.board.coils_fed
    assert FaultCleared(Fault.CONTACTOR_FAILED, None) in fake.events


def test_a_weld_without_current_costs_no_other_outlet_its_session(fake: CabinetDouble) -> None:
    fake.contactors[1].stuck = True
    fake.board.on_fault(Fault.POWER_LOSS, 1, True, "a fault that ends the session")
    fake.run(10.0)
    assert Fault.CONTACTOR_WELDED in fake.cabinet.snapshot(0, "run").evses[0].faults
    assert fake.board.coils_fed
    assert phases(fake)[1] is Phase.CHARGING


def test_current_through_a_contactor_that_stays_closed_is_cut(
    fake: CabinetDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules do not obey either: the relay opens what a weld does not hold, and switches the modules off."""
    monkeypatch.setattr(fake.shelf, "switch_off", lambda _evse: None)
    monkeypatch.setattr(fake.shelf, "amps", lambda evse: 90.0 if evse == 1 and fake.contactors[1].contact else 0.0)
    fake.contactors[1].stuck = True
    fake.cars[1].obeys = False
    fake.board.on_fault(Fault.POWER_LOSS, 1, True, "a fault that ends the session")
    fake.run(5.0)
    assert not fake.board.coils_fed
    assert "EVSE 1 does not open: 90 A flow" in next(
        each.detail for each in fake.of_kind(FaultRaised) if each.evse is None
    )
    monkeypatch.setattr(fake.shelf, "amps", lambda _evse: 0.0)
    fake.run(5.0)
    assert not fake.board.coils_fed, "until it has been seen open"
    fake.contactors[1].stuck = False
    fake.run(1.0)
    assert fake.board.coils_fed


def test_a_lost_contactor_whose_modules_are_off_costs_the_others_nothing(fake: CabinetDouble) -> None:
    fake.contactors[1].failing = True
    fake.run(10.0)
    assert fake.board.coils_fed
    assert phases(fake)[1] is Phase.CHARGING
