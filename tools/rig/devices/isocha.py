# SPDX-License-Identifier: Apache-2.0
"""A Bender isoCHA425HV as a Modbus slave, after the manuals of the device and its sisters and not after the driver.

It measures what its surroundings are (`Wires`): nothing while it is stopped, since its terminals are then off the line;
nothing yet while it settles. A self test begins about a second after the command and takes its time; without voltage
on the line it ends with a device error. The device keeps its settings through a loss of power, but for `replace`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from drivers.simulated.world.evse import Evse
from tools.rig.devices.modbus_slave import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusError, float_registers

__all__ = ["EvseWires", "IsoCha", "Wires"]

NO_ALARM, PRE_ALARM_BITS, DEVICE_ERROR, ALARM_BITS = 0, 1, 2, 5
OHM, VOLT, FARAD = 2, 4, 8
TRUE, SMALLER, BIGGER, INVALID = 0, 1, 2, 3
MOST_OHM = 10_000_000.0
TEST_NEEDS_V = 50.0
SELF_TEST = 0x5445

_FACTORY = {
    **{3000: 0, 3005: 600, 3007: 120, 3008: 0, 3009: 30, 3010: 0, 3011: 1000, 3012: 0, 3013: 0, 3014: 0},
    **{3018: 0, 3019: 0, 3020: 0, 3021: 0, 3023: 0, 3024: 1, 3025: 1, 3026: 1, 3027: 0, 3028: 0},
}
_BOUNDS = {3005: (15, 600), 3007: (1, 599), 3018: (0, 10), 3019: (0, 99), 3020: (0, 99), 3023: (0, 1), 3026: (0, 1)}


class Surroundings(Protocol):
    """What the monitor is connected to: the wires of an EVSE."""

    @property
    def resistance_ohm(self) -> float: ...
    @property
    def voltage_v(self) -> float: ...


@dataclass
class Wires:
    """Values that a test sets."""

    resistance_ohm: float = 5_000_000.0
    voltage_v: float = 0.0


@dataclass(frozen=True)
class EvseWires:
    """The wires of an EVSE of the simulated world."""

    evse: Evse

    @property
    def resistance_ohm(self) -> float:
        return self.evse.monitor.resistance_kohm * 1000.0

    @property
    def voltage_v(self) -> float:
        return self.evse.voltage_v


@dataclass
class IsoCha:
    """The monitor.

    Attributes:
        firmware: 510 is version 5.10, which knows the fast cable-check mode.
        settle_s, test_latency_s, test_s: how long it takes; a test makes them short.
        range: forces the range of R_F (TRUE, SMALLER, BIGGER, INVALID).
        device_error: the alarm `device error`.
        ignores_test: the command of the self test is answered, and no test begins.
        on_measuring: called when measuring is switched on or off.
        settings_that_stick: registers that keep a value, whatever is written.
        earth_reads_in_test: how often voltages to earth were read during a self test, which a master must not do.
    """

    wires: Surroundings = field(default_factory=Wires)
    name: str = "isoCHA425HV"
    firmware: int = 510
    settle_s: float = 2.0
    test_latency_s: float = 1.0
    test_s: float = 5.0
    range: int | None = None
    device_error: bool = False
    ignores_test: bool = False
    on_measuring: Callable[[bool], None] = lambda active: None
    settings_that_stick: dict[int, int] = field(default_factory=dict)
    earth_reads_in_test: int = 0
    settings: dict[int, int] = field(default_factory=lambda: dict(_FACTORY))
    writes: list[tuple[int, int]] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _measures_since: float = 0.0
    _tested_at: float | None = None
    _test_failed: bool = False

    @property
    def measuring(self) -> bool:
        return self.settings[3026] == 1

    def replace(self) -> None:
        """Another device is put in its place, as it comes from the factory."""
        self.settings = dict(_FACTORY)
        self._measures_since = self.clock()
        self._tested_at = None
        self._test_failed = False

    # --- Registers ---------------------------------------------------------------------------------------------------

    def read(self, function: int, address: int, count: int) -> list[int]:
        if function != 3:
            raise ModbusError(ILLEGAL_ADDRESS)
        table = self._table(address)
        wanted = range(address, address + count)
        if any(each not in table for each in wanted):
            raise ModbusError(ILLEGAL_ADDRESS)
        if address < 1024 and address + count > 1016 and self._test_bits():
            self.earth_reads_in_test += 1
        return [table[each] for each in wanted]

    def write(self, address: int, values: list[int]) -> None:
        if len(values) != 1:
            raise ModbusError(ILLEGAL_VALUE)
        self.writes = [*self.writes[-499:], (address, values[0])]
        if address == 8005:
            if values[0] != SELF_TEST:
                raise ModbusError(ILLEGAL_VALUE)
            if not self.ignores_test:
                self._tested_at = self.clock()
            return
        if address not in self.settings:
            raise ModbusError(ILLEGAL_ADDRESS)
        self._check(address, values[0])
        if address == 3026 and values[0] != self.settings[3026]:
            self._measures_since = self.clock()
            self._tested_at, self._test_failed = None, False
            self.on_measuring(values[0] == 1)
        self.settings[address] = self.settings_that_stick.get(address, values[0])

    def _check(self, address: int, value: int) -> None:
        low, high = _BOUNDS.get(address, (0, 0xFFFF))
        if address == 3005:
            low = max(low, self.settings[3007] + 1)
        elif address == 3007:
            high = min(high, self.settings[3005] - 1)
        elif address == 3021 and self.firmware <= 500:
            high = 2
        if not low <= value <= high:
            raise ModbusError(ILLEGAL_VALUE)

    # --- what it measures ------------------------------------------------------------------------------------------

    def _table(self, address: int) -> dict[int, int]:
        if 3000 <= address < 8000:
            return self.settings
        if address >= 9820:
            return dict(enumerate([1, self.firmware, 30, 11, 2026, 100], 9820))
        if address >= 9800:
            raw = self.name.encode().ljust(20)[:20]
            return {9800 + i: int.from_bytes(raw[2 * i : 2 * i + 2], "big") for i in range(10)}
        table: dict[int, int] = {}
        for first, block in self._blocks().items():
            table |= dict(enumerate(block, first))
        return table

    def _blocks(self) -> dict[int, list[int]]:
        test = self._test_bits()
        ohm = self.wires.resistance_ohm
        volts = self.wires.voltage_v if self.measuring else 0.0
        off = not self.measuring or self.clock() - self._measures_since < self.settle_s
        range_ = INVALID if off else BIGGER if ohm > MOST_OHM else TRUE
        resistance = self._block(min(ohm, MOST_OHM), OHM, range_ if self.range is None else self.range, 71, test)
        rest = {1012: (1e-7, FARAD, 82), 1016: (volts / 2, VOLT, 102), 1020: (-volts / 2, VOLT, 102)}
        return {
            1000: resistance,
            1008: self._block(volts, VOLT, TRUE if self.measuring else INVALID, 76, test),
            **{first: self._block(value, unit, TRUE, what, test) for first, (value, unit, what) in rest.items()},
            1028: self._block(min(ohm, MOST_OHM), OHM, range_, 71, test),
        }

    def _block(self, value: float, unit: int, range_: int, what: int, test: int) -> list[int]:
        status = (self._alarm() | test << 6) << 8 | range_ << 6 | unit
        return [*float_registers(value), status, what]

    def _alarm(self) -> int:
        if self.device_error or self._test_failed:
            return DEVICE_ERROR
        kohm = self.wires.resistance_ohm / 1000.0
        if not self.measuring or kohm >= self.settings[3005]:
            return NO_ALARM
        return PRE_ALARM_BITS if kohm >= self.settings[3007] else ALARM_BITS

    def _test_bits(self) -> int:
        """2 while the commanded test runs."""
        if self._tested_at is None:
            return 0
        spent = self.clock() - self._tested_at
        if spent < self.test_latency_s:
            return 0
        if spent < self.test_latency_s + self.test_s:
            return 2
        self._tested_at = None
        self._test_failed = self.wires.voltage_v < TEST_NEEDS_V
        return 0
