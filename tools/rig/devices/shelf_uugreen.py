# SPDX-License-Identifier: Apache-2.0
"""UUGreenPower UR1000x0 modules on a CAN bus: the protocol in front of `RectifierShelf`.

Written from the facts about the vendor's protocol, not from the driver. Addresses are 1 to 127. A module has two ranges
of voltages, and refuses set-points beyond the present one; the range may change only while it has been off for 2 s, and
for 2 s after that it does not start.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tools.rig.devices.shelf import RectifierShelf, SimModule

__all__ = ["UugreenModules"]

Send: TypeAlias = Callable[[int, bytes], None]

HIGH, LOW = 1, 2
LOW_MOST_V = 500.0
PAUSE_S = 2.0
DATE, SERIAL = 0x15, 0x0A7
"""What the lower bits of the identifier of an answer hold."""


@dataclass(slots=True)
class _Timing:
    off_s: float = PAUSE_S
    selected_s: float = PAUSE_S


class UugreenModules:
    """The modules of one bus. Call `step` with the shelf's: it has the pauses of a change of range."""

    def __init__(self, shelf: RectifierShelf, bus: int = 0) -> None:
        self.shelf = shelf
        self.bus = bus
        self.send: Send = lambda _id, _data: None
        self.frames = 0
        self._timing: dict[SimModule, _Timing] = {}

    def step(self, dt: float) -> None:
        for module in self.shelf.modules:
            timing = self._of(module)
            timing.off_s = 0.0 if module.on else timing.off_s + dt
            timing.selected_s += dt

    def _of(self, module: SimModule) -> _Timing:
        return self._timing.setdefault(module, _Timing())

    def on_frame(self, can_id: int, data: bytes) -> None:
        """Take a frame from the bus."""
        if can_id >> 25 != 1 or can_id >> 21 & 0xF != 1 or can_id & 0x3FFF:
            return
        self.frames += 1
        heard = self.shelf.on_bus(self.bus)
        if len(data) != 8:
            self.shelf.violate(f"{len(data)} bytes")
            return
        address, (kind, command, zero, value) = can_id >> 14 & 0x7F, struct.unpack(">BBHI", data)
        if zero:
            self.shelf.violate("bytes 2 and 3 are not zero")
        for module in heard:
            if address in (0, module.address):
                self._take(module, kind, command, value, broadcast=address == 0)

    def _take(self, module: SimModule, kind: int, command: int, value: int, *, broadcast: bool) -> None:
        if kind == 2:
            self._reply(module, 4 if command == 5 else 3, command, self._read(module, command))
        elif kind == 0:
            self._write(module, command, value)
            if not broadcast:
                self._reply(module, 1, command, value)
        else:
            self.shelf.violate(f"unknown type of message {kind}")

    def _read(self, module: SimModule, command: int) -> int:
        match command:
            case 0 | 98:
                return round(module.voltage_v * 1000)
            case 1 | 47:
                return round(module.current_a * 1000)
            case 5:
                return int(module.serial, 16) & 0xFFFFFFFF
            case 8:
                return 0x0000_0001 if module.on else 0
            case 89:
                return module.group
            case 96:
                return module.range
            case _:
                self.shelf.violate(f"unknown read {command}")
                return 0

    def _write(self, module: SimModule, command: int, value: int) -> None:
        timing = self._of(module)
        match command:
            case 2:
                if value / 1000 > LOW_MOST_V and module.range == LOW:
                    self.shelf.violate(f"{value / 1000:.0f} V in the low range")
                else:
                    self.shelf.set_voltage(module, value / 1000)
            case 3:
                self.shelf.set_current(module, value / 1000)
            case 4:
                if value not in (0, 1):
                    self.shelf.violate(f"shutdown {value}")
                elif value == 0 and timing.selected_s < PAUSE_S:
                    self.shelf.violate("switched on too soon after a change of range")
                else:
                    self.shelf.switch(module, value == 0)
            case 89:
                self.shelf.set_group(module, value)
            case 95:
                self._select(module, timing, value)
            case _:
                self.shelf.violate(f"unknown command {command}")

    def _select(self, module: SimModule, timing: _Timing, value: int) -> None:
        if value not in (HIGH, LOW):
            self.shelf.violate(f"range {value}")
        elif module.on or timing.off_s < PAUSE_S:
            self.shelf.violate("range changed too soon after the module was on")
        else:
            module.range, timing.selected_s = value, 0.0

    def _reply(self, module: SimModule, kind: int, command: int, value: int) -> None:
        can_id = 1 << 25 | 1 << 21 | module.address << 14 | DATE << 9 | SERIAL
        data = struct.pack(">BBHI", kind, command, 0, value)
        self.send(can_id, data)
        if module.babbling:
            for _ in range(5):
                self.send(can_id, data)
