# SPDX-License-Identifier: Apache-2.0
"""One slave on a line: repeats what is not answered, and is lost after three misses in a row.

A reply of RTU has no number. A slave answers in order, so after a miss its next answer may be the late one to an
earlier request, perhaps of the same length. So the first request after a miss asks for a count of registers that no
other does, and its answer is not used: when it has come, whatever was late has been dropped.
"""

from __future__ import annotations

from contextlib import suppress

from drivers.modbus.bus import ModbusBus
from drivers.modbus.frames import Function, Request
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["TRIES", "ModbusDevice"]

TRIES = 3


class ModbusDevice:
    """`name` says which device of the station this is."""

    def __init__(self, bus: ModbusBus, unit: int, name: str) -> None:
        self._bus = bus
        self._unit = unit
        self._where = f"{name} (address {unit} on {bus})"
        self._behind = False
        self._tries = TRIES
        self._counts: set[int] = set()

    def __str__(self) -> str:
        return self._where

    async def read(self, address: int, count: int, function: Function = Function.READ_HOLDING) -> tuple[int, ...]:
        """Registers from `address`; raises `DeviceLost` or `DeviceRefused`."""
        self._counts.add(count)
        return await self._transact(Request(self._unit, function, address, count))

    async def write(self, address: int, value: int) -> None:
        """Write one register by function 16; raises `DeviceLost` or `DeviceRefused`."""
        await self._transact(Request(self._unit, Function.WRITE, address, values=(value,)))

    def post(self, address: int, value: int) -> None:
        """Write one register without waiting: for `close`."""
        self._bus.post(Request(self._unit, Function.WRITE, address, values=(value,)))

    async def _transact(self, request: Request) -> tuple[int, ...]:
        for attempt in range(1, self._tries + 1):
            try:
                if self._behind:
                    await self._catch_up(request)
                registers = await self._bus.transact(request)
            except DeviceLost as error:
                self._behind = True
                if attempt == self._tries:
                    self._tries = 1
                    raise DeviceLost(f"{self._where}: {error}") from None
            except DeviceRefused as error:
                self._tries = TRIES
                raise DeviceRefused(f"{self._where}: {error}") from None
            else:
                self._tries = TRIES
                return registers
        raise AssertionError("the last attempt returns or raises")

    async def _catch_up(self, request: Request) -> None:
        """Get an answer of a length that is not asked for otherwise."""
        function = Function.READ_HOLDING if request.values else request.function
        count = next(each for each in range(1, 126) if each not in self._counts)
        with suppress(DeviceRefused):  # an answer, too
            await self._bus.transact(Request(self._unit, function, request.address, count))
        self._behind = False
