# SPDX-License-Identifier: Apache-2.0
"""Each kind of `Lines` with what stands behind it: levels from outside, levels as a voltmeter shows them, loss."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import gpiod
from gpiod.line import Bias, Direction, Value

from drivers.gpio.gpiod_lines import GpiodLines
from drivers.gpio.gpiozero_lines import GpiozeroLines
from drivers.gpio.lines import LineName, Lines
from drivers.gpio.pigpio_lines import PigpioLines
from tools.rig.devices.gpio import Pigpiod

__all__ = ["BENCHES", "FakeChip", "GpiodBench", "GpiozeroBench", "LinesBench", "PigpioBench"]


class LinesBench(Protocol):
    """Lines that are open, and their far end."""

    lines: Lines

    async def start(self) -> None: ...

    def drive(self, line: int, level: bool | None) -> None:
        """Let something outside drive the line; None: its wire is broken."""

    def level(self, line: int) -> bool: ...

    def unplug(self) -> None: ...

    async def plug(self) -> None: ...

    def close(self) -> None: ...


class PigpioBench:
    """A simulated pigpiod; nothing that it does not allow may have been sent to it."""

    def __init__(self) -> None:
        self.daemon = Pigpiod()
        self.lines: Lines

    async def start(self) -> None:
        await self.daemon.start()
        self.lines = PigpioLines(PigpioLines.Options(port=self.daemon.port))
        await self.lines.open()

    def drive(self, line: int, level: bool | None) -> None:
        self.daemon.drive(line, level)

    def level(self, line: int) -> bool:
        return self.daemon.level(line)

    def unplug(self) -> None:
        self.daemon.close()

    async def plug(self) -> None:
        await self.daemon.start()

    def close(self) -> None:
        self.lines.close()
        self.daemon.close()
        assert self.daemon.violations == []


class GpiozeroBench:
    """gpiozero's mock, whose pins can't be lost."""

    def __init__(self) -> None:
        self.lines: Lines

    async def start(self) -> None:
        self._lines = self.lines = GpiozeroLines(GpiozeroLines.Options(factory="mock"))
        await self.lines.open()

    def _pin(self, line: int) -> Any:
        return self._lines.factory.pin(line)

    def drive(self, line: int, level: bool | None) -> None:
        pin = self._pin(line)
        if pin.function == "input":
            wanted = pin.pull == "up" if level is None else level
            (pin.drive_high if wanted else pin.drive_low)()

    def level(self, line: int) -> bool:
        return bool(self._pin(line).state)

    def unplug(self) -> None:
        raise NotImplementedError

    async def plug(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.lines.close()


class FakeChip:
    """A GPIO chip of the kernel, as far as requests go: one request a line, edges through a pipe, ENODEV when gone."""

    def __init__(self) -> None:
        self.present = True
        self.driven: dict[LineName, bool | None] = {}
        self.requests: dict[LineName, FakeRequest] = {}
        self.missing: set[LineName] = set()
        self.now_ns = 0

    def request(self, path: str, line: LineName, settings: gpiod.LineSettings) -> FakeRequest:
        self.require()
        if line in self.missing:
            raise FileNotFoundError(2, "No such file or directory")
        assert line not in self.requests, "the kernel has EBUSY for this"
        made = self.requests[line] = FakeRequest(self, line, settings)
        return made

    def require(self) -> None:
        if not self.present:
            raise OSError(19, "No such device")

    def level(self, line: LineName) -> bool:
        request = self.requests.get(line)
        if request is not None and request.settings.direction is Direction.OUTPUT:
            return request.output is Value.ACTIVE
        driven = self.driven.get(line)
        return driven if driven is not None else request is not None and request.settings.bias is Bias.PULL_UP


class FakeRequest:
    def __init__(self, chip: FakeChip, line: LineName, settings: gpiod.LineSettings) -> None:
        self._chip = chip
        self._line = line
        self.settings = settings
        self.output = settings.output_value
        self.fd, self._far_end = os.pipe2(os.O_NONBLOCK)
        self._events: list[gpiod.EdgeEvent] = []
        self._last = chip.level(line)

    def get_value(self, line: LineName) -> Value:
        self._chip.require()
        return Value.ACTIVE if self._chip.level(self._line) else Value.INACTIVE

    def set_value(self, line: LineName, value: Value) -> None:
        self._chip.require()
        self.output = value

    def notice(self) -> None:
        """The level may have changed."""
        level = self._chip.level(self._line)
        if level is not self._last:
            self._last = level
            kind = gpiod.EdgeEvent.Type.RISING_EDGE if level else gpiod.EdgeEvent.Type.FALLING_EDGE
            self._events.append(gpiod.EdgeEvent(kind.value, self._chip.now_ns, 0, 0, 0))
            os.write(self._far_end, b"e")

    def wake(self) -> None:
        os.write(self._far_end, b"e")

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        os.read(self.fd, 100)
        self._chip.require()
        events, self._events = self._events, []
        return events

    def release(self) -> None:
        del self._chip.requests[self._line]
        os.close(self.fd)
        os.close(self._far_end)


class GpiodBench:
    """The library's own settings and events over a chip that is a Python object: there is no kernel with GPIO here."""

    def __init__(self) -> None:
        self.chip = FakeChip()
        self.lines: Lines

    async def start(self) -> None:
        self.lines = GpiodLines(GpiodLines.Options(chip="/dev/gpiochip0"), request=self.chip.request)
        await self.lines.open()

    def drive(self, line: int, level: bool | None) -> None:
        self.chip.driven[line] = level
        if line in self.chip.requests:
            self.chip.requests[line].notice()

    def level(self, line: int) -> bool:
        return self.chip.level(line)

    def unplug(self) -> None:
        self.chip.present = False
        for request in self.chip.requests.values():
            request.wake()

    async def plug(self) -> None:
        self.chip.present = True

    def close(self) -> None:
        self.lines.close()
        assert self.chip.requests == {}


BENCHES: dict[str, Callable[[], LinesBench]] = {
    "pigpio": PigpioBench,
    "gpiod": GpiodBench,
    "gpiozero": GpiozeroBench,
}
