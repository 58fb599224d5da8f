# SPDX-License-Identifier: Apache-2.0
"""`baywatt-hal safe` after a HAL that was killed: its contactors' coils are switched off, on a simulated pigpiod."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from drivers.gpio.pigpio_lines import PigpioLines
from tests.support.hal_settings import hal_settings
from tests.support.sockets import eventually
from tools.rig.devices.gpio import Pigpiod

ROOT = Path(__file__).parents[3]
COIL, MIRROR = 7, 8
DEVICE = '{ driver = "simulated", bus = "world" }'
SETTINGS = hal_settings(
    DEVICE,
    buses='[bus.world]\ndriver = "demonstration"\n[bus.io]\ndriver = "pigpio"\nport = PORT',
    contactor=f'{{ driver = "gpio", lines = "io", coil = {COIL}, mirror = {MIRROR} }}',
)


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
