# SPDX-License-Identifier: Apache-2.0
"""Which readings of a meter are believed."""

from __future__ import annotations

import copy
import math
import re

import pytest

from hal.evse.register import DOUBT_S, LAG_S, PROOF_S, SILENT_S, Register
from hal.ports import MeterSample, PowerReading
from tests.support.metered import MAX_POWER_W, PERIOD_S, VOLTS, Metered

ROLLED = 4294967295.0


@pytest.fixture
def meter() -> Metered:
    meter = Metered()
    meter.run(1.0)
    return meter


def charging(meter: Metered, *, amps: float = 100.0, seconds: float = 10.0) -> Metered:
    meter.begin()
    meter.amps = amps
    meter.run(seconds)
    return meter


# --- readings that are believed --------------------------------------------------------------------------------------


def test_the_first_reading_is_believed(meter: Metered) -> None:
    assert meter.energy_wh == 1000.0


@pytest.mark.parametrize("resolution_wh", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("every_s", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("amps", [3.0, 25.0, 500.0])
def test_a_true_meter_is_believed(resolution_wh: float, every_s: float, amps: float) -> None:
    """Whatever its resolution and however seldom it is read."""
    meter = Metered(resolution_wh=resolution_wh, every_s=every_s)
    meter.run(6.0)
    billed = meter.deliver(120.0, amps)
    assert (meter.register.outliers, meter.register.fault) == (0, None)
    assert billed == pytest.approx(meter.flowed_wh, abs=resolution_wh + every_s * VOLTS * amps / 3600 + 0.01)


@pytest.mark.parametrize("error", [-0.05, 0.05])
def test_modules_may_measure_the_current_with_an_error(error: float) -> None:
    meter = Metered()
    meter.module_error = error
    meter.run(1.0)
    assert meter.deliver(600.0, 200.0) == pytest.approx(meter.flowed_wh, abs=0.2)
    assert meter.register.outliers == 0


def test_modules_may_report_a_current_that_has_just_ended(meter: Metered) -> None:
    """They have failed, and what they measured last is a second old: the meter was faster. It stays where it is."""
    charging(meter, amps=300.0)
    meter.amps, meter.module_lag_a = 0.0, 300.0
    meter.run(0.8)
    meter.module_lag_a = 0.0
    meter.end()
    meter.run(60.0)
    assert (meter.register.outliers, meter.register.fault) == (0, None)


def test_a_register_may_be_two_seconds_behind(meter: Metered) -> None:
    """Also when the current ends at once."""
    meter.begin()
    meter.amps = 500.0
    shown = [meter.true_wh] * round(LAG_S / PERIOD_S)
    for second in range(200):
        meter.amps = 500.0 if second < 100 else 0.0
        meter.shown_wh = shown.pop(0)
        meter.run(PERIOD_S)
        shown.append(meter.true_wh)
    assert meter.register.outliers == 0
    assert meter.energy_wh == pytest.approx(meter.true_wh)


def test_more_energy_is_possible_after_a_gap(meter: Metered) -> None:
    charging(meter, amps=500.0)
    meter.lost = True
    meter.run(60.0)
    meter.lost = False
    meter.run(1.0)
    assert meter.register.outliers == 0
    assert meter.energy_wh == pytest.approx(meter.true_wh, abs=0.1)


def test_a_car_that_feeds_nothing_is_no_contradiction(meter: Metered) -> None:
    charging(meter, amps=0.0, seconds=600.0)
    assert meter.register.outliers == 0


def test_the_modules_of_a_hal_that_was_held_up_may_have_delivered_their_most(meter: Metered) -> None:
    charging(meter)
    meter.now += 8.0
    meter.true_wh += MAX_POWER_W * 8.0 / 3600.0
    meter.run(1.0)
    assert meter.register.outliers == 0


def test_silent_modules_may_deliver_the_rating(meter: Metered) -> None:
    charging(meter)
    register = meter.register
    for tenth in range(1, 50):
        now = meter.now + tenth / 10
        register = register.at(now, None, closed=True, max_power_w=MAX_POWER_W)
        risen = MeterSample(now, meter.energy_wh + MAX_POWER_W * tenth / 36_000.0, VOLTS, 900.0, 360_000.0)
        register = register.read(risen, now)
    assert register.outliers == 0


def test_the_same_reading_again_is_not_judged_again(meter: Metered) -> None:
    charging(meter)
    sample = meter.sample()
    register = meter.register.read(sample, meter.now)
    assert register.read(sample, meter.now + 1.0) is register


# --- outliers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [ROLLED, 0.0, 900.0, -1.0, math.nan, math.inf])
def test_an_outlier_is_bridged_and_counted_once(meter: Metered, shown: float) -> None:
    charging(meter)
    before = meter.energy_wh
    meter.shown_wh = shown
    meter.run(1.3)
    assert meter.energy_wh == before
    assert not meter.register.trusts(meter.sample())
    assert meter.register.doubt
    meter.shown_wh = None
    meter.run(1.0)
    assert (meter.register.outliers, meter.register.doubt, meter.register.fault) == (1, "", None)
    assert meter.register.trusts(meter.sample())
    assert meter.energy_wh == pytest.approx(meter.true_wh, abs=0.1)


def test_one_wrong_reading_of_a_meter_that_is_read_seldom_is_an_outlier() -> None:
    meter = Metered(every_s=5.0)
    meter.run(11.0)
    charging(meter, seconds=11.0)
    meter.shown_wh = ROLLED
    meter.run(9.0)
    meter.shown_wh = None
    meter.run(6.0)
    assert (meter.register.outliers, meter.register.fault) == (1, None)


def test_an_outlier_at_rest_is_bridged(meter: Metered) -> None:
    meter.shown_wh = ROLLED
    meter.run(1.3)
    assert meter.energy_wh == 1000.0
    meter.shown_wh = None
    meter.run(20.0)
    assert (meter.energy_wh, meter.register.outliers, meter.register.fault) == (1000.0, 1, None)


def test_an_unsound_voltage_or_current_makes_a_reading_unsound(meter: Metered) -> None:
    sample = MeterSample(meter.now + 1.0, 1000.0, math.nan, 0.0, 0.0)
    register = meter.register.read(sample, meter.now + 1.0)
    assert not register.trusts(sample)
    assert register.outliers == 1


def test_unsound_modules_count_as_silent() -> None:
    register = Register().at(0.0, PowerReading(0.0, math.nan, 1.0, 1), closed=False, max_power_w=MAX_POWER_W)
    register = register.read(MeterSample(0.0, 5.0, 0.0, 0.0, 0.0), 0.0)
    assert register.energy_wh == 5.0


def test_a_small_error_does_not_let_the_register_fall_in_a_delivery(meter: Metered) -> None:
    """Too much by less than what flows in two seconds can't be told; the true value then catches up."""
    charging(meter)
    meter.shown_wh = high = meter.true_wh + 15.0
    meter.run(PERIOD_S)
    meter.shown_wh = None
    meter.run(PERIOD_S)
    assert meter.energy_wh == high
    meter.run(3.0)
    assert meter.register.outliers == 0
    assert meter.energy_wh == pytest.approx(meter.true_wh, abs=0.1)


def test_the_next_delivery_begins_at_the_register_as_it_is(meter: Metered) -> None:
    charging(meter)
    meter.shown_wh = high = meter.true_wh + 15.0
    meter.run(PERIOD_S)
    meter.shown_wh = None
    meter.end()
    assert meter.energy_wh == high, "the stop reading is not below one that was published"
    meter.run(1.0)
    meter.begin()
    assert meter.begin_wh == pytest.approx(meter.true_wh, abs=0.1)
    assert meter.register.outliers == 0


# --- contradictions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (ROLLED, r"the register rose by 4294966\d+\.\d Wh, but at most [\d.]+ Wh can have flowed"),
        (0.0, r"the register fell from \d+\.\d Wh to 0\.0 Wh"),
        (math.nan, "the meter reads nan Wh, 100 A"),
        (-3.0, r"the meter reads -3\.0 Wh"),
    ],
)
def test_a_lasting_contradiction_is_a_fault_with_its_reason(meter: Metered, shown: float, words: str) -> None:
    charging(meter)
    last = meter.energy_wh
    meter.shown_wh = shown
    meter.run(DOUBT_S - 0.3)
    assert meter.register.fault is None
    meter.run(0.6)
    assert meter.register.fault is not None
    assert pytest.approx(last) == meter.energy_wh
    meter.run(60.0)
    meter.end()
    assert meter.bills == [last - meter.begin_wh], "what can be vouched for"
    assert meter.register.outliers == 1
    assert re.match(words, meter.register.fault)


