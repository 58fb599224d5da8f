# SPDX-License-Identifier: Apache-2.0
"""What systemd hears of HAL and OCPP service while a car comes: readiness, states in words, signs of life."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.csms import ScriptedCsms
from tests.support.rig import Rig
from tests.support.sockets import eventually
from tools.rig.factory_file import factory_file

pytestmark = pytest.mark.slow


class Systemd:
    """The socket of NOTIFY_SOCKET, and what has come out of it."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Every assignment so far."""
        while True:
            try:
                self._lines += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._lines

    def has(self, *words: str) -> bool:
        """Whether a status has all these words."""
        return any(all(word in line for word in words) for line in self.lines() if line.startswith("STATUS="))


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    yield systemd
    systemd.socket.close()


async def test_states_in_words_and_signs_of_life(systemd: Systemd, csms: ScriptedCsms, tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    station.write_text(factory_file(csms.url))
    async with Rig(tmp_path / "cp", station=station) as rig:
        await rig.wait("registration", status="Accepted")
        await eventually(lambda: systemd.has("EVSE 1 idle, EVSE 2 idle"))
        await eventually(lambda: systemd.has("connected to slot 1 over Wired0, Accepted", "EVSE 1 Available"))
        await rig.op("plug_in", evse=1)
        await rig.op("present_card", uid="04A1B2C3", evse=1)
        await rig.wait("phase", evse=1, phase="charging")
        await eventually(lambda: systemd.has("EVSE 1 charging", "kW"))
        await eventually(lambda: systemd.has("EVSE 1 Charging"))
        await rig.op("fault", code="door_open")
        await eventually(lambda: systemd.has("; door_open"))
        await rig.op("network", mode="down")
        await eventually(lambda: systemd.has("not connected: "))
    lines = systemd.lines()
    assert [lines.count("READY=1"), lines.count("STOPPING=1")] == [2, 2]
    assert lines.count("WATCHDOG=1") > 4
    assert "04A1B2C3" not in " ".join(lines)
