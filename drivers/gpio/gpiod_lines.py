# SPDX-License-Identifier: Apache-2.0
"""Lines of any Linux GPIO chip through libgpiod 2 (the library `gpiod`).

    [bus.io]
    driver = "gpiod"
    chip = "/dev/gpiochip0"                 # its device, or its label or name as `gpiodetect` prints them

Lines are offsets on the chip or names, as `gpioinfo` prints them. Edges come from the kernel with its monotonic time
stamp, through the request's file descriptor in the event loop. The kernel returns a line to what it was by default when
the process ends, which on most chips leaves an output as it is: coils need the watchdog relay (`Board`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from msgspec import Struct

from drivers.gpio.lines import Input, LineName, Lines, Output
from firmware.errors import ConfigError, DeviceLost

__all__ = ["GpiodLines", "Request", "RequestLines"]

CONSUMER = "baywatt"
_BIASES = {"pull_up": Bias.PULL_UP, "pull_down": Bias.PULL_DOWN, "none": Bias.DISABLED}


class Request(Protocol):
    """What is used of `gpiod.LineRequest`."""

    @property
    def fd(self) -> int: ...

    def get_value(self, line: LineName) -> Value: ...

    def set_value(self, line: LineName, value: Value) -> None: ...

    def read_edge_events(self) -> list[gpiod.EdgeEvent]: ...

    def release(self) -> None: ...


RequestLines = Callable[[str, LineName, gpiod.LineSettings], Request]


class GpiodOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    chip: str = "/dev/gpiochip0"


def _request(path: str, line: LineName, settings: gpiod.LineSettings) -> Request:
    return gpiod.request_lines(path, config={line: settings}, consumer=CONSUMER)


def _path_of(chip: str) -> str:
    """The device of a chip that is given by path, name or label; raises `DeviceLost`."""
    if chip.startswith("/"):
        return chip
    for path in sorted(Path("/dev").glob("gpiochip*")):
        with _translated(), gpiod.Chip(str(path)) as opened:
            info = opened.get_info()
            if chip in (info.name, info.label):
                return str(path)
    raise DeviceLost(f"no GPIO chip has the name or label {chip}")


class GpiodLines(Lines):
    """`request` takes the place of the kernel in tests."""

    Options = GpiodOptions

    def __init__(self, options: GpiodOptions, *, request: RequestLines = _request) -> None:
        super().__init__(f"GPIO chip {options.chip}")
        self._chip = options.chip
        self._request = request
        self._path: str | None = None
        self._requests: dict[LineName, Request] = {}

    def key(self, name: LineName) -> LineName:
        if name == "" or (isinstance(name, int) and name < 0):
            raise ConfigError(f"{self.chip}: expected the offset or the name of a line, not {name!r}")
        return name

    async def attach(self) -> None:
        self._path = _path_of(self._chip)
        for output in self.outputs.values():
            self.configure_output(output)
        for found in self.inputs.values():
            self.configure_input(found)

    def detach(self) -> None:
        loop = asyncio.get_running_loop()
        while self._requests:
            _, request = self._requests.popitem()
            loop.remove_reader(request.fd)
            request.release()
        self._path = None

    def configure_output(self, output: Output) -> None:
        settings = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=_value(output.initial_level))
        self._claim_line(output.line.line, settings)

    def configure_input(self, found: Input) -> None:
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias=_BIASES[found.bias],
            debounce_period=timedelta(seconds=found.line.debounce_s),
        )
        request = self._claim_line(found.line.line, settings)
        asyncio.get_running_loop().add_reader(request.fd, self._on_edges, request, found)

    def _claim_line(self, name: LineName, settings: gpiod.LineSettings) -> Request:
        if self._path is None:
            raise DeviceLost(f"{self.chip} is lost")
        with _translated(f"line {name}: "):
            request = self._requests[name] = self._request(self._path, name, settings)
        return request

    def write(self, output: Output, level: bool) -> None:
        with self._lost_by_error(output.line.line) as request:
            request.set_value(output.line.line, _value(level))

    def level(self, found: Input) -> bool:
        with self._lost_by_error(found.line.line) as request:
            return request.get_value(found.line.line) is Value.ACTIVE

    def _on_edges(self, request: Request, found: Input) -> None:
        try:
            with _translated():
                for event in request.read_edge_events():
                    rising = event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
                    found.note(rising, event.timestamp_ns / 1e9)
        except DeviceLost as error:
            self.lose(str(error))

    @contextmanager
    def _lost_by_error(self, name: LineName) -> Iterator[Request]:
        """The request of a line; an error of the kernel loses the chip."""
        try:
            with _translated():
                yield self._requests[name]
        except DeviceLost as error:
            self.lose(str(error))
            raise


@contextmanager
def _translated(place: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeviceLost(f"{place}{error.strerror or error}") from error
    except ValueError as error:  # the chip has no line of this name
        raise DeviceLost(f"{place}{error}") from error


def _value(level: bool) -> Value:
    return Value.ACTIVE if level else Value.INACTIVE
