# SPDX-License-Identifier: Apache-2.0
"""The whole cabinet on doubles of its ports: sessions, faults from every source, commands, snapshot, start and end."""

from __future__ import annotations

import asyncio
import time

import pytest

from firmware.contract import (
    Advice,
    CabinetCommand,
    CardPresented,
    CardProblem,
    CardUnreadable,
    ClockChanged,
    EnergyFlow,
    EvseSelected,
    Fault,
    FaultCleared,
    FaultRaised,
    LinkChanged,
    MeterContext,
    MeterReading,
    Page,
    PageModel,
    Permit,
    Phase,
    PhaseChanged,
    Plugged,
    Problem,
    Reboot,
    ScreenShown,
    SetLimit,
    Show,
    StopPressed,
    Unplugged,
    Withdraw,
)
from hal.evse.run import ENFORCE_S
from hal.ports import Link, Pilot, VehicleStage
from hal.safety import RELEASE_S
from tests.support.hardware import CabinetDouble


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(0.2)
    return fake


def phase(fake: CabinetDouble, evse: int = 1) -> Phase:
    return fake.cabinet.snapshot(0, "run").evses[evse - 1].phase


def permit(fake: CabinetDouble, evse: int = 1, session: str = "one", lease_s: float = 60.0) -> None:
    assert fake.cabinet.execute(Permit(evse, session, lease_s)) is None


def charge(fake: CabinetDouble, evse: int = 1) -> None:
    fake.cars[evse].plug()
    permit(fake, evse)
    fake.run(8.0)
    assert phase(fake, evse) is Phase.CHARGING


def raised(fake: CabinetDouble) -> list[tuple[Fault, int | None]]:
    return [(event.fault, event.evse) for event in fake.of_kind(FaultRaised)]


def cleared(fake: CabinetDouble) -> list[tuple[Fault, int | None]]:
    return [(event.fault, event.evse) for event in fake.of_kind(FaultCleared)]


# --- start -----------------------------------------------------------------------------------------------------


def test_start_brings_everything_to_its_safe_value() -> None:
    fake = CabinetDouble()
    fake.contactors[1].coil = True
    fake.start()
    for evse in (1, 2):
        assert fake.contactors[evse].called("command") == [(False,)]
        assert (evse,) in fake.shelf.called("switch_off")
        assert fake.cars[evse].called("set_available") == [(True,)]
        assert fake.cars[evse].called("authorise") == [(False,)]


def test_the_state_at_the_start_is_in_the_snapshot_and_not_in_events() -> None:
    fake = CabinetDouble()
    fake.cars[1].plug()
    fake.inputs.door_open = True
    fake.start()
    assert fake.events == []
    snapshot = fake.cabinet.snapshot(7, "run")
    assert (snapshot.seq, snapshot.run_id, snapshot.serial_number) == (7, "run", "BW-0001")
    assert snapshot.evses[0].plugged
    assert snapshot.faults == [Fault.DOOR_OPEN]
    assert [evse.phase for evse in snapshot.evses] == [Phase.FAULTED, Phase.FAULTED]
    assert snapshot.links == {"Wired0": True, "Wireless0": True}
    assert snapshot.screens == [
        ScreenShown(
            screen,
            PageModel(
                page=Page.FAULTED, evse=screen, faults=(Fault.DOOR_OPEN,), code="door_open", advice=Advice.CLOSE_DOOR
            ),
        )
        for screen in (1, 2)
    ]


# --- sessions ------------------------------------------------------------------------------------------------


def test_a_whole_session(fake: CabinetDouble) -> None:
    charge(fake)
    status = fake.cabinet.snapshot(0, "run").evses[0]
    assert status.contactor_closed
    assert status.locked
    assert status.session == "one"
    assert 51.0 < status.lease_left_s < 53.0
    assert status.flow is EnergyFlow.FLOWING
    assert status.evcc_id == "020000000001"
    assert status.reading is not None
    assert status.reading.current_a > 10.0
    assert fake.cars[1].output[1] > 10.0
    assert fake.cabinet.execute(Withdraw(1)) is None
    fake.run(3.0)
    fake.cars[1].unplug()
    fake.run(0.1)
    assert phase(fake) is Phase.IDLE
    phases = [event.phase for event in fake.of_kind(PhaseChanged)]
    assert phases[0] is Phase.PLUGGED
    assert phases[-2:] == [Phase.FINISHED, Phase.IDLE]
    contexts = [event.context for event in fake.of_kind(MeterReading) if event.context is not MeterContext.PERIODIC]
    assert contexts == [MeterContext.START, MeterContext.STOP]
    assert len(fake.of_kind(Plugged)) == len(fake.of_kind(Unplugged)) == 1


