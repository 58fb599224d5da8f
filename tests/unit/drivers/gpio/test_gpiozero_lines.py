# SPDX-License-Identifier: Apache-2.0
"""What `test_lines.py` can't do with gpiozero's mock: a computer that is no Raspberry Pi, a chip that fails."""

from __future__ import annotations

from typing import Any

import lgpio
import pytest

from drivers.gpio.gpiozero_lines import GpiozeroLines
from firmware.errors import ConfigError, DeviceLost
from tests.support.sockets import eventually


async def test_computer_that_is_no_raspberry_is_lost_with_the_reason() -> None:
    lines = GpiozeroLines(GpiozeroLines.Options())
    await lines.open()
    with pytest.raises(DeviceLost, match="unable to locate Pi revision"):
        lines.require()
    lines.close()


class _FailingPin:
    """Works until `fails`, then as lgpio does with a chip that is gone."""

    def __init__(self) -> None:
        self.fails = False
        self.level = 0

    @property
    def state(self) -> int:
        self._fail()
        return self.level

    @state.setter
    def state(self, level: int) -> None:
        self._fail()
        self.level = level

    def output_with_state(self, level: int) -> None:
        self.state = level

    def close(self) -> None: ...

    def _fail(self) -> None:
        if self.fails:
            raise lgpio.error("unknown handle")


class _FailingFactory:
    def __init__(self) -> None:
        self.made = _FailingPin()

    def pin(self, name: Any) -> _FailingPin:
        return self.made


async def test_error_of_lgpio_loses_the_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = _FailingFactory()
    monkeypatch.setattr("gpiozero.pins.lgpio.LGPIOFactory", lambda: factory)
    lines = GpiozeroLines(GpiozeroLines.Options())
    output = lines.output(5, initial=True)
    await lines.open()
    assert factory.made.level == 1
    output.set(False)
    factory.made.fails = True
    with pytest.raises(DeviceLost, match="unknown handle"):
        output.set(True)
    with pytest.raises(DeviceLost):
        lines.require()
    factory.made.fails = False
    await eventually(lambda: factory.made.level == 1)
    lines.close()


@pytest.mark.parametrize("name", [-1, 28, ""])
async def test_line_that_no_raspberry_has(name: int | str) -> None:
    with pytest.raises(ConfigError, match="expected a GPIO number from 0 to 27"):
        GpiozeroLines(GpiozeroLines.Options(factory="mock")).input(name)


async def test_name_that_gpiozero_does_not_know_is_named() -> None:
    lines = GpiozeroLines(GpiozeroLines.Options(factory="mock"))
    await lines.open()
    lines.input("DOOR")
    with pytest.raises(DeviceLost, match="line DOOR: "):
        lines.require()
    lines.close()
