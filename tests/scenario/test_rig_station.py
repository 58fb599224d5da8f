# SPDX-License-Identifier: Apache-2.0
"""The rig with the whole station in it, against a tiny CSMS: what the network and the mains do to the link."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.rig import Rig

pytestmark = pytest.mark.slow

NOW = "2026-11-23T12:00:00Z"
ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"currentTime": NOW, "interval": 60, "status": "Accepted"},
    "Heartbeat": {"currentTime": NOW},
    "Authorize": {"idTokenInfo": {"status": "Accepted"}},
}
STATION = """
identity = "CP7"
basic_auth_password = "0123456789abcdef"
[[network_profile]]
slot = 1
url = "ws://127.0.0.1:{port}/ocpp"
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffWaitMinimum"
value = "1"
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffRandomRange"
value = "0"
"""


class TinyCsms:
    """Accepts everything, remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._server: Server | None = None

    async def start(self) -> int:
        """The port."""
        self._server = await serve(self._talk, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp2.0.1")])
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def _talk(self, connection: ServerConnection) -> None:
        async for text in connection:
            kind, message_id, *rest = json.loads(text)
            if kind == 2:
                action, payload = rest
                self.calls.append((action, payload))
                await connection.send(json.dumps([3, message_id, ANSWERS.get(action, {})]))

    def reasons(self) -> list[str]:
        """Of the boots, in their order."""
        return [payload["reason"] for action, payload in self.calls if action == "BootNotification"]

    def triggers(self) -> list[str]:
        return [payload["triggerReason"] for action, payload in self.calls if action == "TransactionEvent"]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@pytest.fixture
async def csms() -> AsyncIterator[TinyCsms]:
    csms = TinyCsms()
    yield csms
    await csms.stop()


@pytest.fixture
async def rig(csms: TinyCsms, tmp_path: Path) -> AsyncIterator[Rig]:
    station = tmp_path / "station.toml"
    station.write_text(STATION.format(port=await csms.start()))
    async with Rig(tmp_path / "cp", station=station) as rig:
        await rig.wait("registration", status="Accepted")
        yield rig


async def test_driver_charges_with_a_card(rig: Rig, csms: TinyCsms) -> None:
    await rig.op("plug_in", evse=2)
    await rig.op("present_card", uid="04a1b2c3", evse=2)
    await rig.wait("card", uid="04A1B2C3", outcome="started")
    await rig.wait("transaction", evse=2, kind="started")
    await rig.wait("phase", evse=2, phase="charging")
    state = await rig.client.until(lambda state: state["evses"][1]["current_a"] > 10)
    evse = state["evses"][1]
    assert evse["transaction_id"]
    assert (evse["id_token"], evse["status"]) == ("04A1B2C3", "Occupied")
    since = rig.mark
    await rig.op("present_card", uid="04a1b2c3", evse=2)
    await rig.wait("transaction", since=since, evse=2, kind="ended")
    await rig.op("plug_out", evse=2)
    await rig.wait("status", since=since, evse=2, status="Available")
    assert (await rig.evse(2))["transaction_id"] is None


@pytest.mark.parametrize("trouble", ["close", "down"])
async def test_link_is_lost_and_comes_back(rig: Rig, trouble: str) -> None:
    since = rig.mark
    await rig.op("network", mode=trouble)
    await rig.wait("disconnected", since=since)
    assert (await rig.state())["links"]["Wired0"] == ("down" if trouble == "down" else "up")
    await rig.op("network", mode="up")
    await rig.wait("connected", since=since)


async def test_power_cycle_is_a_power_up(rig: Rig, csms: TinyCsms) -> None:
    since = rig.mark
    await rig.op("power_cycle")
    await rig.wait("disconnected", since=since)
    await rig.wait("registration", since=since, status="Accepted")
    assert csms.reasons() == ["PowerUp", "PowerUp"]
    assert (await rig.state())["boots"] == 2


async def test_damaged_database_does_not_keep_the_station_down(rig: Rig) -> None:
    since = rig.mark
    await rig.op("storage", corrupt="database")
    await rig.op("power_cycle")
    await rig.wait("booted", since=since, boots=2)
    await rig.wait("registration", since=since, status="Accepted")
