# SPDX-License-Identifier: Apache-2.0
"""What a firmware update waits for, and which EVSEs it closes meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.contract import BootCause
from firmware.product import load
from services.ocpp.background import Failed
from services.ocpp.firmware_update.tasks import (
    Download,
    Install,
    Installed,
    SlotRequest,
)
from tests.support.update_bench import (
    FACTORY,
    UpdateBench,
    installing_beside_transactions,
)


@pytest.fixture
def bench(tmp_path: Path) -> UpdateBench:
    return UpdateBench(tmp_path)


def test_update_waits_for_a_transaction_and_closes_free_evses(bench: UpdateBench) -> None:
    """L01.FR.06, L01.FR.07, TC_L_13"""
    bench.start_charging(1)
    bench.request()
    assert bench.progress == ["DownloadScheduled"]
    assert (bench.status(1), bench.status(2)) == ("Occupied", "Unavailable")
    bench.card(uid="04AAAAAAAA", evse=2)
    assert bench.sent("Authorize")[-1]["idToken"]["idToken"] != "04AAAAAAAA"
    bench.stop_charging(1)
    assert bench.progress == ["DownloadScheduled", "Downloading"]


def test_evse_that_becomes_available_is_closed(bench: UpdateBench) -> None:
    """L01.FR.07"""
    bench.start_charging(1)
    bench.start_charging(2)
    bench.request()
    bench.stop_charging(1)
    assert bench.status(1) == "Occupied"
    bench.unplug(1)
    assert bench.status(1) == "Unavailable"
    assert bench.progress == ["DownloadScheduled"]


def test_session_that_begins_meanwhile_pauses_the_download(bench: UpdateBench) -> None:
    """L01.FR.14"""
    bench.request()
    task = bench.tasks[-1]
    bench.start_charging(1)
    assert bench.progress == ["Downloading", "DownloadPaused"]
    assert bench.cancelled == [task]
    assert bench.status(2) == "Unavailable"
    bench.stop_charging(1)
    assert bench.progress == ["Downloading", "DownloadPaused", "Downloading"]
    assert bench.status(2) == "Unavailable"  # L01.FR.07: until it is installed
    bench.report(Download, Failed("not_found"))
    assert bench.status(2) == "Available"


def test_download_that_was_paused_stays_so_after_a_restart(bench: UpdateBench) -> None:
    """L01.FR.14"""
    bench.request()
    bench.start_charging(1)
    bench.restart_service()
    bench.slots(FACTORY)
    bench.up()
    assert bench.progress == ["Downloading", "DownloadPaused"]
    bench.stop_charging(1)
    assert bench.progress == ["Downloading", "DownloadPaused", "Downloading"]


def test_download_that_a_restart_interrupted_is_paused_by_a_session(bench: UpdateBench) -> None:
    """L01.FR.14"""
    bench.request()
    bench.restart_service()
    bench.up()
    bench.start_charging(1)
    bench.slots(FACTORY)
    assert bench.progress == ["Downloading", "DownloadPaused"]


def test_station_wakes_at_each_date(bench: UpdateBench) -> None:
    block = bench.station.block("L")
    bench.request(retrieveDateTime=bench.in_future(100), installDateTime=bench.in_future(200))
    start = bench.clock.monotonic()
    assert block.next_deadline() == pytest.approx(start + 100, abs=0.01)
    bench.advance(100.1)
    bench.to_verified()
    assert block.next_deadline() == pytest.approx(start + 200, abs=0.01)


def test_evses_stay_open_until_the_installation_is_due(bench: UpdateBench) -> None:
    """L01.FR.07 is about an installation that waits, not one that is scheduled for the night."""
    bench.start_charging(1)
    bench.request(installDateTime=bench.in_future(100))
    assert bench.progress == ["DownloadScheduled"]
    assert bench.status(2) == "Available"
    bench.advance(101)
    assert bench.status(2) == "Unavailable"
    assert bench.progress == ["DownloadScheduled"]


def test_evses_that_were_closed_stay_closed_across_a_power_cut(bench: UpdateBench) -> None:
    """L01.FR.07"""
    bench.start_charging(1)
    bench.request()
    bench.restart(FACTORY, BootCause.POWER_UP)
    assert bench.progress[-1] == "Downloading"
    assert bench.status(2) == "Unavailable"


def test_new_sessions_are_allowed_where_the_variable_says_so(tmp_path: Path) -> None:
    """L01.FR.07: AllowNewSessionsPendingFirmwareUpdate"""
    name = ("ChargingStation", "AllowNewSessionsPendingFirmwareUpdate")
    bench = UpdateBench(tmp_path, product_name="full", variables={name: "true"})
    bench.start_charging(1)
    bench.request()
    assert bench.status(2) == "Available"


def test_image_is_downloaded_beside_a_transaction_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.06, with AQ-7: the installation waits."""
    product = load("c7am-400-cc")
    lab = replace(product.lab, download_firmware_during_transaction=True)
    bench = UpdateBench(tmp_path, product=replace(product, lab=lab))
    bench.start_charging(1)
    bench.request()
    assert bench.status(2) == "Available"
    bench.to_verified()
    assert bench.progress == ["Downloading", "Downloaded", "SignatureVerified"]
    assert (bench.status(1), bench.status(2)) == ("Occupied", "Unavailable")  # L01.FR.07
    bench.stop_charging(1)
    assert isinstance(bench.last_order, Install)


def test_image_is_installed_beside_a_transaction_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.33: the restart waits."""
    bench = UpdateBench(tmp_path, product=installing_beside_transactions())
    bench.to_installing()
    bench.start_charging(1)
    bench.report(Install, Installed("a"))
    assert not isinstance(bench.last_order, SlotRequest)
    assert (bench.status(1), bench.status(2)) == ("Occupied", "Unavailable")
    bench.stop_charging(1)
    assert bench.last_order == SlotRequest("activate", "a")
