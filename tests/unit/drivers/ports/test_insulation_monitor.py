# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.InsulationMonitor`, over each driver."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drivers.modbus.bus import ModbusBus
from drivers.modbus.isocha import IsoCha425Hv
from drivers.simulated.bus import EvseOptions
from drivers.simulated.insulation import SimulatedInsulationMonitor
from drivers.simulated.messages import Actuation, Assign, CommandContactor, FeedWatchdog, Readings, SetOutput
from drivers.simulated.world.garage import CarOrder
from firmware.errors import DeviceLost
from hal.ports import InsulationMonitor, InsulationReading
from tests.support.device_bench import DeviceBench, OnLine
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.isocha import IsoCha, Wires
from tools.rig.devices.modbus_slave import SlaveLine


class Bench(DeviceBench[InsulationReading]):
    """A monitor, its driver, and the wires that it watches."""

    monitor: InsulationMonitor

    @abstractmethod
    def insulate(self, kohm: float) -> None:
        """The resistance of the wires to earth from now."""

    @abstractmethod
    def energise(self, voltage_v: float) -> None:
        """The voltage between the wires from now."""

    @abstractmethod
    def measures(self) -> bool:
        """Whether the device itself is on."""

    def read(self) -> InsulationReading:
        return self.monitor.reading()

    async def close(self) -> None:
        self.monitor.close()

    async def measuring(self) -> None:
        await self.next_reading()
        self.monitor.enable(True)
        await self.reads(lambda new: new.valid)


class LossyBus(LocalBus):
    """A wiring that can be cut."""

    cut = False

    def readings(self) -> Readings:
        self._require_link()
        return super().readings()

    def send(self, message: Actuation) -> None:
        self._require_link()
        super().send(message)

    def _require_link(self) -> None:
        if self.cut:
            raise DeviceLost("the wiring is cut")


class SimulatedBench(Bench):
    def __init__(self, folder: Path) -> None:
        self.bus = LossyBus(new_world())
        self.evse = self.bus.world.evses[2]
        self.voltage_v = 0.0

    async def start(self) -> None:
        self.bus.world.plug_in(2, CarOrder())
        self.monitor = SimulatedInsulationMonitor(EvseOptions(bus=self.bus, evse=2))

    def insulate(self, kohm: float) -> None:
        assert self.evse.car is not None
        self.evse.car.insulation_kohm = kohm

    def energise(self, voltage_v: float) -> None:
        self.voltage_v = voltage_v
        self.bus.world.apply(Assign(groups={2: 1}))

    def measures(self) -> bool:
        return self.evse.monitor.active

    async def unplug(self) -> None:
        self.bus.cut = True

    async def plug_in(self) -> None:
        self.bus.cut = False

    async def until(self, condition: Callable[[], object]) -> None:
        world = self.bus.world
        for _ in range(400):
            if condition():
                return
            world.apply(FeedWatchdog())
            world.apply(CommandContactor(evse=2, closed=self.voltage_v > 0.0))
            if self.voltage_v > 0.0:
                world.apply(SetOutput(evse=2, voltage_v=self.voltage_v, current_a=2.0))
            self.bus.advance(0.025)
        raise AssertionError("never")


class IsoChaBench(OnLine, Bench):
    """A Bender isoCHA425HV on a serial line."""

    def __init__(self, folder: Path) -> None:
        self.wires = Wires()
        self.device = IsoCha(self.wires, settle_s=0.1, test_latency_s=0.1, test_s=0.3)
        self.line = SlaveLine("pty", folder / "tty", baud=19200)
        self.line.add(3, self.device)

    async def start(self) -> None:
        await self.open_line(ModbusBus.Options(port=self.line.port, baud=19200, parity="E", reply_s=0.1))
        self.monitor = IsoCha425Hv(IsoCha425Hv.Options(bus=self.bus, evse=2, poll_s=0.1, settle_s=0.2))

    def insulate(self, kohm: float) -> None:
        self.wires.resistance_ohm = kohm * 1000.0

    def energise(self, voltage_v: float) -> None:
        self.wires.voltage_v = voltage_v

    def measures(self) -> bool:
        return self.device.measuring

    async def close(self) -> None:
        await super().close()
        self.close_line()
        assert self.device.earth_reads_in_test == 0


