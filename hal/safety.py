# SPDX-License-Identifier: Apache-2.0
"""Interlocks beside the state machines: faults found from readings, independent of what a stage does with them.

A watch is called ten times a second and returns the faults now present. It acts on nothing: the cabinet raises what it
finds, and a fault ends the session in `hal/evse`. Only the stop button does not wait for this round: its edge opens
the contactors from the input's own callback (`hal/cabinet.py`).

Rules
- A condition counts only after it has lasted for a time (`Hold`), and a value that may oscillate has hysteresis. A
  spurious insulation value while the current ramps up, or a meter that is silent for 3 s, must not end a session.
- A device that has not answered yet gets `START_GRACE_S` after the HAL's start, once.
- Silence is reported as a fault of the silent device: a lost meter is `meter`, not a voltage error.
- A finding is `latched` if its own consequence would remove it: it then remains until the plug is out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from firmware.contract import Fault
from hal.evse.limits import HOT_C, over_voltage_threshold
from hal.evse.model import Readings, State
from hal.evse.stages import SAFE_V, insulation_limit_kohm
from hal.evse.table import CABLE_CHECK, Stage
from hal.ports import InputsReading, Pilot

__all__ = ["START_GRACE_S", "EvseWatch", "Finding", "Hold", "Pulse", "StationWatch"]

START_GRACE_S = 5.0
METER_GAP_S = 5.0
CONTACT_S = 0.5
MODULE_FAILED_S = 1.0
OVER_VOLTAGE_S = 0.4
OVER_VOLTAGE_MARGIN_V = 5.0
OVER_CURRENT_S = 1.0
OVER_CURRENT_A = 10.0
OVER_CURRENT_SHARE = 0.1
SPREAD_S = 5.0
SPREAD_A = 10.0
SPREAD_SHARE = 0.05
SPREAD_WINDOW_S = 2.5
"""A meter's value is up to a second old and the current may change by 25 A/s: it must match some recent current."""
INSULATION_S = 2.0
INSULATION_GRACE_S = 5.0
MONITOR_LOST_S = 3.0
HOT_S = 1.0
COOL_C = HOT_C - 3.0
PULSE_S = 1.0

_TRANSFER = (Stage.CHARGING, Stage.PAUSED)
_WITH_VEHICLE = (Stage.PRECHARGE, *_TRANSFER)
_ENERGISED = (*CABLE_CHECK[1:], *_WITH_VEHICLE)


@dataclass(frozen=True, slots=True)
class Finding:
    fault: Fault
    detail: str
    latched: bool = False


class Hold:
    """True once a condition has lasted for `rise_s`."""

    __slots__ = ("_rise_s", "_since")

    def __init__(self, rise_s: float) -> None:
        self._rise_s = rise_s
        self._since: float | None = None

    def __call__(self, condition: bool, now: float) -> bool:
        if not condition:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= self._rise_s


class _Presence:
    """Whether a device is silent: from `after_s` after its last reading, or START_GRACE_S if it never had one."""

    __slots__ = ("_after_s", "_last", "_seen")

    def __init__(self, after_s: float, started: float) -> None:
        self._after_s = after_s
        self._last = started
        self._seen = False

    def lost(self, present: bool, now: float) -> bool:
        if present:
            self._last, self._seen = now, True
            return False
        return now - self._last >= (self._after_s if self._seen else START_GRACE_S)


class StationWatch:
    """Watches what concerns the whole station: stop button and door."""

    def __init__(self, started: float) -> None:
        self._inputs = _Presence(0.0, started)

    def check(self, inputs: InputsReading | None, now: float) -> list[Finding]:
        """Silent inputs read as pressed: a broken wire must not disable the interlock."""
        if self._inputs.lost(inputs is not None, now):
            return [Finding(Fault.EMERGENCY_STOP, "inputs are silent")]
        found = []
        if inputs is not None and inputs.emergency_stop:
            found.append(Finding(Fault.EMERGENCY_STOP, "stop button pressed"))
        if inputs is not None and inputs.door_open:
            found.append(Finding(Fault.DOOR_OPEN, "door open"))
        return found


