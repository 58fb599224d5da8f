# SPDX-License-Identifier: Apache-2.0
"""One function per stage: check the readings, act, and fire a trigger when the stage is over.

At most one trigger is fired per sample, because the readings are older than what the stage has just commanded. Limits
are those of IEC 61851-23:2023 and ISO 15118 as charger builders use them; where it is the vehicle that misbehaves, the
fault's detail says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from firmware.contract import Cause, Fault
from hal.evse.limits import PRECHARGE_A, TEST_A, cable_check_voltage
from hal.evse.metering import settle_meter
from hal.evse.model import Rating, Readings
from hal.evse.run import Run
from hal.evse.table import TIME_LIMIT_S, WAKE_AFTER_S, Stage, StopKind, Trigger
from hal.ports import Pilot, Vehicle, VehicleStage

__all__ = ["HANDLERS", "INSULATION_KOHM", "QUIET_A", "QUIET_S", "SAFE_V", "SAMPLES_NEEDED", "insulation_limit_kohm"]

SAFE_V = 60.0
INSULATION_KOHM = 100.0
"""Least insulation resistance (IEC 61851-23:2023, 6.3.1.105)."""
SAMPLES_NEEDED = 3
TEST_WITHIN_V = 10.0
SHORT_CIRCUIT_A = 5.0
SHORT_CIRCUIT_S = 1.0
LOADED_A = 1.5
"""With the vehicle's contactors open, a current near TEST_A below the test voltage is a short circuit of low power."""
CLOSE_WITHIN_V = 20.0
SENSORS_S = 1.5
"""How far a voltage reading may lag behind: meters measure once a second, insulation monitors twice."""
METERED_SHARE = 0.05
"""A voltage measured at the connector is less exact than the modules' own."""
QUIET_A = 0.5
"""A request below this counts as none, and so does an offer."""
QUIET_S = 1.0
OVER_REQUEST_V = 5.0
OVER_REQUEST_S = 0.4
"""Over-voltage must be tolerated for 200 ms and must not last over 400 ms; the same holds for a request for it."""
STOP_A_PER_S = 250.0
OPEN_A = 1.0
OPEN_IN_ERROR_A = 5.0
"""The current below which contacts may open: 1 A normally; after a fault 5 A must suffice."""
OPEN_IN_ERROR_S = 0.5
SELF_TEST_LATENCY_S = 1.5

_CHECKING = frozenset({VehicleStage.CABLE_CHECK})
_EXPECTED: dict[Stage, frozenset[VehicleStage]] = {
    **dict.fromkeys(
        (Stage.DISCHARGE, Stage.CLOSE, Stage.TEST_VOLTAGE, Stage.SELF_TEST, Stage.SAMPLES, Stage.BLEED), _CHECKING
    ),
    Stage.CHECKED: _CHECKING | {VehicleStage.PRECHARGE},
    Stage.PRECHARGE: frozenset({VehicleStage.PRECHARGE, VehicleStage.CHARGE}),
    Stage.CHARGING: frozenset({VehicleStage.CHARGE}),
    Stage.PAUSED: frozenset({VehicleStage.CHARGE}),
}
"""The vehicle's stages while it follows the sequence; any other means that it has left it."""


def insulation_limit_kohm(voltage_v: float) -> float:
    """100 kΩ, or 100 Ω/V where that is more."""
    return max(INSULATION_KOHM, 0.1 * voltage_v)


# --- at rest -------------------------------------------------------------------------------------------------


def _in_idle(run: Run, _readings: Readings) -> None:
    if run.state.plugged:
        run.fire(Trigger.PLUG, Cause.DRIVER)


def _in_plugged(run: Run, _readings: Readings) -> None:
    if run.state.session is not None:
        run.fire(Trigger.PERMIT, Cause.SERVICE)


def _in_authorised(run: Run, readings: Readings) -> None:
    run.authorise(not readings.queued)
    if readings.queued:
        run.set(since=run.now)  # the vehicle is not authorised yet, so it is not the one that does not begin
        return
    if readings.insulation is not None:
        run.start_monitoring()  # it takes seconds to settle, and the cable check has only 40
    if readings.vehicle is None:
        return
    if readings.vehicle.stage is VehicleStage.CABLE_CHECK:
        if _devices_answer(readings):
            run.fire(Trigger.BEGIN, Cause.VEHICLE)
    elif run.spent_s >= WAKE_AFTER_S.get(readings.vehicle.stage, math.inf):
        run.wake_vehicle()


