# SPDX-License-Identifier: Apache-2.0
"""L01 secure firmware update, stage by stage, with restarts and power cuts in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firmware.clock import format_utc
from firmware.contract import BootCause, Reboot
from firmware.update.slots import SlotStatus
from services.ocpp.background import Failed, Order, Outcome
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    ImageRefused,
    Install,
    InstallBegun,
    Installed,
    RebootRequired,
    Signed,
    SignerUntrusted,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
)
from services.ocpp.transfer import Remote
from tests.support.station_bench import StationBench

FACTORY = SlotStatus("factory")
TRIAL = SlotStatus("a", trial=True)
SIGNED = Signed("QUJD", "good")


class Judge:
    """`context.Firmware`: a certificate and a location are good unless they say otherwise."""

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        return "expired" if certificate == "bad" else None

    def location_problem(self, location: str) -> str | None:
        return "no such scheme" if location.startswith("file:") else None


class Site(StationBench):
    """A station with slots."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, updates=Judge(), **more)
        self.slots(FACTORY)
        self.up()

    def slots(self, status: SlotStatus) -> None:
        """The board answers what it was asked last."""
        self.report(SlotRequest, SlotsAnswered(status))

    def request(self, request_id: int = 7, **fields: str | None) -> str:
        """UpdateFirmware; the answer's status."""
        past = format_utc(self.clock.utc() - 7200)
        firmware = {
            "location": "https://u:secret@files/image",
            "retrieveDateTime": past,
            "signingCertificate": "good",
            "signature": "QUJD",
            **fields,
        }
        kept = {name: value for name, value in firmware.items() if value is not None}
        answer = self.call("UpdateFirmware", {"requestId": request_id, "firmware": kept})
        return str(answer["status"])

    def in_future(self, seconds: float) -> str:
        return format_utc(self.clock.utc() + seconds)

    def to_installing(self) -> None:
        self.request()
        self.report(Download, Downloaded())
        self.report(Verify, Verified())
        self.report(Install, InstallBegun())

    def to_rebooting(self) -> None:
        self.to_installing()
        self.report(Install, Installed("a"))
        self.slots(FACTORY)
        self.advance(1.0)
        assert self.rebooting

    def restart(self, status: SlotStatus, cause: BootCause = BootCause.REQUESTED) -> None:
        """The board comes back, and says which slot runs."""
        self.power_cut(5.0, cause)
        self.slots(status)
        self.up()

    @property
    def progress(self) -> list[str]:
        return [each["status"] for each in self.sent("FirmwareStatusNotification")]

    @property
    def security(self) -> list[str]:
        return [each["type"] for each in self.sent("SecurityEventNotification")]

    @property
    def last_order(self) -> Order:
        return self.tasks[-1].order

    @property
    def orders_given(self) -> list[Order]:
        return [task.order for task in self.tasks]

    def status(self, evse: int) -> str:
        return next(str(s["connectorStatus"]) for s in reversed(self.sent("StatusNotification")) if s["evseId"] == evse)

    def trigger(self) -> dict[str, Any]:
        answer = self.call("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert answer["status"] == "Accepted"
        found: dict[str, Any] = self.sent("FirmwareStatusNotification")[-1]
        return found

    def start_charging(self, evse: int = 1) -> None:
        self.plug(evse)
        self.card(evse=evse)
        self.energy_on(evse)
        assert self.context.hal.evses[evse].transaction_id is not None

    def stop_charging(self, evse: int = 1) -> None:
        self.card(evse=evse)
        self.energy_off(evse)
        assert self.context.hal.evses[evse].transaction_id is None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


UP_TO_INSTALLING = ["Downloading", "Downloaded", "SignatureVerified", "Installing"]


# --- the request ------------------------------------------------------------------------------------------------------


def test_accepted_request_begins_the_download(site: Site) -> None:
    assert site.request() == "Accepted"
    assert site.last_order == Download(Remote("https://u:secret@files/image", 2, 10))
    assert site.sent("FirmwareStatusNotification") == [{"status": "Downloading", "requestId": 7}]


def test_retries_are_the_requests(site: Site) -> None:
    firmware = {
        "location": "https://files/image",
        "retrieveDateTime": format_utc(site.clock.utc()),
        "signingCertificate": "good",
        "signature": "QUJD",
    }
    site.call("UpdateFirmware", {"requestId": 7, "retries": 5, "retryInterval": 60, "firmware": firmware})
    assert site.last_order == Download(Remote("https://files/image", 5, 60))


@pytest.mark.parametrize("missing", ["signature", "signingCertificate"])
def test_request_without_signature_is_rejected(site: Site, missing: str) -> None:
    """TC_L_18"""
    fields: dict[str, Any] = {missing: None}
    assert site.request(**fields) == "Rejected"
    assert site.progress == []


def test_bad_certificate_is_refused_before_anything_is_fetched(site: Site) -> None:
    """L01.FR.02, L01.FR.22"""
    assert site.request(signingCertificate="bad") == "InvalidCertificate"
    assert site.security[-1] == "InvalidFirmwareSigningCertificate"
    assert site.progress == []
    assert isinstance(site.last_order, SlotRequest)


def test_location_that_is_not_taken_is_rejected(site: Site) -> None:
    assert site.request(location="file:///etc/passwd") == "Rejected"


def test_second_request_is_rejected_where_none_can_be_cancelled(site: Site) -> None:
    """L01.FR.27"""
    site.request()
    assert site.request(8) == "Rejected"
    site.report(Download, Downloaded())
    assert {each["requestId"] for each in site.sent("FirmwareStatusNotification")} == {7}


def test_second_request_cancels_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.24"""
    site = Site(tmp_path, product_name="full")
    site.request()
    first = site.tasks[-1]
    assert site.request(8) == "AcceptedCanceled"
    assert site.cancelled == [first]
    assert site.tasks[-1] is not first
    assert isinstance(site.last_order, Download)
    assert [(each["status"], each["requestId"]) for each in site.sent("FirmwareStatusNotification")] == [
        ("Downloading", 7),
        ("DownloadFailed", 7),
        ("Downloading", 8),
    ]
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    assert site.request(9) == "Rejected"  # what goes into a slot goes on
    site.report(Install, Failed("why"))
    assert site.request(10) == "Accepted"


def test_installed_version_that_waits_for_its_restart_can_be_cancelled(tmp_path: Path) -> None:
    """L01.FR.24"""
    site = Site(tmp_path, product_name="full")
    features = replace(site.product.features, install_firmware_during_transaction=True)
    site.context.product = replace(site.product, features=features)
    site.to_installing()
    site.start_charging(1)
    site.report(Install, Installed("a"))
    assert site.request(8) == "AcceptedCanceled"
    assert (site.progress[-2], site.progress[-1]) == ("InstallationFailed", "DownloadScheduled")
    assert SlotRequest("activate", "a") not in site.orders_given


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"])
def test_dates_at_the_end_of_time(site: Site, date: str) -> None:
    assert site.request(retrieveDateTime=date, installDateTime=date) in ("Accepted", "Rejected")
    site.advance(1)
    assert site.status(1) == "Available"


def test_bad_request_cancels_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, product_name="full")
    site.request()
    assert site.request(8, signingCertificate="bad") == "InvalidCertificate"
    site.report(Download, Downloaded())
    assert site.progress == ["Downloading", "Downloaded"]


def test_station_without_slots_rejects(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    firmware = {"location": "https://f/i", "retrieveDateTime": format_utc(bench.clock.utc())}
    assert bench.call("UpdateFirmware", {"requestId": 1, "firmware": firmware})["status"] == "Rejected"


# --- up to the installation ------------------------------------------------------------------------------------------


def test_download_waits_for_its_time(site: Site) -> None:
    """L01.FR.13"""
    site.request(retrieveDateTime=site.in_future(100))
    assert site.progress == ["DownloadScheduled"]
    assert site.status(1) == "Available"
    site.advance(98)
    assert site.progress == ["DownloadScheduled"]
    site.advance(3)
    assert site.progress == ["DownloadScheduled", "Downloading"]


def test_now_of_a_csms_that_tells_whole_seconds(site: Site) -> None:
    """Our time is behind by what it leaves out."""
    site.request(retrieveDateTime=site.in_future(0.9), installDateTime=site.in_future(0.9))
    assert site.progress == ["Downloading"]
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.report(Install, InstallBegun())
    assert site.progress == UP_TO_INSTALLING


def test_scheduled_download_survives_a_power_cut(site: Site) -> None:
    site.request(retrieveDateTime=site.in_future(100))
    site.restart(FACTORY)
    assert site.progress == ["DownloadScheduled"]
    site.advance(100)
    assert site.progress == ["DownloadScheduled", "Downloading"]


def test_download_that_fails(site: Site) -> None:
    """L01.FR.30"""
    site.request()
    site.report(Download, Failed("not_found"))
    assert site.progress == ["Downloading", "DownloadFailed"]
    assert site.last_order == SlotRequest("clean")
    site.slots(FACTORY)
    assert site.request(8) == "Accepted"


def test_reset_on_idle_waits_for_a_download_and_not_for_a_date(site: Site) -> None:
    """Erratum 2.14 of part 2."""
    site.request(retrieveDateTime=site.in_future(100))
    assert site.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
    site.restart(FACTORY)
    site.advance(101)
    assert site.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    site.report(Download, Failed("not_found"))
    site.advance(1)
    assert site.rebooting


def test_signature_that_is_not_good(site: Site) -> None:
    """L01.FR.03"""
    site.request()
    site.report(Download, Downloaded())
    assert site.last_order == Verify(SIGNED)
    site.report(Verify, Failed("why"))
    assert site.progress == ["Downloading", "Downloaded", "InvalidSignature"]
    assert site.security[-1] == "InvalidFirmwareSignature"
    assert not any(isinstance(order, Install) for order in site.orders_given)


def test_installation_waits_for_its_time(site: Site) -> None:
    """L01.FR.16: sessions go on until then."""
    site.request(installDateTime=site.in_future(100))
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    assert site.progress == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    assert site.status(1) == "Available"
    site.advance(101)
    site.report(Install, InstallBegun())
    assert site.progress[-1] == "Installing"
    assert site.last_order == Install(SIGNED)
    assert (site.status(1), site.status(2)) == ("Unavailable", "Unavailable")


def test_time_of_installation_that_passed_meanwhile(site: Site) -> None:
    site.request(installDateTime=site.in_future(-7200))
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.report(Install, InstallBegun())
    assert site.progress == UP_TO_INSTALLING


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(ImageRefused("why"), "InstallVerificationFailed"), (Failed("why"), "InstallationFailed")],
)
def test_installation_that_fails_gives_the_evses_back(site: Site, outcome: Outcome, status: str) -> None:
    """L01.FR.29"""
    site.to_installing()
    assert site.status(1) == "Unavailable"
    site.report(Install, outcome)
    assert site.progress == [*UP_TO_INSTALLING, status]
    assert site.status(1) == "Available"


def test_news_of_a_job_that_was_given_up_counts_for_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, product_name="full")
    site.request()
    old = site.tasks[-1]
    site.request(8)
    site.tasks.append(old)
    site.report(Download, Downloaded())
    assert site.progress[-1] == "Downloading"


# --- running transactions ---------------------------------------------------------------------------------------------


def test_transaction_is_waited_for_and_free_evses_are_closed(site: Site) -> None:
    """L01.FR.06, L01.FR.07, TC_L_13"""
    site.start_charging(1)
    site.request()
    assert site.progress == ["DownloadScheduled"]
    assert (site.status(1), site.status(2)) == ("Occupied", "Unavailable")
    site.card(uid="04AAAAAAAA", evse=2)
    assert site.sent("Authorize")[-1]["idToken"]["idToken"] != "04AAAAAAAA"
    site.stop_charging(1)
    assert site.progress == ["DownloadScheduled", "Downloading"]


def test_evse_that_becomes_available_is_closed(site: Site) -> None:
    """L01.FR.07"""
    site.start_charging(1)
    site.start_charging(2)
    site.request()
    site.stop_charging(1)
    assert site.status(1) == "Occupied"
    site.unplug(1)
    assert site.status(1) == "Unavailable"
    assert site.progress == ["DownloadScheduled"]


def test_session_that_begins_meanwhile_pauses_the_download(site: Site) -> None:
    """L01.FR.14"""
    site.request()
    task = site.tasks[-1]
    site.start_charging(1)
    assert site.progress == ["Downloading", "DownloadPaused"]
    assert site.cancelled == [task]
    assert site.status(2) == "Unavailable"
    site.stop_charging(1)
    assert site.progress == ["Downloading", "DownloadPaused", "Downloading"]
    assert site.status(2) == "Unavailable"  # L01.FR.07: until it is installed
    site.report(Download, Failed("not_found"))
    assert site.status(2) == "Available"


def test_download_that_was_paused_stays_so_after_a_restart(site: Site) -> None:
    """L01.FR.14"""
    site.request()
    site.start_charging(1)
    site.restart_service()
    site.slots(FACTORY)
    site.up()
    assert site.progress == ["Downloading", "DownloadPaused"]
    site.stop_charging(1)
    assert site.progress == ["Downloading", "DownloadPaused", "Downloading"]


def test_download_that_a_restart_interrupted_is_paused_by_a_session(site: Site) -> None:
    """L01.FR.14"""
    site.request()
    site.restart_service()
    site.up()
    site.start_charging(1)
    site.slots(FACTORY)
    assert site.progress == ["Downloading", "DownloadPaused"]


def test_station_wakes_at_each_date(site: Site) -> None:
    block = site.station.block("L")
    site.request(retrieveDateTime=site.in_future(100), installDateTime=site.in_future(200))
    start = site.clock.monotonic()
    assert block.next_deadline() == pytest.approx(start + 100, abs=0.01)
    site.advance(100.1)
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    assert block.next_deadline() == pytest.approx(start + 200, abs=0.01)


def test_evses_stay_open_until_the_installation_is_due(site: Site) -> None:
    """L01.FR.07 speaks of an installation that waits, not of one in the night to come."""
    site.start_charging(1)
    site.request(installDateTime=site.in_future(100))
    assert site.progress == ["DownloadScheduled"]
    assert site.status(2) == "Available"
    site.advance(101)
    assert site.status(2) == "Unavailable"
    assert site.progress == ["DownloadScheduled"]


def test_evses_that_were_closed_stay_closed_across_a_power_cut(site: Site) -> None:
    """L01.FR.07"""
    site.start_charging(1)
    site.request()
    site.restart(FACTORY, BootCause.POWER_UP)
    assert site.progress[-1] == "Downloading"
    assert site.status(2) == "Unavailable"


def test_new_sessions_are_allowed_where_the_variable_says_so(tmp_path: Path) -> None:
    """L01.FR.07: AllowNewSessionsPendingFirmwareUpdate"""
    name = ("ChargingStation", "AllowNewSessionsPendingFirmwareUpdate")
    site = Site(tmp_path, product_name="full", variables={name: "true"})
    site.start_charging(1)
    site.request()
    assert site.status(2) == "Available"


def test_image_is_fetched_beside_a_transaction_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.06, with AQ-7: the installation waits."""
    site = Site(tmp_path)
    lab = replace(site.product.lab, download_firmware_during_transaction=True)
    site.context.product = replace(site.product, lab=lab)
    site.start_charging(1)
    site.request()
    assert site.status(2) == "Available"
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    assert site.progress == ["Downloading", "Downloaded", "SignatureVerified"]
    assert (site.status(1), site.status(2)) == ("Occupied", "Unavailable")  # L01.FR.07
    site.stop_charging(1)
    assert isinstance(site.last_order, Install)


def test_image_is_installed_beside_a_transaction_where_that_is_possible(tmp_path: Path) -> None:
    """L01.FR.33: the restart waits."""
    site = Site(tmp_path, product_name="full")
    features = replace(site.product.features, install_firmware_during_transaction=True)
    site.context.product = replace(site.product, features=features)
    site.to_installing()
    site.start_charging(1)
    site.report(Install, Installed("a"))
    assert not isinstance(site.last_order, SlotRequest)
    assert (site.status(1), site.status(2)) == ("Occupied", "Unavailable")
    site.stop_charging(1)
    assert site.last_order == SlotRequest("activate", "a")


# --- across the restart -----------------------------------------------------------------------------------------------


def test_restart_comes_after_the_csms_has_heard_of_it(site: Site) -> None:
    """L01.FR.32 (a)"""
    site.answers["FirmwareStatusNotification"] = lambda request: None if request["status"] == "InstallRebooting" else {}
    site.to_installing()
    site.report(Install, Installed("a"))
    assert site.last_order == SlotRequest("activate", "a")
    site.slots(FACTORY)
    assert site.progress[-1] == "InstallRebooting"
    site.advance(10)
    assert not site.rebooting
    site.advance(25)
    assert site.rebooting


def test_restart_is_asked_for_once(site: Site) -> None:
    site.to_rebooting()
    assert site.commands.count(Reboot()) == 1
    assert site.orders == ["stop"]
    site.advance(10)
    assert site.commands.count(Reboot()) == 1
    site.advance(30)
    assert site.commands.count(Reboot()) == 2


def test_new_version_is_kept_when_the_csms_has_accepted_it(site: Site) -> None:
    """L01.FR.28, L01.FR.31"""
    site.to_rebooting()
    site.power_cut(5.0, BootCause.REQUESTED)
    site.slots(TRIAL)
    site.hal_up()
    assert site.last_order == SlotRequest("status")
    site.link_up()
    assert site.sent("BootNotification")[-1]["reason"] == "FirmwareUpdate"
    assert site.last_order == SlotRequest("keep")
    assert site.progress[-1] == "InstallRebooting"
    site.slots(SlotStatus("a"))
    assert site.progress == [*UP_TO_INSTALLING, "InstallRebooting", "Installed"]
    assert site.security.count("FirmwareUpdated") == 1
    assert site.status(1) == "Available"
    assert {each["requestId"] for each in site.sent("FirmwareStatusNotification")} == {7}


def test_evses_are_open_again_while_the_new_version_proves_itself(site: Site) -> None:
    """L01.FR.07 ends with the installation; who can't be reached by the CSMS for now may charge all the same."""
    site.start_charging(1)
    site.request()
    site.stop_charging(1)
    site.unplug(1)
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.report(Install, Installed("a"))
    site.slots(FACTORY)
    assert (site.status(1), site.status(2)) == ("Unavailable", "Unavailable")
    site.power_cut(5.0, BootCause.REQUESTED)
    site.slots(TRIAL)
    site.hal_up()
    assert site.context.hal.evses[2].status == "Available"


def test_new_version_without_hal_is_not_kept(site: Site) -> None:
    site.to_rebooting()
    site.power_cut(5.0, BootCause.REQUESTED)
    site.slots(TRIAL)
    site.link_up()
    assert site.last_order == SlotRequest("status")
    site.hal_up()
    assert site.last_order == SlotRequest("keep")


def test_board_that_can_not_keep_it_is_asked_again_later(site: Site) -> None:
    site.to_rebooting()
    site.restart(TRIAL)
    asked = len(site.tasks)
    site.report(SlotRequest, Failed("bus gone"))
    assert len(site.tasks) == asked
    site.advance(31)
    site.slots(SlotStatus("a"))
    assert site.progress[-1] == "Installed"


def test_board_that_went_back_means_installation_failed(site: Site) -> None:
    site.to_rebooting()
    site.restart(SlotStatus("factory", failed="a"), BootCause.WATCHDOG)
    assert site.progress[-1] == "InstallationFailed"
    assert "FirmwareUpdated" not in site.security
    site.slots(FACTORY)
    assert site.request(8) == "Accepted"


def test_version_that_the_csms_never_accepts_is_given_up(site: Site) -> None:
    site.to_rebooting()
    site.power_cut(5.0, BootCause.REQUESTED)
    site.slots(TRIAL)
    site.hal_up()
    site.advance(890)
    assert site.last_order == SlotRequest("status")
    site.advance(20)
    assert site.last_order == SlotRequest("roll_back")
    site.slots(SlotStatus("a", failed="a"))
    site.advance(1)
    assert site.rebooting
    site.restart(SlotStatus("factory", failed="a"))
    assert site.progress[-1] == "InstallationFailed"


def to_restarting_first(site: Site) -> None:
    site.request()
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.report(Install, RebootRequired())
    assert site.progress == ["Downloading", "Downloaded", "SignatureVerified", "InstallRebooting"]
    site.advance(1)
    assert site.rebooting


def test_signer_that_is_no_longer_trusted_when_it_is_installed(site: Site) -> None:
    """L01.FR.02, L01.FR.12, L01.FR.29"""
    site.request(installDateTime=site.in_future(100))
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.advance(101)
    site.report(Install, SignerUntrusted("no root"))
    assert site.progress[-1] == "InstallVerificationFailed"
    assert site.security[-1] == "InvalidFirmwareSigningCertificate"
    assert site.status(1) == "Available"


def test_board_that_restarts_first(site: Site) -> None:
    """L01.FR.15: InstallRebooting before Installing, which is told when the installation begins."""
    to_restarting_first(site)
    site.restart(FACTORY)
    assert isinstance(site.last_order, Install)
    assert site.progress[-1] == "InstallRebooting"
    site.report(Install, InstallBegun())
    assert site.progress[-2:] == ["InstallRebooting", "Installing"]
    assert site.status(1) == "Unavailable"


def test_board_that_never_has_restarted_enough(site: Site) -> None:
    to_restarting_first(site)
    site.restart(FACTORY)
    site.report(Install, RebootRequired())
    assert site.progress[-1] == "InstallationFailed"
    assert site.status(1) == "Available"


def test_csms_that_has_us_wait_proves_the_version_all_the_same(site: Site) -> None:
    """B02: it may want to look at the new version before it accepts the station."""
    site.to_rebooting()
    site.power_cut(5.0, BootCause.REQUESTED)
    site.slots(TRIAL)
    site.hal_up()
    site.answers["BootNotification"] = {"status": "Pending", "currentTime": site.in_future(0), "interval": 60}
    site.link_up()
    assert site.last_order == SlotRequest("keep")
    site.slots(SlotStatus("a"))
    assert site.progress[-1] == "InstallRebooting"
    del site.answers["BootNotification"]
    site.advance(61)
    assert site.progress[-1] == "Installed"


@pytest.mark.parametrize("stage", ["download", "verify", "install", "activate"])
def test_power_cut_resumes_the_stage(site: Site, stage: str) -> None:
    site.request()
    if stage != "download":
        site.report(Download, Downloaded())
    if stage in ("install", "activate"):
        site.report(Verify, Verified())
        site.report(Install, InstallBegun())
    if stage == "activate":
        site.report(Install, Installed("a"))
    before = list(site.progress)
    site.restart(FACTORY, BootCause.POWER_UP)
    expected = {
        "download": Download(Remote("https://u:secret@files/image", 2, 10)),
        "verify": Verify(SIGNED),
        "install": Install(SIGNED),
        "activate": SlotRequest("activate", "a"),  # the board had not noted it
    }
    assert site.last_order == expected[stage]
    assert site.progress == (["Downloading", "Downloading"] if stage == "download" else before)


def test_power_cut_right_after_the_activation(site: Site) -> None:
    """The board noted it, we did not: it comes back with the new version, or has given that up already."""
    site.to_installing()
    site.report(Install, Installed("a"))
    site.restart(TRIAL, BootCause.POWER_UP)
    site.slots(SlotStatus("a"))
    assert site.progress == [*UP_TO_INSTALLING, "Installed"]


def test_service_that_restarts_before_the_board_does_goes_on(site: Site) -> None:
    site.to_installing()
    site.report(Install, Installed("a"))
    site.slots(FACTORY)
    site.restart_service()
    site.slots(FACTORY)
    site.up()
    assert site.progress[-1] == "InstallRebooting"
    site.advance(1)
    assert site.rebooting


def test_trial_that_nobody_remembers_is_kept_all_the_same(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, updates=Judge())
    bench.report(SlotRequest, SlotsAnswered(TRIAL))
    bench.up()
    assert bench.tasks[-1].order == SlotRequest("keep")
    bench.report(SlotRequest, SlotsAnswered(SlotStatus("a")))
    assert bench.sent("FirmwareStatusNotification") == []


def test_board_that_wants_to_hear_of_every_start_is_told_again_later(tmp_path: Path) -> None:
    """As RAUC's boot loaders do, which count every boot down."""
    site = Site(tmp_path)
    site.restart(TRIAL)
    assert site.last_order == SlotRequest("keep")
    site.report(SlotRequest, Failed("bus gone"))
    asked = len(site.tasks)
    site.advance(29)
    assert len(site.tasks) == asked
    site.advance(2)
    assert site.last_order == SlotRequest("keep")
    site.slots(SlotStatus("a"))
    site.advance(100)
    assert len(site.tasks) == asked + 1


def test_start_is_confirmed_while_an_update_is_scheduled(site: Site) -> None:
    site.request(retrieveDateTime=site.in_future(1000))
    site.restart(TRIAL)
    assert site.last_order == SlotRequest("keep")
    site.advance(1000)
    assert site.progress == ["DownloadScheduled"]  # not while the board is asked
    site.slots(SlotStatus("a"))
    assert site.progress == ["DownloadScheduled", "Downloading"]


def test_statuses_made_offline_arrive_in_order(site: Site) -> None:
    site.request()
    site.link_down()
    site.report(Download, Downloaded())
    site.report(Verify, Verified())
    site.report(Install, InstallBegun())
    site.report(Install, ImageRefused("why"))
    site.link_up()
    assert site.progress == [*UP_TO_INSTALLING, "InstallVerificationFailed"]


# --- F06 --------------------------------------------------------------------------------------------------------------


def test_triggered_status(site: Site) -> None:
    """L01.FR.25, L01.FR.26"""
    assert site.trigger() == {"status": "Idle"}
    site.request()
    assert site.trigger() == {"status": "Downloading", "requestId": 7}
    site.report(Download, Failed("tls"))
    assert site.trigger() == {"status": "DownloadFailed", "requestId": 7}


def test_triggered_status_after_success_is_idle(site: Site) -> None:
    site.to_rebooting()
    site.restart(TRIAL)
    site.slots(SlotStatus("a"))
    assert site.progress[-1] == "Installed"
    assert site.trigger() == {"status": "Idle"}
