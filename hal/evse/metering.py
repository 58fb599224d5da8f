# SPDX-License-Identifier: Apache-2.0
"""The meter readings of one EVSE: once a second, and a `start` and `stop` pair around each delivery of energy.

The published register never falls, whatever the meter reads. `start` is due as soon as energy transfer begins, `stop`
once the contactor is open again. Billing depends on both, so they are published in any case, with the last known
register if the meter is silent.
"""

from __future__ import annotations

from firmware.contract import MeterContext, MeterReading
from hal.evse.model import ZERO_LIMITS, Readings
from hal.evse.run import Run
from hal.evse.table import RUNNING
from hal.ports import MeterSample

__all__ = ["STOP_PATIENCE_S", "read_meter", "settle_meter"]

PERIOD_S = 1.0
STOP_PATIENCE_S = 1.5
"""How long the `stop` reading waits for a sample taken after the contactor opened."""


def read_meter(run: Run, readings: Readings) -> None:
    """Publish the `start` and the `periodic` reading when they are due."""
    if readings.meter is not None:
        run.set(energy_wh=max(run.state.energy_wh or 0.0, readings.meter.energy_wh))
    if run.state.start_reading_due and _publish(run, readings, MeterContext.START):
        run.set(start_reading_due=False, stop_reading_due=True)
    if run.now >= run.state.next_reading:
        late = run.now - run.state.next_reading > PERIOD_S
        run.set(next_reading=run.now + PERIOD_S if late else run.state.next_reading + PERIOD_S)
        if readings.meter is not None:
            _publish(run, readings, MeterContext.PERIODIC)


def settle_meter(run: Run, readings: Readings) -> None:
    """Publish the pending `stop` reading, once a sample is newer than this stage or STOP_PATIENCE_S has passed."""
    if run.state.start_reading_due:
        run.set(start_reading_due=False)
    newer = readings.meter is not None and readings.meter.mono_s >= run.state.since
    if run.state.stop_reading_due and (newer or run.spent_s >= STOP_PATIENCE_S):
        if readings.meter is not None:
            run.set(energy_wh=max(run.state.energy_wh or 0.0, readings.meter.energy_wh))
        _publish(run, readings, MeterContext.STOP)
        run.set(stop_reading_due=False)


def _publish(run: Run, readings: Readings, context: MeterContext) -> bool:
    """Publish a reading; returns False if no register was ever read."""
    state = run.state
    if state.energy_wh is None:
        return False
    sample = readings.meter or MeterSample(run.now, state.energy_wh, 0.0, 0.0, 0.0)
    offered = state.offered if state.stage in RUNNING else ZERO_LIMITS
    reading = MeterReading(
        evse=state.evse,
        context=context,
        energy_wh=state.energy_wh,
        voltage_v=sample.voltage_v,
        current_a=sample.current_a,
        power_w=sample.power_w,
        offered_a=offered.current_a,
        offered_w=offered.power_w,
        soc_percent=readings.vehicle.soc_percent if readings.vehicle is not None and state.plugged else None,
    )
    run.set(reading=reading)
    run.publish(reading)
    return True
