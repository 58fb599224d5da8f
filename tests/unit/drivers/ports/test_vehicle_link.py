# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.VehicleLink`, over each driver, with a simulated car behind it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from drivers.simulated.bus import EvseOptions, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.messages import FeedWatchdog
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.vehicle import SimulatedVehicleLink
from drivers.simulated.world.car import Misbehaviour
from drivers.simulated.world.garage import CarOrder
from firmware.contract import Fault
from firmware.errors import DriverError
from hal.ports import Pilot, Vehicle, VehicleLink, VehicleStage
from tests.support.secc_bench import SeccBench, secc_bench
from tests.support.virtual_time import in_virtual_time
from tests.support.world_bench import LocalBus, new_world

KOHM = 5000.0


class Bench(ABC):
    """EVSE 1 with its car, the driver, and a station that does what the vehicle asks for."""

    link: VehicleLink
    local: LocalBus

    def __init__(self) -> None:
        self.reported: list[Vehicle] = []
        self.passes_cable_check = True
        self._tested = False

    def wire(self) -> None:
        """Put the power side beside the driver."""
        self.world, self.evse = self.local.world, self.local.world.evses[1]
        self.shelf = SimulatedShelf(WorldOptions(bus=self.local))
        self.contactor = SimulatedContactor(EvseOptions(bus=self.local, evse=1))
        self.link.listen(self.reported.append)

    @abstractmethod
    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until the condition holds; the station does its part meanwhile."""

    @abstractmethod
    async def unplug(self) -> None:
        """Silence the device, until `plug_in`."""

    @abstractmethod
    async def plug_in(self) -> None: ...

    @abstractmethod
    def now(self) -> float: ...

    # --- what tests do and see --------------------------------------------------------------------------------

    async def reaches(self, *stages: VehicleStage) -> None:
        await self.until(lambda: self.vehicle() is not None and self.link.vehicle().stage in stages)

    async def arrive(self, **order: float) -> None:
        """A car comes and waits for its authorisation."""
        self.world.plug_in(1, CarOrder(**order))  # type: ignore[arg-type]
        await self.reaches(VehicleStage.WAITING_AUTHORISATION)

    async def charge(self) -> None:
        await self.arrive()
        self.shelf.assign({1: 10})
        self.link.announce_limits(1000.0, 500.0, 400_000.0)
        self.link.authorise(True)
        await self.reaches(VehicleStage.CHARGE)
        await self.until(lambda: self.link.vehicle().target_current_a > 50.0)

    def vehicle(self) -> Vehicle | None:
        """The report, or None while the HAL would take the device for lost."""
        with suppress(DriverError):
            vehicle = self.link.vehicle()
            return vehicle if self.now() - vehicle.mono_s <= self.link.stale_after_s else None
        return None

    @property
    def stages(self) -> list[VehicleStage]:
        """The reported stages, each once."""
        found = [vehicle.stage for vehicle in self.reported]
        return [stage for before, stage in zip([None, *found], found, strict=False) if stage is not before]

    # --- the station ------------------------------------------------------------------------------------------

    def act(self) -> None:
        vehicle = self.vehicle()
        if vehicle is None:
            return
        output = self.shelf.reading(1)
        if vehicle.stage is VehicleStage.CABLE_CHECK:
            self._check_cable(vehicle, output.voltage_v)
        elif vehicle.stage in (VehicleStage.PRECHARGE, VehicleStage.CHARGE):
            self.shelf.set_output(1, vehicle.target_voltage_v, vehicle.target_current_a)
        else:
            self._tested = False
            self.shelf.switch_off(1)
            self.contactor.command(self.contactor.is_closed() and output.current_a >= 1.0)
        with suppress(DriverError):
            self.link.report_output(output.voltage_v, output.current_a, KOHM)

    def _check_cable(self, vehicle: Vehicle, volts: float) -> None:
        self.contactor.command(True)
        if volts > 490.0 and not vehicle.insulation_test:
            self._tested = True
        if not self._tested:
            self.shelf.set_output(1, 500.0, 2.0)
            return
        self.shelf.switch_off(1)
        if volts < 20.0 and self.passes_cable_check:
            self.link.finish_cable_check(True)


class SimulatedBench(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.local = LocalBus(new_world())
        self.link = SimulatedVehicleLink(EvseOptions(bus=self.local, evse=1))

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.act()
            self.local.send(FeedWatchdog())
            self.local.advance(0.025)
        raise AssertionError("never")

    async def unplug(self) -> None:
        self.world.faults.set(Fault.VEHICLE_LINK, 1, True)

    async def plug_in(self) -> None:
        self.world.faults.set(Fault.VEHICLE_LINK, 1, False)

    def now(self) -> float:
        return self.local.mono_s


@asynccontextmanager
async def simulated() -> AsyncIterator[Bench]:
    bench = SimulatedBench()
    bench.wire()
    yield bench


class AdvanticsBench(Bench):
    def __init__(self, secc: SeccBench) -> None:
        super().__init__()
        self.secc = secc
        self.local = secc.local
        self.link = secc.driver(1)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30.0):
            while not condition():
                self.act()
                await asyncio.sleep(0.03)

    async def unplug(self) -> None:
        self.secc.boards[1].close()

    async def plug_in(self) -> None:
        await self.secc.boards[1].start()

    def now(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def advantics() -> AsyncIterator[Bench]:
    async with secc_bench() as secc:
        bench = AdvanticsBench(secc)
        bench.wire()
        await bench.until(lambda: bench.vehicle() is not None and bench.link.vehicle().pilot is Pilot.A)
        yield bench
        bench.link.close()
        assert secc.violations == []


on_each_bench = in_virtual_time(simulated, advantics)


@on_each_bench
async def test_a_session_is_reported_stage_by_stage(bench: Bench) -> None:
    await bench.charge()
    vehicle = bench.link.vehicle()
    assert (vehicle.pilot, vehicle.locked, vehicle.soc_percent) == (Pilot.C, True, 20.0)
    assert (vehicle.max_voltage_v, vehicle.max_current_a, vehicle.max_power_w) == (420.0, 600.0, 250_000.0)
    await bench.until(lambda: bench.link.vehicle().evcc_id == "02BA7700A001")
    bench.link.request_stop()
    await bench.reaches(VehicleStage.ENDED)
    assert not bench.link.vehicle().locked
    bench.world.plug_out(1, force=False)
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.A)
    assert bench.stages[-9:] == [
        VehicleStage.NEGOTIATING,
        VehicleStage.WAITING_AUTHORISATION,
        VehicleStage.CABLE_CHECK,
        VehicleStage.PRECHARGE,
        VehicleStage.CHARGE,
        VehicleStage.STOP,
        VehicleStage.WELDING_DETECTION,
        VehicleStage.ENDED,
        VehicleStage.NONE,
    ]
    assert bench.link.vehicle().evcc_id is None
    assert bench.evse.contactor.openings_under_load == 0


@on_each_bench
async def test_each_change_is_reported_once(bench: Bench) -> None:
    await bench.arrive()
    bench.link.authorise(True)
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    await bench.reaches(VehicleStage.CABLE_CHECK)
    edges = [(each.pilot, each.stage, each.locked, each.evcc_id) for each in bench.reported]
    assert len(edges) == len(set(edges))


@on_each_bench
async def test_vehicle_waits_for_its_authorisation_which_may_be_taken_back(bench: Bench) -> None:
    await bench.arrive()
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    bench.link.authorise(False)
    waited_since = bench.now()
    await bench.until(lambda: bench.now() - waited_since > 1.0)
    assert bench.link.vehicle().stage is VehicleStage.WAITING_AUTHORISATION
    bench.passes_cable_check = False
    bench.link.authorise(True)
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    bench.link.authorise(True)
    await bench.reaches(VehicleStage.CABLE_CHECK)
    bench.link.authorise(False)
    await bench.reaches(VehicleStage.ENDED)


@on_each_bench
async def test_cable_check_lasts_until_it_is_finished(bench: Bench) -> None:
    bench.passes_cable_check = False
    await bench.arrive()
    bench.shelf.assign({1: 10})
    bench.link.authorise(True)
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    await bench.reaches(VehicleStage.CABLE_CHECK)
    bled = bench.now() + 4.0
    await bench.until(lambda: bench.now() > bled)
    assert bench.link.vehicle().stage is VehicleStage.CABLE_CHECK
    bench.link.finish_cable_check(True)
    await bench.reaches(VehicleStage.PRECHARGE)


@on_each_bench
async def test_failed_cable_check_ends_the_session(bench: Bench) -> None:
    bench.passes_cable_check = False
    await bench.arrive()
    bench.link.authorise(True)
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    await bench.reaches(VehicleStage.CABLE_CHECK)
    bench.link.finish_cable_check(False)
    await bench.reaches(VehicleStage.ENDED)


@pytest.mark.parametrize(("current_a", "power_w", "most_a"), [(60.0, 400_000.0, 60.0), (500.0, 20_000.0, 60.0)])
@on_each_bench
async def test_vehicle_follows_a_lower_limit(bench: Bench, current_a: float, power_w: float, most_a: float) -> None:
    await bench.charge()
    bench.link.announce_limits(1000.0, current_a, power_w)
    await bench.until(lambda: 30.0 < bench.link.vehicle().target_current_a <= most_a)


@on_each_bench
async def test_limit_of_nothing_is_no_request(bench: Bench) -> None:
    await bench.charge()
    bench.link.announce_limits(1000.0, 0.0, 0.0)
    await bench.until(lambda: bench.link.vehicle().target_current_a < 0.5)
    assert bench.link.vehicle().stage is VehicleStage.CHARGE


@on_each_bench
async def test_emergency_stop_ends_the_session(bench: Bench) -> None:
    await bench.charge()
    bench.link.emergency_stop()
    await bench.reaches(VehicleStage.ENDED)
    assert bench.evse.car is not None
    assert not bench.evse.car.contactor_closed


@on_each_bench
async def test_vehicle_that_sleeps_is_woken(bench: Bench) -> None:
    await bench.charge()
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.SLEEP
    bench.link.request_stop()
    await bench.reaches(VehicleStage.ENDED)
    bench.link.authorise(False)
    await bench.until(lambda: bench.evse.car is not None and bench.evse.car.stage is VehicleStage.ENDED)
    bench.reported.clear()
    bench.link.wake()
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.F)
    await bench.reaches(VehicleStage.WAITING_AUTHORISATION)
    assert Pilot.A not in {vehicle.pilot for vehicle in bench.reported}
    bench.link.authorise(True)
    bench.link.announce_limits(1000.0, 500.0, 400_000.0)
    await bench.reaches(VehicleStage.CHARGE)


@on_each_bench
async def test_evse_out_of_service(bench: Bench) -> None:
    bench.link.set_available(False)
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.F)
    bench.world.plug_in(1, CarOrder())
    bench.link.set_available(True)
    await bench.reaches(VehicleStage.WAITING_AUTHORISATION)
    bench.link.set_available(False)
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.F)
    assert bench.link.vehicle().stage in (VehicleStage.NONE, VehicleStage.ENDED)


@on_each_bench
async def test_silent_device_is_lost_until_it_is_back(bench: Bench) -> None:
    await bench.arrive()
    await bench.unplug()
    await bench.until(lambda: bench.vehicle() is None)
    await bench.plug_in()
    await bench.until(lambda: bench.vehicle() is not None)
    await bench.reaches(VehicleStage.WAITING_AUTHORISATION)
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.B)


@on_each_bench
async def test_unplugged_car_takes_its_identity_along(bench: Bench) -> None:
    await bench.arrive()
    await bench.until(lambda: bench.reported)
    bench.world.plug_out(1, force=True)
    await bench.until(lambda: bench.link.vehicle().pilot is Pilot.A)
    vehicle = bench.link.vehicle()
    assert (vehicle.stage, vehicle.evcc_id, vehicle.soc_percent) == (VehicleStage.NONE, None, None)


@on_each_bench
async def test_closed_driver_leaves_no_session(bench: Bench) -> None:
    await bench.charge()
    bench.link.close()
    car = bench.evse.car
    assert car is not None
    await bench.until(lambda: not car.contactor_closed)
