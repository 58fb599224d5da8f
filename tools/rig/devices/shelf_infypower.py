# SPDX-License-Identifier: Apache-2.0
"""Infypower REG modules on a CAN bus: the protocol in front of `RectifierShelf`.

    shelf = RectifierShelf(new_modules(10), banks)
    modules = InfypowerModules(shelf)
    modules.send = hub.attach(modules.on_frame)

Written from the vendor's protocol (V1.09 to V1.13), not from the driver. A frame to one module is answered by it, a
frame to a group by all of them, except the reads of its output, which one of them answers in the name of the group.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tools.rig.devices.shelf import RectifierShelf, SimModule

__all__ = ["STATUS_BITS", "InfypowerModules"]

Send: TypeAlias = Callable[[int, bytes], None]

SINGLE, GROUP = 0x0A, 0x0B
BROADCAST = 0x3F
CONTROLLERS = range(0xF0, 0xF9)

STATUS_BITS = {
    "output short": (7, 0),
    "sleeping": (7, 4),
    "discharge abnormal": (7, 5),
    "dc off": (6, 0),
    "fault": (6, 1),
    "protection": (6, 2),
    "fan": (6, 3),
    "over-temperature": (6, 4),
    "output over-voltage": (6, 5),
    "walk-in": (6, 6),
    "communication interrupted": (6, 7),
    "power limited": (5, 0),
    "address duplicated": (5, 1),
    "load sharing": (5, 2),
    "phase lost": (5, 3),
    "unbalanced": (5, 4),
    "input under-voltage": (5, 5),
    "input over-voltage": (5, 6),
    "pfc off": (5, 7),
}

_READS = frozenset({0x01, 0x02, 0x03, 0x04, 0x06, 0x08, 0x09, 0x0A, 0x0B, 0x0C})
_TOTALS = frozenset({0x01, 0x02, 0x08})
_WRITES = frozenset({0x13, 0x14, 0x16, 0x19, 0x1A, 0x1B, 0x1C, 0x1F})


class InfypowerModules:
    """The modules of one bus. `frames` counts what was received."""

    def __init__(self, shelf: RectifierShelf, bus: int = 0) -> None:
        self.shelf = shelf
        self.bus = bus
        self.send: Send = lambda _id, _data: None
        self.frames = 0
        self.acknowledges = True
        """Whether a command to one module is answered."""
        self.takes_group_numbers = True
        self.answers_for_groups = True

    def on_frame(self, can_id: int, data: bytes) -> None:
        """Take a frame from the bus."""
        device, command = can_id >> 22 & 0xF, can_id >> 16 & 0x3F
        destination, source = can_id >> 8 & 0xFF, can_id & 0xFF
        if source not in CONTROLLERS or device not in (SINGLE, GROUP) or can_id >> 26:
            return
        self.frames += 1
        heard = self.shelf.on_bus(self.bus)
        if len(data) != 8:
            self.shelf.violate(f"{len(data)} bytes")
            return
        modules = _addressed(heard, device, destination)
        if command in _READS:
            if any(data):
                self.shelf.violate("a read request that is not all zeros")
            self._read(command, modules, device, destination, source)
        elif command in _WRITES:
            self._write(command, data, modules)
            if self.acknowledges and device == SINGLE and destination != BROADCAST:
                for module in modules:
                    self._reply(module, command, SINGLE, module.address, source, data)
        else:
            self.shelf.violate(f"unknown command {command:#04x}")

    # --- reads -------------------------------------------------------------------------------------------------

    def _read(self, command: int, modules: Sequence[SimModule], device: int, destination: int, source: int) -> None:
        if command in _TOTALS:
            if modules and (self.answers_for_groups or device == SINGLE):
                self._reply(modules[0], command, device, destination, source, _total(command, modules))
            return
        for module in modules:
            self._reply(module, command, device, module.address, source, self._of_module(command, module))

    def _of_module(self, command: int, module: SimModule) -> bytes:
        kind = module.type
        match command:
            case 0x03:
                return struct.pack(">ff", module.voltage_v, module.current_a)
            case 0x04:
                return self._status(module)
            case 0x06:
                return struct.pack(">HHHH", 4000, 4000, 4000, 0)
            case 0x09:
                return struct.pack(">ii", round(module.voltage_v * 1000), round(module.current_a * 1000))
            case 0x0A:
                return struct.pack(
                    ">HHHH",
                    round(kind.max_voltage_v),
                    round(kind.min_voltage_v),
                    round(kind.max_current_a * 10),
                    round(kind.power_w / 10),
                )
            case 0x0B:
                return bytes.fromhex(module.serial)
            case _:
                external_v = self.shelf.external_voltage(module)
                return struct.pack(">HHI", round(external_v * 10), round(module.available_a() * 10), 0)

    def _status(self, module: SimModule) -> bytes:
        data = bytearray(8)
        data[2] = module.group
        data[4] = round(module.temperature_c) & 0xFF
        names = module.alarms | (set() if module.on else {"dc off"})
        for name in names:
            byte, bit = STATUS_BITS[name]
            data[byte] |= 1 << bit
        return bytes(data)

    def _reply(self, module: SimModule, command: int, device: int, number: int, to: int, data: bytes) -> None:
        can_id = module.error << 26 | device << 22 | command << 16 | to << 8 | number
        self.send(can_id, data)
        if module.babbling:
            for _ in range(5):
                self.send(can_id, data)

    # --- writes ------------------------------------------------------------------------------------------------

    def _write(self, command: int, data: bytes, modules: Sequence[SimModule]) -> None:
        shelf, flag = self.shelf, data[0]
        if command in (0x1A, 0x19, 0x13, 0x14, 0x1F) and (flag > 1 or any(data[1:])):
            shelf.violate(f"command {command:#04x} with {data.hex()}")
            return
        if command in (0x1B, 0x1C):
            millivolts, milliamperes = struct.unpack(">II", data)
            share = max(1, len(modules)) if command == 0x1B else 1
            for module in modules:
                shelf.set_voltage(module, millivolts / 1000)
                shelf.set_current(module, milliamperes / 1000 / share)
        elif command == 0x1A:
            for module in modules:
                shelf.switch(module, flag == 0)
        elif command == 0x16 and self.takes_group_numbers:
            for module in modules:
                shelf.set_group(module, flag)


def _addressed(heard: list[SimModule], device: int, destination: int) -> list[SimModule]:
    if destination == BROADCAST:
        return heard
    if device == GROUP:
        return [module for module in heard if module.group == destination]
    return [module for module in heard if module.address == destination]


def _total(command: int, modules: Sequence[SimModule]) -> bytes:
    volts = max(module.voltage_v for module in modules)
    amps = sum(module.current_a for module in modules)
    if command == 0x01:
        return struct.pack(">ff", volts, amps)
    if command == 0x08:
        return struct.pack(">II", round(volts * 1000), round(amps * 1000))
    return bytes((0, 0, len(modules), 0, 0, 0, 0, 0))
