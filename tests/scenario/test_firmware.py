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
from tests.support.sockets import eventually
from tools.conformance.peer.files import FileServer
from tools.pki import Authority, server_context
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file

pytestmark = pytest.mark.slow

NEXT = "1.0.1"


class Csms(ScriptedCsms):
    """What the station has reported of its updates."""

    def sent(self, action: str) -> list[dict[str, Any]]:
        return [call.payload for call in self.received if call.action == action]

    def progress(self) -> list[str]:
        return [payload["status"] for payload in self.sent("FirmwareStatusNotification")]

    def boots(self) -> list[tuple[str, str]]:
        """(reason, version) of each BootNotification."""
        return [(boot["reason"], boot["chargingStation"]["firmwareVersion"]) for boot in self.sent("BootNotification")]

    def security_events(self) -> list[str]:
        return [payload["type"] for payload in self.sent("SecurityEventNotification")]


class World:
    """A station, its CSMS, its manufacturer and a file server."""

    def __init__(self, folder: Path, csms: Csms) -> None:
        self.folder = folder
        self.csms = csms
        self.manufacturer = Authority("manufacturer")
        self.signer = self.manufacturer.firmware_signer()
        files_root = Authority("files")
        self.files = FileServer(folder / "files", server_context(files_root.server(), folder))
        (folder / "files.pem").write_text(files_root.pem)
        (folder / "manufacturer.pem").write_text(self.manufacturer.pem)
        station = folder / "station.toml"
        roots = {"csms_root": ["files.pem"], "manufacturer_root": ["manufacturer.pem"]}
        station.write_text(factory_file(csms.url, variables=RETRY_AFTER_1_S, certificates=roots))
        self.rig = Rig(folder / "cp", station=station)

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

    async def until(self, *progress: str) -> None:
        await self.hears(lambda: len(self.csms.progress()) >= len(progress))
        assert self.csms.progress() == list(progress)

    async def hears(self, condition: Callable[[], bool]) -> None:
        """Until the CSMS has heard it; an update with its restarts takes seconds."""
        await self.csms.until(condition, "progress of the update", timeout=60.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Csms() as csms:
        world = World(tmp_path, csms)
        await world.files.start()
        async with world.rig:
            await world.rig.wait("registration", status="Accepted")
            yield world
        await world.files.stop()


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return checkout_image(tmp_path_factory.mktemp("image") / "image", version=NEXT)


UP_TO_INSTALLING = ("Downloading", "Downloaded", "SignatureVerified", "Installing")


async def test_update_exchanges_the_running_code(world: World, newer: bytes) -> None:
    assert await world.update(newer) == "Accepted"
    await world.until(*UP_TO_INSTALLING, "InstallRebooting", "Installed")
    assert world.csms.boots() == [("PowerUp", VERSION), ("FirmwareUpdate", NEXT)]
    await eventually(lambda: "FirmwareUpdated" in world.csms.security_events())
    state = await world.rig.state()
    assert state["firmware_version"] == NEXT
    for process in ("hal", "ocpp"):
        environment = Path(f"/proc/{state['processes'][process]}/environ").read_bytes().split(b"\0")
        assert f"PYTHONPATH={world.folder}/cp/slots/a".encode() in environment
    assert os.readlink(world.folder / "cp/slots/current") == "a"
    since = world.rig.mark
    await world.rig.op("power_cycle")
    await world.rig.wait("registration", since=since, status="Accepted")
    assert world.csms.boots()[-1] == ("PowerUp", NEXT)
    assert {payload["requestId"] for payload in world.csms.sent("FirmwareStatusNotification")} == {7}


async def test_version_that_crashes_is_rolled_back(world: World, newer: bytes) -> None:
    await world.rig.op("firmware", next="boot_fails")
    await world.update(newer)
    await world.until(*UP_TO_INSTALLING, "InstallRebooting", "InstallationFailed")
    assert world.csms.boots()[-1][1] == VERSION
    assert (await world.rig.state())["firmware_version"] == VERSION
    assert "FirmwareUpdated" not in world.csms.security_events()
    await eventually(lambda: world.csms.sent("StatusNotification")[-1]["connectorStatus"] == "Available")


async def test_power_cut_while_installing_resumes(world: World, newer: bytes) -> None:
    await world.update(newer)
    await world.hears(lambda: "Installing" in world.csms.progress())
    await world.rig.op("power_cycle")
    await world.hears(lambda: world.csms.progress()[-1] == "Installed")
    assert (await world.rig.state())["firmware_version"] == NEXT


async def test_board_that_has_to_restart_first(world: World, newer: bytes) -> None:
    await world.rig.op("firmware", next="needs_reboot_first")
    await world.update(newer)
    await world.until(*UP_TO_INSTALLING[:-1], "InstallRebooting", "Installing", "InstallRebooting", "Installed")
    assert [reason for reason, _version in world.csms.boots()] == ["PowerUp", "FirmwareUpdate", "FirmwareUpdate"]


async def test_flash_that_fails_leaves_the_station_as_it_was(world: World, newer: bytes) -> None:
    await world.rig.op("firmware", next="install_fails")
    await world.update(newer)
    await world.until(*UP_TO_INSTALLING, "InstallationFailed")
    state = await world.rig.state()
    assert (state["boots"], state["firmware_version"]) == (1, VERSION)


async def test_forged_image_is_not_installed(world: World, newer: bytes) -> None:
    stranger = Authority("stranger").firmware_signer()
    assert await world.update(newer, signingCertificate=stranger.pem) == "InvalidCertificate"
    await eventually(lambda: "InvalidFirmwareSigningCertificate" in world.csms.security_events())
    assert world.files.asked == []
    assert await world.update(newer, signature=signature(newer + b"!", world.signer)) == "Accepted"
    await world.until("Downloading", "Downloaded", "InvalidSignature")
    await eventually(lambda: "InvalidFirmwareSignature" in world.csms.security_events())
    assert not (world.folder / "cp/slots/a").exists()
