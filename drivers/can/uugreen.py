# SPDX-License-Identifier: Apache-2.0
"""UUGreenPower UR1000x0 modules (such as the UR100040 of 40 kW): the codec.

29-bit identifiers, 8 bytes, big-endian. The identifier is, from the top: protocol version 1 (4 bits), monitor address 1
(4), module address (7, 0: all), then 14 bits of date and serial number in answers. Byte 0 is group and type of message,
byte 1 the command, bytes 4 to 7 the value. Source: EVerest `UUGreenPower_UR1000X0` driver (CanPackets.cpp).

A module works in a low range of voltages, up to 500 V, or a high one, which is selected while it is off and takes more
than 4 s. Not public, and so not used: the bits of the status, the scale of the temperature. Switching is verified by
voltage and current. The bit rate is 125 kbit/s by the usual factory setting.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar

from drivers.can.family import (
    EVERY,
    Answer,
    Frame,
    GroupNumber,
    Mode,
    Output,
    Query,
    Report,
    Serial,
    Status,
    Target,
)

__all__ = ["HIGH", "LOW", "Uugreen"]

_VERSION = 1
_SET, _SET_REPLY, _READ, _READ_REPLY, _SERIAL_REPLY = 0, 1, 2, 3, 4

_VOLTAGE = 0
_CURRENT = 1
_SET_VOLTAGE = 2
_SET_CURRENT = 3
_SHUT_DOWN = 4
_SERIAL = 5
_STATUS = 8
_GROUP = 89
_SELECT_RANGE = 95
_RANGE = 96
_ASKING = {
    Query.VOLTAGE: _VOLTAGE,
    Query.OUTPUT: _CURRENT,
    Query.STATUS: _STATUS,
    Query.MODE: _RANGE,
    Query.SERIAL: _SERIAL,
    Query.GROUP: _GROUP,
}

HIGH, LOW = 1, 2
_MOST_V = 2000.0
_MOST_A = 1000.0


class Uugreen:
    """The family (`drivers.can.family.Family`); `monitor` is this controller's address."""

    addresses = range(1, 0x80)
    group_frames = False
    queries: ClassVar[Sequence[Query]] = (Query.STATUS, Query.OUTPUT, Query.VOLTAGE, Query.MODE, Query.GROUP)
    facts: ClassVar[Sequence[Query]] = (Query.SERIAL,)
    modes: ClassVar[Sequence[tuple[int, float]]] = ((LOW, 500.0), (HIGH, 1000.0))
    mode_pause_s: ClassVar[float] = 2.0

    def __init__(self, monitor: int = 1) -> None:
        self._monitor = monitor
        # A reply is for this monitor if it has its address or 0: the lowest bits of the address are checked later.
        self.listen = (_VERSION << 25, 0xF << 25)

    # --- to the modules --------------------------------------------------------------------------------------

    def _frame(self, to: Target, kind: int, command: int, value: int = 0) -> Frame:
        address = 0 if to is EVERY else to.number
        can_id = _VERSION << 25 | self._monitor << 21 | address << 14
        return Frame(can_id, struct.pack(">BBHI", kind, command, 0, value), asks=kind == _READ)

    def ask(self, query: Query, address: int) -> Sequence[Frame]:
        command = _ASKING.get(query)
        return () if command is None else (self._frame(Target(address), _READ, command),)

    def ask_group(self, group: int) -> Sequence[Frame]:
        return ()

    def switch(self, to: Target, on: bool) -> Frame:
        """0 runs the module, 1 shuts it down."""
        return self._frame(to, _SET, _SHUT_DOWN, 0 if on else 1)

    def set_output(self, to: Target, voltage_v: float, current_a: float) -> Sequence[Frame]:
        return (
            self._frame(to, _SET, _SET_VOLTAGE, round(voltage_v * 1000)),
            self._frame(to, _SET, _SET_CURRENT, round(current_a * 1000)),
        )

    def set_group(self, address: int, group: int) -> Frame:
        return self._frame(Target(address), _SET, _GROUP, group)

    def set_mode(self, address: int, mode: int) -> Frame:
        return self._frame(Target(address), _SET, _SELECT_RANGE, mode)

    # --- from the modules ------------------------------------------------------------------------------------

    def decode(self, can_id: int, data: bytes) -> Answer | None:
        monitor, address = can_id >> 21 & 0xF, can_id >> 14 & 0x7F
        if len(data) != 8 or can_id >> 25 != _VERSION or monitor not in (0, self._monitor) or address == 0:
            return None
        kind, command, _, value = struct.unpack(">BBHI", data)
        sender, message = Target(address), kind & 0xF
        if message == _SET_REPLY:
            return Answer(sender, None)
        if message == _SERIAL_REPLY:
            return Answer(sender, Serial(data[2:].hex().upper()))
        report = _report(command & 0x7F, value) if message == _READ_REPLY else None
        return None if report is None else Answer(sender, report)


def _report(command: int, value: int) -> Report | None:
    """None for a command that was not asked for, and for a value that no module can have."""
    measured = (value - (value >> 31 << 32)) / 1000  # an output that is off may read a little below zero
    if command == _VOLTAGE and -_MOST_V < measured < _MOST_V:
        return Output(voltage_v=measured)
    if command == _CURRENT and -_MOST_A < measured < _MOST_A:
        return Output(current_a=measured)
    if command == _STATUS:
        return Status(raw=f"{value:08X}")
    if command == _GROUP and value < 0x80:
        return GroupNumber(value)
    if command == _RANGE and value in (HIGH, LOW):
        return Mode(value)
    return None