def _devices_answer(readings: Readings) -> bool:
    """A vehicle may be ready before the cabinet is: after a start, a monitor takes seconds to set up.

    It waits for as long as a device may take to answer; then the device's fault ends its session (`hal/safety.py`).
    """
    devices = (readings.power, readings.meter, readings.insulation)
    return readings.inputs_known and all(device is not None for device in devices)


def _in_finished(run: Run, _readings: Readings) -> None:
    state = run.state
    if state.permitted_while_stopping:
        run.fire(Trigger.PERMIT, Cause.SERVICE)
    elif state.session is not None and state.ended_by is Cause.TIMEOUT:
        run.wake_vehicle()


def _in_faulted(run: Run, _readings: Readings) -> None:
    if not any(fault.stops_charging for fault in run.state.faults):
        run.fire(Trigger.CLEAR if run.state.plugged else Trigger.EMPTY, Cause.SEQUENCE)


# --- cable check ---------------------------------------------------------------------------------------------


def _in_discharge(run: Run, readings: Readings) -> None:
    """Wait for everything that must be so before the contactor closes; the first that is not is the reason."""
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None:
        return
    for holds, fault, detail in _conditions_to_close(readings, vehicle):
        if not holds:
            _fail_if_overdue(run, fault, detail)
            return
    run.fire(Trigger.DONE, Cause.SEQUENCE)


def _conditions_to_close(readings: Readings, vehicle: Vehicle) -> Iterator[tuple[bool, Fault, str]]:
    connector_v, power = readings.connector_v, readings.power
    yield connector_v is not None, Fault.CABLE_CHECK, "voltage at the connector is not known"
    modules_v = power.voltage_v if power is not None else 0.0
    highest_v = max(connector_v or 0.0, modules_v)
    yield highest_v < SAFE_V, Fault.CABLE_CHECK, f"output at {highest_v:.0f} V before the cable check"
    differ_v = abs((connector_v or 0.0) - modules_v)
    yield differ_v < CLOSE_WITHIN_V, Fault.CABLE_CHECK, f"{differ_v:.0f} V across the open contactor"
    yield vehicle.pilot is Pilot.C, Fault.CABLE_CHECK, "vehicle requests a cable check, but its pilot is not C"
    yield vehicle.locked, Fault.CONNECTOR_LOCK, "plug is not locked by the vehicle"
    yield vehicle.max_voltage_v > 0.0, Fault.CABLE_CHECK, "vehicle reports no maximum voltage"
    joined = power is not None and power.groups >= 1
    yield joined, Fault.POWER_MODULE, "no modules joined to the EVSE"
    yield not readings.contactor_closed, Fault.CONTACTOR_WELDED, "mirror contact closed before the coil"


def _in_close(run: Run, readings: Readings) -> None:
    if _vehicle_in_sequence(run, readings) is None:
        return
    if readings.contactor_closed:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    else:
        _fail_if_overdue(run, Fault.CONTACTOR_FAILED, "mirror contact does not close")


