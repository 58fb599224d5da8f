# SPDX-License-Identifier: Apache-2.0
"""Lines of a Raspberry Pi through gpiozero: its own chip (lgpio), or gpiozero's mock.

    [bus.io]
    driver = "gpiozero"
    factory = "lgpio"                       # or "mock": lines of no hardware

Lines are GPIO numbers, or any name of gpiozero's: 17, "GPIO17", "BOARD11". lgpio reports edges on a thread of its own;
they are handed to the event loop. gpiozero knows Raspberry Pis only, and costs 7 MB: `gpiod` serves every board.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import gpiozero
from msgspec import Struct

from drivers.gpio.lines import Input, LineName, Lines, Output
from firmware.errors import ConfigError, DeviceLost

__all__ = ["GpiozeroLines"]

_PULLS = {"pull_up": "up", "pull_down": "down", "none": "floating"}


class GpiozeroOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    factory: Literal["lgpio", "mock"] = "lgpio"


class GpiozeroLines(Lines):
    """`factory`: gpiozero's pin factory, once the lines are open; a test drives the mock's pins through it."""

    Options = GpiozeroOptions

    def __init__(self, options: GpiozeroOptions) -> None:
        super().__init__(f"GPIO of the Raspberry Pi ({options.factory})")
        self._options = options
        self.factory: Any = None
        self._errors: tuple[type[Exception], ...] = (gpiozero.GPIOZeroError, OSError, ImportError, ValueError)
        self._pins: dict[LineName, Any] = {}
        self._on_edge: dict[LineName, Callable[[int, int], None]] = {}
        """gpiozero keeps only weak references to these."""

    def key(self, name: LineName) -> LineName:
        if name == "" or (isinstance(name, int) and not 0 <= name <= 27):
            raise ConfigError(f"line {name!r}: expected a GPIO number from 0 to 27 or a name of gpiozero's")
        digits = str(name).removeprefix("GPIO")
        return int(digits) if digits.isdecimal() else name

    async def attach(self) -> None:
        with self._translated():
            self.factory = self.factory or self._make_factory()
        for output in self.outputs.values():
            self.configure_output(output)
        for found in self.inputs.values():
            self.configure_input(found)

    def detach(self) -> None:
        while self._pins:
            self._pins.popitem()[1].close()

    def configure_output(self, output: Output) -> None:
        with self._translated(f"line {output.line.line}: "):
            pin = self._pins[output.line.line] = self.factory.pin(output.line.line)
            pin.output_with_state(int(output.initial_level))

    def configure_input(self, found: Input) -> None:
        loop = asyncio.get_running_loop()

        def on_edge(_ticks: int, level: int) -> None:
            loop.call_soon_threadsafe(found.note, bool(level), loop.time())

        with self._translated(f"line {found.line.line}: "):
            pin = self._pins[found.line.line] = self.factory.pin(found.line.line)
            pin.input_with_pull(_PULLS[found.bias])
            pin.bounce = found.line.debounce_s or None
            pin.edges = "both"
            pin.when_changed = self._on_edge[found.line.line] = on_edge

    def write(self, output: Output, level: bool) -> None:
        with self._lost_by_error(output.line.line) as pin:
            pin.state = int(level)

    def level(self, found: Input) -> bool:
        with self._lost_by_error(found.line.line) as pin:
            return bool(pin.state)

    @contextmanager
    def _lost_by_error(self, name: LineName) -> Iterator[Any]:
        """The pin of a line; an error loses the chip."""
        try:
            with self._translated():
                yield self._pins[name]
        except DeviceLost as error:
            self.lose(str(error))
            raise

    def _make_factory(self) -> Any:
        if self._options.factory == "mock":
            from gpiozero.pins.mock import MockFactory

            return MockFactory()
        import lgpio
        from gpiozero.pins.lgpio import LGPIOFactory

        self._errors = (*self._errors, lgpio.error)
        return LGPIOFactory()

    @contextmanager
    def _translated(self, place: str = "") -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise DeviceLost(f"{place}{error}") from error
