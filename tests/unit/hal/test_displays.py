# SPDX-License-Identifier: Apache-2.0
"""What the HAL shows by itself: start-up, the emergency stop, and what is so while the OCPP service is away."""

from __future__ import annotations

import pytest

from firmware.contract import Advice, Fault, OutOfService, Page, PageModel, Phase, Problem, Show
from hal.displays import BOOT_S, GRACE_S
from tests.support.hardware import CabinetDouble
from tests.unit.hal.test_cabinet import charge, phase

IDLE = PageModel(page=Page.IDLE, evse=1)


@pytest.fixture
def fake() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    return fake


def pages(fake: CabinetDouble, screen: int = 1) -> list[Page]:
    return [model.page for (model,) in fake.screens[screen].called("show")]


def shown(fake: CabinetDouble, screen: int = 1) -> PageModel:
    return fake.cabinet.displays.shown()[screen - 1].model


def show(fake: CabinetDouble, model: PageModel = IDLE) -> None:
    assert fake.cabinet.execute(Show(1, model)) is None


def leave(fake: CabinetDouble) -> None:
    """The OCPP service is away."""
    fake.cabinet.displays.has_service = lambda: False


def test_the_station_starts_until_the_service_shows_a_page(fake: CabinetDouble) -> None:
    fake.run(2 * BOOT_S)
    assert pages(fake) == [Page.STARTING]
    show(fake)
    assert pages(fake) == [Page.STARTING, Page.IDLE]


def test_a_service_that_never_comes(fake: CabinetDouble) -> None:
    leave(fake)
    fake.run(BOOT_S - 1)
    assert pages(fake) == [Page.STARTING]
    fake.run(2)
    assert pages(fake) == [Page.STARTING, Page.UNAVAILABLE]
    assert shown(fake).out_of_service is OutOfService.SERVICE


def test_the_emergency_stop_is_shown_at_once_and_hides_what_the_service_sends(fake: CabinetDouble) -> None:
    show(fake)
    fake.inputs.press()
    assert [shown(fake, screen).page for screen in (1, 2)] == [Page.EMERGENCY_STOP] * 2
    assert (shown(fake).code, shown(fake).advice) == ("CX008", Advice.RELEASE_STOP)
    show(fake, PageModel(page=Page.FAULTED, evse=1, faults=(Fault.EMERGENCY_STOP,)))
    show(fake)
    assert pages(fake)[-1] is Page.EMERGENCY_STOP
    fake.inputs.press(False)
    fake.run(2.0)
    assert shown(fake) == IDLE


def test_while_the_service_is_away(fake: CabinetDouble) -> None:
    show(fake)
    leave(fake)
    fake.run(GRACE_S - 0.5)
    assert shown(fake) == IDLE
    fake.run(1.0)
    assert shown(fake).page is Page.UNAVAILABLE
    fake.inputs.door_open = True
    fake.run(0.5)
    assert (shown(fake).page, shown(fake).faults, shown(fake).advice) == (
        Page.FAULTED,
        (Fault.DOOR_OPEN,),
        Advice.CLOSE_DOOR,
    )
    fake.inputs.door_open = False
    fake.cabinet.displays.has_service = lambda: True
    fake.run(2.0)
    assert shown(fake) == IDLE


def test_a_vehicle_that_charges_keeps_its_page_while_the_service_is_away(fake: CabinetDouble) -> None:
    model = PageModel(page=Page.CHARGING, evse=1)
    charge(fake)
    show(fake, model)
    leave(fake)
    fake.run(GRACE_S + 1)
    assert (phase(fake), shown(fake)) == (Phase.CHARGING, model)


def test_a_display_that_reports_its_loss_itself(fake: CabinetDouble) -> None:
    fake.screens[1].on_lost("no browser")
    assert fake.cabinet.snapshot(0, "run").evses[0].faults == [Fault.SCREEN]
    show(fake)
    assert fake.cabinet.snapshot(0, "run").evses[0].faults == [Fault.SCREEN]
    fake.screens[1].on_lost(None)
    assert fake.cabinet.snapshot(0, "run").evses[0].faults == []


def test_a_display_that_fails_is_not_tried_with_every_tick(fake: CabinetDouble) -> None:
    show(fake)
    fake.screens[1].failing = True
    answer = fake.cabinet.execute(Show(1, PageModel(page=Page.SELECT)))
    assert answer is not None
    assert answer[0] is Problem.DEVICE_FAILED
    before = len(fake.screens[1].calls)
    fake.run(5.0)
    assert len(fake.screens[1].calls) == before
