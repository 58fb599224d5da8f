# SPDX-License-Identifier: Apache-2.0
"""Firmware updates of a whole station: the running code is replaced, or the old version continues."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import SystemClock, format_utc
from firmware.version import VERSION
from tests.support.csms import ScriptedCsms
from tests.support.firmware import checkout_image, signature
from tests.support.rig import Rig
from tests.support.scenario import Site
from tests.support.sockets import eventually
from tools.conformance.peer.files import FileServer
from tools.pki import Authority, server_context
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file

pytestmark = pytest.mark.slow

NEXT = "1.0.1"


class UpdateSite(Site):
    """A station, its CSMS, its manufacturer and a file server for images."""

    def __init__(self, folder: Path, csms: ScriptedCsms) -> None:
        self.folder = folder
        self.manufacturer = Authority("manufacturer")
        self.signer = self.manufacturer.firmware_signer()
        files_root = Authority("files")
        self.files = FileServer(folder / "files", server_context(files_root.server(), folder))
        (folder / "files.pem").write_text(files_root.pem)
        (folder / "manufacturer.pem").write_text(self.manufacturer.pem)
        station = folder / "station.toml"
        roots = {"csms_root": ["files.pem"], "manufacturer_root": ["manufacturer.pem"]}
        station.write_text(factory_file(csms.url, variables=RETRY_AFTER_1_S, certificates=roots))
        super().__init__(Rig(folder / "cp", station=station), csms)

    def progress(self) -> list[str]:
        return [payload["status"] for payload in self.sent("FirmwareStatusNotification")]

    def boots(self) -> list[tuple[str, str]]:
        """(reason, version) of each BootNotification."""
        return [(boot["reason"], boot["chargingStation"]["firmwareVersion"]) for boot in self.sent("BootNotification")]

    async def update(self, data: bytes, **firmware: Any) -> str:
        """UpdateFirmware with this image; the answer's status."""
        (self.folder / "files" / "image").write_bytes(data)
        past = format_utc(SystemClock().utc() - 7200)
        request = {
            "location": self.files.url("image"),
            "retrieveDateTime": past,
            "installDateTime": past,
            "signingCertificate": self.signer.pem,
            "signature": signature(data, self.signer),
            **firmware,
        }
        answer = await self.csms.call("UpdateFirmware", {"requestId": 7, "firmware": request})
        return str(answer["status"])

    async def until_progress(self, *progress: str) -> None:
        """Wait until the CSMS has as many statuses of the update; they must be these."""
        await self.until(lambda: len(self.progress()) >= len(progress))
        assert self.progress() == list(progress)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the CSMS; an update with its restarts takes seconds."""
        await self.csms.until(condition, "progress of the update", timeout=60.0)


@pytest.fixture
async def here(tmp_path: Path, csms: ScriptedCsms) -> AsyncIterator[UpdateSite]:
    here = UpdateSite(tmp_path, csms)
    await here.files.start()
    async with here.rig:
        await here.rig.wait("registration", status="Accepted")
        yield here
    await here.files.stop()


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return checkout_image(tmp_path_factory.mktemp("image") / "image", version=NEXT)


UP_TO_INSTALLING = ("Downloading", "Downloaded", "SignatureVerified", "Installing")


async def test_update_replaces_the_running_code(here: UpdateSite, newer: bytes) -> None:
    assert await here.update(newer) == "Accepted"
    await here.until_progress(*UP_TO_INSTALLING, "InstallRebooting", "Installed")
    assert here.boots() == [("PowerUp", VERSION), ("FirmwareUpdate", NEXT)]
    await eventually(lambda: "FirmwareUpdated" in here.security_events())
    state = await here.rig.state()
    assert state["firmware_version"] == NEXT
    for process in ("hal", "ocpp"):
        environment = Path(f"/proc/{state['processes'][process]}/environ").read_bytes().split(b"\0")
        assert f"PYTHONPATH={here.folder}/cp/slots/a".encode() in environment
    assert os.readlink(here.folder / "cp/slots/current") == "a"
    since = here.rig.mark
    await here.rig.op("power_cycle")
    await here.rig.wait("registration", since=since, status="Accepted")
    assert here.boots()[-1] == ("PowerUp", NEXT)
    assert {payload["requestId"] for payload in here.sent("FirmwareStatusNotification")} == {7}


async def test_wrong_date_can_be_corrected(here: UpdateSite, newer: bytes) -> None:
    """No date closes the station to updates: a far one is refused, and a nearer one gives way to a new request."""
    utc = SystemClock().utc()
    assert await here.update(newer, retrieveDateTime=format_utc(utc + 10 * 365 * 86_400)) == "Rejected"
    assert await here.update(newer, retrieveDateTime=format_utc(utc + 86_400)) == "Accepted"
    await here.until(lambda: here.progress() == ["DownloadScheduled"])
    await here.settled()
    since = here.rig.mark
    await here.rig.op("power_cycle")
    await here.rig.wait("registration", since=since, status="Accepted")
    assert await here.update(newer) == "AcceptedCanceled"  # L01.FR.24
    await here.until(lambda: here.progress()[-1] == "Installed")
    reported = list(dict.fromkeys(here.progress()))  # the power cut may repeat the last one (docs/decisions/0004)
    assert reported[:3] == ["DownloadScheduled", "DownloadFailed", "Downloading"]
    assert (await here.rig.state())["firmware_version"] == NEXT


async def test_version_that_crashes_is_rolled_back(here: UpdateSite, newer: bytes) -> None:
    await here.rig.op("firmware", next="boot_fails")
    await here.update(newer)
    await here.until_progress(*UP_TO_INSTALLING, "InstallRebooting", "InstallationFailed")
    assert here.boots()[-1][1] == VERSION
    assert (await here.rig.state())["firmware_version"] == VERSION
    assert "FirmwareUpdated" not in here.security_events()
    await eventually(lambda: here.sent("StatusNotification")[-1]["connectorStatus"] == "Available")


async def test_power_cut_while_installing_resumes(here: UpdateSite, newer: bytes) -> None:
    await here.update(newer)
    await here.until(lambda: "Installing" in here.progress())
    await here.rig.op("power_cycle")
    await here.until(lambda: here.progress()[-1] == "Installed")
    assert (await here.rig.state())["firmware_version"] == NEXT


async def test_board_that_has_to_restart_first(here: UpdateSite, newer: bytes) -> None:
    await here.rig.op("firmware", next="needs_reboot_first")
    await here.update(newer)
    await here.until_progress(*UP_TO_INSTALLING[:-1], "InstallRebooting", "Installing", "InstallRebooting", "Installed")
    assert [reason for reason, _version in here.boots()] == ["PowerUp", "FirmwareUpdate", "FirmwareUpdate"]


async def test_flash_that_fails_changes_nothing(here: UpdateSite, newer: bytes) -> None:
    await here.rig.op("firmware", next="install_fails")
    await here.update(newer)
    await here.until_progress(*UP_TO_INSTALLING, "InstallationFailed")
    state = await here.rig.state()
    assert (state["boots"], state["firmware_version"]) == (1, VERSION)


async def test_forged_image_is_not_installed(here: UpdateSite, newer: bytes) -> None:
    stranger = Authority("stranger").firmware_signer()
    assert await here.update(newer, signingCertificate=stranger.pem) == "InvalidCertificate"
    await eventually(lambda: "InvalidFirmwareSigningCertificate" in here.security_events())
    assert here.files.asked == []
    assert await here.update(newer, signature=signature(newer + b"!", here.signer)) == "Accepted"
    await here.until_progress("Downloading", "Downloaded", "InvalidSignature")
    await eventually(lambda: "InvalidFirmwareSignature" in here.security_events())
    assert not (here.folder / "cp/slots/a").exists()
