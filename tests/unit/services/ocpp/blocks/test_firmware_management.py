# SPDX-License-Identifier: Apache-2.0
"""L01 secure firmware update: requests, and the way up to the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc
from firmware.update.slots import SlotStatus
from services.ocpp.background import Failed, Outcome
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    ImageRefused,
    Install,
    InstallBegun,
    Installed,
    SlotRequest,
    Verify,
)
from services.ocpp.transfer import Remote
from tests.support.station_bench import StationBench
from tests.support.update_bench import (
    FACTORY,
    SIGNED,
    TRIAL,
    UP_TO_INSTALLING,
    UpdateBench,
    installing_beside_transactions,
)


@pytest.fixture
def bench(tmp_path: Path) -> UpdateBench:
    return UpdateBench(tmp_path)


# --- the request ------------------------------------------------------------------------------------------------------


def test_accepted_request_begins_the_download(bench: UpdateBench) -> None:
    assert bench.request() == "Accepted"
    assert bench.last_order == Download(Remote("https://u:secret@files/image", 2, 10))
    assert bench.sent("FirmwareStatusNotification") == [{"status": "Downloading", "requestId": 7}]


def test_retries_of_the_request(bench: UpdateBench) -> None:
    firmware = {
        "location": "https://files/image",
        "retrieveDateTime": format_utc(bench.clock.utc()),
        "signingCertificate": "good",
        "signature": "QUJD",
    }
    bench.call("UpdateFirmware", {"requestId": 7, "retries": 5, "retryInterval": 60, "firmware": firmware})
    assert bench.last_order == Download(Remote("https://files/image", 5, 60))


@pytest.mark.parametrize("missing", ["signature", "signingCertificate"])
def test_request_without_signature_is_rejected(bench: UpdateBench, missing: str) -> None:
    """TC_L_18"""
    fields: dict[str, Any] = {missing: None}
    assert bench.request(**fields) == "Rejected"
    assert bench.progress == []


def test_bad_certificate_is_refused_before_anything_is_fetched(bench: UpdateBench) -> None:
    """L01.FR.02, L01.FR.22"""
    assert bench.request(signingCertificate="bad") == "InvalidCertificate"
    assert bench.security[-1] == "InvalidFirmwareSigningCertificate"
    assert bench.progress == []
    assert isinstance(bench.last_order, SlotRequest)


def test_location_that_is_refused(bench: UpdateBench) -> None:
    assert bench.request(location="file:///etc/passwd") == "Rejected"


def test_second_request_is_rejected_where_none_can_be_cancelled(bench: UpdateBench) -> None:
    """L01.FR.27"""
    bench.request()
    assert bench.request(8) == "Rejected"
    bench.report(Download, Downloaded())
    assert {each["requestId"] for each in bench.sent("FirmwareStatusNotification")} == {7}


@pytest.mark.parametrize("stage", ["a date", "a transaction"])
def test_second_request_replaces_one_that_has_not_begun(bench: UpdateBench, stage: str) -> None:
    """L01.FR.24: C-60 is about an update in progress. Otherwise a wrong date could be corrected by nobody."""
    if stage == "a transaction":
        bench.start_charging(1)
        bench.request(7)
    else:
        bench.request(7, retrieveDateTime=bench.in_future(86_400))
    assert bench.request(8, retrieveDateTime=bench.in_future(3600)) == "AcceptedCanceled"
    assert [(each["status"], each["requestId"]) for each in bench.sent("FirmwareStatusNotification")] == [
        ("DownloadScheduled", 7),
        ("DownloadFailed", 7),
        ("DownloadScheduled", 8),
    ]
    bench.restart(FACTORY)
    assert bench.request(9) == "AcceptedCanceled", "also after a restart"


def test_second_request_before_the_board_has_answered(bench: UpdateBench) -> None:
    """After a start the board is asked about its slots, whichever update waits for the answer."""
    bench.request(7, retrieveDateTime=bench.in_future(3600))
    bench.power_cut()
    bench.up()
    assert bench.request(8) == "AcceptedCanceled"
    assert bench.cancelled == []
    bench.slots(FACTORY)
    assert bench.last_order == Download(Remote("https://u:secret@files/image", 2, 10))


@pytest.mark.parametrize("field", ["retrieveDateTime", "installDateTime"])
def test_how_far_ahead_an_update_may_be(bench: UpdateBench, field: str) -> None:
    """Beyond the product's limit it would close the station to updates for years."""
    month = 30 * 86_400
    later: dict[str, Any] = {field: bench.in_future(month + 1)}
    assert bench.request(7, **later) == "Rejected"
    assert bench.progress == []
    sooner: dict[str, Any] = {field: bench.in_future(month - 1)}
    assert bench.request(8, **sooner) == "Accepted"


