# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.modbus import device
from drivers.modbus.bus import ModbusBus
from tools.rig.devices.modbus_slave import SlaveLine


@pytest.fixture(params=["pty", "rtu", "tcp"])
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SlaveLine]:
    """A plugged line of each kind."""
    line = SlaveLine(request.param, tmp_path / "tty")
    await line.start()
    yield line
    line.close()


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[SlaveLine]:
    """A plugged serial line."""
    line = SlaveLine("pty", tmp_path / "tty")
    await line.start()
    yield line
    line.close()


@pytest.fixture
async def bus(line: SlaveLine) -> AsyncIterator[ModbusBus]:
    bus = ModbusBus(ModbusBus.Options(port=line.port, baud=19200, reply_s=0.2))
    await bus.open()
    yield bus
    bus.close()


@pytest.fixture
async def serial_bus(terminal: SlaveLine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModbusBus]:
    """A bus on a serial line, with a short patience."""
    monkeypatch.setattr(device, "LATE_S", 0.2)
    bus = ModbusBus(ModbusBus.Options(port=terminal.port, baud=19200, reply_s=0.2))
    await bus.open()
    yield bus
    bus.close()
