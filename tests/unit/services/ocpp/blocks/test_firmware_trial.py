# SPDX-License-Identifier: Apache-2.0
"""Which version is kept where the CSMS is not reached (L01.FR.28): sites offline before, and proven slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import BootCause
from firmware.update.slots import SlotStatus
from services.ocpp.background import Failed
from services.ocpp.firmware_update.tasks import Install, InstallBegun, Installed, SlotRequest, SlotsAnswered
from services.ocpp.firmware_update.trial import OFFLINE_S, STEADY_S, TRIAL_S
from tests.support.station_bench import StationBench
from tests.support.update_bench import FACTORY, TRIAL, Checks, UpdateBench

KEPT = SlotStatus("a")


@pytest.fixture
def bench(tmp_path: Path) -> UpdateBench:
    return UpdateBench(tmp_path)


def start_offline(bench: UpdateBench, status: SlotStatus = TRIAL) -> None:
    """The board restarts, the HAL is reached, the CSMS is not."""
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(status)
    bench.hal_up()


def update_offline(bench: UpdateBench, offline_s: float) -> None:
    """An update of which the CSMS is lost this long before its restart; up to the start of the new version."""
    bench.request(installDateTime=bench.in_future(offline_s))
    bench.to_verified()
    bench.link_down()
    bench.advance(offline_s + 1)
    bench.report(Install, InstallBegun())
    bench.report(Install, Installed("a"))
    bench.slots(FACTORY)
    bench.advance(60)
    assert bench.rebooting
    start_offline(bench)


def test_a_new_version_at_a_site_that_was_offline_before_is_kept(bench: UpdateBench) -> None:
    update_offline(bench, OFFLINE_S)
    bench.advance(TRIAL_S - 10)
    assert bench.last_order == SlotRequest("status")
    bench.advance(20)
    assert bench.last_order == SlotRequest("keep")
    bench.slots(KEPT)
    bench.advance(10 * TRIAL_S)
    assert SlotRequest("roll_back") not in bench.orders_given
    bench.link_up()
    assert bench.progress[-2:] == ["InstallRebooting", "Installed"]
    assert bench.security.count("FirmwareUpdated") == 1


def test_it_needs_the_hal_without_a_break(bench: UpdateBench) -> None:
    update_offline(bench, OFFLINE_S)
    bench.advance(TRIAL_S - 10)
    bench.hal_down()
    bench.hal_up()
    bench.advance(STEADY_S - 10)
    assert bench.last_order == SlotRequest("status")
    bench.advance(20)
    assert bench.last_order == SlotRequest("keep")


def test_without_the_hal_it_is_rolled_back_there_too(bench: UpdateBench) -> None:
    update_offline(bench, OFFLINE_S)
    bench.hal_down()
    bench.advance(TRIAL_S + 1)
    assert bench.last_order == SlotRequest("roll_back")


def test_a_short_interruption_before_the_update_does_not_count(bench: UpdateBench) -> None:
    update_offline(bench, OFFLINE_S - 120)
    bench.advance(TRIAL_S + 1)
    assert bench.last_order == SlotRequest("roll_back")


def test_a_version_on_trial_is_not_its_own_witness(bench: UpdateBench) -> None:
    """It is offline while a session delays the way back, and its service starts again: that makes no offline site."""
    bench.to_rebooting()
    start_offline(bench)
    bench.link_up()
    bench.start_charging()
    bench.report(SlotRequest, Failed("bus gone"))
    bench.link_down()
    bench.advance(2 * TRIAL_S)
    bench.restart_service()
    bench.slots(TRIAL)
    bench.hal_up()
    bench.stop_charging()
    bench.advance(TRIAL_S + 1)
    assert bench.last_order == SlotRequest("roll_back")


def test_a_proven_version_is_confirmed_at_every_start_without_the_csms(bench: UpdateBench) -> None:
    """Boot loaders that count every start would leave it after three."""
    bench.restart(TRIAL)
    bench.slots(KEPT)
    for _ in range(4):
        asked = bench.orders_given.count(SlotRequest("keep"))
        start_offline(bench)
        bench.advance(1)
        assert bench.orders_given.count(SlotRequest("keep")) == asked + 1
        bench.slots(KEPT)


def test_another_version_in_a_proven_slot_is_not_proven(bench: UpdateBench) -> None:
    bench.restart(TRIAL)
    bench.slots(KEPT)
    bench.restart(FACTORY)
    bench.to_rebooting()
    start_offline(bench)
    bench.advance(TRIAL_S - 10)
    assert bench.orders_given.count(SlotRequest("keep")) == 1
    bench.advance(20)
    assert bench.last_order == SlotRequest("roll_back")


@pytest.mark.parametrize("reached", [False, True])
def test_a_version_installed_by_hand(tmp_path: Path, reached: bool) -> None:
    """Also the first one of all: kept where no CSMS was ever reached. Elsewhere the boot loader decides."""
    bench = StationBench(tmp_path, updates=Checks())
    bench.report(SlotRequest, SlotsAnswered(FACTORY))
    bench.hal_up()
    if reached:
        bench.link_up()
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.report(SlotRequest, SlotsAnswered(TRIAL))
    bench.hal_up()
    bench.advance(TRIAL_S + 1)
    assert (bench.tasks[-1].order == SlotRequest("keep")) is not reached
    assert bench.sent("FirmwareStatusNotification") == []