def test_change_of_a_vehicle_is_sampled_at_once(fake: CabinetDouble) -> None:
    fake.cars[1].plug()
    assert [type(event) for event in fake.events if not isinstance(event, MeterReading)][:1] == [Plugged]


def test_lease_that_is_not_renewed(fake: CabinetDouble) -> None:
    fake.cars[1].plug()
    permit(fake, lease_s=10.0)
    fake.run(9.0)
    assert phase(fake) is Phase.CHARGING
    fake.run(4.0)
    assert not fake.contactors[1].coil
    assert fake.cabinet.snapshot(0, "run").evses[0].session is None


def test_limit(fake: CabinetDouble) -> None:
    charge(fake)
    assert fake.cabinet.execute(SetLimit(1, 0.0)) is None
    fake.run(ENFORCE_S + 0.3)
    assert phase(fake) is Phase.PAUSED
    assert fake.cabinet.snapshot(0, "run").evses[0].limit_w == 0.0
    assert fake.cabinet.execute(SetLimit(1, None)) is None
    fake.run(1.0)
    assert phase(fake) is Phase.CHARGING


def test_modules_follow_the_cars(fake: CabinetDouble) -> None:
    charge(fake, 1)
    assert fake.shelf.assigned[1] >= 3
    assert fake.shelf.assigned[2] == 0
    charge(fake, 2)
    assert min(fake.shelf.assigned.values()) >= 1
    assert sum(fake.shelf.assigned.values()) <= 10
    fake.cabinet.execute(Withdraw(1))
    fake.run(3.0)
    assert fake.shelf.assigned[1] == 0
    assert len(fake.shelf.called("assign")) < 10, "assigned only when something changes"


def test_an_evse_that_is_stopping_gets_no_more_modules(fake: CabinetDouble) -> None:
    for evse in (1, 2):
        fake.cars[evse].plug()
        permit(fake, evse)
    fake.run(8.0)
    before = len(fake.shelf.called("assign"))
    for evse in (1, 2):
        fake.cabinet.execute(Withdraw(evse))
        fake.run(0.1)
    fake.run(3.0)
    history = [groups for (groups,) in fake.shelf.called("assign")[before - 1 :]]
    for evse in (1, 2):
        assert [groups[evse] for groups in history] == sorted((groups[evse] for groups in history), reverse=True)


def test_hot_plug_derates(fake: CabinetDouble) -> None:
    fake.cars[1].wanted_a = 300.0
    charge(fake)
    fake.inputs.plug_temp_c[1] = None
    fake.run(ENFORCE_S + 0.3)
    assert fake.shelf.outputs[1][1] == pytest.approx(32.0)


# --- stop button ---------------------------------------------------------------------------------------------


def test_stop_button_opens_in_its_own_edge(fake: CabinetDouble) -> None:
    charge(fake, 1)
    charge(fake, 2)
    fake.inputs.press()
    assert not fake.contactors[1].coil
    assert not fake.contactors[2].coil
    assert [fake.shelf.outputs[evse] for evse in (1, 2)] == [(0.0, 0.0), (0.0, 0.0)]
    assert raised(fake) == [(Fault.EMERGENCY_STOP, None)]
    assert fake.cars[1].called("emergency_stop")
    fake.run(2.0)
    assert phase(fake, 1) is phase(fake, 2) is Phase.FAULTED
    assert fake.cabinet.execute(Permit(1, "one", 10.0)) == (Problem.FAULTED, "emergency_stop")
    fake.inputs.press(False)
    fake.run(RELEASE_S + 0.2)
    assert cleared(fake) == [(Fault.EMERGENCY_STOP, None)]
    assert phase(fake, 1) is Phase.PLUGGED
    permit(fake, 1, "two")
    fake.run(8.0)
    assert phase(fake, 1) is Phase.CHARGING


def test_stop_button_commands_the_contactors_before_anything_else(fake: CabinetDouble) -> None:
    charge(fake, 1)
    coil_when_published: list[bool] = []
    fake.cabinet.listen(lambda _event: coil_when_published.append(fake.contactors[1].coil))
    fake.inputs.press()
    assert coil_when_published
    assert not any(coil_when_published)


