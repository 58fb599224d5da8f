# SPDX-License-Identifier: Apache-2.0
"""`baywatt-hal safe` after a HAL that was killed: its contactors' coils are switched off, on a simulated pigpiod."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from drivers.gpio.pigpio_lines import PigpioLines
from tests.support.sockets import eventually
from tools.rig.devices.gpio import Pigpiod

ROOT = Path(__file__).parents[3]
COIL, MIRROR = 7, 8
DEVICE = '{ driver = "simulated", bus = "world" }'
SETTINGS = f"""
socket = "hal.sock"
shelf = {DEVICE}
board = {DEVICE}
inputs = {DEVICE}
links = {DEVICE}
[bus.world]
driver = "demonstration"
[bus.io]
driver = "pigpio"
port = PORT
[[evse]]
evse = 1
connector = 1
max_voltage_v = 1000.0
min_voltage_v = 150.0
max_current_a = 500.0
max_power_w = 400000.0
meter = {DEVICE}
insulation = {DEVICE}
contactor = {{ driver = "gpio", lines = "io", coil = {COIL}, mirror = {MIRROR} }}
vehicle = {DEVICE}
"""


async def closed_contactor(daemon: Pigpiod) -> None:
    """Leave the coil on, as a HAL that was killed does."""
    await daemon.start()
    lines = PigpioLines(PigpioLines.Options(port=daemon.port))
    coil = lines.output(COIL)
    await lines.open()
    coil.set(True)
    await eventually(lambda: daemon.level(COIL))
    daemon.close()
    lines.close()
    await daemon.start()
    assert daemon.level(COIL)


async def safe(folder: Path, port: int) -> tuple[int, str]:
    settings = folder / "hal.toml"
    settings.write_text(SETTINGS.replace("PORT", str(port)))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hal", "safe", "--config", str(settings)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_coils_are_off_afterwards(tmp_path: Path) -> None:
    daemon = Pigpiod()
    await closed_contactor(daemon)
    daemon.drive(MIRROR, True)
    code, output = await safe(tmp_path, daemon.port)
    assert not daemon.level(COIL)
    assert code == 0, output
    assert daemon.violations == []
    daemon.close()


async def test_what_can_not_be_reached_is_named_and_it_ends(tmp_path: Path) -> None:
    daemon = Pigpiod()
    await daemon.start()
    daemon.close()
    code, output = await safe(tmp_path, daemon.port)
    assert code == 1
    assert "evse 1, contactor" in output
    assert "NO ANSWER" in output