def test_a_register_that_stays_while_current_flows(meter: Metered) -> None:
    charging(meter)
    meter.shown_wh = last = meter.sample().energy_wh
    meter.run(LAG_S + DOUBT_S + 1.5)
    assert meter.register.fault is not None
    assert "stays at" in meter.register.fault
    assert meter.energy_wh == last


@pytest.mark.parametrize("shown", [ROLLED, 0.0])
def test_a_new_register_that_proves_consistent_is_believed(meter: Metered, shown: float) -> None:
    charging(meter)
    meter.true_wh = shown
    meter.run(7.0)
    assert meter.register.fault is not None
    meter.end()
    old = meter.energy_wh
    meter.run(PROOF_S - 7.5)
    assert meter.energy_wh == old
    meter.run(1.0)
    assert meter.register.fault is None
    assert meter.energy_wh == pytest.approx(meter.true_wh, abs=0.2)
    before = meter.flowed_wh
    assert meter.deliver(30.0, 100.0) == pytest.approx(meter.flowed_wh - before, abs=1.0)


def test_a_new_register_is_not_believed_before_the_delivery_is_over(meter: Metered) -> None:
    charging(meter)
    last = meter.energy_wh
    meter.true_wh = 0.0
    meter.run(5 * PROOF_S)
    assert meter.energy_wh == last


