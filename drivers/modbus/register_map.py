# SPDX-License-Identifier: Apache-2.0
"""What a DC meter's registers mean, as data: `drivers/modbus/maps/*.toml`, or a file of the station's own.

    name = "..."                  for people
    function = 3                  3 holding registers, 4 input registers
    word_order = "high_first"     or "low_first": of values of 32 and 64 bits
    blocks = [[0, 20]]            what is read at once: first register and count, at most 125

    [voltage]                     V; likewise [current] A, [energy] and, if the meter measures it, [power]
    address = 0
    type = "u16"                  u16 i16 u32 i32 u64 i64 f32
    scale = 0.001                 the value is: register x scale x 10^(register at decimal_point)
    decimal_point = 1
    [energy]
    unit = "Wh"                   or "kWh"; of power "W" or "kW"
    resolution_wh = 1.0           the smallest step, where scale and unit do not say it

    [serial_number]               if the meter has one: ASCII, two characters a register
    address = 0x5000
    registers = 7

No count occurs twice, in blocks and serial number: a late answer to one request could be taken for another's.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from firmware.config import load
from firmware.errors import ConfigError

__all__ = ["MAPS", "Quantity", "RegisterMap", "SerialNumber", "Values", "load_map"]

MAPS = Path(__file__).parent / "maps"
MOST_DECIMALS = 9

Register = Annotated[int, Meta(ge=0, le=0xFFFF)]
Count = Annotated[int, Meta(ge=1, le=125)]
Unit = Literal["V", "A", "W", "kW", "Wh", "kWh"]

_FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f"}
_UNITS: dict[str, tuple[Unit, ...]] = {
    "voltage": ("V",),
    "current": ("A",),
    "power": ("W", "kW"),
    "energy": ("Wh", "kWh"),
}


class Quantity(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measured value."""

    address: Register
    type: Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32"]
    scale: float = 1.0
    decimal_point: Register | None = None
    unit: Unit | None = None
    resolution_wh: Annotated[float, Meta(gt=0)] | None = None

    @property
    def registers(self) -> range:
        return range(self.address, self.address + struct.calcsize(_FORMATS[self.type]) // 2)

    @property
    def factor(self) -> float:
        """From the register's own number to V, A, W or Wh."""
        return self.scale * (1000.0 if self.unit in ("kW", "kWh") else 1.0)

    @property
    def step(self) -> float | None:
        """The smallest step in V, A, W or Wh; None if that is not known beforehand."""
        if self.resolution_wh is not None:
            return self.resolution_wh
        return None if self.type == "f32" or self.decimal_point is not None else abs(self.factor)


class SerialNumber(Struct, frozen=True, forbid_unknown_fields=True):
    address: Register
    registers: Count

    def decode(self, registers: tuple[int, ...]) -> str | None:
        """The text; None if the meter has none."""
        raw = b"".join(each.to_bytes(2, "big") for each in registers)
        return "".join(chr(each) for each in raw if 0x21 <= each <= 0x7E) or None


class RegisterMap(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model of meter; raises `ValueError` where its parts contradict each other."""

    name: str
    function: Literal[3, 4]
    word_order: Literal["high_first", "low_first"] = "high_first"
    blocks: Annotated[list[tuple[Register, Count]], Meta(min_length=1, max_length=8)]
    voltage: Quantity
    current: Quantity
    energy: Quantity
    power: Quantity | None = None
    serial_number: SerialNumber | None = None

    def __post_init__(self) -> None:
        for name, quantity in self.quantities().items():
            if quantity.unit is not None and quantity.unit not in _UNITS[name]:
                raise ValueError(f"{name}: unit is {quantity.unit}, expected {' or '.join(_UNITS[name])}")
            if quantity.scale == 0.0:
                raise ValueError(f"{name}: scale is 0")
            if name != "energy" and quantity.resolution_wh is not None:
                raise ValueError(f"{name}: resolution_wh is for energy only")
            self._require_read(name, quantity.registers)
            if quantity.decimal_point is not None:
                self._require_read(f"{name}.decimal_point", range(quantity.decimal_point, quantity.decimal_point + 1))
        if len(set(self.counts)) < len(self.counts):
            raise ValueError("blocks: two have the same length: a late answer to one could be taken for the other")
        if self.energy.step is None:
            raise ValueError("energy: resolution_wh is missing: neither scale nor unit say the smallest step")

    @property
    def counts(self) -> list[int]:
        """Of the registers of each request."""
        own = [self.serial_number.registers] if self.serial_number is not None else []
        return [*(count for _, count in self.blocks), *own]

    def quantities(self) -> dict[str, Quantity]:
        found = {"voltage": self.voltage, "current": self.current, "energy": self.energy}
        return found if self.power is None else {**found, "power": self.power}

    def _require_read(self, name: str, registers: range) -> None:
        for first, count in self.blocks:
            if first <= registers.start and registers.stop <= first + count:
                return
        raise ValueError(f"{name}: register {registers.start} to {registers.stop - 1} is in none of the blocks")


class Values:
    """The registers of one round, by address; raises `ValueError` for what can't be one."""

    def __init__(self, layout: RegisterMap) -> None:
        self._layout = layout
        self._registers: dict[int, int] = {}

    def add(self, first: int, registers: tuple[int, ...]) -> None:
        self._registers.update(enumerate(registers, first))

    def value(self, quantity: Quantity) -> float:
        """In V, A, W or Wh."""
        words = [self._registers[each] for each in quantity.registers]
        if self._layout.word_order == "low_first":
            words.reverse()
        raw = struct.pack(f">{len(words)}H", *words)
        number = float(struct.unpack(">" + _FORMATS[quantity.type], raw)[0])
        return number * quantity.factor * self._power_of_ten(quantity)

    def _power_of_ten(self, quantity: Quantity) -> float:
        if quantity.decimal_point is None:
            return 1.0
        exponent = self._registers[quantity.decimal_point]
        exponent -= 0x10000 if exponent > 0x7FFF else 0
        if abs(exponent) > MOST_DECIMALS:
            raise ValueError(f"decimal point register {quantity.decimal_point} reads {exponent}: another model?")
        return 10.0**exponent


def load_map(name: str) -> RegisterMap:
    """A map by its name, or by the path of a file of the station's own; raises `ConfigError`."""
    path = Path(name) if name.endswith(".toml") else MAPS / f"{name}.toml"
    if path.parent == MAPS and not path.exists():
        known = ", ".join(sorted(each.stem for each in MAPS.glob("*.toml")))
        raise ConfigError(f"no register map {name!r}, expected {known} or the path of a .toml file")
    return load(path, RegisterMap)
