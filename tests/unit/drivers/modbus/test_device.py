# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from drivers.modbus.bus import ModbusBus
from drivers.modbus.device import ModbusDevice, Probe, unused
from firmware.errors import DeviceLost, DeviceRefused
from tools.rig.devices.modbus_slave import Mischief, ModbusError, SlaveLine

PROBE = Probe(0, unused([4, 8, 10, 20]))


@dataclass
class Memory:
    """Every register holds its own number; `refuses` some."""

    refuses: set[int] = field(default_factory=set)

    def read(self, function: int, address: int, count: int) -> list[int]:
        if address in self.refuses:
            raise ModbusError(2)
        return list(range(address, address + count))

    def write(self, address: int, values: list[int]) -> None: ...


async def test_one_miss_is_repeated(terminal: SlaveLine, serial_bus: ModbusBus) -> None:
    slave = terminal.add(3, Memory())
    slave.misbehave(Mischief.LOST, times=2)
    assert await ModbusDevice(serial_bus, 3, "monitor", PROBE).read(1000, 4) == (1000, 1001, 1002, 1003)


async def test_three_misses_are_a_lost_device(terminal: SlaveLine, serial_bus: ModbusBus) -> None:
    slave = terminal.add(3, Memory())
    slave.silent = True
    device = ModbusDevice(serial_bus, 3, "monitor of EVSE 1", PROBE)
    with pytest.raises(DeviceLost, match=r"monitor of EVSE 1 \(address 3 on .*, 19200 baud 8N1\): no answer"):
        await device.read(1000, 4)
    slave.silent = False
    assert await device.read(1000, 4) == (1000, 1001, 1002, 1003)


@pytest.mark.parametrize("late", [1, 2, 3, 5])
async def test_a_late_answer_is_not_taken_for_the_next(terminal: SlaveLine, serial_bus: ModbusBus, late: int) -> None:
    """All requests have answers of one length, and each late one comes while the next is waited for."""
    slave = terminal.add(3, Memory())
    device = ModbusDevice(serial_bus, 3, "monitor", PROBE)
    slave.late_s = 0.25
    slave.misbehave(Mischief.LATE, times=late)
    for address in (1000, 1008, 1016, 1000, 1008, 1016):
        with suppress(DeviceLost):
            assert await device.read(address, 4) == tuple(range(address, address + 4))
    assert slave.times == 0


async def test_a_refusal_is_an_answer(terminal: SlaveLine, serial_bus: ModbusBus) -> None:
    slave = terminal.add(3, Memory(refuses={9800}))
    device = ModbusDevice(serial_bus, 3, "monitor", PROBE)
    with pytest.raises(DeviceRefused, match=r"monitor .*it has no such register \(exception 2, register 9800\)"):
        await device.read(9800, 10)
    slave.misbehave(Mischief.LOST, times=1)
    with pytest.raises(DeviceRefused):
        await device.read(9800, 10)


async def test_a_silent_device_does_not_keep_others_from_answering(terminal: SlaveLine, serial_bus: ModbusBus) -> None:
    terminal.add(1, Memory())
    meter, monitor = ModbusDevice(serial_bus, 1, "meter", PROBE), ModbusDevice(serial_bus, 3, "monitor", PROBE)
    lost = asyncio.create_task(monitor.read(1000, 4))
    answers = 0
    while not lost.done():
        await meter.read(0, 20)
        answers += 1
    assert answers >= 3
    with pytest.raises(DeviceLost):
        await lost
