# SPDX-License-Identifier: Apache-2.0
"""What the stages have in common: the ramp, the announcing of limits, and the table as the only way on."""

from __future__ import annotations

import pytest

from firmware.contract import Cause
from hal.evse.model import AnnounceLimits, Limits, State
from hal.evse.run import ENFORCE_S, Run
from hal.evse.table import Stage, Trigger
from tests.support.evse_bench import PERIOD_S, RATING, EvseBench


def test_rise_is_25_a_per_second_and_fall_at_once(bench: EvseBench) -> None:
    bench.wanted_a = 200.0
    bench.bring_to(Stage.CHARGING)
    start = bench.now
    while bench.current_a < 200.0 and bench.now < start + 20.0:
        bench.run(PERIOD_S)
        assert bench.current_a <= 2.0 + 25.0 * (bench.now - start + PERIOD_S) + 1e-6
    assert bench.now - start == pytest.approx(8.0, abs=0.3)
    bench.wanted_a = 20.0
    bench.run(PERIOD_S)
    assert bench.current_a == 20.0


def test_lower_limit_is_announced_before_it_is_enforced(bench: EvseBench) -> None:
    bench.charge()
    bench.run(3.0)
    assert bench.current_a == pytest.approx(100.0)
    bench.limit(20_000.0)
    bench.sample()
    assert bench.taken(AnnounceLimits)[-1].power_w == 20_000.0
    bench.run(ENFORCE_S - 0.2)
    assert bench.current_a == pytest.approx(100.0)
    bench.run(0.4)
    assert bench.current_a == pytest.approx(20_000.0 / 430.0, rel=0.01)


def test_vehicle_that_follows_the_announcement_is_not_made_to_wait(bench: EvseBench) -> None:
    bench.charge()
    bench.limit(20_000.0)
    bench.wanted_a = 40.0
    bench.run(0.2)
    assert bench.state.offered.power_w == 20_000.0


def test_derating_that_continues_is_enforced_all_the_same(bench: EvseBench) -> None:
    """A ceiling that falls with every sample must not defer its enforcement for ever."""
    bench.charge()
    bench.run(3.0)
    for step in range(90):
        bench.ceiling = Limits(100.0 - step, 400_000.0)
        bench.run(PERIOD_S)
    assert bench.current_a <= 52.0


def test_small_changes_are_not_announced(bench: EvseBench) -> None:
    bench.charge()
    before = len(bench.taken(AnnounceLimits))
    bench.ceiling = Limits(499.0, 400_000.0)
    bench.run(0.5)
    assert len(bench.taken(AnnounceLimits)) == before


def test_transition_that_is_not_in_the_table_raises() -> None:
    with pytest.raises(KeyError):
        Run(State(evse=1, rating=RATING), 0.0).fire(Trigger.RESUME, Cause.SEQUENCE)
