# SPDX-License-Identifier: Apache-2.0
"""The link to each device is lost in a session and comes back: "Link lost" and "Back" of `hal/ports.py`.

`LOSSES` has one row for each port with commands or readings of an EVSE. What a driver does with a lost command is in
the tests of the ports (`tests/unit/drivers`); here is what the HAL does with one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from firmware.contract import (
    Fault,
    FaultCleared,
    FaultRaised,
    LinkChanged,
    Page,
    PageModel,
    Permit,
    Phase,
    Problem,
    Reboot,
    Show,
)
from hal.ports import Link
from tests.support.hardware import CabinetDouble


@dataclass(frozen=True)
class Loss:
    """What follows when a device of EVSE 1 is lost for `seconds` while both EVSEs charge."""

    device: Callable[[CabinetDouble], Any]
    fault: Fault
    evse: int | None = 1
    repeated: frozenset[tuple[object, ...]] = frozenset()
    """The commands that the device may get when it is back, before anybody asks for energy."""
    stops: tuple[int, ...] = (1,)
    seconds: float = 8.0
    unplugs: bool = False
    """The fault remains until the plug is out."""


LOSSES = {
    "modules": Loss(
        lambda fake: fake.shelf,
        Fault.POWER_MODULE,
        repeated=frozenset({("switch_off", 1), ("switch_off", 2), ("assign", (1, 2))}),
        stops=(1, 2),
    ),
    "meter": Loss(lambda fake: fake.meters[1], Fault.METER, seconds=11.0),
    "insulation monitor": Loss(
        lambda fake: fake.monitors[1], Fault.ISOLATION, repeated=frozenset({("enable", False)}), unplugs=True
    ),
    "contactor": Loss(
        lambda fake: fake.contactors[1], Fault.CONTACTOR_FAILED, repeated=frozenset({("command", False)})
    ),
    "inputs": Loss(lambda fake: fake.inputs, Fault.EMERGENCY_STOP, evse=None, stops=(1, 2)),
    "vehicle link": Loss(
        lambda fake: fake.cars[1],
        Fault.VEHICLE_LINK,
        repeated=frozenset({("set_available", True), ("authorise", False)}),
    ),
}


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(0.2)
    for evse in (1, 2):
        charge(fake, evse)
    return fake


def charge(fake: CabinetDouble, evse: int) -> None:
    fake.cars[evse].plug()
    assert fake.cabinet.execute(Permit(evse, "one", 60.0)) is None
    fake.run(9.0)
    assert phase(fake, evse) is Phase.CHARGING


def phase(fake: CabinetDouble, evse: int) -> Phase:
    return fake.cabinet.snapshot(0, "run").evses[evse - 1].phase


def plain(call: tuple[Any, ...]) -> tuple[object, ...]:
    """A call without the values that do not matter here."""
    return (call[0], tuple(call[1])) if call[0] == "assign" else call


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_lost_device_ends_the_session_and_a_device_that_is_back_energises_nothing(
    fake: CabinetDouble, loss: Loss
) -> None:
    device = loss.device(fake)
    device.failing = True
    fake.run(loss.seconds)
    assert (loss.fault, loss.evse) in [(each.fault, each.evse) for each in fake.of_kind(FaultRaised)]
    for evse in (1, 2):
        assert phase(fake, evse) is (Phase.FAULTED if evse in loss.stops else Phase.CHARGING)
        is_lost = device is fake.contactors[evse]
        assert fake.contactors[evse].coil is (is_lost or evse not in loss.stops)
    before = len(device.calls)
    device.failing = False
    fake.run(2.0)
    assert {plain(call) for call in device.calls[before:]} <= loss.repeated
    assert not any(fake.contactors[evse].coil for evse in loss.stops)
    assert fake.shelf.outputs[1] == (0.0, 0.0)
    assert phase(fake, 1) is (Phase.FAULTED if loss.unplugs else Phase.PLUGGED)
    fake.cars[1].unplug()
    fake.run(1.0)
    assert (loss.fault, loss.evse) in [(each.fault, each.evse) for each in fake.of_kind(FaultCleared)]
    charge(fake, 1)


@pytest.mark.parametrize("loss", [each for each in LOSSES.values() if each.repeated], ids=lambda loss: loss.fault.value)
def test_readings_that_grow_old_are_a_loss_as_well(fake: CabinetDouble, loss: Loss) -> None:
    """A device that takes commands and answers nothing: only a contactor's coil is not read back by a dated reading."""
    device = loss.device(fake)
    if device is fake.contactors[1]:
        return
    device.freeze()
    fake.run(8.0)
    assert phase(fake, 1) is Phase.FAULTED
    assert not fake.contactors[1].coil
    device.freeze(False)
    fake.cars[1].unplug()
    fake.run(1.0)
    charge(fake, 1)


def test_a_reading_without_a_number_is_a_loss(fake: CabinetDouble) -> None:
    fake.shelf.outputs[1] = (float("nan"), 100.0)
    fake.cabinet.tick(fake.clock.monotonic())
    [raised] = fake.of_kind(FaultRaised)
    assert (raised.fault, raised.evse) == (Fault.POWER_MODULE, 1)
    assert raised.detail == "power modules are silent: it reports what is no number"


def test_a_lost_display_is_not_shown_its_page_later(fake: CabinetDouble) -> None:
    before = fake.screens[1].called("show")
    fake.screens[1].failing = True
    answer = fake.cabinet.execute(Show(1, PageModel(page=Page.CHARGING)))
    assert answer is not None
    assert answer[0] is Problem.DEVICE_FAILED
    fake.screens[1].failing = False
    fake.run(2.0)
    assert fake.screens[1].called("show") == before
    assert fake.cabinet.execute(Show(1, PageModel(page=Page.FINISHED))) is None
    assert [args[0].page for args in fake.screens[1].called("show")[len(before) :]] == [Page.FINISHED]
    assert [(each.fault, each.evse) for each in fake.of_kind(FaultCleared)] == [(Fault.SCREEN, 1)]


def test_a_lost_reboot_is_dropped_and_the_watchdog_is_fed_again(fake: CabinetDouble) -> None:
    fake.board.failing = True
    assert fake.cabinet.execute(Reboot()) is None
    assert fake.cabinet.board_clock().is_set is False
    fake.run(7.0)
    fake.board.failing = False
    before = len(fake.board.called("feed_watchdog"))
    fake.run(1.0)
    assert fake.board.called("reboot") == []
    assert len(fake.board.called("feed_watchdog")) - before >= 2
    assert fake.cabinet.board_clock().is_set


def test_a_lost_reader_reports_only_what_comes_later(fake: CabinetDouble) -> None:
    fake.reader.on_lost("unplugged")
    fake.run(1.0)
    assert phase(fake, 1) is Phase.CHARGING
    fake.reader.on_lost(None)
    assert [(each.fault, each.evse) for each in fake.of_kind(FaultCleared)] == [(Fault.CARD_READER, None)]


def test_links_report_only_what_differs(fake: CabinetDouble) -> None:
    fake.links.on_change("Wired0", Link(up=True))
    assert fake.of_kind(LinkChanged) == []
    fake.links.on_change("Wired0", Link(up=False))
    assert [(each.interface, each.up) for each in fake.of_kind(LinkChanged)] == [("Wired0", False)]
