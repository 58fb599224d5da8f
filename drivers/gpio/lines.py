# SPDX-License-Identifier: Apache-2.0
"""Digital lines: our own small port, which each kind of chip implements in a module of its own.

    [bus.io]
    driver = "gpiod"                        # or "gpiozero" (Raspberry Pi), "pigpio" (Raspberry Pi, over TCP)

    [inputs]
    driver = "gpio"
    lines = "io"
    emergency_stop = 17                     # a line: its number or name
    door = { line = "DOOR", active_low = true, debounce_s = 0.005 }     # or a table

A line is *active* (`True`) when its level is high, or low if it is `active_low`. An input that is not wired reads as
inactive, unless `bias` says otherwise: a contact that is closed while all is well and makes the line active reads the
same when it opens and when its wire breaks.

A chip that is lost is opened again in the background, twice a second. Meanwhile `set` and `read` raise `DeviceLost`.
When it is back, every output begins with its initial value: a command from before the loss is not carried out.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from drivers.background import Background
from firmware.errors import ConfigError, DeviceLost, DriverError
from firmware.trouble import Trouble

__all__ = ["REREAD_S", "Bias", "Input", "Line", "LineName", "LineSpec", "Lines", "OnEdge", "Output"]

REREAD_S = 0.1
"""The levels of watched inputs are read this often, in case an edge was missed."""
RETRY_S = 0.5
ATTACH_S = 1.0

Bias: TypeAlias = Literal["pull_up", "pull_down", "none"]
LineName: TypeAlias = int | str
OnEdge: TypeAlias = Callable[[bool, float], None]
"""Called with the new value of an input and the monotonic time at which it changed."""
_log = logging.getLogger(__name__)


class Line(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line of the settings that needs more than its name or number.

    `bias` and `debounce_s` are for inputs. An edge is reported when the level has been stable for `debounce_s`.
    """

    line: LineName
    active_low: bool = False
    bias: Bias | None = None
    """None: the resistor that makes an open input inactive."""
    debounce_s: Annotated[float, Meta(ge=0.0, le=0.1)] = 0.001


LineSpec: TypeAlias = LineName | Line


class Output:
    """One output line; made by `Lines.output`."""

    def __init__(self, lines: Lines, line: Line, *, initial: bool) -> None:
        self.line = line
        self.initial_level = initial is not line.active_low
        self._lines = lines

    def set(self, on: bool) -> None:
        """Drive the line now; raises `DeviceLost`."""
        self._lines.require()
        self._lines.write(self, on is not self.line.active_low)


class Input:
    """One input line; made by `Lines.input`."""

    def __init__(self, lines: Lines, line: Line) -> None:
        self.line = line
        self._lines = lines
        self._listeners: list[OnEdge] = []
        self._last: bool | None = None

    @property
    def bias(self) -> Bias:
        return self.line.bias or ("pull_up" if self.line.active_low else "pull_down")

    @property
    def watched(self) -> bool:
        return bool(self._listeners)

    def read(self) -> bool:
        """The value, as it was at `Lines.read_at`; raises `DeviceLost`."""
        self._lines.require()
        return self._lines.level(self) is not self.line.active_low

    def listen(self, on_edge: OnEdge) -> None:
        """Call `on_edge` on the event loop for the first value and for each change, also for one during a loss."""
        self._listeners.append(on_edge)

    def note(self, level: bool, mono_s: float) -> None:
        """For the chip's module: the level is now this one. Listeners are called if that is a change."""
        value = level is not self.line.active_low
        if value is not self._last:
            self._last = value
            for listener in self._listeners:
                listener(value, mono_s)


