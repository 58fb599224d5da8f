# SPDX-License-Identifier: Apache-2.0
"""Whole sessions of the HAL with simulated cars behind SECC boards: the usual ones, and every one that goes wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.simulated.world.car import Misbehaviour
from firmware.contract import Fault, Phase, SetLimit, Unplugged
from hal.ports import VehicleStage
from tests.support.secc_bench import SeccStation, secc_station
from tests.support.virtual_time import in_virtual_time
from tools.rig.devices.secc import SeccBoard

in_a_station = in_virtual_time(secc_station)


@in_a_station
async def test_two_sessions_on_each_outlet_at_once(station: SeccStation) -> None:
    """The second on the same cable: one car takes its time to end the first, the other one sleeps after it."""
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.car(1).misbehave, station.car(2).misbehave = Misbehaviour.SLOW_END, Misbehaviour.SLEEP
    station.withdraw(1, 2)
    await station.until(lambda: all(station.phase(evse) is Phase.FINISHED for evse in (1, 2)))
    await station.charge(1, 2)
    station.withdraw(1, 2)
    await station.until(lambda: not (station.car(1).locked or station.car(2).locked))
    for evse in (1, 2):
        station.bench.world.plug_out(evse, force=False)
    await station.until(lambda: all(station.phase(evse) is Phase.IDLE for evse in (1, 2)))
    assert station.raised(1) == station.raised(2) == {}
    assert station.bench.violations == []
    assert all(evse.contactor.openings_under_load == 0 for evse in station.bench.world.evses.values())


@in_a_station
async def test_car_that_does_not_stop_drawing_and_one_that_is_full(station: SeccStation) -> None:
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.car(1).misbehave = Misbehaviour.HOLD_CURRENT
    station.withdraw(1)
    station.car(2).target_soc_percent = 10.0
    await station.until(lambda: all(station.phase(evse) is Phase.FINISHED for evse in (1, 2)))
    assert station.is_safe(1)
    assert station.is_safe(2)
    assert station.raised(1) == station.raised(2) == {}


@in_a_station
async def test_cars_that_do_not_come_to_energy(station: SeccStation) -> None:
    """No pre-charge is the car's own failure; bad insulation is a ground fault."""
    await station.plug(1, 2)
    station.car(1).misbehave = Misbehaviour.REFUSE_PRECHARGE
    station.car(2).insulation_kohm = 20.0
    station.permit(1, 2)
    await station.until(lambda: station.phase(1) is Phase.PRECHARGE)
    await station.until(lambda: station.phase(1) is Phase.FINISHED and station.phase(2) is Phase.FAULTED)
    await station.until(lambda: station.car(2).stage is VehicleStage.ENDED)
    assert station.is_safe(1)
    assert station.is_safe(2)
    assert set(station.raised(1)) == set()
    assert set(station.raised(2)) == {Fault.ISOLATION}


@in_a_station
async def test_boards_that_test_the_insulation_for_longer_or_at_a_higher_voltage(station: SeccStation) -> None:
    """The documents disagree on the cycles, and the voltage is the board's own choice."""
    station.bench.boards[1].test_cycles = 50
    station.bench.boards[2].test_v = 990.0
    await station.plug(1, 2)
    await station.charge(1, 2)
    assert station.raised(1) == station.raised(2) == {}


@in_a_station
async def test_board_that_does_not_end_its_insulation_test(station: SeccStation) -> None:
    await station.plug(1)
    station.bench.boards[1].test_cycles = 10_000
    station.permit(1)
    await station.until(lambda: station.phase(1) is Phase.FAULTED and station.is_safe(1))
    assert station.raised(1) == {Fault.CABLE_CHECK: "SECC does not end its insulation test"}
    await station.until(lambda: station.car(1).stage is VehicleStage.ENDED)


@in_a_station
async def test_car_that_requests_too_much_voltage_and_one_that_lets_the_pilot_go(station: SeccStation) -> None:
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.car(1).misbehave, station.car(2).misbehave = Misbehaviour.OVER_VOLTAGE_REQUEST, Misbehaviour.DROP_PILOT
    await station.until(lambda: station.phase(1) is Phase.FAULTED and station.is_safe(1))
    await station.until(lambda: station.phase(2) is Phase.IDLE and station.is_safe(2))
    assert set(station.raised(1)) == {Fault.OVER_VOLTAGE}
    assert any(isinstance(event, Unplugged) and event.forced for event in station.events)
    station.car(2).misbehave = Misbehaviour.NONE
    await station.charge(2)


@in_a_station
async def test_car_that_stops_at_once(station: SeccStation) -> None:
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.bench.boards[1].stop_by_vehicle()
    await station.until(lambda: station.phase(1) is Phase.FINISHED and station.is_safe(1))
    assert station.raised(1) == {}
    assert station.phase(2) is Phase.CHARGING


