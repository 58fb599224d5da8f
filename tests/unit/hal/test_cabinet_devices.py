# SPDX-License-Identifier: Apache-2.0
"""Devices of the cabinet that lie, or are lost for a time: the fault they raise, and that it clears by itself."""

from __future__ import annotations

import pytest

from firmware.contract import (
    CardProblem,
    Fault,
    FaultCleared,
    FaultRaised,
    MeterReading,
    Page,
    PageModel,
    Permit,
    Phase,
    Problem,
    SetAvailable,
    Show,
    Withdraw,
)
from hal.ports import Pilot
from tests.support.hardware import CabinetDouble


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(0.2)
    return fake


def phase(fake: CabinetDouble) -> Phase:
    return fake.cabinet.snapshot(0, "run").evses[0].phase


def plug_and_permit(fake: CabinetDouble) -> None:
    fake.cars[1].plug()
    assert fake.cabinet.execute(Permit(1, "one", 60.0)) is None


def charge(fake: CabinetDouble) -> None:
    plug_and_permit(fake)
    fake.run(8.0)
    assert phase(fake) is Phase.CHARGING


def raised(fake: CabinetDouble) -> list[tuple[Fault, int | None]]:
    return [(event.fault, event.evse) for event in fake.of_kind(FaultRaised)]


def cleared(fake: CabinetDouble) -> list[tuple[Fault, int | None]]:
    return [(event.fault, event.evse) for event in fake.of_kind(FaultCleared)]


def test_register_that_is_reset_is_a_meter_fault_until_the_new_one_is_proven(fake: CabinetDouble) -> None:
    charge(fake)
    fake.meters[1].energy_wh = 0.0
    fake.run(8.0)
    assert raised(fake) == [(Fault.METER, 1)]
    (fault,) = fake.of_kind(FaultRaised)
    assert "the register fell from 10" in fault.detail
    assert phase(fake) is Phase.FAULTED
    fake.run(8.0)
    assert cleared(fake) == [(Fault.METER, 1)]
    assert phase(fake) is Phase.PLUGGED
    before = fake.events[: fake.events.index(FaultCleared(Fault.METER, 1))]
    readings = [event for event in before if isinstance(event, MeterReading) and event.evse == 1]
    assert readings[-1].energy_wh < 200.0, "no session can begin with the former register"


def test_lost_modules_are_less_power_and_a_report_but_no_end(fake: CabinetDouble) -> None:
    charge(fake)
    fake.shelf.failed_modules, fake.shelf.available_w = 2, 80_000.0
    fake.run(8.0)
    assert phase(fake) is Phase.CHARGING
    assert (Fault.MODULES_DERATED, 1) in raised(fake)
    limits = fake.cars[1].called("announce_limits")
    assert limits[-1][-1] == 80_000.0
    fake.shelf.failed_modules, fake.shelf.available_w = 0, None
    fake.run(1.0)
    assert (Fault.MODULES_DERATED, 1) in cleared(fake)


def test_outlier_is_logged_once(fake: CabinetDouble, caplog: pytest.LogCaptureFixture) -> None:
    charge(fake)
    meter = fake.meters[1]
    true_wh, meter.energy_wh = meter.energy_wh, 4294967295.0
    fake.run(1.3)
    meter.energy_wh = true_wh + 20.0
    fake.run(8.0)
    assert fake.of_kind(FaultRaised) == []
    assert caplog.text.count("meter not believed: the register rose by") == 1


@pytest.mark.parametrize("unplugs", [False, True])
def test_modules_that_answer_again_clear_their_fault(fake: CabinetDouble, unplugs: bool) -> None:
    """Also when the session has ended meanwhile, and without energising anything."""
    charge(fake)
    fake.shelf.failing = True
    fake.run(10.0)
    assert phase(fake) is Phase.FAULTED
    if unplugs:
        fake.cars[1].unplug()
        fake.run(1.0)
        assert phase(fake) is Phase.FAULTED
    before = len(fake.shelf.called("set_output"))
    fake.shelf.failing = False
    fake.run(0.3)
    assert (Fault.POWER_MODULE, 1) in cleared(fake)
    assert phase(fake) is (Phase.IDLE if unplugs else Phase.PLUGGED)
    assert len(fake.shelf.called("set_output")) == before
    assert not fake.contactors[1].coil


def test_insulation_monitor_that_answers_again_clears_its_fault(fake: CabinetDouble) -> None:
    fake.monitors[1].failing = True
    plug_and_permit(fake)
    fake.run(10.0)
    assert raised(fake) == [(Fault.ISOLATION, 1)]
    assert phase(fake) is Phase.FAULTED
    fake.monitors[1].failing = False
    fake.run(0.3)
    assert cleared(fake) == [(Fault.ISOLATION, 1)]
    assert phase(fake) is Phase.PLUGGED
    assert (True,) not in fake.monitors[1].called("enable"), "nothing is measured without a session"
    assert (True,) not in fake.contactors[1].called("command")


def test_vehicle_link_that_answers_again_is_put_in_service() -> None:
    fake = CabinetDouble()
    fake.cars[1].failing = True
    fake.start()
    fake.run(1.0)
    assert phase(fake) is Phase.FAULTED
    fake.cars[1].failing = False
    fake.run(0.3)
    assert phase(fake) is Phase.IDLE
    assert fake.cars[1].available


