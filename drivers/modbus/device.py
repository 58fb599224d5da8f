# SPDX-License-Identifier: Apache-2.0
"""One slave on a line: repeats what is not answered, and is lost after three misses in a row.

A reply of RTU has no number, so a late one could be taken for the answer to the next request. After a miss
- the slave is not asked for `LATE_S`, and what comes from it meanwhile is dropped;
- then, since it answers in order, a probe asks for a count of registers that no other request does, nor any of the last
  probes, which may be late as well. Its answer is not used: when it has come, whatever was before it has been dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle

from msgspec import Struct

from drivers.modbus.bus import ModbusBus
from drivers.modbus.frames import Function, Request
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["TRIES", "ModbusDevice", "Probe", "unused"]

TRIES = 3
LATE_S = 0.5
PROBES = 5


class Probe(Struct, frozen=True):
    """Registers that a device lets read in several counts, none of which its driver asks for otherwise."""

    address: int
    counts: tuple[int, ...]
    function: Function = Function.READ_HOLDING


def unused(counts: Iterable[int]) -> tuple[int, ...]:
    """Counts for a probe, given those of all other requests."""
    used = set(counts)
    return tuple(each for each in range(1, 126) if each not in used)[:PROBES]


class ModbusDevice:
    """`name` says which device of the station this is."""

    def __init__(self, bus: ModbusBus, unit: int, name: str, probe: Probe) -> None:
        self._bus = bus
        self._unit = unit
        self._where = f"{name} (address {unit} on {bus})"
        self._probe = probe
        self._probe_counts = cycle(probe.counts)
        self._behind_since: float | None = None
        self._tries = TRIES

    def __str__(self) -> str:
        return self._where

    async def read(self, address: int, count: int, function: Function = Function.READ_HOLDING) -> tuple[int, ...]:
        """Registers from `address`; raises `DeviceLost` or `DeviceRefused`."""
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
                if self._behind_since is not None:
                    await self._catch_up(self._behind_since)
                registers = await self._bus.transact(request)
            except DeviceLost as error:
                self._behind_since = time.monotonic()
                if attempt == self._tries or not self._bus.is_open:
                    self._tries = 1
                    raise DeviceLost(f"{self._where}: {error}") from None
            except DeviceRefused as error:
                self._tries = TRIES
                raise DeviceRefused(f"{self._where}: {error}") from None
            else:
                self._tries = TRIES
                return registers
        raise AssertionError("the last attempt returns or raises")

    async def _catch_up(self, since: float) -> None:
        await asyncio.sleep(max(0.0, since + LATE_S - time.monotonic()))
        probe = Request(self._unit, self._probe.function, self._probe.address, next(self._probe_counts))
        with suppress(DeviceRefused):  # an answer, too
            await self._bus.transact(probe)
        self._behind_since = None
