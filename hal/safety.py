# SPDX-License-Identifier: Apache-2.0
"""Interlocks beside the state machines: faults found from readings, independent of what a stage does with them.

A watch is called ten times a second and returns the faults now present. It acts on nothing: the cabinet raises what it
finds, and a fault ends the session in `hal/evse`. Only the stop button does not wait for this round: its edge opens
the contactors from the input's own callback (`hal/cabinet.py`).

Rules
- A condition counts only after it has lasted for a time (`Hold`), and a value that may oscillate has hysteresis. A
  spurious insulation value while the current ramps up, or a meter that is silent for 3 s, must not end a session.
- A device that has not answered yet gets `START_GRACE_S` after the HAL's start, once; the inputs get less.
- Silence is reported as a fault of the silent device: a lost meter is `meter`, not a voltage error.
- A finding is `latched` if its own consequence would remove it: it then remains until the plug is out.

docs/safety.md lists every fault with its cause, time, reaction and reset; a test compares its times with this file.
"""

from __future__ import annotations

import math
from collections import deque

from msgspec import Struct

from firmware.contract import Fault
from hal.evse.limits import HOT_C, SENSORLESS_A, WARM_C, derated, over_voltage_threshold
from hal.evse.model import Readings, State
from hal.evse.stages import QUIET_A, SAFE_V, insulation_limit_kohm
from hal.evse.table import CABLE_CHECK, CLOSED, Stage
from hal.ports import InputsReading, InsulationReading, Pilot, PowerReading

__all__ = ["INPUTS_GRACE_S", "START_GRACE_S", "EvseWatch", "Finding", "Hold", "Pulse", "StationWatch"]

START_GRACE_S = 20.0
"""An SECC starts in 15 s; until then a session does not begin."""
INPUTS_GRACE_S = 5.0
METER_GAP_S = 5.0
CONTACT_S = 0.5
MODULE_FAILED_S = 1.0
RELEASE_S = 1.0
"""A stop button or door must be released for so long: its contacts bounce, and a loose wire comes and goes."""
UNLOCKED_S = 0.5
CONNECTOR_S = 2.0
OVER_VOLTAGE_S = 0.25
"""Over-voltage of 200 ms must be tolerated, 400 ms must start the stop; it is seen 100 ms late at the most."""
OVER_VOLTAGE_MARGIN_V = 5.0
EARTH_V = 550.0
EARTH_SHARE = 1.1
EARTH_S = 2.0
"""Neither conductor may be further from earth than 1.1 times the voltage, or 550 V at a rating of up to 500 V."""
OVER_CURRENT_S = 1.0
OVER_CURRENT_A = 10.0
OVER_CURRENT_SHARE = 0.1
SPREAD_S = 5.0
SPREAD_A = 10.0
SPREAD_SHARE = 0.05
SPREAD_WINDOW_S = 2.5
"""A meter's value is up to a second old and the current may change by 25 A/s: it must match some recent current."""
SPREAD_V = 20.0
SPREAD_V_SHARE = 0.05
INSULATION_S = 2.0
INSULATION_GRACE_S = 5.0
INVALID_S = 15.0
MONITOR_LOST_S = 3.0
HOT_S = 1.0
COOL_C = HOT_C - 3.0
DERATED_S = 5.0
FRESH_C = WARM_C - 3.0
PULSE_S = 1.0

_AT_REST = (Stage.IDLE, Stage.FAULTED)
_TRANSFER = (Stage.CHARGING, Stage.PAUSED)
_WITH_VEHICLE = (Stage.PRECHARGE, *_TRANSFER)
_ENERGISED = (*CABLE_CHECK[1:], *_WITH_VEHICLE)
_VOLTMETERS = {"modules": Fault.POWER_MODULE, "meter": Fault.METER, "insulation monitor": Fault.ISOLATION}
"""What measures the voltage of an outlet, and the fault of the one that differs from the other two."""


class Finding(Struct, frozen=True):
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
    """Whether a device is silent: from `after_s` after its last reading, or `grace_s` if it never had one."""

    __slots__ = ("_after_s", "_grace_s", "_last", "seen")

    def __init__(self, after_s: float, started: float, grace_s: float = START_GRACE_S) -> None:
        self._after_s = after_s
        self._grace_s = grace_s
        self._last = started
        self.seen = False

    def lost(self, present: bool, now: float) -> bool:
        if present:
            self._last, self.seen = now, True
            return False
        return now - self._last >= (self._after_s if self.seen else self._grace_s)