class Lines(ABC):
    """The lines of one chip. What is abstract is the chip's own, and works with levels (`True`: high)."""

    def __init__(self, chip: str) -> None:
        self.chip = chip
        """How logs and errors name it."""
        self.outputs: dict[LineName, Output] = {}
        self.inputs: dict[LineName, Input] = {}
        self._background = Background(chip)
        self._lost: str | None = "it is not open"
        self._trouble = Trouble(_log, f"{chip} is lost", device=chip)

    # --- for devices ------------------------------------------------------------------------------------------

    def output(self, spec: LineSpec, *, initial: bool = False) -> Output:
        """Claim a line as an output; `initial` is its value from now, at close, and after a loss.

        Raises `ConfigError` for a line that the chip does not have or that is already used.
        """
        key, line = self._claim(spec)
        output = self.outputs[key] = Output(self, line, initial=initial)
        self._configure_late(lambda: self.configure_output(output))
        return output

    def input(self, spec: LineSpec) -> Input:
        """Claim a line as an input; raises `ConfigError` like `output`."""
        key, line = self._claim(spec)
        found = self.inputs[key] = Input(self, line)
        self._configure_late(lambda: self.configure_input(found))
        return found

    @property
    def read_at(self) -> float:
        """The monotonic time at which what `Input.read` returns was true; raises `DeviceLost`."""
        self.require()
        return asyncio.get_running_loop().time()

    def require(self) -> None:
        """Raise `DeviceLost` while the chip is lost."""
        if self._lost is not None:
            raise DeviceLost(f"{self.chip}: {self._lost}")

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the chip. One that can't be opened now is tried again in the background."""
        await self._try()
        self._background.start("lines", self._keep)

    def close(self) -> None:
        """Give every output its initial value and let go of the chip."""
        self._background.close()
        if self._lost is None:
            self._guard(self._reset)
        self._lost = "it is closed"
        self.detach()

    def lose(self, reason: str) -> None:
        """For the chip's module: it does not answer as it should."""
        if self._lost is None:
            self._lost = reason
            self._trouble.failed(DeviceLost(reason))
            self.detach()

    async def _keep(self) -> None:
        while True:
            if self._lost is not None:
                await asyncio.sleep(RETRY_S)
                await self._try()
            else:
                await asyncio.sleep(REREAD_S)
                if self._lost is None:
                    self._guard(self.reread)

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(ATTACH_S):
                await self.attach()
        except (DriverError, TimeoutError) as error:
            self._lost = str(error) or "no answer"
            self._trouble.failed(DeviceLost(self._lost))
            self.detach()
        else:
            self._lost = None
            self._trouble.worked()
            self._guard(self.reread)

    def _claim(self, spec: LineSpec) -> tuple[LineName, Line]:
        line = spec if isinstance(spec, Line) else Line(line=spec)
        key = self.key(line.line)
        if key in self.outputs or key in self.inputs:
            raise ConfigError(f"{self.chip}: line {line.line} is used twice")
        return key, line

    def _reset(self) -> None:
        for output in self.outputs.values():
            self.write(output, output.initial_level)

    def _configure_late(self, configure: Callable[[], None]) -> None:
        """Configure a line that is claimed while the chip is open."""
        if self._lost is None:
            self._guard(configure)

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except DriverError as error:
            self.lose(str(error))

    # --- the chip ---------------------------------------------------------------------------------------------

    def key(self, name: LineName) -> LineName:
        """The same for all names of a line, as far as is known; raises `ConfigError` if the chip can't have it."""
        return name

    @abstractmethod
    async def attach(self) -> None:
        """Open the chip and configure all lines; raises `DriverError`. What it has opened, `detach` closes."""

    @abstractmethod
    def detach(self) -> None:
        """Let go of the chip, however far `attach` came."""

    @abstractmethod
    def configure_output(self, output: Output) -> None:
        """Make the line an output with its initial level, without a glitch; raises `DeviceLost`."""

    @abstractmethod
    def configure_input(self, found: Input) -> None:
        """Make the line an input and report its edges to `Input.note`; raises `DeviceLost`."""

    @abstractmethod
    def write(self, output: Output, level: bool) -> None:
        """Raises `DeviceLost`, after `lose`."""

    @abstractmethod
    def level(self, found: Input) -> bool:
        """Raises `DeviceLost`, after `lose`."""

    def reread(self) -> None:
        """Read the watched inputs again, to find an edge that was missed; raises `DeviceLost`."""
        now = asyncio.get_running_loop().time()
        for found in self.inputs.values():
            if found.watched:
                found.note(self.level(found), now)
