# SPDX-License-Identifier: Apache-2.0
"""DC meters as Modbus slaves: the registers of an Acrel DJSF1352-RN, and the layout of Carlo Gavazzi's ET112.

Written after the makers' register tables and not after the driver's maps.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Protocol

from tools.rig.devices.modbus_slave import ILLEGAL_ADDRESS, ModbusError

__all__ = ["AcrelMeter", "GavazziMeter", "Measured", "Readout"]

MOST_U16 = 0xFFFF


class Measured(Protocol):
    """What a meter measures: an EVSE of the simulated world, or a `Readout`."""

    @property
    def voltage_v(self) -> float: ...
    @property
    def current_a(self) -> float: ...
    @property
    def energy_wh(self) -> float: ...


@dataclass
class Readout:
    """Values that a test sets."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    energy_wh: float = 0.0


class _Meter:
    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    def write(self, address: int, values: list[int]) -> None:
        raise ModbusError(ILLEGAL_ADDRESS)


class AcrelMeter(_Meter):
    """Acrel DJSF1352-RN: 16-bit values with registers for their decimal points, energy in Wh, high word first."""

    def read(self, function: int, address: int, count: int) -> list[int]:
        if function != 3 or address + count > 20:
            raise ModbusError(ILLEGAL_ADDRESS)
        return self._registers()[address : address + count]

    def _registers(self) -> list[int]:
        measured = self.measured
        voltage, voltage_point = _scaled(measured.voltage_v, MOST_U16)
        current, current_point = _scaled(measured.current_a, 0x7FFF)
        power, power_point = _scaled(measured.voltage_v * measured.current_a, 0x7FFF)
        energy = math.floor(measured.energy_wh + 1e-6) & 0xFFFFFFFF
        return [
            *(voltage, voltage_point, current & 0xFFFF, current_point),
            *(0, 25, 0, 0),
            *(power & 0xFFFF, power_point, 0, 0),
            *(energy >> 16, energy & 0xFFFF, 0, 0),
            *(1, 500, 0, 0),
        ]


def _scaled(value: float, most: int) -> tuple[int, int]:
    """A value as number and decimal point: number x 10^(point - 3), with as many digits as fit."""
    point = 0
    while abs(value) * 10.0 ** (3 - point) > most:
        point += 1
    return round(value * 10.0 ** (3 - point)), point


class GavazziMeter(_Meter):
    """ET112: 32-bit integers, low word first, in 0.1 V, 0.001 A, 0.1 W and 0.1 kWh; input registers."""

    serial_number = "BW123456789"

    def read(self, function: int, address: int, count: int) -> list[int]:
        table = self._registers()
        wanted = range(address, address + count)
        if function != 4 or any(each not in table for each in wanted):
            raise ModbusError(ILLEGAL_ADDRESS)
        return [table[each] for each in wanted]

    def _registers(self) -> dict[int, int]:
        measured = self.measured
        table: dict[int, int] = {}
        for address, number in (
            (0x0000, round(measured.voltage_v * 10)),
            (0x0002, round(measured.current_a * 1000)),
            (0x0004, round(measured.voltage_v * measured.current_a * 10)),
            (0x0010, math.floor(measured.energy_wh / 100 + 1e-6)),
        ):
            low, high = struct.unpack("<HH", struct.pack("<i", number))
            table |= {address: low, address + 1: high}
        name = self.serial_number.encode().ljust(14, b"\x00")
        return table | {0x5000 + i: int.from_bytes(name[2 * i : 2 * i + 2], "big") for i in range(7)}
