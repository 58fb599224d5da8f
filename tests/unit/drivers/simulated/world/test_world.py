# SPDX-License-Identifier: Apache-2.0
"""The world as a whole: energy is conserved, the safety chain holds, cars follow their stages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.world.car import PRECHARGE_LIMIT_S, Misbehaviour
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import ContactorMoved, WorldRefused
from firmware.contract import Fault
from hal.ports import Pilot, VehicleStage
from tests.support.world_bench import TICK_S, PoliteStation, WorldBench


def charging(order: CarOrder | None = None, *, evse: int = 2, speed: float = 1.0) -> tuple[WorldBench, PoliteStation]:
    bench = WorldBench(evse, speed=speed)
    station = PoliteStation(bench)
    station.charge(order)
    return bench, station


# --- a session -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("evse", "volts"), [(1, 420), (2, 840)])
def test_usual_car_reaches_its_power_within_seconds(evse: int, volts: int) -> None:
    bench, _ = charging(evse=evse)
    sample = bench.meter.sample()
    assert 150_000 < sample.power_w <= 275_000
    assert sample.voltage_v <= volts
    assert bench.vehicle.vehicle().locked


def test_stages_come_in_their_order_and_in_real_time() -> None:
    bench = WorldBench(speed=100.0)
    seen: list[VehicleStage] = []
    bench.vehicle.listen(lambda vehicle: seen.append(vehicle.stage))
    station = PoliteStation(bench)
    bench.world.plug_in(2, CarOrder(soc_percent=79.5))
    start = bench.bus.mono_s
    station.run_until(VehicleStage.CHARGE)
    assert 2.0 < bench.bus.mono_s - start < 6.0
    station.run_until(VehicleStage.ENDED)
    stages = list(dict.fromkeys(seen))
    assert stages == [
        VehicleStage.NEGOTIATING,
        VehicleStage.WAITING_AUTHORISATION,
        VehicleStage.CABLE_CHECK,
        VehicleStage.PRECHARGE,
        VehicleStage.CHARGE,
        VehicleStage.STOP,
        VehicleStage.WELDING_DETECTION,
        VehicleStage.ENDED,
    ]
    assert not bench.vehicle.vehicle().locked
    assert bench.evse.contactor.openings_under_load == 0


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_register_is_the_integral_of_power_times_speed(speed: float) -> None:
    bench, station = charging(CarOrder(capacity_kwh=200), speed=speed)
    register, soc = bench.evse.energy_wh, bench.evse.car.battery.soc_percent  # type: ignore[union-attr]
    integral = 0.0
    for _ in range(200):
        station.play(TICK_S)
        integral += bench.evse.power_w * TICK_S / 3600 * speed
    gained = bench.evse.energy_wh - register
    stored = (bench.evse.car.battery.soc_percent - soc) / 100 * 200_000  # type: ignore[union-attr]
    assert gained == pytest.approx(integral, rel=0.01)
    assert 0.93 * gained < stored < gained, "the rest is heat in the pack"


@settings(max_examples=12)
@given(
    soc=st.floats(5, 75),
    max_kw=st.floats(20, 350),
    max_a=st.floats(20, 500),
    max_v=st.floats(300, 900),
    seed=st.integers(0, 1000),
)
def test_readings_are_possible_for_every_car(soc: float, max_kw: float, max_a: float, max_v: float, seed: int) -> None:
    bench = WorldBench(2, seed=seed)
    station = PoliteStation(bench, groups=6)
    bench.world.plug_in(2, CarOrder(soc_percent=soc, max_kw=max_kw, max_a=max_a, max_v=max_v))
    register = 0.0
    for _ in range(160):
        station.play(TICK_S)
        sample = bench.meter.sample()
        assert sample.energy_wh >= register
        register = sample.energy_wh
        assert 0 <= sample.current_a <= max_a * 1.01
        assert sample.power_w <= min(max_kw * 1000, 240_000) * 1.01
        assert bench.evse.car is not None
        if bench.evse.car.contactor_closed:
            assert sample.voltage_v <= max_v * 1.01
    assert register > 0
    assert bench.evse.contactor.openings_under_load == 0


def test_car_requests_less_as_it_fills_and_stops_at_its_target() -> None:
    bench, station = charging(CarOrder(soc_percent=45), speed=20.0)
    bench.world.speed = 200.0
    full = bench.vehicle.vehicle().target_current_a
    while bench.evse.car is not None and bench.evse.car.battery.soc_percent < 75:
        station.play(TICK_S)
    assert bench.vehicle.vehicle().target_current_a < 0.75 * full
    station.run_until(VehicleStage.ENDED)
    assert bench.evse.car is not None
    assert bench.evse.car.battery.soc_percent >= 80


def test_zero_is_measured_as_zero() -> None:
    bench = WorldBench()
    bench.advance(1.0)
    sample = bench.meter.sample()
    assert (sample.current_a, sample.voltage_v, sample.power_w) == (0.0, 0.0, 0.0)


def test_announced_limit_is_kept_by_the_car() -> None:
    bench, station = charging()
    bench.vehicle.announce_limits(1000, 500, 50_000)
    station.play(2.0)
    assert bench.meter.sample().power_w == pytest.approx(50_000, rel=0.02)
    bench.vehicle.announce_limits(1000, 500, 0)
    station.play(1.0)
    assert bench.meter.sample().current_a == 0
    assert bench.vehicle.vehicle().stage is VehicleStage.CHARGE


# --- cars that break the rules -----------------------------------------------------------------------------------


def test_car_that_is_not_ready_stays_in_b_until_it_is() -> None:
    bench = WorldBench()
    station = PoliteStation(bench)
    bench.world.plug_in(2, CarOrder(ready=False))
    station.play(5.0)
    vehicle = bench.vehicle.vehicle()
    assert (vehicle.pilot, vehicle.stage) == (Pilot.B, VehicleStage.WAITING_AUTHORISATION)
    assert bench.evse.car is not None
    bench.evse.car.ready = True
    station.run_until(VehicleStage.CHARGE)
    bench.evse.car.ready = False
    station.run_until(VehicleStage.ENDED)
    bench.evse.car.ready = True
    station.run_until(VehicleStage.CHARGE)


def test_suspended_car_requests_no_current_and_stays() -> None:
    bench, station = charging()
    assert bench.evse.car is not None
    bench.evse.car.suspended = True
    station.play(2.0)
    vehicle = bench.vehicle.vehicle()
    assert (vehicle.stage, vehicle.target_current_a) == (VehicleStage.CHARGE, 0.0)
    assert bench.meter.sample().current_a == 0
    bench.evse.car.suspended = False
    station.play(2.0)
    assert bench.meter.sample().current_a > 100


def test_new_authorisation_on_the_same_plug_wakes_the_car() -> None:
    bench, station = charging()
    bench.vehicle.request_stop()
    station.run_until(VehicleStage.ENDED)
    station.play(3.0)
    assert bench.vehicle.vehicle().stage is VehicleStage.ENDED, "the old authorisation is used up"
    bench.vehicle.authorise(False)
    bench.vehicle.authorise(True)
    station.run_until(VehicleStage.CHARGE)


@pytest.mark.parametrize("still", [VehicleStage.STOP, VehicleStage.WELDING_DETECTION, VehicleStage.ENDED])
def test_authorisation_that_comes_while_the_car_still_stops_is_seen_afterwards(still: VehicleStage) -> None:
    bench, station = charging()
    bench.vehicle.authorise(False)
    station.run_until(still)
    bench.vehicle.authorise(True)
    station.run_until(VehicleStage.CHARGE)


def test_car_that_sleeps_begins_when_its_pilot_is_interrupted() -> None:
    bench, station = charging()
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.SLEEP
    bench.vehicle.authorise(False)
    station.run_until(VehicleStage.ENDED)
    bench.vehicle.authorise(True)
    station.play(3.0)
    assert bench.vehicle.vehicle().stage is VehicleStage.ENDED
    bench.vehicle.wake()
    station.play(0.1)
    assert bench.vehicle.vehicle().pilot is Pilot.F
    station.run_until(VehicleStage.CHARGE)


def test_withdrawn_authorisation_ends_the_session() -> None:
    bench, station = charging()
    bench.vehicle.authorise(False)
    station.run_until(VehicleStage.ENDED)


def test_refused_precharge_ends_after_the_cars_timeout() -> None:
    bench = WorldBench()
    station = PoliteStation(bench)
    bench.world.plug_in(2, CarOrder())
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.REFUSE_PRECHARGE
    station.run_until(VehicleStage.PRECHARGE)
    station.play(PRECHARGE_LIMIT_S - 1)
    assert bench.vehicle.vehicle().stage is VehicleStage.PRECHARGE
    station.run_until(VehicleStage.ENDED, limit_s=2.0)


def test_over_voltage_request_is_above_the_cars_maximum() -> None:
    bench, station = charging()
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.OVER_VOLTAGE_REQUEST
    station.play(0.1)
    vehicle = bench.vehicle.vehicle()
    assert vehicle.target_voltage_v > vehicle.max_voltage_v


def test_dropped_pilot_under_load_is_restored() -> None:
    bench, station = charging()
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.DROP_PILOT
    bench.advance(0.1)
    assert bench.vehicle.vehicle().pilot is Pilot.A
    assert bench.meter.sample().current_a == 0
    bench.evse.car.misbehave = Misbehaviour.NONE
    bench.advance(0.1)
    assert bench.vehicle.vehicle().pilot is Pilot.B
    station.run_until(VehicleStage.CHARGE)


def test_held_current_at_stop_ends_only_by_the_station() -> None:
    bench, station = charging()
    assert bench.evse.car is not None
    bench.evse.car.misbehave = Misbehaviour.HOLD_CURRENT
    bench.vehicle.request_stop()
    bench.advance(2.0)
    assert bench.vehicle.vehicle().stage is VehicleStage.STOP
    assert bench.vehicle.vehicle().target_current_a > 100
    assert bench.meter.sample().current_a > 100
    bench.shelf.switch_off(2)
    station.run_until(VehicleStage.ENDED)


def test_failed_cable_check_ends_the_session() -> None:
    bench = WorldBench()
    bench.world.plug_in(2, CarOrder())
    station = PoliteStation(bench)
    station.run_until(VehicleStage.CABLE_CHECK)
    bench.vehicle.finish_cable_check(False)
    bench.advance(0.1)
    assert bench.vehicle.vehicle().stage is VehicleStage.ENDED


def test_evse_out_of_service_shows_pilot_f_and_starts_no_session() -> None:
    bench = WorldBench()
    bench.vehicle.set_available(False)
    bench.world.plug_in(2, CarOrder())
    bench.advance(3.0)
    vehicle = bench.vehicle.vehicle()
    assert (vehicle.pilot, vehicle.stage) == (Pilot.F, VehicleStage.NONE)


# --- plugs ------------------------------------------------------------------------------------------------------


def test_one_plug_holds_one_car() -> None:
    bench = WorldBench()
    bench.world.plug_in(2, CarOrder())
    with pytest.raises(WorldRefused, match="already has a car"):
        bench.world.plug_in(2, CarOrder())
    bench.world.plug_out(2, force=False)
    with pytest.raises(WorldRefused, match="no car"):
        bench.world.plug_out(2, force=False)


def test_latch_holds_under_load_and_breaks_by_force() -> None:
    bench, _ = charging()
    with pytest.raises(WorldRefused, match="holds the plug"):
        bench.world.plug_out(2, force=False)
    bench.world.plug_out(2, force=True)
    bench.advance(0.1)
    assert bench.vehicle.vehicle().pilot is Pilot.A
    assert bench.meter.sample().current_a == 0


def test_latch_opens_when_the_contactor_is_open() -> None:
    bench, station = charging()
    bench.vehicle.request_stop()
    station.run_until(VehicleStage.WELDING_DETECTION)
    while bench.contactor.is_closed():
        station.play(0.025)
    bench.world.plug_out(2, force=False)  # the EV driver unlocks the car
    bench.advance(0.1)
    assert bench.vehicle.vehicle().pilot is Pilot.A


# --- the safety chain ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.EMERGENCY_STOP, Fault.DOOR_OPEN])
def test_hard_wired_chain_needs_no_hal(fault: Fault) -> None:
    bench, _ = charging()
    bench.world.faults.set(fault, None, True)
    bench.advance(0.2)
    assert not bench.contactor.is_closed()
    assert bench.shelf.reading(2).current_a == 0
    bench.contactor.command(True)
    bench.shelf.set_output(2, 400, 10)
    bench.advance(1.0)
    assert not bench.contactor.is_closed(), "nothing closes while the chain is open"
    assert bench.shelf.reading(2).voltage_v < 60


def test_released_button_closes_nothing_by_itself() -> None:
    bench, _ = charging()
    bench.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    bench.advance(0.5)
    bench.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    bench.advance(2.0)
    assert not bench.contactor.is_closed()


def test_unfed_watchdog_opens_contactors_in_little_more_than_a_second() -> None:
    bench, _ = charging()
    for _ in range(26):
        bench.bus.advance(TICK_S)
    assert not bench.contactor.is_closed()
    assert bench.shelf.reading(2).current_a == 0


def test_stalled_simulation_is_no_stalled_hal() -> None:
    bench, _ = charging()
    bench.bus.advance(1.9)
    assert bench.contactor.is_closed()


def test_disconnected_hal_stops_everything_and_the_register_stays() -> None:
    bench, _ = charging()
    register = bench.evse.register_wh
    bench.bus.close()
    for step in range(20):
        bench.world.step(bench.bus.mono_s + step * TICK_S)
    assert not bench.evse.contactor.closed
    assert bench.evse.car is not None
    assert bench.evse.car.stage is VehicleStage.ENDED
    assert bench.evse.register_wh >= register > 0


def test_power_cut_darkens_displays_and_opens_contactors() -> None:
    bench, _ = charging()
    bench.world.power_off()
    bench.world.step(bench.bus.mono_s + 0.5)
    assert not bench.evse.contactor.closed
    assert {display.page for display in bench.world.displays.values()} == {"off"}
    assert ContactorMoved(2, False) in bench.world.happened


def test_welded_contactor_stays_closed_until_the_fault_is_cleared() -> None:
    bench = WorldBench()
    bench.world.faults.set(Fault.CONTACTOR_WELDED, 2, True)
    bench.advance(0.1)
    assert bench.contactor.is_closed()
    bench.world.faults.set(Fault.CONTACTOR_WELDED, 2, False)
    bench.advance(0.1)
    assert not bench.contactor.is_closed()


def test_fault_without_an_evse_is_that_of_all_and_cleared_everywhere() -> None:
    bench, _ = charging()
    faults, evses = bench.world.faults, bench.world.evses.values()
    faults.set(Fault.METER, None, True)
    assert [evse.meter_failed for evse in evses] == [True, True]
    faults.set(Fault.METER, 1, False)
    assert [evse.meter_failed for evse in evses] == [False, True]
    faults.set(Fault.GROUND_FAULT, 1, True)
    faults.set(Fault.METER, None, False)
    assert [evse.meter_failed for evse in evses] == [False, False]
    faults.set(Fault.GROUND_FAULT, None, False)
    assert faults.present() == frozenset()


def test_opening_under_load_is_counted() -> None:
    bench, _ = charging()
    bench.contactor.command(False)
    bench.advance(0.5)
    assert bench.evse.contactor.openings_under_load == 1