def test_what_fails_again_and_again_is_logged_once(fake: CabinetDouble, caplog: pytest.LogCaptureFixture) -> None:
    fake.board.failing = True
    charge(fake)
    fake.shelf.failing = True
    fake.run(2.0)
    fake.shelf.failing = fake.board.failing = False
    fake.run(1.0)
    for what in ("modules can't be assigned", "the board's watchdog can't be fed"):
        lines = [record.message for record in caplog.records if record.message.startswith(what)]
        assert len(lines) == 1, lines


def test_nothing_begins_before_the_stop_button_is_read() -> None:
    """Inputs that have not answered since the start are no fault yet, and no permission either."""
    fake = CabinetDouble()
    fake.inputs.failing = True
    fake.start()
    plug_and_permit(fake)
    fake.run(4.5)
    assert raised(fake) == []
    assert phase(fake) is Phase.AUTHORISED
    assert (True,) not in fake.contactors[1].called("command")
    fake.inputs.failing = False
    fake.run(8.0)
    assert phase(fake) is Phase.CHARGING


def test_card_reader_that_is_lost_is_a_harmless_fault(fake: CabinetDouble) -> None:
    charge(fake)
    fake.reader.on_lost("reader unplugged")
    fake.run(1.0)
    assert raised(fake) == [(Fault.CARD_READER, None)]
    assert phase(fake) is Phase.CHARGING
    fake.reader.on_lost(None)
    assert cleared(fake) == [(Fault.CARD_READER, None)]


def test_the_reader_signals_the_outcome_that_the_display_shows(fake: CabinetDouble) -> None:
    def show(screen: int, page: str) -> None:
        assert fake.cabinet.execute(Show(screen, PageModel(page=Page(page)))) is None

    fake.reader.on_card("04A1B2C3")
    show(1, "authorising")
    show(1, "authorised")
    show(1, "preparing")
    fake.reader.on_problem(CardProblem.UNREADABLE)
    show(1, "rejected")
    show(2, "rejected")
    assert fake.reader.called("signal") == [(True,), (False,)]


def test_a_lost_card_reader_is_a_fault_of_the_station_that_stops_nothing(fake: CabinetDouble) -> None:
    charge(fake)
    fake.reader.on_lost("card reader at /dev/ttyUSB0: no answer")
    fake.run(1.0)
    assert fake.of_kind(FaultRaised) == [
        FaultRaised(fault=Fault.CARD_READER, evse=None, detail="card reader at /dev/ttyUSB0: no answer")
    ]
    assert phase(fake) is Phase.CHARGING
    fake.reader.on_lost(None)
    assert cleared(fake) == [(Fault.CARD_READER, None)]


# --- out of service -------------------------------------------------------------------------------------------------


def test_a_fault_shows_vehicles_that_come_that_the_evse_is_out_of_service(fake: CabinetDouble) -> None:
    assert fake.cars[1].available
    fake.inputs.press()
    fake.run(0.3)
    assert not fake.cars[1].available
    fake.inputs.press(False)
    fake.run(1.5)
    assert fake.cars[1].available


def test_a_vehicle_that_is_plugged_in_keeps_its_pilot_in_a_fault_until_it_has_left(fake: CabinetDouble) -> None:
    charge(fake)
    fake.cars[1].say(pilot=Pilot.E)
    fake.run(2.0)
    assert phase(fake) is Phase.FAULTED
    fake.meters[1].failing = True
    fake.run(6.0)
    assert fake.cars[1].available
    fake.cars[1].unplug()
    fake.run(0.2)
    assert (phase(fake), fake.cars[1].available) == (Phase.FAULTED, False)
    fake.meters[1].failing = False
    fake.run(0.2)
    assert (phase(fake), fake.cars[1].available) == (Phase.IDLE, True)


def test_an_evse_that_the_operator_has_closed_is_out_of_service_without_a_vehicle(fake: CabinetDouble) -> None:
    charge(fake)
    assert fake.cabinet.execute(SetAvailable(1, False)) is None
    assert fake.cabinet.execute(SetAvailable(3, False)) == (Problem.UNKNOWN_EVSE, "no EVSE 3")
    fake.run(5.0)
    assert (phase(fake), fake.cars[1].available) == (Phase.CHARGING, True)
    assert fake.cabinet.execute(Withdraw(1)) is None
    fake.run(5.0)
    fake.cars[1].unplug()
    fake.run(0.2)
    assert (fake.cars[1].available, fake.cars[2].available) == (False, True)
    assert fake.cabinet.execute(SetAvailable(1, True)) is None
    fake.run(0.2)
    assert fake.cars[1].available


def test_what_vehicles_see_is_repeated_after_a_lost_link(fake: CabinetDouble) -> None:
    fake.cars[1].failing = True
    assert fake.cabinet.execute(SetAvailable(1, False)) is None
    fake.run(2.0)
    fake.cars[1].failing = False
    fake.run(0.2)
    assert (phase(fake), fake.cars[1].available) == (Phase.IDLE, False)