def _in_test_voltage(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None:
        return
    voltage = _test_voltage(run.state.rating, vehicle)
    if _shorted(run, readings, voltage):
        return
    run.drive(voltage, TEST_A)
    connector_v = readings.connector_v
    tolerance_v = max(TEST_WITHIN_V, METERED_SHARE * voltage)
    arrived = connector_v is None or abs(connector_v - voltage) <= tolerance_v
    if _delivers(readings, voltage) and arrived:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    elif _delivers(readings, voltage):
        _fail_if_overdue(run, Fault.CABLE_CHECK, f"modules at {voltage:.0f} V, connector at {connector_v:.0f} V")
    else:
        _fail_if_overdue(run, Fault.CABLE_CHECK, f"test voltage of {voltage:.0f} V not reached")


def _in_self_test(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None:
        return
    voltage = _test_voltage(run.state.rating, vehicle)
    if _shorted(run, readings, voltage):
        return
    run.drive(voltage, TEST_A)
    result = readings.insulation.self_test_passed if readings.insulation is not None else None
    if result is None:
        run.set(self_test_seen=run.state.self_test_seen or readings.insulation is not None)
    if result is None or not (run.state.self_test_seen or run.spent_s >= SELF_TEST_LATENCY_S):
        # A result from before the monitor was seen busy may be that of an earlier session.
        _fail_if_overdue(run, Fault.CABLE_CHECK, "self test of the insulation monitor takes too long")
    elif result:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    else:
        run.fail(Fault.CABLE_CHECK, "self test of the insulation monitor failed")


def _in_samples(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None:
        return
    voltage = _test_voltage(run.state.rating, vehicle)
    if _shorted(run, readings, voltage):
        return
    run.drive(voltage, TEST_A)
    reading, state = readings.insulation, run.state
    if reading is not None and reading.valid and reading.mono_s > max(state.insulation_at, state.since):
        good = reading.resistance_kohm >= insulation_limit_kohm(state.output_v)
        run.set(
            insulation_at=reading.mono_s,
            good_samples=state.good_samples + 1 if good else 0,
            bad_samples=0 if good else state.bad_samples + 1,
        )
    passed = run.state.good_samples >= SAMPLES_NEEDED
    if passed and not vehicle.insulation_test:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    elif passed:
        _fail_if_overdue(run, Fault.CABLE_CHECK, "SECC does not end its insulation test")
    elif run.state.bad_samples >= SAMPLES_NEEDED and reading is not None:
        run.fail(Fault.ISOLATION, f"{reading.resistance_kohm:.0f} kOhm in the cable check")
    else:
        _fail_if_overdue(run, Fault.CABLE_CHECK, "no valid reading of the insulation monitor")


def _in_bleed(run: Run, readings: Readings) -> None:
    if _vehicle_in_sequence(run, readings) is None:
        return
    if readings.connector_v is not None and readings.connector_v < SAFE_V:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    else:
        stays_at = f"{readings.connector_v:.0f} V" if readings.connector_v is not None else "an unknown voltage"
        _fail_if_overdue(run, Fault.CABLE_CHECK, f"output stays at {stays_at} after the cable check")


def _in_checked(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None:
        return
    if vehicle.stage is VehicleStage.PRECHARGE:
        run.fire(Trigger.DONE, Cause.VEHICLE)
    elif run.spent_s >= TIME_LIMIT_S[Stage.CHECKED]:
        run.stop(Trigger.LEAVE, Cause.TIMEOUT, StopKind.NORMAL)


def _test_voltage(rating: Rating, vehicle: Vehicle) -> float:
    """The standard's test voltage; a SECC that tests at a higher one gets that, within the rating."""
    return max(cable_check_voltage(rating, vehicle.max_voltage_v), min(vehicle.target_voltage_v, rating.max_voltage_v))


def _delivers(readings: Readings, voltage: float) -> bool:
    return readings.power is not None and abs(readings.power.voltage_v - voltage) <= TEST_WITHIN_V


def _shorted(run: Run, readings: Readings, voltage: float) -> bool:
    """Whether the outlet is short-circuited, which fails the session (IEC 61851-23:2023, 6.3.1.109).

    The modules may take SHORT_CIRCUIT_S to charge the cable; after that there is nothing that could draw a current.
    """
    amps = readings.power.current_a if readings.power is not None else 0.0
    if run.state.stage is Stage.TEST_VOLTAGE and run.spent_s < SHORT_CIRCUIT_S:
        return False
    if amps < (SHORT_CIRCUIT_A if _delivers(readings, voltage) else LOADED_A):
        return False
    run.fail(Fault.CABLE_CHECK, f"short circuit: {amps:.1f} A in the cable check")
    return True


# --- energy ------------------------------------------------------------------------------------------------


def _in_precharge(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None or _over_voltage_requested(run, vehicle):
        return
    if vehicle.stage is VehicleStage.PRECHARGE and vehicle.target_voltage_v < run.state.rating.min_voltage_v:
        _fail_if_overdue(run, Fault.PRECHARGE, f"vehicle requests {vehicle.target_voltage_v:.0f} V")
        return
    voltage = _furthest(run.state.output_v, readings)
    matched = voltage is not None and abs(voltage - run.state.output_v) <= CLOSE_WITHIN_V
    if vehicle.stage is VehicleStage.CHARGE and matched:
        run.fire(Trigger.DONE, Cause.VEHICLE)
    elif vehicle.stage is VehicleStage.CHARGE:
        _closed_unmatched(run, voltage)
    else:
        run.set(unmatched_since=None)
        run.drive(_allowed_v(run.state.rating, vehicle), PRECHARGE_A)
        reason = "vehicle does not close its contactors" if matched else "voltage not reached"
        _fail_if_overdue(run, Fault.PRECHARGE, reason)


def _closed_unmatched(run: Run, voltage: float | None) -> None:
    """The vehicle measures by itself and may be ahead of slow sensors: they get time to follow before it is a fault."""
    since = run.now if run.state.unmatched_since is None else run.state.unmatched_since
    run.set(unmatched_since=since)
    if run.now - since >= SENSORS_S:
        closed_at = f"{voltage:.0f} V" if voltage is not None else "an unknown voltage"
        run.fail(Fault.PRECHARGE, f"vehicle closed its contactors at {closed_at} of {run.state.output_v:.0f} V")


def _furthest(requested_v: float, readings: Readings) -> float | None:
    """Of the voltages of modules and connector the one that differs more from what is requested."""
    measured = [readings.connector_v, readings.power.voltage_v if readings.power is not None else None]
    known = [volts for volts in measured if volts is not None]
    return max(known, key=lambda volts: abs(volts - requested_v), default=None)


def _in_charging(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None or _over_voltage_requested(run, vehicle):
        return
    offered = _offered_a(run, readings, vehicle)
    run.drive_towards(_allowed_v(run.state.rating, vehicle), min(vehicle.target_current_a, offered))
    quiet = vehicle.target_current_a < QUIET_A
    since = run.now if run.state.quiet_since is None else run.state.quiet_since
    run.set(quiet_since=since if quiet else None)
    if offered < QUIET_A:
        run.fire(Trigger.SUSPEND, Cause.SERVICE if run.state.limit_w is not None else Cause.SEQUENCE)
    elif quiet and run.now - since >= QUIET_S:
        run.fire(Trigger.SUSPEND, Cause.VEHICLE)


def _in_paused(run: Run, readings: Readings) -> None:
    vehicle = _vehicle_in_sequence(run, readings)
    if vehicle is None or _over_voltage_requested(run, vehicle):
        return
    run.drive(_allowed_v(run.state.rating, vehicle), 0.0)
    offered = _offered_a(run, readings, vehicle)
    since = run.now if run.state.quiet_since is None else run.state.quiet_since
    # A vehicle that was offered nothing gets time to request current before the pause counts as its own.
    run.set(quiet_since=since if offered >= QUIET_A and vehicle.target_current_a < QUIET_A else None)
    # Resume at twice the limit, so that a request at the limit does not flutter.
    if offered >= 2 * QUIET_A and vehicle.target_current_a >= 2 * QUIET_A:
        run.fire(Trigger.RESUME, Cause.SEQUENCE)


def _offered_a(run: Run, readings: Readings, vehicle: Vehicle) -> float:
    """The current in A that the limits allow at the present voltage."""
    measured = readings.power.voltage_v if readings.power is not None else 0.0
    return run.state.offered.current_at(measured if measured > SAFE_V else vehicle.target_voltage_v)


def _allowed_v(rating: Rating, vehicle: Vehicle) -> float:
    """The voltage that the vehicle requests, within its own limit and the EVSE's rating."""
    return min(vehicle.target_voltage_v, _highest_v(rating, vehicle))


def _highest_v(rating: Rating, vehicle: Vehicle) -> float:
    own = vehicle.max_voltage_v if vehicle.max_voltage_v > 0.0 else rating.max_voltage_v
    return min(own, rating.max_voltage_v)


def _over_voltage_requested(run: Run, vehicle: Vehicle) -> bool:
    """Whether the vehicle has requested too high a voltage for OVER_REQUEST_S, which fails the session."""
    if vehicle.target_voltage_v <= _highest_v(run.state.rating, vehicle) + OVER_REQUEST_V:
        run.set(over_request_since=None)
        return False
    since = run.now if run.state.over_request_since is None else run.state.over_request_since
    run.set(over_request_since=since)
    if run.now - since < OVER_REQUEST_S:
        return False
    limit = _highest_v(run.state.rating, vehicle)
    run.fail(Fault.OVER_VOLTAGE, f"vehicle requests {vehicle.target_voltage_v:.0f} V, limit {limit:.0f} V")
    return True


# --- stopping ------------------------------------------------------------------------------------------------


def _in_ask_stop(run: Run, readings: Readings) -> None:
    """Wait up to 1.5 s for the vehicle to stop; the current is lowered meanwhile, whatever it requests."""
    elapsed = max(0.0, run.now - run.state.output_at)
    run.drive(run.state.output_v, max(0.0, run.state.output_a - STOP_A_PER_S * elapsed))
    vehicle = readings.vehicle
    gone = vehicle is None or vehicle.pilot is not Pilot.C or vehicle.stage is not VehicleStage.CHARGE
    if gone or run.spent_s >= TIME_LIMIT_S[Stage.ASK_STOP]:
        run.fire(Trigger.DONE, Cause.SEQUENCE)


def _in_ramp_down(run: Run, readings: Readings) -> None:
    normal = run.state.stop_kind is StopKind.NORMAL
    current = _current(readings)
    enough = current is not None and current < (OPEN_A if normal else OPEN_IN_ERROR_A)
    if enough or run.spent_s >= (TIME_LIMIT_S[Stage.RAMP_DOWN] if normal else OPEN_IN_ERROR_S):
        run.fire(Trigger.DONE, Cause.SEQUENCE)


def _in_open(run: Run, readings: Readings) -> None:
    if not readings.contactor_closed:
        run.fire(Trigger.DONE, Cause.SEQUENCE)
    elif run.spent_s >= TIME_LIMIT_S[Stage.OPEN]:
        # The modules are off and stay off; the safety watch raises the fault until the contact opens.
        run.fire(Trigger.DONE, Cause.TIMEOUT)


def _in_welding(run: Run, readings: Readings) -> None:
    settle_meter(run, readings)
    live = readings.connector_v is None or readings.connector_v >= SAFE_V
    if run.state.stop_reading_due or (live and run.spent_s < TIME_LIMIT_S[Stage.WELDING]):
        return
    # A vehicle that keeps its own contactors closed holds the voltage at the connector up. That proves that ours are
    # open, unless the voltage on the side of the modules, which are off and bled, is held up with it.
    if live and readings.power is not None and readings.power.voltage_v >= SAFE_V:
        run.fail_at_rest(Fault.CONTACTOR_WELDED, f"{readings.power.voltage_v:.0f} V behind the open contactor")
    if any(fault.stops_charging for fault in run.state.faults):
        run.fire(Trigger.FAULT, Cause.FAULT)
    elif run.state.plugged:
        run.fire(Trigger.DONE, run.state.ended_by)
    else:
        run.fire(Trigger.EMPTY, Cause.SEQUENCE)


def _current(readings: Readings) -> float | None:
    """The output current in A; the modules report it sooner than the meter."""
    if readings.power is not None:
        return abs(readings.power.current_a)
    return abs(readings.meter.current_a) if readings.meter is not None else None


# --- common --------------------------------------------------------------------------------------------------


def _vehicle_in_sequence(run: Run, readings: Readings) -> Vehicle | None:
    """The vehicle if it still follows the sequence; otherwise stops the session and returns None."""
    vehicle, stage = readings.vehicle, run.state.stage
    if vehicle is None:
        # The safety watch raises `vehicle_link` on the same reading.
        run.stop(Trigger.LEAVE, Cause.FAULT, StopKind.ERROR)
    elif vehicle.stage not in _EXPECTED[stage]:
        run.stop(Trigger.LEAVE, Cause.VEHICLE, StopKind.NORMAL)
    elif vehicle.pilot is not Pilot.C and stage is not Stage.DISCHARGE:
        run.fail(Fault.PILOT, f"pilot {vehicle.pilot.value} in the sequence")
    elif run.now >= run.state.cable_check_until and stage in _CHECK_BOUND:
        run.fail(Fault.CABLE_CHECK, "not finished in 40 s")
    else:
        return vehicle
    return None


def _fail_if_overdue(run: Run, fault: Fault, detail: str) -> None:
    """Fail the session with this fault if the stage has used up its time."""
    if run.spent_s >= TIME_LIMIT_S[run.state.stage]:
        run.fail(fault, detail)


_CHECK_BOUND = (Stage.DISCHARGE, Stage.CLOSE, Stage.TEST_VOLTAGE, Stage.SELF_TEST, Stage.SAMPLES, Stage.BLEED)

_Handler: TypeAlias = Callable[[Run, Readings], None]

HANDLERS: dict[Stage, _Handler] = {
    Stage.IDLE: _in_idle,
    Stage.PLUGGED: _in_plugged,
    Stage.AUTHORISED: _in_authorised,
    Stage.DISCHARGE: _in_discharge,
    Stage.CLOSE: _in_close,
    Stage.TEST_VOLTAGE: _in_test_voltage,
    Stage.SELF_TEST: _in_self_test,
    Stage.SAMPLES: _in_samples,
    Stage.BLEED: _in_bleed,
    Stage.CHECKED: _in_checked,
    Stage.PRECHARGE: _in_precharge,
    Stage.CHARGING: _in_charging,
    Stage.PAUSED: _in_paused,
    Stage.ASK_STOP: _in_ask_stop,
    Stage.RAMP_DOWN: _in_ramp_down,
    Stage.OPEN: _in_open,
    Stage.WELDING: _in_welding,
    Stage.FINISHED: _in_finished,
    Stage.FAULTED: _in_faulted,
}
