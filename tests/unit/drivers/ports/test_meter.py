# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.Meter`, over each driver."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drivers.http.lem_dcbm import LemDcbm, LemDcbmOptions
from drivers.modbus.bus import ModbusBus
from drivers.modbus.meter import ModbusMeter
from drivers.simulated.bus import EvseOptions
from drivers.simulated.meter import SimulatedMeter
from firmware.contract import Fault
from firmware.errors import DeviceLost
from hal.ports import Meter, MeterSample
from tests.support.device_bench import DeviceBench, OnLine
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices import lem_dcbm
from tools.rig.devices.modbus_meter import AcrelMeter, Readout
from tools.rig.devices.modbus_slave import SlaveLine


class Bench(DeviceBench[MeterSample]):
    """A meter, its driver, and what it measures."""

    meter: Meter

    @abstractmethod
    def measure(self, voltage_v: float, current_a: float, energy_wh: float) -> None:
        """What the line has from now. A meter may measure nothing but its register."""

    def read(self) -> MeterSample:
        return self.meter.sample()

    async def close(self) -> None:
        self.meter.close()

    async def shows(self, energy_wh: float) -> None:
        """Wait for a reading with this register."""
        await self.reads(lambda new: new.energy_wh == energy_wh)


class SimulatedBench(Bench):
    def __init__(self, folder: Path) -> None:
        self.bus = LocalBus(new_world())
        self.evse = self.bus.world.evses[2]

    async def start(self) -> None:
        self.meter = SimulatedMeter(EvseOptions(bus=self.bus, evse=2))

    def measure(self, voltage_v: float, current_a: float, energy_wh: float) -> None:
        self.evse.energy_wh = energy_wh

    async def unplug(self) -> None:
        self.bus.world.faults.set(Fault.METER, 2, True)

    async def plug_in(self) -> None:
        self.bus.world.faults.set(Fault.METER, 2, False)

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(400):
            self.bus.advance(0.1)
            if condition():
                return
        raise AssertionError("never")


class LemBench(Bench):
    def __init__(self, folder: Path) -> None:
        self.line = lem_dcbm.StillLine()
        self.device = lem_dcbm.LemDcbm(self.line)

    async def start(self) -> None:
        await self.device.start()
        options = LemDcbmOptions(evse=2, host="127.0.0.1", port=self.device.port, poll_s=0.1)
        self.meter = LemDcbm(options)

    def measure(self, voltage_v: float, current_a: float, energy_wh: float) -> None:
        self.line.voltage_v, self.line.current_a, self.line.energy_wh = voltage_v, current_a, energy_wh

    async def unplug(self) -> None:
        await self.device.close()

    async def plug_in(self) -> None:
        await self.device.start()

    async def close(self) -> None:
        await super().close()
        await self.device.close()
        assert self.device.violations == []


class ModbusBench(OnLine, Bench):
    """An Acrel DJSF1352-RN on a serial line."""

    def __init__(self, folder: Path) -> None:
        self.readout = Readout()
        self.line = SlaveLine("pty", folder / "tty")
        self.line.add(1, AcrelMeter(self.readout))

    async def start(self) -> None:
        await self.open_line(ModbusBus.Options(port=self.line.port, reply_s=0.1))
        self.meter = ModbusMeter(ModbusMeter.Options(bus=self.bus, evse=2, map="acrel-djsf1352-rn", poll_s=0.1))

    def measure(self, voltage_v: float, current_a: float, energy_wh: float) -> None:
        self.readout.voltage_v, self.readout.current_a, self.readout.energy_wh = voltage_v, current_a, energy_wh

    async def close(self) -> None:
        await super().close()
        self.close_line()


@pytest.fixture(params=[SimulatedBench, LemBench, ModbusBench])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made: Bench = request.param(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_the_register_is_in_watt_hours(bench: Bench) -> None:
    bench.measure(400.0, 0.0, 1_234_567.0)
    await bench.shows(1_234_567.0)
    assert bench.meter.resolution_wh <= 10.0
    assert bench.meter.speed == 1.0


async def test_readings_follow_one_another_with_their_own_time(bench: Bench) -> None:
    first = await bench.next_reading()
    second = await bench.next_reading()
    assert second.mono_s > first.mono_s
    assert bench.meter.stale_after_s >= 1.0


async def test_a_register_that_can_not_be_true_is_passed_on(bench: Bench) -> None:
    for energy_wh in (5000.0, 0.0, 99_999_999.0):
        bench.measure(0.0, 0.0, energy_wh)
        await bench.shows(energy_wh)


async def test_a_lost_meter_raises_and_recovers(bench: Bench) -> None:
    await bench.next_reading()
    await bench.unplug()
    await bench.until(lambda: bench.newest() is None)
    with pytest.raises(DeviceLost):
        bench.meter.sample()
    await bench.plug_in()
    bench.measure(0.0, 0.0, 77.0)
    await bench.shows(77.0)
