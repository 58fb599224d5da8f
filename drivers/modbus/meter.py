# SPDX-License-Identifier: Apache-2.0
"""Any DC meter on Modbus, by a register map (`drivers/modbus/register_map.py`).

    meter = { driver = "modbus", bus = "rs485", map = "acrel-djsf1352-rn", address = 1 }

It reports what the meter says: whether a register can be true is decided by the HAL (`hal/evse/register.py`). A meter
that can't be read, or whose registers can't be those of the map, is lost, with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Annotated

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.modbus.bus import ModbusBus
from drivers.modbus.device import ModbusDevice, Probe, unused
from drivers.modbus.frames import Function
from drivers.modbus.register_map import Values, load_map
from firmware.errors import ConfigError, DeviceLost, DeviceRefused, DriverError
from firmware.trouble import Trouble
from hal.ports import DeviceInfo, MeterSample

__all__ = ["ModbusMeter"]

LOST_RETRY_S = 2.0
"""A silent meter takes a reply's time-out from the other devices on its line each time."""
QUANTITIES = ("voltage", "current", "power", "energy")
_log = logging.getLogger(__name__)


class ModbusMeter:
    """`Meter` of one EVSE."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        bus: ModbusBus
        evse: int
        map: str
        """The name of a map, or the path of a `.toml` file."""
        address: Annotated[int, Meta(ge=1, le=247)] = 1
        poll_s: Annotated[float, Meta(ge=0.1, le=1.0)] = 0.5
        scale: dict[str, float] = {}
        """Corrections: the map's value of a quantity is multiplied by this; -1 for a shunt that is built in reverse."""
        serial_number: str | None = None
        """The commissioned meter; another one is refused."""
        speed: Annotated[float, Meta(gt=0)] = 1.0
        """How much faster than in life the register counts: other than 1 only on a bench."""

        def __post_init__(self) -> None:
            try:
                layout = load_map(self.map)
            except ConfigError as error:
                raise ValueError(f"map: {error}") from error
            if self.serial_number is not None and layout.serial_number is None:
                raise ValueError(f"serial_number: {layout.name} reports none")
            unknown = set(self.scale) - set(QUANTITIES)
            if unknown or 0.0 in self.scale.values():
                raise ValueError(f"scale: expected numbers other than 0 for some of {', '.join(QUANTITIES)}")

    stale_after_s = 2.5

    def __init__(self, options: Options) -> None:
        self._options = options
        self._map = load_map(options.map)
        self.resolution_wh = (self._map.energy.step or 0.0) * abs(options.scale.get("energy", 1.0))
        self.speed = options.speed
        self._function = Function(self._map.function)
        self._device = ModbusDevice(options.bus, options.address, self._map.name, self._probe())
        self._serial_number: str | None = None
        self._identified = False
        self._sample: MeterSample | None = None
        self._problem: DriverError | None = DeviceLost(f"{self._device} has not answered yet")
        self._trouble = Trouble(_log, f"meter of EVSE {options.evse}", device=str(self._device))
        self._background = Background(str(self._device))
        self._background.start("reading", self._poll)

    def sample(self) -> MeterSample:
        if self._problem is not None or self._sample is None:
            raise DeviceLost(str(self._problem))
        return self._sample

    def devices(self) -> list[DeviceInfo]:
        sample = self._sample if self._problem is None else None
        return [
            DeviceInfo(
                name=self._map.name,
                address=str(self._options.address),
                serial_number=self._serial_number or "",
                answers=sample is not None,
                state=f"{sample.energy_wh / 1000.0:.3f} kWh" if sample is not None else str(self._problem),
            )
        ]

    def close(self) -> None:
        self._background.close()
        self._problem = DeviceLost(f"{self._device} is closed")

    def _probe(self) -> Probe:
        longest = max(self._map.blocks, key=lambda block: block[1])
        return Probe(longest[0], unused(self._map.counts), self._function)

    async def _poll(self) -> None:
        while True:
            try:
                self._sample = await self._read()
            except DriverError as error:
                self._problem, self._identified = error, False
                self._trouble.failed(error)
                await asyncio.sleep(LOST_RETRY_S)
            else:
                self._problem = None
                self._trouble.worked()
                await asyncio.sleep(self._options.poll_s)

    async def _read(self) -> MeterSample:
        layout, values = self._map, Values(self._map)
        if not self._identified:
            self._serial_number = await self._read_serial_number()
            self._identified = True
        mono_s = time.monotonic()
        for first, count in layout.blocks:
            values.add(first, await self._device.read(first, count, self._function))
        try:
            found = {
                name: values.value(quantity) * self._options.scale.get(name, 1.0)
                for name, quantity in layout.quantities().items()
            }
        except ValueError as error:
            raise DeviceRefused(f"{self._device}: {error}") from error
        return MeterSample(
            mono_s=mono_s,
            energy_wh=found["energy"],
            voltage_v=found["voltage"],
            current_a=found["current"],
            power_w=found.get("power", found["voltage"] * found["current"]),
            serial_number=self._serial_number,
        )

    async def _read_serial_number(self) -> str | None:
        """Once after each time it was lost: it may be another meter now."""
        where = self._map.serial_number
        if where is None:
            return None
        found = where.decode(await self._device.read(where.address, where.registers, self._function))
        wanted = self._options.serial_number
        if wanted is not None and found != wanted:
            raise DeviceRefused(f"{self._device}: it is meter {found}, but {wanted} is the commissioned one")
        return found
