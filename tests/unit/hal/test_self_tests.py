# SPDX-License-Identifier: Apache-2.0
"""Self tests without a vehicle: what each finds, what forbids it, and that none passes an interlock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.contract import (
    CardPresented,
    CardProblem,
    ContactorChanged,
    EvseSelected,
    Fault,
    FaultRaised,
    Permit,
    PowerOff,
    Problem,
    Reboot,
    SelfTest,
    SelfTestFinished,
    StartTest,
)
from hal.self_tests import CLOSE_S, MEASURE_S, PERSON_S
from tests.support.hardware import CabinetDouble

CONTACTOR = StartTest(SelfTest.CONTACTOR, 1)
OF_AN_EVSE = [StartTest(test, 1) for test in SelfTest if test is not SelfTest.CARD_READER]


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(1.5)
    return fake


def begin(fake: CabinetDouble, command: StartTest) -> None:
    assert fake.cabinet.execute(command) is None


def outcome(fake: CabinetDouble) -> SelfTestFinished:
    (finished,) = fake.of_kind(SelfTestFinished)
    assert isinstance(finished, SelfTestFinished)
    return finished


def refused(fake: CabinetDouble, command: StartTest) -> Problem:
    problem = fake.cabinet.execute(command)
    assert problem is not None
    assert problem[1]
    assert not any(contactor.coil for contactor in fake.contactors.values())
    return problem[0]


# --- the contactor ------------------------------------------------------------------------------------------------


def test_a_good_contactor_closes_opens_and_raises_no_fault(fake: CabinetDouble) -> None:
    begin(fake, CONTACTOR)
    assert fake.contactors[1].coil
    fake.run(2.0)
    assert outcome(fake).passed
    assert [each.closed for each in fake.of_kind(ContactorChanged)] == [True, False]
    assert not fake.of_kind(FaultRaised)
    assert fake.contactors[1].called("command")[-1] == (False,)


def test_one_that_does_not_close(fake: CabinetDouble) -> None:
    fake.contactors[1].stuck = False
    begin(fake, CONTACTOR)
    fake.run(CLOSE_S + 0.3)
    assert not outcome(fake).passed
    assert "did not close" in outcome(fake).detail
    assert not fake.contactors[1].coil


def test_one_that_does_not_open_is_welded(fake: CabinetDouble) -> None:
    begin(fake, CONTACTOR)
    fake.contactors[1].stuck = True
    fake.run(3.0)
    assert not outcome(fake).passed
    assert Fault.CONTACTOR_WELDED in [each.fault for each in fake.of_kind(FaultRaised)]
    assert not fake.contactors[1].coil


def test_one_that_is_lost(fake: CabinetDouble) -> None:
    fake.contactors[1].failing = True
    fake.run(0.2)
    assert refused(fake, CONTACTOR) in (Problem.FAULTED, Problem.DEVICE_FAILED)


def test_modules_are_switched_off_before_it_closes(fake: CabinetDouble) -> None:
    fake.shelf.calls.clear()
    begin(fake, CONTACTOR)
    assert fake.shelf.called("switch_off") == [(1,)]


@pytest.mark.parametrize("volts", [60.0, 400.0])
def test_voltage_forbids_it(fake: CabinetDouble, volts: float) -> None:
    fake.shelf.outputs[1] = (volts, 0.0)
    fake.run(0.1)
    assert refused(fake, CONTACTOR) is Problem.NOT_ALLOWED


def test_voltage_that_appears_ends_it(fake: CabinetDouble) -> None:
    fake.contactors[1].stuck = False
    begin(fake, CONTACTOR)
    fake.shelf.outputs[1] = (400.0, 0.0)
    fake.run(0.2)
    assert not fake.contactors[1].coil
    assert "400 V" in outcome(fake).detail


INTERRUPTIONS: dict[str, Callable[[CabinetDouble], object]] = {
    "the stop button": lambda fake: fake.inputs.press(),
    "a vehicle": lambda fake: fake.cars[1].plug(),
    "the board": lambda fake: fake.board.on_fault(Fault.GROUND_FAULT, None, True, "RCD"),
    "the modules": lambda fake: setattr(fake.shelf, "failing", True),
    "the inputs": lambda fake: setattr(fake.inputs, "failing", True),
    "a restart": lambda fake: fake.cabinet.execute(Reboot()),
    "the door": lambda fake: setattr(fake.inputs, "door_open", True),
}
AT_ONCE = ("the stop button", "a vehicle", "a restart")
"""These don't wait for the next tick."""