class EvseWatch:
    """Watches one EVSE."""

    def __init__(self, started: float) -> None:
        self._vehicle = _Presence(0.0, started)
        self._shelf = _Presence(0.0, started)
        self._meter = _Presence(METER_GAP_S, started)
        self._monitor = _Presence(MONITOR_LOST_S, started)
        self._modules = Hold(MODULE_FAILED_S)
        self._stuck = Hold(CONTACT_S)
        self._dropped = Hold(CONTACT_S)
        self._above_vehicle = Hold(OVER_VOLTAGE_S)
        self._over_current = Hold(OVER_CURRENT_S)
        self._spread = Hold(SPREAD_S)
        self._insulation = Hold(INSULATION_S)
        self._hot = Hold(HOT_S)
        self._is_hot = False
        self._currents: deque[tuple[float, float]] = deque()
        self._requested: deque[tuple[float, float]] = deque()

    def check(self, state: State, readings: Readings, plug_temp_c: float | None, now: float) -> list[Finding]:
        """The faults present at this EVSE, by readings sampled at `now`."""
        return [
            *self._links(state, readings, now),
            *self._contacts(state, readings, now),
            *self._voltages(state, readings, now),
            *self._amperes(state, readings, now),
            *self._insulated(state, readings, now),
            *self._temperature(plug_temp_c, now),
        ]

    def _links(self, state: State, readings: Readings, now: float) -> list[Finding]:
        found = []
        if self._vehicle.lost(readings.vehicle is not None, now):
            found.append(Finding(Fault.VEHICLE_LINK, "vehicle communication is silent"))
        if readings.vehicle is not None and readings.vehicle.pilot is Pilot.E:
            found.append(Finding(Fault.PILOT, "control pilot shorted or lost", latched=state.stage in _ENERGISED))
        if self._shelf.lost(readings.power is not None, now):
            found.append(Finding(Fault.POWER_MODULE, "power modules are silent"))
        if self._modules(readings.power is not None and readings.power.failed_modules > 0, now):
            found.append(Finding(Fault.POWER_MODULE, "a power module failed"))
        if self._meter.lost(readings.meter is not None, now):
            found.append(Finding(Fault.METER, f"no reading of the meter for {METER_GAP_S:.0f} s"))
        elif state.register.fault is not None:
            found.append(Finding(Fault.METER, state.register.fault))
        if self._monitor.lost(readings.insulation is not None, now) and state.stage in _ENERGISED:
            found.append(Finding(Fault.ISOLATION, "insulation monitor is silent", latched=True))
        return found

    def _contacts(self, state: State, readings: Readings, now: float) -> list[Finding]:
        found = []
        if self._stuck(readings.contactor_closed and not state.coil_on, now):
            found.append(Finding(Fault.CONTACTOR_WELDED, "mirror contact closed while the coil is off"))
        should_be_closed = state.coil_on and state.stage is not Stage.CLOSE
        if self._dropped(should_be_closed and not readings.contactor_closed, now):
            found.append(Finding(Fault.CONTACTOR_FAILED, "mirror contact open while the coil is on", latched=True))
        return found

    def _voltages(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Exceeding the table's trip voltage counts at once, exceeding the vehicle's own limit after 400 ms."""
        volts = max(readings.connector_v, readings.power.voltage_v if readings.power is not None else 0.0)
        own = readings.vehicle.max_voltage_v if readings.vehicle is not None else 0.0
        limit = min(own, state.rating.max_voltage_v) if own > 0.0 else state.rating.max_voltage_v
        above = volts > limit + OVER_VOLTAGE_MARGIN_V and state.stage in _WITH_VEHICLE
        tripped = volts > over_voltage_threshold(limit) and state.stage in _ENERGISED
        if self._above_vehicle(above, now) or tripped:
            return [Finding(Fault.OVER_VOLTAGE, f"{volts:.0f} V, limit {limit:.0f} V", latched=True)]
        return []

    def _amperes(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Compare the current with the request, and the meter with the modules."""
        if state.stage not in _TRANSFER or readings.power is None:
            self._currents.clear()
            self._requested.clear()
            self._over_current(False, now)
            self._spread(False, now)
            return []
        _remember(self._currents, now, readings.power.current_a)
        _remember(self._requested, now, state.output_a)
        found = []
        requested = max(amps for _, amps in self._requested)
        if self._over_current(readings.power.current_a > requested * (1 + OVER_CURRENT_SHARE) + OVER_CURRENT_A, now):
            found.append(
                Finding(Fault.OVER_CURRENT, f"{readings.power.current_a:.0f} A of {requested:.0f} A", latched=True)
            )
        if self._spread(readings.meter is not None and self._apart(readings.meter.current_a), now):
            found.append(Finding(Fault.METER, "meter and modules disagree on the current", latched=True))
        return found

    def _apart(self, metered_a: float) -> bool:
        low = min(amps for _, amps in self._currents)
        high = max(amps for _, amps in self._currents)
        return max(low - metered_a, metered_a - high) > max(SPREAD_A, SPREAD_SHARE * high)

    def _insulated(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Check the insulation during energy transfer, but not while the current ramps up."""
        reading = readings.insulation
        ramping = state.stage is Stage.CHARGING and now - state.since < INSULATION_GRACE_S
        settled = state.stage in _TRANSFER and not ramping
        low = (
            reading is not None
            and reading.valid
            and readings.connector_v > SAFE_V
            and reading.resistance_kohm < insulation_limit_kohm(readings.connector_v)
        )
        if self._insulation(settled and low, now) and reading is not None:
            return [Finding(Fault.ISOLATION, f"{reading.resistance_kohm:.0f} kOhm while charging", latched=True)]
        return []

    def _temperature(self, plug_temp_c: float | None, now: float) -> list[Finding]:
        """A sensor that is not connected is no fault: the current is derated to one that needs none (`limits.py`)."""
        if self._hot(plug_temp_c is not None and plug_temp_c > HOT_C, now):
            self._is_hot = True
        elif plug_temp_c is not None and plug_temp_c < COOL_C:
            self._is_hot = False
        return [Finding(Fault.OVER_TEMPERATURE, f"plug above {HOT_C:.0f} °C")] if self._is_hot else []


def _remember(window: deque[tuple[float, float]], now: float, value: float) -> None:
    window.append((now, value))
    while window[0][0] < now - SPREAD_WINDOW_S:
        window.popleft()


class Pulse:
    """Whether every supervised loop still runs; the board's watchdog is fed only while all do."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def beat(self, name: str, now: float) -> None:
        """Note that a loop is alive; the first call registers it."""
        self._beats[name] = now

    def all_alive(self, now: float) -> bool:
        return all(now - at <= PULSE_S for at in self._beats.values())