@in_a_station
async def test_cars_that_are_not_ready_for_a_while(station: SeccStation) -> None:
    """Before the session, and in the middle of it: both go on under the same permission."""
    await station.plug(1, 2)
    station.car(1).ready = False
    station.permit(1)
    await station.charge(2)
    station.car(2).ready = False
    await station.until(lambda: station.phase(2) is Phase.FINISHED and station.car(2).stage is VehicleStage.ENDED)
    assert station.phase(1) is Phase.AUTHORISED
    station.car(1).ready = station.car(2).ready = True
    await station.until(lambda: all(station.bench.world.evses[evse].current_a > 20.0 for evse in (1, 2)))
    assert station.raised(1) == station.raised(2) == {}
    assert station.bench.violations == []


@in_a_station
async def test_limit_of_nothing_suspends_a_session_from_its_beginning(station: SeccStation) -> None:
    station.cabinet.execute(SetLimit(evse=1, power_w=0.0))
    await station.plug(1)
    station.permit(1)
    await station.until(lambda: station.phase(1) is Phase.PAUSED)
    station.cabinet.execute(SetLimit(evse=1, power_w=None))
    await station.charge(1)
    station.cabinet.execute(SetLimit(evse=1, power_w=0.0))
    await station.until(lambda: station.phase(1) is Phase.PAUSED)
    assert station.car(1).stage is VehicleStage.CHARGE
    station.cabinet.execute(SetLimit(evse=1, power_w=None))
    await station.until(lambda: station.bench.world.evses[1].current_a > 20.0)
    assert station.raised(1) == {}


@in_a_station
async def test_stop_button_is_not_reported_as_a_fault_of_the_boards(station: SeccStation) -> None:
    """Each board answers the loss of `system enable` with an emergency stop of its own."""
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.bench.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    await station.until(lambda: station.is_safe(1) and station.is_safe(2))
    await station.until(lambda: all(station.car(evse).stage is VehicleStage.ENDED for evse in (1, 2)))
    await station.play(2.0)
    station.bench.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    await station.until(lambda: all(station.phase(evse) is Phase.PLUGGED for evse in (1, 2)))
    assert station.raised(1) == station.raised(2) == {}
    await station.charge(1, 2)


def reboot(board: SeccBoard) -> None:
    board.boot_s = 1.0
    board.boot()


def set_to(name: str, value: object) -> Callable[[SeccBoard], None]:
    return lambda board: setattr(board, name, value)


@pytest.mark.parametrize(
    ("break_it", "mend_it", "detail"),
    [
        pytest.param(set_to("silent", True), set_to("silent", False), "SECC of index 1 is silent", id="silent"),
        pytest.param(reboot, lambda board: None, "SECC of index 1 is silent", id="restarted"),
        pytest.param(set_to("index", 7), set_to("index", 1), "SECC of index 1 is silent", id="another index"),
        pytest.param(
            set_to("interlock_open", True), set_to("interlock_open", False), "check its interlock line", id="interlock"
        ),
    ],
)
@in_a_station
async def test_board_in_trouble_is_a_fault_of_its_outlet_until_it_is_mended(
    station: SeccStation, break_it: Callable[[SeccBoard], None], mend_it: Callable[[SeccBoard], None], detail: str
) -> None:
    board = station.bench.boards[1]
    await station.plug(1, 2)
    await station.charge(1, 2)
    break_it(board)
    await station.until(lambda: station.phase(1) is Phase.FAULTED and station.is_safe(1))
    assert detail in station.raised(1)[Fault.VEHICLE_LINK]
    mend_it(board)
    await station.until(lambda: station.present(1) == set() and station.phase(1) is Phase.PLUGGED)
    assert (station.raised(2), station.phase(2)) == ({}, Phase.CHARGING)


@in_a_station
async def test_lost_bus_is_a_fault_of_all_its_outlets_until_it_is_back(station: SeccStation) -> None:
    await station.plug(1, 2)
    await station.charge(1, 2)
    station.bench.hub.close()
    await station.until(lambda: all(station.phase(evse) is Phase.FAULTED and station.is_safe(evse) for evse in (1, 2)))
    assert all("CAN bus" in station.raised(evse)[Fault.VEHICLE_LINK] for evse in (1, 2))
    await station.bench.hub.start()
    await station.until(lambda: all(station.phase(evse) is Phase.PLUGGED for evse in (1, 2)))
    await station.charge(1, 2)


@in_a_station
async def test_broken_sensor_of_the_plug_derates_the_current(station: SeccStation) -> None:
    station.bench.boards[1].plug_c = (25.0, None)
    await station.plug(1)
    await station.charge(1)
    assert station.bench.world.evses[1].secc.max_current_a <= 32.0
