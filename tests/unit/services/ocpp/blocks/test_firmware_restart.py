# SPDX-License-Identifier: Apache-2.0
"""L01 secure firmware update across restarts and power cuts: the trial of a new version."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import BootCause, Reboot
from firmware.update.slots import SlotStatus
from services.ocpp.background import Failed
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    Install,
    InstallBegun,
    Installed,
    RebootRequired,
    SignerUntrusted,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
)
from services.ocpp.transfer import Remote
from tests.support.station_bench import StationBench
from tests.support.update_bench import (
    FACTORY,
    SIGNED,
    TRIAL,
    UP_TO_INSTALLING,
    Checks,
    UpdateBench,
)


@pytest.fixture
def bench(tmp_path: Path) -> UpdateBench:
    return UpdateBench(tmp_path)


def test_restart_waits_until_the_csms_is_notified(bench: UpdateBench) -> None:
    """L01.FR.32 (a)"""
    bench.answers["FirmwareStatusNotification"] = lambda request: (
        None if request["status"] == "InstallRebooting" else {}
    )
    bench.to_installing()
    bench.report(Install, Installed("a"))
    assert bench.last_order == SlotRequest("activate", "a")
    bench.slots(FACTORY)
    assert bench.progress[-1] == "InstallRebooting"
    bench.advance(10)
    assert not bench.rebooting
    bench.advance(25)
    assert bench.rebooting


def test_restart_is_asked_for_once(bench: UpdateBench) -> None:
    bench.to_rebooting()
    assert bench.commands.count(Reboot()) == 1
    assert bench.orders == ["stop"]
    bench.advance(10)
    assert bench.commands.count(Reboot()) == 1
    bench.advance(30)
    assert bench.commands.count(Reboot()) == 2


def test_new_version_is_kept_when_the_csms_has_accepted_it(bench: UpdateBench) -> None:
    """L01.FR.28, L01.FR.31"""
    bench.to_rebooting()
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(TRIAL)
    bench.hal_up()
    assert bench.last_order == SlotRequest("status")
    bench.link_up()
    assert bench.sent("BootNotification")[-1]["reason"] == "FirmwareUpdate"
    assert bench.last_order == SlotRequest("keep")
    assert bench.progress[-1] == "InstallRebooting"
    bench.slots(SlotStatus("a"))
    assert bench.progress == [*UP_TO_INSTALLING, "InstallRebooting", "Installed"]
    assert bench.security.count("FirmwareUpdated") == 1
    assert bench.status(1) == "Available"
    assert {each["requestId"] for each in bench.sent("FirmwareStatusNotification")} == {7}


def test_evses_are_open_again_while_the_new_version_proves_itself(bench: UpdateBench) -> None:
    """L01.FR.07 ends with the installation: EV drivers can charge even if the CSMS is not reached yet."""
    bench.start_charging(1)
    bench.request()
    bench.stop_charging(1)
    bench.unplug(1)
    bench.to_verified()
    bench.report(Install, Installed("a"))
    bench.slots(FACTORY)
    assert (bench.status(1), bench.status(2)) == ("Unavailable", "Unavailable")
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(TRIAL)
    bench.hal_up()
    assert bench.context.hal.evses[2].status == "Available"


def test_new_version_without_hal_is_not_kept(bench: UpdateBench) -> None:
    bench.to_rebooting()
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(TRIAL)
    bench.link_up()
    assert bench.last_order == SlotRequest("status")
    bench.hal_up()
    assert bench.last_order == SlotRequest("keep")


def test_board_that_can_not_keep_it_is_asked_again_later(bench: UpdateBench) -> None:
    bench.to_rebooting()
    bench.restart(TRIAL)
    asked = len(bench.tasks)
    bench.report(SlotRequest, Failed("bus gone"))
    assert len(bench.tasks) == asked
    bench.advance(31)
    bench.slots(SlotStatus("a"))
    assert bench.progress[-1] == "Installed"


def test_board_that_rolled_back_means_installation_failed(bench: UpdateBench) -> None:
    bench.to_rebooting()
    bench.restart(SlotStatus("factory", failed="a"), BootCause.WATCHDOG)
    assert bench.progress[-1] == "InstallationFailed"
    assert "FirmwareUpdated" not in bench.security
    bench.slots(FACTORY)
    assert bench.request(8) == "Accepted"


def test_version_that_the_csms_never_accepts_is_rolled_back(bench: UpdateBench) -> None:
    bench.to_rebooting()
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(TRIAL)
    bench.hal_up()
    bench.advance(890)
    assert bench.last_order == SlotRequest("status")
    bench.advance(20)
    assert bench.last_order == SlotRequest("roll_back")
    bench.slots(SlotStatus("a", failed="a"))
    bench.advance(1)
    assert bench.rebooting
    bench.restart(SlotStatus("factory", failed="a"))
    assert bench.progress[-1] == "InstallationFailed"


def to_restarting_first(bench: UpdateBench) -> None:
    bench.request()
    bench.to_verified()
    bench.report(Install, RebootRequired())
    assert bench.progress == ["Downloading", "Downloaded", "SignatureVerified", "InstallRebooting"]
    bench.advance(1)
    assert bench.rebooting


def test_signer_that_is_no_longer_trusted_when_it_is_installed(bench: UpdateBench) -> None:
    """L01.FR.02, L01.FR.12, L01.FR.29"""
    bench.request(installDateTime=bench.in_future(100))
    bench.to_verified()
    bench.advance(101)
    bench.report(Install, SignerUntrusted("no root"))
    assert bench.progress[-1] == "InstallVerificationFailed"
    assert bench.security[-1] == "InvalidFirmwareSigningCertificate"
    assert bench.status(1) == "Available"


def test_board_that_restarts_first(bench: UpdateBench) -> None:
    """L01.FR.15: InstallRebooting before Installing, which is sent when the installation begins."""
    to_restarting_first(bench)
    bench.restart(FACTORY)
    assert isinstance(bench.last_order, Install)
    assert bench.progress[-1] == "InstallRebooting"
    bench.report(Install, InstallBegun())
    assert bench.progress[-2:] == ["InstallRebooting", "Installing"]
    assert bench.status(1) == "Unavailable"


def test_board_that_requires_another_restart(bench: UpdateBench) -> None:
    to_restarting_first(bench)
    bench.restart(FACTORY)
    bench.report(Install, RebootRequired())
    assert bench.progress[-1] == "InstallationFailed"
    assert bench.status(1) == "Available"


def test_pending_station_proves_the_version_too(bench: UpdateBench) -> None:
    """B02: the CSMS may check the new version before it accepts the station."""
    bench.to_rebooting()
    bench.power_cut(5.0, BootCause.REQUESTED)
    bench.slots(TRIAL)
    bench.hal_up()
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": bench.in_future(0), "interval": 60}
    bench.link_up()
    assert bench.last_order == SlotRequest("keep")
    bench.slots(SlotStatus("a"))
    assert bench.progress[-1] == "InstallRebooting"
    del bench.answers["BootNotification"]
    bench.advance(61)
    assert bench.progress[-1] == "Installed"


@pytest.mark.parametrize("stage", ["download", "verify", "install", "activate"])
def test_power_cut_resumes_the_stage(bench: UpdateBench, stage: str) -> None:
    bench.request()
    if stage != "download":
        bench.report(Download, Downloaded())
    if stage in ("install", "activate"):
        bench.report(Verify, Verified())
        bench.report(Install, InstallBegun())
    if stage == "activate":
        bench.report(Install, Installed("a"))
    before = list(bench.progress)
    bench.restart(FACTORY, BootCause.POWER_UP)
    expected = {
        "download": Download(Remote("https://u:secret@files/image", 2, 10)),
        "verify": Verify(SIGNED),
        "install": Install(SIGNED),
        "activate": SlotRequest("activate", "a"),  # the board has not noted it
    }
    assert bench.last_order == expected[stage]
    assert bench.progress == (["Downloading", "Downloading"] if stage == "download" else before)


def test_power_cut_right_after_the_activation(bench: UpdateBench) -> None:
    """The board has noted it, the service has not: the board comes back with the new version."""
    bench.to_installing()
    bench.report(Install, Installed("a"))
    bench.restart(TRIAL, BootCause.POWER_UP)
    bench.slots(SlotStatus("a"))
    assert bench.progress == [*UP_TO_INSTALLING, "Installed"]


def test_service_that_restarts_before_the_board_does_continues(bench: UpdateBench) -> None:
    bench.to_installing()
    bench.report(Install, Installed("a"))
    bench.slots(FACTORY)
    bench.restart_service()
    bench.slots(FACTORY)
    bench.up()
    assert bench.progress[-1] == "InstallRebooting"
    bench.advance(1)
    assert bench.rebooting


def test_trial_without_an_update_is_kept(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, updates=Checks())
    bench.report(SlotRequest, SlotsAnswered(TRIAL))
    bench.up()
    assert bench.tasks[-1].order == SlotRequest("keep")
    bench.report(SlotRequest, SlotsAnswered(SlotStatus("a")))
    assert bench.sent("FirmwareStatusNotification") == []


def test_board_that_requires_confirmation_of_every_start(tmp_path: Path) -> None:
    """RAUC's boot loaders count every boot down."""
    bench = UpdateBench(tmp_path)
    bench.restart(TRIAL)
    assert bench.last_order == SlotRequest("keep")
    bench.report(SlotRequest, Failed("bus gone"))
    asked = len(bench.tasks)
    bench.advance(29)
    assert len(bench.tasks) == asked
    bench.advance(2)
    assert bench.last_order == SlotRequest("keep")
    bench.slots(SlotStatus("a"))
    bench.advance(100)
    assert len(bench.tasks) == asked + 1


def test_start_is_confirmed_while_an_update_is_scheduled(bench: UpdateBench) -> None:
    bench.request(retrieveDateTime=bench.in_future(1000))
    bench.restart(TRIAL)
    assert bench.last_order == SlotRequest("keep")
    bench.advance(1000)
    assert bench.progress == ["DownloadScheduled"]  # not while the board is asked
    bench.slots(SlotStatus("a"))
    assert bench.progress == ["DownloadScheduled", "Downloading"]
