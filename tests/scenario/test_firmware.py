# SPDX-License-Identifier: Apache-2.0
"""Firmware updates of a whole station: the running code is exchanged, or it is not and the old one goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from firmware.clock import SystemClock, format_utc
from firmware.version import VERSION
from tests.support.firmware import checkout_image, signature
from tests.support.rig import Rig
from tests.support.sockets import eventually
from tools.conformance.peer.files import FileServer
from tools.pki import Authority, server_context

pytestmark = pytest.mark.slow

NEXT = "1.0.1"
STATION = """
identity = "CP7"
basic_auth_password = "0123456789abcdef"
[[network_profile]]
slot = 1
url = "ws://127.0.0.1:{port}/ocpp"
[certificates]
csms_root = ["files.pem"]
manufacturer_root = ["manufacturer.pem"]
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffWaitMinimum"
value = "1"
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffRandomRange"
value = "0"
"""


class Csms:
    """Accepts everything, remembers the calls, and can ask."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[Any] = []
        self._server: Server | None = None
        self._connection: ServerConnection | None = None

    async def start(self) -> int:
        """The port."""
        self._server = await serve(self._talk, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp2.0.1")])
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def _talk(self, connection: ServerConnection) -> None:
        self._connection = connection
        with contextlib.suppress(ConnectionClosed):  # the mains were cut
            async for text in connection:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    self.calls.append((rest[0], rest[1]))
                    await connection.send(json.dumps([3, message_id, _answer(rest[0])]))
                else:
                    self.answers.append(rest[0])

    async def ask(self, action: str, payload: dict[str, Any]) -> Any:
        assert self._connection is not None
        before = len(self.answers)
        await self._connection.send(json.dumps([2, f"ask-{before}", action, payload]))
        await eventually(lambda: len(self.answers) > before)
        return self.answers[-1]

    def sent(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.calls if name == action]

    def progress(self) -> list[str]:
        return [payload["status"] for payload in self.sent("FirmwareStatusNotification")]

    def boots(self) -> list[tuple[str, str]]:
        """(reason, version) of each BootNotification."""
        return [(boot["reason"], boot["chargingStation"]["firmwareVersion"]) for boot in self.sent("BootNotification")]

    def security_events(self) -> list[str]:
        return [payload["type"] for payload in self.sent("SecurityEventNotification")]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


def _answer(action: str) -> dict[str, Any]:
    now = format_utc(SystemClock().utc())
    answers: dict[str, dict[str, Any]] = {
        "BootNotification": {"currentTime": now, "interval": 60, "status": "Accepted"},
        "Heartbeat": {"currentTime": now},
        "Authorize": {"idTokenInfo": {"status": "Accepted"}},
    }
    return answers.get(action, {})


class World:
    """A station, its CSMS, its manufacturer and a file server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.csms = Csms()
        self.manufacturer = Authority("manufacturer")
        self.signer = self.manufacturer.firmware_signer()
        files_root = Authority("files")
        self.files = FileServer(folder / "files", server_context(files_root.server(), folder))
        (folder / "files.pem").write_text(files_root.pem)
        (folder / "manufacturer.pem").write_text(self.manufacturer.pem)
        self.rig: Rig

    async def start(self) -> None:
        station = self.folder / "station.toml"
        station.write_text(STATION.format(port=await self.csms.start()))
        await self.files.start()
        self.rig = Rig(self.folder / "cp", station=station)

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
        answer = await self.csms.ask("UpdateFirmware", {"requestId": 7, "firmware": request})
        return str(answer["status"])

    async def until(self, *progress: str) -> None:
        await self.hears(lambda: len(self.csms.progress()) >= len(progress))
        assert self.csms.progress() == list(progress)

    async def hears(self, condition: Callable[[], object]) -> None:
        """Until the CSMS has heard it; an update with its restarts takes seconds."""
        async with asyncio.timeout(60.0):
            while not condition():  # noqa: ASYNC110 - the CSMS has no event
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.start()
    async with world.rig:
        await world.rig.wait("registration", status="Accepted")
        yield world
    await world.files.stop()
    await world.csms.stop()


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