@pytest.mark.parametrize(("retries", "interval"), [(101, 0), (2**31 - 1, 1), (1, 2**31 - 1), (100, 3600)])
def test_a_download_that_could_go_on_for_days(bench: UpdateBench, retries: int, interval: int) -> None:
    firmware = {
        "location": "https://files/image",
        "retrieveDateTime": format_utc(bench.clock.utc()),
        "signingCertificate": "good",
        "signature": "QUJD",
    }
    request = {"requestId": 7, "retries": retries, "retryInterval": interval, "firmware": firmware}
    answer = bench.call("UpdateFirmware", request)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue")
    assert bench.request(8) == "Accepted"


def test_second_request_cancels_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.24"""
    bench = UpdateBench(tmp_path, product_name="full")
    bench.request()
    first = bench.tasks[-1]
    assert bench.request(8) == "AcceptedCanceled"
    assert bench.cancelled == [first]
    assert bench.tasks[-1] is not first
    assert isinstance(bench.last_order, Download)
    assert [(each["status"], each["requestId"]) for each in bench.sent("FirmwareStatusNotification")] == [
        ("Downloading", 7),
        ("DownloadFailed", 7),
        ("Downloading", 8),
    ]
    bench.to_verified()
    assert bench.request(9) == "Rejected"  # writing into a slot is not interrupted
    bench.report(Install, Failed("why"))
    assert bench.request(10) == "Accepted"


def test_installed_version_that_waits_for_its_restart_can_be_cancelled(tmp_path: Path) -> None:
    """L01.FR.24"""
    bench = UpdateBench(tmp_path, product=installing_beside_transactions())
    bench.to_installing()
    bench.start_charging(1)
    bench.report(Install, Installed("a"))
    assert bench.request(8) == "AcceptedCanceled"
    assert (bench.progress[-2], bench.progress[-1]) == ("InstallationFailed", "DownloadScheduled")
    assert SlotRequest("activate", "a") not in bench.orders_given


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"])
def test_dates_at_the_end_of_time(bench: UpdateBench, date: str) -> None:
    far = date.startswith("9999")
    assert bench.request(retrieveDateTime=date, installDateTime=date) == ("Rejected" if far else "Accepted")
    bench.advance(1)
    assert bench.status(1) == "Available"


def test_bad_request_cancels_nothing(tmp_path: Path) -> None:
    bench = UpdateBench(tmp_path, product_name="full")
    bench.request()
    assert bench.request(8, signingCertificate="bad") == "InvalidCertificate"
    bench.report(Download, Downloaded())
    assert bench.progress == ["Downloading", "Downloaded"]


def test_station_without_slots_rejects(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    firmware = {"location": "https://f/i", "retrieveDateTime": format_utc(bench.clock.utc())}
    assert bench.call("UpdateFirmware", {"requestId": 1, "firmware": firmware})["status"] == "Rejected"


# --- up to the installation ------------------------------------------------------------------------------------------


def test_download_waits_for_its_time(bench: UpdateBench) -> None:
    """L01.FR.13"""
    bench.request(retrieveDateTime=bench.in_future(100))
    assert bench.progress == ["DownloadScheduled"]
    assert bench.status(1) == "Available"
    bench.advance(98)
    assert bench.progress == ["DownloadScheduled"]
    bench.advance(3)
    assert bench.progress == ["DownloadScheduled", "Downloading"]


def test_now_of_a_csms_with_whole_seconds(bench: UpdateBench) -> None:
    """The station's clock is behind by the fraction that it leaves out."""
    bench.request(retrieveDateTime=bench.in_future(0.9), installDateTime=bench.in_future(0.9))
    assert bench.progress == ["Downloading"]
    bench.to_verified()
    bench.report(Install, InstallBegun())
    assert bench.progress == UP_TO_INSTALLING