@pytest.mark.parametrize("name", INTERRUPTIONS)
@pytest.mark.parametrize("test", [SelfTest.CONTACTOR, SelfTest.INSULATION])
def test_what_stops_a_session_ends_a_test(fake: CabinetDouble, name: str, test: SelfTest) -> None:
    fake.contactors[1].stuck = False  # it would wait for the mirror contact
    fake.monitors[1].valid = False
    begin(fake, StartTest(test, 1))
    INTERRUPTIONS[name](fake)
    if name in AT_ONCE:
        assert not fake.contactors[1].coil
    fake.run(0.1 if name in AT_ONCE else 1.6)
    assert not fake.contactors[1].coil
    assert not outcome(fake).passed
    if test is SelfTest.INSULATION:
        assert fake.monitors[1].called("enable")[-1] == (False,)


@pytest.mark.parametrize("test", [SelfTest.CONTACTOR, SelfTest.INSULATION])
def test_no_session_begins_meanwhile(fake: CabinetDouble, test: SelfTest) -> None:
    fake.contactors[1].stuck = False
    fake.monitors[1].valid = False
    begin(fake, StartTest(test, 1))
    refusal = fake.cabinet.execute(Permit(1, "one", 10.0))
    assert refusal is not None
    assert refusal[0] is Problem.BUSY
    assert fake.cabinet.execute(Permit(2, "two", 10.0)) is None


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([*INTERRUPTIONS, "test 1", "test 2", "unplug", "release"]), st.integers(1, 8)),
        max_size=10,
    )
)
def test_in_any_order_a_coil_is_on_only_at_rest(steps: list[tuple[str, int]]) -> None:
    """Without a permission a coil is on only for a test, briefly, and never with a vehicle, a voltage or a pressed
    button."""
    fake = CabinetDouble()
    fake.start()
    fake.run(1.5)
    on_for = {1: 0, 2: 0}
    for name, ticks in steps:
        if name == "the stop button":
            fake.inputs.failing = False
        if name in INTERRUPTIONS:
            INTERRUPTIONS[name](fake)
        elif name.startswith("test"):
            fake.cabinet.execute(StartTest(SelfTest.CONTACTOR, int(name[-1])))
        elif name == "unplug":
            fake.cars[1].unplug()
        elif name == "release":
            fake.inputs.failing = fake.inputs.door_open = fake.shelf.failing = False
            fake.inputs.press(False)
        for _ in range(ticks):
            fake.run(0.1)
            for evse, contactor in fake.contactors.items():
                on_for[evse] = on_for[evse] + 1 if contactor.coil else 0
                assert on_for[evse] <= (CLOSE_S + 0.2) * 10
                assert not (contactor.coil and (fake.inputs.emergency_stop or fake.inputs.door_open))
                assert not (contactor.coil and fake.cars[evse].vehicle_now.pilot.value != "A")


# --- what forbids a test -------------------------------------------------------------------------------------------


def test_a_session_and_a_vehicle_forbid_a_test(fake: CabinetDouble) -> None:
    fake.cars[1].plug()
    fake.run(0.1)
    assert {refused(fake, command) for command in OF_AN_EVSE} == {Problem.NOT_ALLOWED}
    assert fake.cabinet.execute(Permit(2, "two", 10.0)) is None
    assert refused(fake, StartTest(SelfTest.CARD_READER)) is Problem.NOT_ALLOWED
    assert refused(fake, StartTest(SelfTest.CONTACTOR, 2)) is Problem.NOT_ALLOWED