class StationWatch:
    """Watches what concerns the whole station: stop button and door."""

    def __init__(self, started: float) -> None:
        self._inputs = _Presence(0.0, started, INPUTS_GRACE_S)
        self._present: dict[Fault, Finding] = {}
        self._released = {Fault.EMERGENCY_STOP: Hold(RELEASE_S), Fault.DOOR_OPEN: Hold(RELEASE_S)}

    def check(self, inputs: InputsReading | None, now: float, why: str = "") -> list[Finding]:
        """Each is found at once, and gone after RELEASE_S.

        Silent inputs (`why`: the reason, if it is known) read as a pressed stop button: a broken wire must not disable
        the interlock. The door keeps its last state meanwhile.
        """
        if self._inputs.lost(inputs is not None, now):
            detail = f"inputs are silent: {why}" if why else "inputs are silent"
            self._note(Fault.EMERGENCY_STOP, detail, now, active=True)
        elif inputs is not None:
            self._note(Fault.EMERGENCY_STOP, "stop button pressed", now, active=inputs.emergency_stop)
            self._note(Fault.DOOR_OPEN, "door open", now, active=inputs.door_open)
        return list(self._present.values())

    def _note(self, fault: Fault, detail: str, now: float, *, active: bool) -> None:
        if active:
            self._present[fault] = Finding(fault, detail)
        if self._released[fault](not active, now):
            self._present.pop(fault, None)


