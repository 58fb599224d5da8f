# SPDX-License-Identifier: Apache-2.0
"""What an installer can try without a vehicle: card reader, display, contactor, insulation monitor.

A test of an EVSE's power path runs only while that EVSE is at rest: nothing plugged in, no permission, no fault that
forbids charging, no voltage. Each tick checks that again, and whatever breaks it ends the test in its safe value; a
vehicle that is plugged in and the stop button do so in their own callback. The coil is switched on once, when the test
begins, and never again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from msgspec import Struct

from firmware.contract import CardProblem, Event, Fault, Problem, SelfTest, SelfTestFinished, StartTest
from hal.active_faults import ActiveFaults
from hal.evse.evse import Evse
from hal.evse.model import Readings
from hal.evse.stages import SAFE_V
from hal.evse.table import Stage
from hal.hardware import Hardware

__all__ = ["CLOSE_S", "MEASURE_S", "OPEN_S", "PERSON_S", "SelfTests"]

CLOSE_S = 1.0
"""For the mirror contact to follow the coil that is switched on."""
OPEN_S = 0.5
PERSON_S = 20.0
"""For a person to present a card, or to touch a display."""
MEASURE_S = 15.0
"""For the first valid value of a monitor that was switched on."""
_QUIET_A = 1.0
_POWER_PATH = (SelfTest.CONTACTOR, SelfTest.INSULATION)
_NAMES = {
    CardProblem.SEVERAL_CARDS: "several cards at once",
    CardProblem.UNREADABLE: "a card that does not answer as it should",
    CardProblem.NO_IDENTITY: "a card without an identity of its own, such as a phone",
}
_log = logging.getLogger(__name__)


class _Running(Struct):
    """`step`: what is waited for since `since`; only of the contactor there are two."""

    test: SelfTest
    evse: int | None
    since: float
    opening: bool = False


class SelfTests:
    """At most one test of each EVSE, and one of the card reader."""

    def __init__(
        self, evses: Mapping[int, Evse], hardware: Hardware, faults: ActiveFaults, publish: Callable[[Event], None]
    ) -> None:
        self._evses = evses
        self._hardware = hardware
        self._faults = faults
        self._publish = publish
        self._running: dict[int | None, _Running] = {}

    def occupies(self, evse: int) -> bool:
        """Whether a test uses the power path of this EVSE: no session may begin there."""
        running = self._running.get(evse)
        return running is not None and running.test in _POWER_PATH

    # --- beginning -------------------------------------------------------------------------------------------

    def begin(self, command: StartTest, now: float) -> tuple[Problem, str] | None:
        """Returns why not, or None: then the outcome is published later."""
        test, number = command.test, command.evse
        if test is SelfTest.CARD_READER:
            number = None
        elif number not in self._evses:
            return Problem.UNKNOWN_EVSE, f"no EVSE {number}"
        if number in self._running:
            return Problem.BUSY, f"the test {self._running[number].test.value} is running"
        problem = self._missing(test, number) or self._forbidden(test, number)
        if problem is not None:
            return problem
        _log.info("self test %s%s begins", test.value, "" if number is None else f" of EVSE {number}")
        self._running[number] = _Running(test, number, now)
        if number is not None and test is SelfTest.CONTACTOR:
            self._evses[number].switch_off()
            self._evses[number].close_for_test()
        elif number is not None and test is SelfTest.INSULATION:
            self._evses[number].monitor(True)
        return None

    def _missing(self, test: SelfTest, evse: int | None) -> tuple[Problem, str] | None:
        if test is SelfTest.CARD_READER and self._hardware.card_reader is None:
            return Problem.NO_HARDWARE, "no card reader"
        if test is SelfTest.SCREEN and all(screen.evse != evse for screen in self._hardware.screens):
            return Problem.NO_HARDWARE, f"EVSE {evse} has no display"
        return None

    def _forbidden(self, test: SelfTest, evse: int | None) -> tuple[Problem, str] | None:
        """Why the test may not begin, or go on."""
        for each in self._evses.values() if evse is None else (self._evses[evse],):
            if each.state.session is not None:
                return Problem.NOT_ALLOWED, f"a session holds EVSE {each.number}"
            if each.state.plugged and evse is not None:
                return Problem.NOT_ALLOWED, f"a vehicle is plugged in at EVSE {each.number}"
        if test is SelfTest.CARD_READER and Fault.CARD_READER in self._faults.own(None):
            return Problem.FAULTED, Fault.CARD_READER.value
        if evse is None or test not in _POWER_PATH:
            return None
        stopping = sorted(fault.value for fault in self._faults.touching(evse) if fault.stops_charging)
        if stopping:
            return Problem.FAULTED, ", ".join(stopping)
        return _not_at_rest(self._evses[evse])

    # --- going on and ending -----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """After the ports were sampled."""
        for running in tuple(self._running.values()):
            why = self._forbidden(running.test, running.evse)
            if why is not None:
                self._end(running, passed=False, detail=f"ended: {why[1]}")
            elif running.test is SelfTest.CONTACTOR:
                self._watch_contactor(running, now)
            elif running.test is SelfTest.INSULATION:
                self._watch_monitor(running, now)
            elif now - running.since > PERSON_S:
                what = "card" if running.test is SelfTest.CARD_READER else "touch"
                self._end(running, passed=False, detail=f"no {what} within {PERSON_S:g} s")

    def check(self, evse: int) -> None:
        """Something has changed at this EVSE: a test that may not go on ends now."""
        running = self._running.get(evse)
        why = None if running is None else self._forbidden(running.test, evse)
        if running is not None and why is not None:
            self._end(running, passed=False, detail=f"ended: {why[1]}")

    def end_all(self, why: str) -> None:
        for running in tuple(self._running.values()):
            self._end(running, passed=False, detail=f"ended: {why}")

    def card(self, uid: str | None, problem: CardProblem | None = None) -> bool:
        """A card was presented; True if it was for a test, which is then over."""
        running = self._running.get(None)
        if running is None:
            return False
        detail = f"a card with a UID of {len(uid) // 2} bytes" if uid else _NAMES.get(problem or CardProblem.UNREADABLE)
        self._end(running, passed=uid is not None, detail=detail or "")
        return True

    def touched(self, evse: int) -> bool:
        """The display of this EVSE was touched; True if that was for a test, which is then over."""
        running = self._running.get(evse)
        if running is None or running.test is not SelfTest.SCREEN:
            return False
        self._end(running, passed=True, detail="the touch was felt")
        return True

    def _watch_contactor(self, running: _Running, now: float) -> None:
        assert running.evse is not None
        evse, waited_s = self._evses[running.evse], now - running.since
        closed = evse.readings is not None and evse.readings.contactor_closed
        if running.opening:
            if not closed:
                self._end(running, passed=True, detail="closed and opened, and the mirror contact followed")
            elif waited_s >= OPEN_S:
                self._end(running, passed=False, detail=f"the mirror contact did not open within {OPEN_S:g} s")
        elif closed:
            evse.open_contactor()
            running.opening, running.since = True, now
        elif waited_s >= CLOSE_S:
            self._end(running, passed=False, detail=f"the mirror contact did not close within {CLOSE_S:g} s")

    def _watch_monitor(self, running: _Running, now: float) -> None:
        assert running.evse is not None
        readings = self._evses[running.evse].readings
        reading = readings.insulation if readings is not None else None
        if reading is not None and reading.valid and reading.mono_s > running.since:
            self._end(running, passed=True, detail=f"{reading.resistance_kohm:.0f} kOhm")
        elif now - running.since > MEASURE_S:
            self._end(running, passed=False, detail=f"no valid value within {MEASURE_S:g} s")

    def _end(self, running: _Running, *, passed: bool, detail: str) -> None:
        self._running.pop(running.evse, None)
        if running.evse is not None and running.test is SelfTest.CONTACTOR:
            self._evses[running.evse].open_contactor()
        elif running.evse is not None and running.test is SelfTest.INSULATION:
            self._evses[running.evse].monitor(False)
        _log.info("self test %s %s: %s", running.test.value, "passed" if passed else "FAILED", detail)
        self._publish(SelfTestFinished(test=running.test, evse=running.evse, passed=passed, detail=detail))


def _not_at_rest(evse: Evse) -> tuple[Problem, str] | None:
    readings = evse.readings
    if evse.state.stage is not Stage.IDLE:
        return Problem.NOT_ALLOWED, f"EVSE {evse.number} is {evse.state.phase.value}"
    if readings is None or readings.power is None or not readings.inputs_known or not readings.contactor_known:
        return Problem.DEVICE_FAILED, "not every device of the power path answers"
    if _volts(readings) >= SAFE_V or abs(readings.power.current_a) >= _QUIET_A:
        return Problem.NOT_ALLOWED, f"{_volts(readings):.0f} V at EVSE {evse.number}"
    return None


def _volts(readings: Readings) -> float:
    found = [readings.connector_v or 0.0]
    found += [device.voltage_v for device in (readings.power, readings.meter) if device is not None]
    return max(abs(each) for each in found)