def test_a_meter_that_returns_to_its_register_is_believed_again(meter: Metered) -> None:
    meter.shown_wh = ROLLED
    meter.run(8.0)
    assert meter.register.fault is not None
    meter.shown_wh = None
    meter.run(PROOF_S + 0.5)
    assert meter.register.fault is None
    assert meter.energy_wh == 1000.0


def test_random_values_prove_nothing(meter: Metered) -> None:
    for value in range(300):
        meter.shown_wh = 7919.0 * (value * 7919 % 104729)
        meter.run(PERIOD_S)
    assert meter.register.fault is not None
    assert meter.energy_wh == 1000.0


def test_a_stuck_register_has_to_move_or_the_meter_to_restart(meter: Metered) -> None:
    """At rest, a stuck register agrees with itself for ever."""
    charging(meter)
    meter.shown_wh = meter.sample().energy_wh
    meter.run(10.0)
    meter.end()
    meter.run(100.0)
    assert meter.register.fault is not None
    moved = copy.copy(meter)
    moved.shown_wh = None
    moved.run(PROOF_S + 0.5)
    assert moved.register.fault is None
    meter.lost = True
    meter.run(SILENT_S + 0.5)
    meter.lost = False
    meter.run(1.0)
    assert meter.register.fault is None


def test_a_meter_that_was_silent_at_rest_may_be_another_one(meter: Metered) -> None:
    meter.lost = True
    meter.run(SILENT_S + 0.5)
    assert meter.register.energy_wh is None
    meter.lost, meter.true_wh = False, 3.0
    meter.run(1.0)
    assert (meter.energy_wh, meter.register.outliers) == (3.0, 0)


def test_a_meter_that_counts_too_fast_is_found_within_a_delivery(meter: Metered) -> None:
    """Each reading alone would be possible."""
    meter.begin()
    meter.amps = 100.0
    for _ in range(3000):
        meter.shown_wh = meter.true_wh + 0.5 * (meter.true_wh - 1000.0)
        meter.run(PERIOD_S)
    assert meter.register.fault is not None
    assert "in this session" in meter.register.fault
    meter.end()
    most = 1.05 * meter.flowed_wh + 5.0 * VOLTS * 300.0 / 3600.0
    assert meter.bills[0] <= most + 0.1 + VOLTS * 100.0 * 1.15 * LAG_S / 3600.0
