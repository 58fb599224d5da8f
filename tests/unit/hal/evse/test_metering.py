# SPDX-License-Identifier: Apache-2.0
"""The meter readings that an EVSE publishes."""

from __future__ import annotations

import math

import pytest

from firmware.contract import Fault, MeterContext, MeterReading
from hal.evse.register import DOUBT_S, PROOF_S
from hal.evse.table import Stage
from tests.support.evse_bench import PERIOD_S, EvseBench


def periodic(bench: EvseBench) -> list[float]:
    found = [event for event in bench.events if isinstance(event, MeterReading)]
    return [reading.energy_wh for reading in found if reading.context is MeterContext.PERIODIC]


def test_reading_once_a_second_in_every_phase(bench: EvseBench) -> None:
    bench.run(10.0)
    assert len(periodic(bench)) in (10, 11)
    bench.bring_to(Stage.CHARGING)
    before = len(periodic(bench))
    bench.run(10.0)
    assert len(periodic(bench)) - before in (9, 10, 11)


def test_readings_stop_with_the_meter_and_come_back(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.meter_lost = True
    before = len(periodic(bench))
    bench.run(5.0)
    assert len(periodic(bench)) == before
    bench.meter_lost = False
    bench.run(2.0)
    assert len(periodic(bench)) - before in (2, 3)


def test_outlier_at_rest_is_not_published(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.energy_wh = 3.0
    bench.run(2.0)
    assert set(periodic(bench)) == {1000.0}
    assert bench.state.register.outliers == 1


@pytest.mark.parametrize("false_wh", [4294967295.0, 3.0, math.nan])
def test_a_session_with_an_outlier_bills_what_has_flowed(bench: EvseBench, false_wh: float) -> None:
    """J02.FR.16, E06.FR.11: while it lasts, register and current are the last believed and the modules'."""
    bench.charge()
    true_wh, bench.false_wh = bench.energy_wh, false_wh
    bench.run(1.3)
    reading = bench.state.reading
    assert reading is not None
    assert 1000.0 < reading.energy_wh <= true_wh
    assert reading.current_a == bench.current_a
    assert reading.power_w == pytest.approx(bench.output_v * bench.current_a)
    bench.false_wh = None
    bench.run(2.0)
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    start, stop = bench.billed
    assert stop.energy_wh == bench.energy_wh
    assert start.energy_wh < start.energy_wh + 50.0 < stop.energy_wh


def test_after_a_reset_the_session_stops_with_the_last_believed_reading(bench: EvseBench) -> None:
    """And the next one starts at the register as it then is (J02.FR.17)."""
    bench.charge()
    last, bench.energy_wh = bench.energy_wh, 5.0
    bench.run(DOUBT_S + 0.5)
    assert bench.state.register.fault is not None
    bench.fault(Fault.METER)
    bench.run_to(Stage.FAULTED)
    assert bench.last_billed() is MeterContext.STOP
    assert bench.billed[-1].energy_wh == pytest.approx(last, abs=5.0)
    published = len(periodic(bench))
    bench.run(1.5)
    assert len(periodic(bench)) == published, "a meter that is not believed has no readings"
    bench.run(PROOF_S)
    assert bench.state.register.fault is None
    assert periodic(bench)[published] == bench.energy_wh, "published before the fault is cleared"
    bench.fault()
    bench.run(0.2)
    bench.permit("two")
    bench.run_to(Stage.CHARGING)
    bench.run(1.0)
    assert bench.billed[-1].context is MeterContext.START
    assert bench.billed[-1].energy_wh < 100.0


def test_the_first_reading_of_a_meter_that_is_back_is_published_at_once(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.meter_lost = True
    bench.run(6.35)
    bench.meter_lost, bench.energy_wh = False, 77.0
    bench.run(PERIOD_S)
    assert periodic(bench)[-1] == 77.0


def test_stop_reading_waits_for_a_sample_after_the_contact_opened(bench: EvseBench) -> None:
    bench.charge()
    bench.withdraw()
    bench.run_to(Stage.WELDING)
    assert bench.last_billed() is MeterContext.START
    bench.energy_wh += 7.0
    bench.run(PERIOD_S)
    assert bench.last_billed() is MeterContext.STOP
    assert bench.billed[-1].energy_wh == bench.energy_wh
    assert bench.billed[-1].offered_a == 0.0


def test_meter_silent_from_the_start_lets_no_session_begin(bench: EvseBench) -> None:
    bench.meter_lost = True
    bench.bring_to(Stage.AUTHORISED)
    bench.run(10.0)
    assert bench.state.stage is Stage.AUTHORISED
    bench.withdraw()
    bench.run(1.0)
    assert bench.billed == []


def test_state_of_charge_and_offer_are_in_the_reading(bench: EvseBench) -> None:
    bench.charge()
    reading = bench.state.reading
    assert reading is not None
    assert reading.soc_percent == 20.0
    assert (reading.offered_a, reading.offered_w) == (500.0, 400_000.0)
    bench.unplug()
    bench.run(3.0)
    assert bench.state.reading is not None
    assert bench.state.reading.soc_percent is None
