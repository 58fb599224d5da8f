# SPDX-License-Identifier: Apache-2.0
"""Any frame lost, late, doubled or corrupted ends in a safe state or recovers.

The HAL charges two cars while the frames of the vehicles' bus have bad luck. Whatever it does to the sessions: nothing
raises, no car is taken for another, and a bus that is silent leaves no power on. When the bus is good again, both
outlets charge as if nothing had been.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from firmware import contract
from hal.ports import Pilot
from tests.support.bus_weather import Weather
from tests.support.secc_bench import SeccStation, secc_station
from tests.support.virtual_time import run_in_virtual_time

pytestmark = pytest.mark.slow

SHARES = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.2])
EVCC_IDS = {1: "02BA7700A001", 2: "02BA7700B002"}
LATEST_S = 0.7
"""A late frame may still arrive for so long."""
CUT_WITHIN_S = 0.6
"""200 ms of silence, one cycle of the control loop, and the fall of 500 A in the modules."""


@given(
    seed=st.integers(0, 1_000_000),
    lost=SHARES,
    late=SHARES,
    doubled=SHARES,
    corrupted=st.sampled_from([0.0, 0.0, 0.002, 0.02]),
)
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_bad_frames_end_in_a_safe_state_or_are_made_good(
    seed: int, lost: float, late: float, doubled: float, corrupted: float
) -> None:
    run_in_virtual_time(_charge_in(Weather(seed, lost=lost, late=late, doubled=doubled, corrupted=corrupted)))


@pytest.mark.parametrize("kind", ["lost", "late", "doubled", "corrupted"])
def test_each_kind_of_bad_frame(kind: str) -> None:
    shares = {"lost": 0.0, "late": 0.0, "doubled": 0.0, "corrupted": 0.0, kind: 0.1}
    run_in_virtual_time(_charge_in(Weather(1, **shares)))


async def _charge_in(weather: Weather) -> None:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))
    async with secc_station() as station:
        await station.plug(1, 2)
        station.bench.hub.fault = weather
        station.permit(1, 2)
        await station.play(20.0)
        await _cut_by_silence(station, LATEST_S if weather.delays else 0.0)
        station.bench.hub.fault = None
        await _start_over(station)
        identified = [event for event in station.events if isinstance(event, contract.VehicleIdentified)]
        assert {(each.evse, each.evcc_id) for each in identified} <= set(EVCC_IDS.items())
    assert raised == []


async def _cut_by_silence(station: SeccStation, late_s: float) -> None:
    """Nothing is heard of the boards any more: wherever the sessions are, there is no power a moment later."""
    station.bench.hub.fault = lambda _id, _data: ()
    await station.play(late_s + CUT_WITHIN_S)
    assert [station.bench.world.evses[evse].bank.current_a for evse in (1, 2)] == [0.0, 0.0]
    await station.until(lambda: station.is_safe(1) and station.is_safe(2))


async def _start_over(station: SeccStation) -> None:
    """The cars leave, come back, and charge."""
    station.withdraw(1, 2)
    for evse in (1, 2):
        if station.bench.world.evses[evse].car is not None:
            station.bench.world.plug_out(evse, force=True)
    await station.until(lambda: all(station.pilot(evse) is Pilot.A for evse in (1, 2)))
    await station.until(lambda: all(station.phase(evse) is contract.Phase.IDLE for evse in (1, 2)))
    assert station.present(1) == station.present(2) == set()
    await station.plug(1, 2)
    await station.charge(1, 2)