@pytest.fixture(params=[SimulatedBench, IsoChaBench])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made: Bench = request.param(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_it_is_off_at_the_start(bench: Bench) -> None:
    reading = await bench.next_reading()
    assert not reading.valid
    assert reading.self_test_passed is None
    assert not bench.measures()


async def test_it_settles_and_measures(bench: Bench) -> None:
    bench.insulate(432.1)
    await bench.measuring()
    assert bench.measures()
    assert bench.monitor.reading().resistance_kohm == pytest.approx(432.1, rel=0.01)
    bench.insulate(60.0)
    await bench.reads(lambda new: new.resistance_kohm == pytest.approx(60.0, rel=0.01))


async def test_readings_follow_one_another_with_their_own_time(bench: Bench) -> None:
    first = await bench.next_reading()
    second = await bench.next_reading()
    assert second.mono_s > first.mono_s
    assert bench.monitor.stale_after_s >= 1.0


async def test_off_it_has_no_value(bench: Bench) -> None:
    await bench.measuring()
    bench.monitor.enable(False)
    reading = await bench.reads(lambda new: not new.valid)
    assert reading.resistance_kohm == 0.0
    await bench.until(lambda: not bench.measures())


async def test_a_voltage_that_it_measures_is_that_of_the_wires(bench: Bench) -> None:
    bench.energise(400.0)
    await bench.measuring()
    await bench.reads(lambda new: new.voltage_v is None or new.voltage_v == pytest.approx(400.0, rel=0.02))


async def test_a_self_test_passes_with_voltage(bench: Bench) -> None:
    bench.energise(400.0)
    await bench.measuring()
    await bench.reads(lambda new: True)
    bench.monitor.start_self_test()
    running = await bench.reads(lambda new: not new.valid)
    assert running.self_test_passed is None
    passed = await bench.reads(lambda new: new.self_test_passed is not None)
    assert passed.self_test_passed
    await bench.reads(lambda new: new.valid)


async def test_a_self_test_without_voltage_fails(bench: Bench) -> None:
    await bench.measuring()
    bench.monitor.start_self_test()
    await bench.reads(lambda new: new.self_test_passed is False)


async def test_a_result_does_not_outlive_its_session(bench: Bench) -> None:
    bench.energise(400.0)
    await bench.measuring()
    bench.monitor.start_self_test()
    await bench.reads(lambda new: new.self_test_passed)
    bench.monitor.enable(False)
    await bench.reads(lambda new: new.self_test_passed is None)


async def test_a_lost_monitor_raises_and_recovers(bench: Bench) -> None:
    await bench.measuring()
    await bench.unplug()
    await bench.until(lambda: bench.newest() is None)
    with pytest.raises(DeviceLost):
        bench.monitor.enable(False)
    with pytest.raises(DeviceLost):
        bench.monitor.start_self_test()
    await bench.plug_in()
    await bench.next_reading()
    bench.monitor.enable(True)
    await bench.reads(lambda new: new.valid)


async def test_a_lost_command_is_not_carried_out_when_the_link_is_back(bench: Bench) -> None:
    await bench.next_reading()
    await bench.unplug()
    await bench.until(lambda: bench.newest() is None)
    with pytest.raises(DeviceLost):
        bench.monitor.enable(True)
    await bench.plug_in()
    await bench.next_reading()
    await bench.next_reading()
    assert not bench.measures()


async def test_closed_it_is_off(bench: Bench) -> None:
    await bench.measuring()
    bench.monitor.close()
    await bench.until(lambda: not bench.measures())
