# SPDX-License-Identifier: Apache-2.0
"""The meter readings of one EVSE: once a second, and a `start` and `stop` pair around each delivery of energy.

What is published of a register is what is believed of it (`register.py`). `start` is due as soon as energy transfer
begins, `stop` once the contactor is open again. Billing depends on both, so they are published in any case, with the
last believed register if the meter is silent or not believed. The other values are the meter's or, without a reading of
it that is believed, the power modules'.
"""

from __future__ import annotations

import math

from firmware.contract import MeterContext, MeterReading
from hal.evse.model import ZERO_LIMITS, Readings
from hal.evse.run import Run
from hal.evse.table import RUNNING
from hal.ports import MeterSample

__all__ = ["STOP_PATIENCE_S", "judge_meter", "read_meter", "settle_meter"]

PERIOD_S = 1.0
STOP_PATIENCE_S = 1.5
"""How long the `stop` reading waits for a sample taken after the contactor opened."""


def judge_meter(run: Run, readings: Readings) -> None:
    """Take the new sample into the register, if it is believed; before anything else is done in a step."""
    state = run.state
    register = state.register.at(
        run.now, readings.power, closed=readings.contactor_closed, max_power_w=state.rating.max_power_w
    )
    if readings.meter is not None:
        register = register.read(readings.meter, run.now)
    if not (state.start_reading_due or state.stop_reading_due):
        register = register.rest(run.now)
    if register.fault is None and (state.register.fault is not None or state.register.energy_wh is None):
        run.set(next_reading=run.now)  # before anything can begin with the former register
    run.set(register=register)


def read_meter(run: Run, readings: Readings) -> None:
    """Publish the `start` and the `periodic` reading when they are due."""
    if run.state.start_reading_due and _publish(run, readings, MeterContext.START):
        run.set(start_reading_due=False, stop_reading_due=True, register=run.state.register.begin())
    if run.now >= run.state.next_reading:
        late = run.now - run.state.next_reading > PERIOD_S
        run.set(next_reading=run.now + PERIOD_S if late else run.state.next_reading + PERIOD_S)
        if readings.meter is not None and run.state.register.fault is None:
            _publish(run, readings, MeterContext.PERIODIC)


def settle_meter(run: Run, readings: Readings) -> None:
    """Publish the pending `stop` reading, once a sample is newer than this stage or STOP_PATIENCE_S has passed."""
    if run.state.start_reading_due:
        run.set(start_reading_due=False)
    sample = _believed(run, readings)
    newer = sample is not None and sample.mono_s >= run.state.since
    if run.state.stop_reading_due and (newer or run.spent_s >= STOP_PATIENCE_S):
        _publish(run, readings, MeterContext.STOP)
        run.set(stop_reading_due=False, register=run.state.register.end())


def _publish(run: Run, readings: Readings, context: MeterContext) -> bool:
    """Publish a reading; returns False if no register was ever believed."""
    state, energy_wh = run.state, run.state.register.energy_wh
    if energy_wh is None:
        return False
    sample = _believed(run, readings) or _by_modules(run, readings)
    offered = state.offered if state.stage in RUNNING else ZERO_LIMITS
    reading = MeterReading(
        evse=state.evse,
        context=context,
        energy_wh=energy_wh,
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


def _believed(run: Run, readings: Readings) -> MeterSample | None:
    """The meter's sample, if it is believed."""
    sample = readings.meter
    return sample if sample is not None and run.state.register.trusts(sample) else None


def _by_modules(run: Run, readings: Readings) -> MeterSample:
    """What the meter would read by the power modules; the meter is behind the contactor."""
    power = readings.power
    if power is None or not readings.contactor_closed or not math.isfinite(power.voltage_v * power.current_a):
        return MeterSample(run.now, 0.0, 0.0, 0.0, 0.0)
    return MeterSample(run.now, 0.0, power.voltage_v, power.current_a, power.voltage_v * power.current_a)