def test_stop_button_is_quick(fake: CabinetDouble) -> None:
    """A bound wide enough for a busy machine: the point is that nothing waits for a tick."""
    charge(fake, 1)
    start = time.perf_counter()
    fake.inputs.press()
    assert time.perf_counter() - start < 0.1


def test_stop_button_that_a_driver_does_not_report_is_found_by_the_tick(fake: CabinetDouble) -> None:
    charge(fake)
    fake.inputs.emergency_stop = True
    fake.run(0.1)
    assert not fake.contactors[1].coil


# --- faults from every source ----------------------------------------------------------------------------------


def test_lost_inputs_stop_the_station(fake: CabinetDouble) -> None:
    charge(fake)
    fake.inputs.freeze()
    fake.run(0.9)
    assert fake.contactors[1].coil
    fake.run(0.5)
    assert not fake.contactors[1].coil
    assert raised(fake) == [(Fault.EMERGENCY_STOP, None)]
    assert [each.detail for each in fake.of_kind(FaultRaised)] == ["inputs are silent: no reading for 1 s"]


def test_lost_inputs_say_why(fake: CabinetDouble) -> None:
    fake.run(0.5)
    fake.inputs.failing = True
    fake.run(0.2)
    (detail,) = [each.detail for each in fake.of_kind(FaultRaised)]
    assert detail.startswith("inputs are silent: ")
    assert detail != "inputs are silent: "


def test_meter_gap_of_3_s_passes_and_of_6_s_ends_the_session_as_a_meter_fault(fake: CabinetDouble) -> None:
    charge(fake)
    fake.meters[1].failing = True
    fake.run(3.0)
    fake.meters[1].failing = False
    fake.run(2.0)
    assert raised(fake) == []
    fake.meters[1].failing = True
    fake.run(6.0)
    assert raised(fake) == [(Fault.METER, 1)]
    fake.run(4.0)
    assert phase(fake) is Phase.FAULTED
    billed = [event.context for event in fake.of_kind(MeterReading) if event.context is not MeterContext.PERIODIC]
    assert billed == [MeterContext.START, MeterContext.STOP]
    fake.meters[1].failing = False
    fake.run(0.3)
    assert cleared(fake) == [(Fault.METER, 1)]
    assert phase(fake) is Phase.PLUGGED


def test_a_register_says_how_old_it_is(fake: CabinetDouble) -> None:
    charge(fake)
    assert all(reading.age_s <= 1.0 for reading in fake.of_kind(MeterReading))
    read = fake.clock.monotonic()
    fake.meters[1].failing = True
    fake.run(12.0)
    stop = next(reading for reading in fake.of_kind(MeterReading) if reading.context is MeterContext.STOP)
    assert 5.0 <= stop.age_s <= fake.clock.monotonic() - read
    status = fake.cabinet.snapshot(0, "run").evses[0]
    assert status.reading is not None
    assert status.reading.age_s == pytest.approx(fake.clock.monotonic() - read)


def test_vehicle_link_that_is_silent(fake: CabinetDouble) -> None:
    charge(fake)
    fake.cars[1].freeze()
    fake.run(0.3)
    assert fake.shelf.outputs[1] == (0.0, 0.0)
    assert raised(fake) == [(Fault.VEHICLE_LINK, 1)]


def test_board_fault(fake: CabinetDouble) -> None:
    charge(fake)
    fake.board.on_fault(Fault.GROUND_FAULT, 1, True, "PE open")
    assert not fake.contactors[1].coil
    assert phase(fake, 2) is Phase.IDLE
    fake.board.on_fault(Fault.GROUND_FAULT, 1, False, "")
    fake.run(2.0)
    assert raised(fake) == cleared(fake) == [(Fault.GROUND_FAULT, 1)]


def test_insulation_fault_while_charging_remains_until_the_plug_is_out(fake: CabinetDouble) -> None:
    charge(fake)
    fake.run(5.0)
    fake.monitors[1].kohm = 60.0
    fake.run(5.0)
    assert raised(fake) == [(Fault.ISOLATION, 1)]
    assert phase(fake) is Phase.FAULTED
    fake.monitors[1].kohm = 5000.0
    fake.run(5.0)
    assert phase(fake) is Phase.FAULTED
    fake.cars[1].unplug()
    fake.run(0.3)
    assert cleared(fake) == [(Fault.ISOLATION, 1)]
    assert phase(fake) is Phase.IDLE


