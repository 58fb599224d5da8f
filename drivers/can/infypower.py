# SPDX-License-Identifier: Apache-2.0
"""Infypower REG, CEG and LRG modules (charger module CAN protocol V1.09 to V1.13): the codec.

125 kbit/s, 29-bit identifiers, 8 bytes, big-endian. The identifier is, from the top: error code (3 bits), device (4
bits: 0xA one module, 0xB a group), command (6 bits), destination, source. Read requests carry zeros; an answer swaps
destination and source. Sources: EVerest `InfyPower` driver (CanPackets.cpp), chargebyte `InfypowerCANID.hpp`; commands
0x01, 0x08 and 0x09 from captured frames of REG1K0100A2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import ClassVar

from drivers.can.family import (
    EVERY,
    Alarm,
    Answer,
    Available,
    Capability,
    Frame,
    Output,
    Query,
    Refused,
    Report,
    Serial,
    Status,
    Target,
)

__all__ = ["Infypower"]

_SINGLE = 0x0A
_GROUP = 0x0B
_BROADCAST = 0x3F
_ZEROS = bytes(8)

_GROUP_OUTPUT = 0x08
_SET_GROUP = 0x16
_SWITCH = 0x1A
_SET_TOTAL = 0x1B
_SET_MODULE = 0x1C
_ASKING = {
    Query.STATUS: 0x04,
    Query.OUTPUT: 0x09,
    Query.CAPABILITY: 0x0A,
    Query.SERIAL: 0x0B,
    Query.AVAILABLE: 0x0C,
}

_ERRORS = {2: "command invalid", 3: "data invalid", 4: "address invalid", 7: "start-up in progress"}

_ALARMS: dict[tuple[int, int], Alarm] = {
    (7, 0): Alarm.SHORT_CIRCUIT,
    (7, 4): Alarm.SLEEPING,
    (7, 5): Alarm.DISCHARGE,
    (6, 1): Alarm.FAULT,
    (6, 2): Alarm.PROTECTION,
    (6, 3): Alarm.FAN,
    (6, 4): Alarm.OVER_TEMPERATURE,
    (6, 5): Alarm.OUTPUT_OVER_VOLTAGE,
    (6, 7): Alarm.INTERRUPTED,
    (5, 0): Alarm.POWER_LIMITED,
    (5, 1): Alarm.DUPLICATE,
    (5, 2): Alarm.LOAD_SHARING,
    (5, 3): Alarm.PHASE_LOST,
    (5, 4): Alarm.UNBALANCED,
    (5, 5): Alarm.UNDER_VOLTAGE,
    (5, 6): Alarm.OVER_VOLTAGE,
    (5, 7): Alarm.PFC_OFF,
}
"""Byte and bit of the status (command 0x04) of each alarm."""
_ALARM_BITS = {1 << 8 * (7 - byte) + bit: alarm for (byte, bit), alarm in _ALARMS.items()}
_ANY_ALARM = sum(_ALARM_BITS)
_DC_OFF = 1 << 8

_MOST_V = 2000.0
_MOST_A = 5000.0
"""A measured value beyond these is no measurement, but a damaged frame."""


class Infypower:
    """The family (`drivers.can.family.Family`).

    Args:
        controller: this controller's address, 0xF0 to 0xF8.
        believe_external: whether the voltage behind the diode is that of the outlet.
    """

    addresses = range(0x3C)
    group_frames = True
    queries: ClassVar[Sequence[Query]] = (Query.STATUS, Query.OUTPUT, Query.AVAILABLE)
    facts: ClassVar[Sequence[Query]] = (Query.CAPABILITY, Query.SERIAL)
    modes: ClassVar[Sequence[tuple[int, float]]] = ()
    mode_pause_s: ClassVar[float] = 0.0

    def __init__(self, controller: int = 0xF0, *, believe_external: bool = True) -> None:
        self._controller = controller
        self._believe_external = believe_external
        self.listen = ((_SINGLE & 0xE) << 22 | controller << 8, 0xE << 22 | 0xFF << 8)

    # --- to the modules --------------------------------------------------------------------------------------

    def _frame(self, command: int, to: Target, data: bytes | None = None) -> Frame:
        """A command, or without data a question."""
        device = _GROUP if to.is_group else _SINGLE
        destination = _BROADCAST if to is EVERY else to.number
        can_id = device << 22 | command << 16 | destination << 8 | self._controller
        return Frame(can_id, data or _ZEROS, asks=data is None)

    def ask(self, query: Query, address: int) -> Sequence[Frame]:
        command = _ASKING.get(query)
        return () if command is None else (self._frame(command, Target(address)),)

    def ask_group(self, group: int) -> Sequence[Frame]:
        return (self._frame(_GROUP_OUTPUT, Target(group, is_group=True)),)

    def switch(self, to: Target, on: bool) -> Frame:
        """Byte 0 is 0 for on, 1 for off."""
        return self._frame(_SWITCH, to, bytes((0 if on else 1, 0, 0, 0, 0, 0, 0, 0)))

    def set_output(self, to: Target, voltage_v: float, current_a: float) -> Sequence[Frame]:
        data = struct.pack(">II", round(voltage_v * 1000), round(current_a * 1000))
        return (self._frame(_SET_TOTAL if to.is_group else _SET_MODULE, to, data),)

    def set_group(self, address: int, group: int) -> Frame:
        return self._frame(_SET_GROUP, Target(address), bytes((group, 0, 0, 0, 0, 0, 0, 0)))

    def set_mode(self, address: int, mode: int) -> Frame:
        raise NotImplementedError("these modules have one range of voltages")

    # --- from the modules ------------------------------------------------------------------------------------

    def decode(self, can_id: int, data: bytes) -> Answer | None:
        error, device, command = can_id >> 26 & 0x7, can_id >> 22 & 0xF, can_id >> 16 & 0x3F
        destination, source = can_id >> 8 & 0xFF, can_id & 0xFF
        if len(data) != 8 or destination != self._controller or device not in (_SINGLE, _GROUP):
            return None
        if source not in self.addresses:
            return None
        # A group as a whole answers only the reads of its output; other answers with the group's device are of modules.
        total = device == _GROUP and command in (0x01, _GROUP_OUTPUT)
        sender = Target(source, is_group=total)
        if error:
            return Answer(sender, Refused(_ERRORS.get(error, f"error {error}")))
        decode = _DECODE.get(command)
        if decode is None:
            return Answer(sender, None)
        report = decode(data)
        if isinstance(report, Available) and not self._believe_external:
            report = Available(report.current_a)
        return None if report is None else Answer(sender, report)


def _output(voltage_v: float, current_a: float) -> Output | None:
    """None for what no module can measure; NaN is that, too."""
    if not (-_MOST_V < voltage_v < _MOST_V and -_MOST_A < current_a < _MOST_A):
        return None
    return Output(voltage_v, current_a)


def _float_output(data: bytes) -> Output | None:
    return _output(*struct.unpack(">ff", data))


def _milli_output(data: bytes) -> Output | None:
    voltage_mv, current_ma = struct.unpack(">ii", data)
    return _output(voltage_mv / 1000, current_ma / 1000)


def _status(data: bytes) -> Status:
    bits = int.from_bytes(data[5:], "big")
    alarms = frozenset(alarm for bit, alarm in _ALARM_BITS.items() if bits & bit) if bits & _ANY_ALARM else frozenset()
    return Status(
        alarms=alarms,
        off=bool(bits & _DC_OFF),
        temperature_c=float(struct.unpack_from(">b", data, 4)[0]),
        group=data[2],
    )


def _capability(data: bytes) -> Capability | None:
    max_v, min_v, max_da, power_daw = struct.unpack(">HHHH", data)
    if not (0 < max_v < _MOST_V and min_v < max_v and max_da and power_daw):
        return None
    return Capability(float(max_v), float(min_v), max_da / 10, power_daw * 10.0)


def _available(data: bytes) -> Available | None:
    external_dv, current_da = struct.unpack_from(">HH", data)
    return Available(current_da / 10, external_dv / 10) if external_dv / 10 < _MOST_V else None


def _serial(data: bytes) -> Serial:
    """Byte 0 is the 13th character; the packing of the others is not public: all bytes in hex."""
    return Serial(data.hex().upper())


_DECODE: dict[int, Callable[[bytes], Report | None]] = {
    0x01: _float_output,
    0x03: _float_output,
    0x04: _status,
    0x08: _milli_output,
    0x09: _milli_output,
    0x0A: _capability,
    0x0B: _serial,
    0x0C: _available,
}
