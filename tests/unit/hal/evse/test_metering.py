# SPDX-License-Identifier: Apache-2.0
"""The meter readings that an EVSE publishes."""

from __future__ import annotations

from firmware.contract import MeterContext, MeterReading
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


def test_register_never_falls(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.energy_wh = 3.0
    bench.run(2.0)
    assert periodic(bench) == sorted(periodic(bench))


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


def test_meter_silent_from_the_start_publishes_nothing(bench: EvseBench) -> None:
    bench.meter_lost = True
    bench.charge()
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
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