def test_welded_contact(fake: CabinetDouble) -> None:
    charge(fake)
    fake.contactors[1].stuck = True
    fake.cabinet.execute(Withdraw(1))
    fake.run(8.0)
    assert raised(fake) == [(Fault.CONTACTOR_WELDED, 1)]
    assert phase(fake) is Phase.FAULTED
    assert phase(fake, 2) is Phase.IDLE


def test_opening_is_repeated_until_the_contactor_answers(fake: CabinetDouble) -> None:
    charge(fake)
    fake.contactors[1].failing = True
    fake.cabinet.execute(Withdraw(1))
    fake.run(3.0)
    assert (Fault.CONTACTOR_FAILED, 1) in raised(fake)
    assert fake.contactors[1].coil
    fake.contactors[1].failing = False
    fake.run(0.1)
    assert not fake.contactors[1].coil
    fake.run(2.0)
    assert (Fault.CONTACTOR_FAILED, 1) in cleared(fake)
    assert (Fault.CONTACTOR_WELDED, 1) not in raised(fake), "a contact that is not read is not known to be closed"


def test_modules_that_do_not_answer(fake: CabinetDouble) -> None:
    charge(fake)
    fake.shelf.failing = True
    fake.run(0.2)
    assert (Fault.POWER_MODULE, 1) in raised(fake)
    fake.run(2.0)
    assert not fake.contactors[1].coil


def test_plug_pulled_under_load(fake: CabinetDouble) -> None:
    charge(fake)
    fake.cars[1].unplug()
    assert not fake.contactors[1].coil
    assert fake.of_kind(Unplugged) == [Unplugged(evse=1, forced=True)]
    fake.run(2.0)
    assert phase(fake) is Phase.IDLE


def test_one_evse_s_fault_is_not_the_other_s(fake: CabinetDouble) -> None:
    charge(fake, 1)
    charge(fake, 2)
    fake.cars[1].say(pilot=Pilot.E)
    fake.run(3.0)
    assert phase(fake, 1) is Phase.FAULTED
    assert phase(fake, 2) is Phase.CHARGING
    status = fake.cabinet.snapshot(0, "run").evses
    assert (status[0].faults, status[1].faults) == ([Fault.PILOT], [])


# --- card, displays, links, clock -------------------------------------------------------------------------------


def test_what_people_and_networks_do(fake: CabinetDouble) -> None:
    fake.events.clear()
    fake.reader.on_card("04A1B2C3D4E5F6")
    fake.reader.on_problem(CardProblem.SEVERAL_CARDS)
    fake.screens[2].on_select()
    fake.screens[1].on_stop()
    fake.links.on_change("Wired0", Link(up=False))
    fake.links.on_change("Wired0", Link(up=False))
    fake.board.on_clock(fake.board.clock())
    assert fake.events == [
        CardPresented(uid="04A1B2C3D4E5F6"),
        CardUnreadable(problem=CardProblem.SEVERAL_CARDS),
        EvseSelected(evse=2),
        StopPressed(evse=1),
        LinkChanged(interface="Wired0", up=False),
        ClockChanged(is_set=True, synchronised=True),
    ]
    assert fake.cabinet.snapshot(0, "run").links["Wired0"] is False


def test_show(fake: CabinetDouble) -> None:
    model = PageModel(page=Page.CHARGING, power_kw=40.0)
    fake.events.clear()
    for _ in range(2):
        assert fake.cabinet.execute(Show(1, model)) is None
    shown = ScreenShown(1, model)
    assert fake.events == [shown]
    assert fake.screens[1].called("show") == [(PageModel(page=Page.STARTING, evse=1),), (model,), (model,)]
    assert fake.cabinet.snapshot(0, "run").screens[0] == shown


def test_display_that_fails_is_a_harmless_fault(fake: CabinetDouble) -> None:
    charge(fake)
    fake.screens[1].failing = True
    answer = fake.cabinet.execute(Show(1, PageModel(page=Page.CHARGING)))
    assert answer is not None
    assert answer[0] is Problem.DEVICE_FAILED
    fake.run(1.0)
    assert raised(fake) == [(Fault.SCREEN, 1)]
    assert phase(fake) is Phase.CHARGING
    fake.screens[1].failing = False
    assert fake.cabinet.execute(Show(1, PageModel(page=Page.CHARGING))) is None
    assert cleared(fake) == [(Fault.SCREEN, 1)]