def test_scheduled_download_survives_a_power_cut(bench: UpdateBench) -> None:
    bench.request(retrieveDateTime=bench.in_future(100))
    bench.restart(FACTORY)
    assert bench.progress == ["DownloadScheduled"]
    bench.advance(100)
    assert bench.progress == ["DownloadScheduled", "Downloading"]


def test_download_that_fails(bench: UpdateBench) -> None:
    """L01.FR.30"""
    bench.request()
    bench.report(Download, Failed("not_found"))
    assert bench.progress == ["Downloading", "DownloadFailed"]
    assert bench.last_order == SlotRequest("clean")
    bench.slots(FACTORY)
    assert bench.request(8) == "Accepted"


def test_reset_on_idle_waits_for_a_download_and_not_for_a_date(bench: UpdateBench) -> None:
    """Erratum 2.14 of part 2."""
    bench.request(retrieveDateTime=bench.in_future(100))
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
    bench.restart(FACTORY)
    bench.advance(101)
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    bench.report(Download, Failed("not_found"))
    bench.advance(1)
    assert bench.rebooting


def test_invalid_signature(bench: UpdateBench) -> None:
    """L01.FR.03"""
    bench.request()
    bench.report(Download, Downloaded())
    assert bench.last_order == Verify(SIGNED)
    bench.report(Verify, Failed("why"))
    assert bench.progress == ["Downloading", "Downloaded", "InvalidSignature"]
    assert bench.security[-1] == "InvalidFirmwareSignature"
    assert not any(isinstance(order, Install) for order in bench.orders_given)


def test_installation_waits_for_its_time(bench: UpdateBench) -> None:
    """L01.FR.16: sessions continue until then."""
    bench.request(installDateTime=bench.in_future(100))
    bench.to_verified()
    assert bench.progress == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    assert bench.status(1) == "Available"
    bench.advance(101)
    bench.report(Install, InstallBegun())
    assert bench.progress[-1] == "Installing"
    assert bench.last_order == Install(SIGNED)
    assert (bench.status(1), bench.status(2)) == ("Unavailable", "Unavailable")


def test_time_of_installation_that_passed_meanwhile(bench: UpdateBench) -> None:
    bench.request(installDateTime=bench.in_future(-7200))
    bench.to_verified()
    bench.report(Install, InstallBegun())
    assert bench.progress == UP_TO_INSTALLING


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(ImageRefused("why"), "InstallVerificationFailed"), (Failed("why"), "InstallationFailed")],
)
def test_installation_that_fails_gives_the_evses_back(bench: UpdateBench, outcome: Outcome, status: str) -> None:
    """L01.FR.29"""
    bench.to_installing()
    assert bench.status(1) == "Unavailable"
    bench.report(Install, outcome)
    assert bench.progress == [*UP_TO_INSTALLING, status]
    assert bench.status(1) == "Available"


def test_outcome_of_a_cancelled_task_is_ignored(tmp_path: Path) -> None:
    bench = UpdateBench(tmp_path, product_name="full")
    bench.request()
    old = bench.tasks[-1]
    bench.request(8)
    bench.tasks.append(old)
    bench.report(Download, Downloaded())
    assert bench.progress[-1] == "Downloading"


def test_statuses_made_offline_arrive_in_order(bench: UpdateBench) -> None:
    bench.request()
    bench.link_down()
    bench.to_verified()
    bench.report(Install, InstallBegun())
    bench.report(Install, ImageRefused("why"))
    bench.link_up()
    assert bench.progress == [*UP_TO_INSTALLING, "InstallVerificationFailed"]


# --- F06 --------------------------------------------------------------------------------------------------------------


def test_triggered_status(bench: UpdateBench) -> None:
    """L01.FR.25, L01.FR.26"""
    assert bench.trigger() == {"status": "Idle"}
    bench.request()
    assert bench.trigger() == {"status": "Downloading", "requestId": 7}
    bench.report(Download, Failed("tls"))
    assert bench.trigger() == {"status": "DownloadFailed", "requestId": 7}


def test_triggered_status_after_success_is_idle(bench: UpdateBench) -> None:
    bench.to_rebooting()
    bench.restart(TRIAL)
    bench.slots(SlotStatus("a"))
    assert bench.progress[-1] == "Installed"
    assert bench.trigger() == {"status": "Idle"}