def test_a_fault_forbids_a_test_of_the_power_path(fake: CabinetDouble) -> None:
    fake.inputs.press()
    assert refused(fake, CONTACTOR) is Problem.FAULTED
    assert refused(fake, StartTest(SelfTest.INSULATION, 1)) is Problem.FAULTED


def test_a_second_test_of_an_evse_is_busy(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.SCREEN, 1))
    assert refused(fake, CONTACTOR) is Problem.BUSY
    begin(fake, StartTest(SelfTest.CARD_READER))
    assert refused(fake, StartTest(SelfTest.CARD_READER)) is Problem.BUSY


def test_an_evse_that_is_not_there(fake: CabinetDouble) -> None:
    assert refused(fake, StartTest(SelfTest.CONTACTOR, 9)) is Problem.UNKNOWN_EVSE
    assert refused(fake, StartTest(SelfTest.SCREEN)) is Problem.UNKNOWN_EVSE


# --- insulation monitor, card reader, display ----------------------------------------------------------------------


def test_a_monitor_that_measures(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.INSULATION, 1))
    fake.run(0.5)
    assert (outcome(fake).passed, outcome(fake).detail) == (True, "5000 kOhm")
    assert fake.monitors[1].called("enable")[-2:] == [(True,), (False,)]


def test_a_monitor_without_a_valid_value(fake: CabinetDouble) -> None:
    fake.monitors[1].valid = False
    begin(fake, StartTest(SelfTest.INSULATION, 1))
    fake.run(MEASURE_S + 0.5)
    assert not outcome(fake).passed
    assert fake.monitors[1].called("enable")[-1] == (False,)


def test_a_card_is_for_the_test_and_not_for_a_session(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.CARD_READER))
    fake.reader.on_card("04A1B2C3D4E580")
    assert outcome(fake).passed
    assert "04A1B2C3D4E580" not in outcome(fake).detail
    assert not fake.of_kind(CardPresented)
    fake.reader.on_card("04A1B2C3D4E580")
    assert fake.of_kind(CardPresented)


def test_a_card_that_can_not_be_identified_fails_the_test(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.CARD_READER))
    fake.reader.on_problem(CardProblem.NO_IDENTITY)
    assert not outcome(fake).passed


def test_a_touch_is_for_the_test_and_selects_nothing(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.SCREEN, 2))
    fake.screens[1].on_select()
    assert len(fake.of_kind(EvseSelected)) == 1
    fake.screens[2].on_select()
    assert outcome(fake).passed
    assert len(fake.of_kind(EvseSelected)) == 1


@pytest.mark.parametrize("command", [StartTest(SelfTest.CARD_READER), StartTest(SelfTest.SCREEN, 1)])
def test_nobody_comes(fake: CabinetDouble, command: StartTest) -> None:
    begin(fake, command)
    fake.run(PERSON_S + 0.5)
    assert not outcome(fake).passed
    assert "within 20 s" in outcome(fake).detail


def test_a_session_that_begins_takes_the_reader_back(fake: CabinetDouble) -> None:
    begin(fake, StartTest(SelfTest.CARD_READER))
    assert fake.cabinet.execute(Permit(2, "two", 10.0)) is None
    fake.run(0.1)
    assert not outcome(fake).passed
    fake.reader.on_card("04A1B2C3D4E580")
    assert fake.of_kind(CardPresented)


# --- power-off ------------------------------------------------------------------------------------------------------


def test_the_board_is_switched_off_once_the_contactors_are_open(fake: CabinetDouble) -> None:
    fake.cars[1].plug()
    assert fake.cabinet.execute(Permit(1, "one", 60.0)) is None
    fake.run(8.0)
    assert fake.contactors[1].coil
    assert fake.cabinet.execute(PowerOff()) is None
    assert not fake.board.called("power_off")
    refusal = fake.cabinet.execute(Reboot())
    assert refusal is not None
    assert refusal[0] is Problem.BUSY
    fake.run(8.0)
    assert not fake.contactors[1].coil
    assert len(fake.board.called("power_off")) == 1
    assert not fake.board.called("reboot")