# --- commands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (Permit(3, "one", 10.0), Problem.UNKNOWN_EVSE),
        (Withdraw(0), Problem.UNKNOWN_EVSE),
        (SetLimit(9, 1.0), Problem.UNKNOWN_EVSE),
        (Show(3, PageModel(page=Page.IDLE)), Problem.UNKNOWN_EVSE),
    ],
)
def test_commands_that_are_refused(fake: CabinetDouble, command: CabinetCommand, problem: Problem) -> None:
    answer = fake.cabinet.execute(command)
    assert answer is not None
    assert answer[0] is problem


def test_a_second_session_is_refused_until_the_first_is_withdrawn(fake: CabinetDouble) -> None:
    permit(fake, session="one")
    answer = fake.cabinet.execute(Permit(1, "two", 10.0))
    assert answer is not None
    assert answer[0] is Problem.NOT_ALLOWED
    assert fake.cabinet.execute(Withdraw(1)) is None
    permit(fake, session="two")


def test_withdraw_without_permission_is_done(fake: CabinetDouble) -> None:
    assert fake.cabinet.execute(Withdraw(1)) is None


def test_no_displays_is_no_hardware() -> None:
    fake = CabinetDouble()
    fake.screens.clear()
    fake.evses = ()
    cabinet = type(fake.cabinet)(fake.hardware(), fake.clock)
    assert cabinet.execute(Show(1, PageModel(page=Page.IDLE))) == (Problem.NO_HARDWARE, "no displays")


def test_reboot_opens_contactors_first(fake: CabinetDouble) -> None:
    charge(fake)
    assert fake.cabinet.execute(Reboot()) is None
    again = fake.cabinet.execute(Reboot())
    assert again is not None
    assert again[0] is Problem.BUSY
    refused = fake.cabinet.execute(Permit(2, "two", 10.0))
    assert refused is not None
    assert refused[0] is Problem.BUSY
    assert fake.board.called("reboot") == []
    fake.run(3.0)
    assert not fake.contactors[1].coil
    assert fake.board.called("reboot") == [()]
    assert MeterContext.STOP in [reading.context for reading in fake.of_kind(MeterReading)]


def test_reboot_does_not_wait_for_ever(fake: CabinetDouble) -> None:
    charge(fake)
    fake.contactors[1].stuck = True
    fake.cabinet.execute(Reboot())
    fake.run(6.0)
    assert fake.board.called("reboot") == [()]


# --- running and closing ------------------------------------------------------------------------------------------


def test_watchdog_is_fed_while_every_loop_lives(fake: CabinetDouble) -> None:
    before = len(fake.board.called("feed_watchdog"))
    fake.run(4.0)
    assert 5 <= len(fake.board.called("feed_watchdog")) - before <= 11
    fake.cabinet.pulse.beat("another", fake.clock.monotonic())
    fake.run(2.0)
    before = len(fake.board.called("feed_watchdog"))
    fake.run(3.0)
    assert len(fake.board.called("feed_watchdog")) == before


def test_watchdog_that_can_t_be_fed_does_not_end_the_loop(fake: CabinetDouble) -> None:
    fake.board.failing = True
    fake.run(1.0)
    assert fake.cabinet.board_clock().is_set is False


def test_utc_is_the_board_s(fake: CabinetDouble) -> None:
    fake.clock.step_utc(3600.0)
    assert fake.cabinet.utc() == pytest.approx(fake.clock.utc())


async def test_close_ends_sessions_and_leaves_everything_safe(fake: CabinetDouble) -> None:
    charge(fake)

    async def world() -> None:
        while True:
            fake.clock.advance(0.05)
            fake.pass_time(1)
            await asyncio.sleep(0.02)

    moving = asyncio.create_task(world())
    await fake.cabinet.close()
    moving.cancel()
    assert not fake.contactors[1].coil
    assert MeterContext.STOP in [reading.context for reading in fake.of_kind(MeterReading)]
    assert all(port.closed_down for port in (fake.shelf, fake.board, fake.contactors[1], fake.reader, fake.links))


async def test_run_ticks() -> None:
    fake = CabinetDouble()
    fake.start()
    task = asyncio.create_task(fake.cabinet.run())
    async with asyncio.timeout(5.0):
        while len(fake.board.called("feed_watchdog")) < 3:
            fake.clock.advance(0.5)
            await asyncio.sleep(0.01)
    task.cancel()


def test_car_that_leaves_at_the_end_of_its_session(fake: CabinetDouble) -> None:
    charge(fake)
    fake.cars[1].say(stage=VehicleStage.STOP, target_current_a=0.0)
    fake.run(3.0)
    assert phase(fake) is Phase.FINISHED