class EvseWatch:
    """Watches one EVSE."""

    def __init__(self, started: float) -> None:
        self._vehicle = _Presence(0.0, started)
        self._shelf = _Presence(0.0, started)
        self._meter = _Presence(METER_GAP_S, started)
        self._monitor = _Presence(MONITOR_LOST_S, started)
        self._monitor_lost = False
        self._modules = Hold(MODULE_FAILED_S)
        self._stuck = Hold(CONTACT_S)
        self._dropped = Hold(CONTACT_S)
        self._unlocked = Hold(UNLOCKED_S)
        self._live = Hold(CONNECTOR_S)
        self._above_vehicle = Hold(OVER_VOLTAGE_S)
        self._over_current = Hold(OVER_CURRENT_S)
        self._spread = Hold(SPREAD_S)
        self._spread_v = Hold(SPREAD_S)
        self._insulation = Hold(INSULATION_S)
        self._insulation_long = Hold(INSULATION_GRACE_S + INSULATION_S)
        self._invalid = Hold(INVALID_S)
        self._earth = Hold(EARTH_S)
        self._hot = Hold(HOT_S)
        self._is_hot = False
        self._warm = Hold(DERATED_S)
        self._is_derated = False
        self._currents: deque[tuple[float, float]] = deque()
        self._requested: deque[tuple[float, float]] = deque()

    def check(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """The faults present at this EVSE, by readings sampled at `now`."""
        return [
            *self._links(state, readings, now),
            *self._contacts(state, readings, now),
            *self._voltages(state, readings, now),
            *self._amperes(state, readings, now),
            *self._spread_of_voltages(state, readings, now),
            *self._insulated(state, readings, now),
            *self._symmetric(state, readings.insulation, now),
            *self._temperature(readings.plug_temp_c, now),
            *self._derated(state, readings.plug_temp_c, now),
        ]

    def _links(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Devices that are silent, and what devices report of themselves, of the pilot and of the latch."""
        found, vehicle, energised = [], readings.vehicle, state.stage in _ENERGISED
        if self._vehicle.lost(vehicle is not None, now):
            found.append(Finding(Fault.VEHICLE_LINK, _silent(readings, "vehicle", "vehicle communication is silent")))
        if vehicle is not None and vehicle.pilot is Pilot.E:
            found.append(Finding(Fault.PILOT, "control pilot shorted or lost", latched=energised))
        if self._unlocked(vehicle is not None and not vehicle.locked and energised, now):
            found.append(Finding(Fault.CONNECTOR_LOCK, "plug is no longer locked by the vehicle", latched=True))
        if self._shelf.lost(readings.power is not None, now):
            found.append(Finding(Fault.POWER_MODULE, _silent(readings, "modules", "power modules are silent")))
        found += self._failed_modules(readings.power, now)
        if self._meter.lost(readings.meter is not None or readings.stranger is not None, now):
            found.append(
                Finding(Fault.METER, _silent(readings, "meter", f"no reading of the meter for {METER_GAP_S:.0f} s"))
            )
        elif readings.stranger is not None:
            found.append(Finding(Fault.METER, readings.stranger))
        elif state.register.fault is not None:
            found.append(Finding(Fault.METER, state.register.fault))
        # A monitor that is off between sessions need not answer, if it ever has and was not found to be silent.
        needed = energised or state.stage is Stage.AUTHORISED or self._monitor_lost
        spared = self._monitor.seen and not needed
        self._monitor_lost = self._monitor.lost(readings.insulation is not None or spared, now)
        if self._monitor_lost:
            detail = _silent(readings, "insulation monitor", "insulation monitor is silent")
            found.append(Finding(Fault.ISOLATION, detail, latched=energised))
        return found

    def _failed_modules(self, power: PowerReading | None, now: float) -> list[Finding]:
        """Failed modules end the session if no other can deliver, or if it is not known whether one can."""
        failed = power is not None and power.failed_modules > 0
        if not self._modules(failed, now) or power is None:
            return []
        fault = Fault.MODULES_DERATED if power.available_w else Fault.POWER_MODULE
        return [Finding(fault, power.detail or "a power module failed")]

    def _contacts(self, state: State, readings: Readings, now: float) -> list[Finding]:
        found = []
        if self._stuck(readings.contactor_closed and readings.contactor_known and not state.coil_on, now):
            found.append(Finding(Fault.CONTACTOR_WELDED, "mirror contact closed while the coil is off"))
        should_be_closed = state.coil_on and state.stage is not Stage.CLOSE
        if self._dropped(should_be_closed and not readings.contactor_closed, now):
            found.append(Finding(Fault.CONTACTOR_FAILED, "mirror contact open while the coil is on", latched=True))
        return found

    def _voltages(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Exceeding the table's trip voltage counts at once, exceeding the vehicle's own limit after OVER_VOLTAGE_S.

        The cable check tests with more than the vehicle's limit, before the vehicle closes its contactors. Before a
        plug is in, a connector must be without voltage.
        """
        connector_v = readings.connector_v or 0.0
        if self._live(connector_v >= SAFE_V and state.stage in _AT_REST and not state.plugged, now):
            return [Finding(Fault.CONNECTOR_VOLTAGE, f"{connector_v:.0f} V at the connector without a vehicle")]
        volts = max(connector_v, readings.power.voltage_v if readings.power is not None else 0.0)
        own = readings.vehicle.max_voltage_v if readings.vehicle is not None else 0.0
        limit = min(own, state.rating.max_voltage_v) if own > 0.0 else state.rating.max_voltage_v
        above = volts > limit + OVER_VOLTAGE_MARGIN_V and state.stage in _WITH_VEHICLE
        agreed = max(limit, state.output_v) if state.stage in CABLE_CHECK else limit
        tripped = volts > over_voltage_threshold(agreed) and state.stage in _ENERGISED
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
        for unsure_a in {0.0, readings.power.unsure_a}:
            _remember(self._currents, now, readings.power.current_a - unsure_a)
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

    def _spread_of_voltages(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Compare all that measure the voltage behind a closed contactor: they differ when outlets are cross-wired.

        Modules that are off may measure their own side of an output diode, as during a pause.
        """
        volts = _voltages(readings) if state.stage in CLOSED and readings.contactor_closed else {}
        if state.output_a < QUIET_A:
            volts.pop("modules", None)
        spread = max(volts.values(), default=0.0) - min(volts.values(), default=0.0)
        apart = spread > max(SPREAD_V, SPREAD_V_SHARE * max(volts.values(), default=0.0))
        if not self._spread_v(apart, now):
            return []
        text = ", ".join(f"{name} {value:.0f} V" for name, value in volts.items())
        return [Finding(_VOLTMETERS[_odd_one(volts)], f"voltages of the outlet differ: {text}", latched=True)]

    def _insulated(self, state: State, readings: Readings, now: float) -> list[Finding]:
        """Check the insulation during energy transfer; a low value must last longer while the current ramps up.

        A vehicle that pauses again and again ramps up again and again: that must not end the supervision.
        """
        reading = readings.insulation
        transfer = state.stage in _TRANSFER
        settled = state.stage is not Stage.CHARGING or now - state.since >= INSULATION_GRACE_S
        volts = readings.connector_v if readings.connector_v is not None else state.output_v
        low = (
            reading is not None
            and reading.valid
            and volts > SAFE_V
            and reading.resistance_kohm < insulation_limit_kohm(volts)
        )
        lasting = self._insulation(transfer and settled and low, now)
        if (self._insulation_long(transfer and low, now) or lasting) and reading is not None:
            return [Finding(Fault.ISOLATION, f"{reading.resistance_kohm:.0f} kOhm while charging", latched=True)]
        if self._invalid(state.stage in _TRANSFER and reading is not None and not reading.valid, now):
            detail = f"no valid insulation reading for {INVALID_S:.0f} s while charging"
            return [Finding(Fault.ISOLATION, detail, latched=True)]
        return []

    def _symmetric(self, state: State, reading: InsulationReading | None, now: float) -> list[Finding]:
        """Check the voltages to earth (IEC 61851-23:2023, 6.3.1.112.2), where the monitor measures them."""
        pair = reading.to_earth_v if reading is not None and state.stage in _TRANSFER else None
        volts = reading.voltage_v if reading is not None else None
        if pair is None or volts is None or volts < state.rating.min_voltage_v:
            self._earth(False, now)
            return []
        most = EARTH_V if state.rating.max_voltage_v <= 500.0 else EARTH_SHARE * volts
        worst = max(abs(each) for each in pair)
        if self._earth(worst > most, now):
            return [Finding(Fault.ISOLATION, f"{worst:.0f} V to earth, at most {most:.0f} V", latched=True)]
        return []

    def _temperature(self, plug_temp_c: float | None, now: float) -> list[Finding]:
        """A sensor that is not connected does not stop: the current is derated to one that needs none (`limits.py`)."""
        if self._hot(plug_temp_c is not None and plug_temp_c > HOT_C, now):
            self._is_hot = True
        elif plug_temp_c is not None and plug_temp_c < COOL_C:
            self._is_hot = False
        return [Finding(Fault.OVER_TEMPERATURE, f"plug above {HOT_C:.0f} °C")] if self._is_hot else []

    def _derated(self, state: State, plug_temp_c: float | None, now: float) -> list[Finding]:
        """Report a plug so warm that its current is limited, or of unknown temperature; charging goes on."""
        if self._warm(derated(state.rating.max_current_a, plug_temp_c) < state.rating.max_current_a, now):
            self._is_derated = True
        elif plug_temp_c is not None and plug_temp_c < FRESH_C:
            self._is_derated = False
        if self._is_hot or not self._is_derated:
            return []
        detail = _NO_SENSOR if plug_temp_c is None else f"plug at {plug_temp_c:.0f} °C: less current is offered"
        return [Finding(Fault.CABLE_DERATED, detail)]


_NO_SENSOR = f"temperature of the plug is not known (sensor broken or not connected): at most {SENSORLESS_A:.0f} A"


def _silent(readings: Readings, device: str, text: str) -> str:
    """The text, with the reason if it is known."""
    why = readings.silent.get(device)
    return text if why is None else f"{text}: {why}"


def _voltages(readings: Readings) -> dict[str, float]:
    """What each device measures of the outlet's voltage."""
    found = {
        "modules": readings.power.voltage_v if readings.power is not None else None,
        "meter": readings.meter.voltage_v if readings.meter is not None else None,
        "insulation monitor": readings.insulation.voltage_v if readings.insulation is not None else None,
    }
    return {name: volts for name, volts in found.items() if volts is not None and math.isfinite(volts)}


def _odd_one(volts: dict[str, float]) -> str:
    """The device that is furthest from the middle value; of two the modules, which are wired anew most often."""
    if len(volts) < 3:
        return next(iter(volts))
    middle = sorted(volts.values())[1]
    return max(volts, key=lambda name: abs(volts[name] - middle))


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
