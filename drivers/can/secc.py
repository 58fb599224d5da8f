# SPDX-License-Identifier: Apache-2.0
"""`VehicleLink` of one EVSE: an ADVANTICS ADM-CS-SECC board on a CAN bus of 500 kbit/s, one board a plug.

    [evse.vehicle]
    driver = "advantics"
    bus = "vehicles"
    index = 1            # `index` of the plug in the board's own configuration

The board leads the session with the vehicle. `secc_view.py` has the table of its states and the HAL's stages; this
module sends what the board expects:

- `Power_Modules_Status` every 100 ms, always. `system enable` is set from the authorisation on, and only for a session
  that this driver has seen begin; without it the vehicle sees an emergency stop. It falls with an emergency stop and
  when the board is silent in a session, and rises again only for the next session. Normal stops are `user stop`.
- A board that was silent is not authorised any more.
- The board ends its insulation test by itself after ten or more cycles of 90 % voltage and good insulation. So it gets
  an insulation resistance only when the HAL has judged it.
- `Sequence_Control` on each change of it and of the board's state, and once a second: the documents disagree on when it
  counts. Its flags for authorisation are set from the state `authorisation` on only.
- `DC_Power_Parameters` on change and once a second. A limit of zero would mean the board's configured value; 0.1 A is
  sent instead. It has no field for power: the current is what the power allows at the present voltage.
- There is no message to interrupt the pilot: to wake a vehicle the plug is `not available` for `wake_s`.

Source: ADVANTICS documentation, charge-controllers/{can_v3,sequences_v3,databases_v3}. Tested against a simulated board
only.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from drivers.background import Background
from drivers.can.advantics import (
    BASE_MASK,
    FROM_SECC,
    FROM_SECC_MASK,
    INDEX_MASK,
    STATUS,
    EmergencyOrigin,
    ModulesStatus,
    Parameters,
    SequenceControl,
    SessionFinished,
    decode,
    index_of,
)
from drivers.can.bus import CanBus
from drivers.can.secc_view import AFTER_TEST, BEGINNING, IDLE, OUT_OF_SERVICE, STOPPABLE, BoardView, State
from firmware.errors import DeviceLost, DeviceRefused, DriverError
from hal.ports import DeviceInfo, Vehicle

__all__ = ["AdvanticsSecc", "SeccOptions"]

PERIOD_S = 0.1
REPEAT_S = 1.0
ANSWERS_WITHIN_S = 5.0
"""How long after its start the driver waits for the board's first frame; a board takes about 15 s to boot."""
OUTPUT_OLD_S = 1.0
WAKE_GRACE_S = 2.0
QUIET_LOG_S = 60.0
CONNECTED_V = 60.0
UNMEASURED_C = 25.0
"""Sent as the temperature of modules and cabinet: the HAL watches these itself."""

_log = logging.getLogger(__name__)


class SeccOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bus: CanBus
    evse: int
    index: Annotated[int, Meta(ge=1, le=31, description="index of the plug in the board's configuration")]
    silent_after_s: Annotated[
        float, Meta(ge=0.15, le=5.0, description="power is off when the board is silent for so long; 0.2 in life")
    ] = 0.2
    wake_s: Annotated[float, Meta(ge=0.1, le=30.0, description="how long the pilot is off to wake a vehicle")] = 4.0
    plug_sensors: Annotated[
        int, Meta(ge=0, le=2, description="temperature sensors of the plug that are wired to the board")
    ] = 2


class _Orders(Struct, frozen=True):
    """What the HAL has ordered; the last three are for the present session only."""

    available: bool = True
    authorised: bool = False
    wake_until: float = -math.inf
    limits: tuple[float, float, float] | None = None
    """Volts, amperes, watts."""
    stop: bool = False
    checked: bool | None = None
    emergency: bool = False


class AdvanticsSecc:
    """One board, which is one plug."""

    Options: ClassVar = SeccOptions

    def __init__(self, options: SeccOptions) -> None:
        self.stale_after_s = options.silent_after_s
        self._options = options
        self._bus = options.bus
        self._name = f"SECC of index {options.index}"
        self._started = time.monotonic()
        self._listeners: list[Callable[[Vehicle], None]] = []
        self._reported: tuple[object, ...] = ()
        self._view = BoardView()
        self._others: set[int] = set()
        self._garbled = ""
        self._garbled_at = -math.inf
        self._finish_logged = False
        """The end of a session was logged in the board's present state."""
        self._orders = _Orders()
        self._enabled = False
        """`system enable`: this driver has authorised the present session from its beginning."""
        self._own_stop = False
        """The board's emergency stop is its answer to ours."""
        self._output = (0.0, 0.0)
        self._output_at = -math.inf
        self._kohm: float | None = None
        self._parameters_at = -math.inf
        """When they were last sent in this session."""
        self._parameters_due = False
        self._sequence: SequenceControl | None = None
        self._sequence_at = -math.inf
        own = options.index << 24
        self._unsubscribe = self._bus.listen(own | FROM_SECC, INDEX_MASK | FROM_SECC_MASK, self._on_frame)
        self._ignore_others = self._bus.listen(STATUS, BASE_MASK, self._on_any_status)
        self._background = Background(self._name)
        self._background.start("sending", self._keep_sending)

    # --- the port ---------------------------------------------------------------------------------------------

    def vehicle(self) -> Vehicle:
        now = time.monotonic()
        self._require_answer(now)
        return self._report(now)

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        self._listeners.append(on_change)

    def authorise(self, granted: bool) -> None:
        self._order(authorised=granted, limits=self._orders.limits if granted else None)

    def wake(self) -> None:
        self._order(wake_until=time.monotonic() + self._options.wake_s)

    def report_output(self, voltage_v: float, current_a: float, insulation_kohm: float | None) -> None:
        now = time.monotonic()
        self._require_link(now)
        self._output, self._output_at = (voltage_v, current_a), now
        # After its test the board gets the last value that was valid: none would read as a short circuit.
        if insulation_kohm is not None or self._view.state not in AFTER_TEST:
            self._kohm = insulation_kohm

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        self._order(limits=(max_voltage_v, max_current_a, max_power_w))
        self._parameters_due = True

    def finish_cable_check(self, passed: bool) -> None:
        self._order(checked=passed if self._view.state in STOPPABLE else None)

    def request_stop(self) -> None:
        """Kept also if it raises: the session ends when the link is back."""
        self._orders = replace(self._orders, stop=self._view.state in STOPPABLE)
        self._order()

    def emergency_stop(self) -> None:
        """Kept also if it raises."""
        now = time.monotonic()
        self._orders = replace(self._orders, emergency=self._enabled)
        self._own_stop = self._enabled
        self._require_link(now)
        self._send_status(now)

    def set_available(self, available: bool) -> None:
        self._order(available=available)

    def devices(self) -> list[DeviceInfo]:
        address = f"index {self._options.index} on {self._bus.name}"
        try:
            vehicle = self.vehicle()
        except DriverError as error:
            return [DeviceInfo(address=address, answers=False, state=str(error))]
        return [DeviceInfo(address=address, state=f"{_words(self._view.state)}, pilot {vehicle.pilot.value}")]

    def close(self) -> None:
        """The vehicle sees an emergency stop, unless its session is over."""
        self._background.close()
        self._unsubscribe()
        self._ignore_others()
        self._orders = replace(self._orders, authorised=False, emergency=True)
        with suppress(DeviceLost):
            self._send_status(time.monotonic())
            self._send_sequence(time.monotonic())

    # --- the link ---------------------------------------------------------------------------------------------

    def _require_link(self, now: float) -> None:
        """Raise `DeviceLost` while the board can't be reached; one that has just been started gets time to answer."""
        self._bus.require_up()
        if self._view.state is None and now - self._started < ANSWERS_WITHIN_S:
            return
        if now - self._view.status_at > self._options.silent_after_s:
            raise DeviceLost(self._why_silent(now))

    def _require_answer(self, now: float) -> None:
        """Raise `DriverError` while the board's reports can't be used, with the reason in words."""
        self._require_link(now)
        if self._view.state is None:
            raise DeviceLost(f"{self._name} has not answered yet")
        if self._view.too_many:
            raise DeviceRefused(f"{self._name}: too many frames: two boards of one index, or one that babbles")
        if self._view.pilot_lost:
            raise DeviceLost(f"{self._name} does not report the control pilot")
        if self._view.stopped(now) is EmergencyOrigin.STATION and not self._own_stop:
            raise DeviceRefused(f"{self._name} has stopped: check its interlock line, current loop and CAN wiring")

    def _why_silent(self, now: float) -> str:
        if now - self._garbled_at < REPEAT_S:
            return f"{self._name} sends what it should not: {self._garbled}"
        if self._view.state is not None:
            return f"{self._name} is silent"
        others = ", ".join(map(str, sorted(self._others)))
        return f"{self._name} does not answer; of other boards {f'index {others} does' if others else 'none does'}"

    # --- from the board ----------------------------------------------------------------------------------------

    def _on_any_status(self, can_id: int, _data: bytes, _now: float) -> None:
        """Note which boards there are, until the own one answers."""
        self._others.add(index_of(can_id))

    def _on_frame(self, can_id: int, data: bytes, now: float) -> None:
        try:
            message = decode(can_id, data)
        except ValueError as error:
            if now - self._garbled_at >= QUIET_LOG_S:
                _log.warning("%s: %s", self._name, error)
            self._garbled, self._garbled_at = str(error), now
            return
        if message is None:
            return
        if isinstance(message, SessionFinished) and not self._finish_logged:
            self._finish_logged = True
            _log.info("%s: session finished%s", self._name, " in a rush" if message.rushed else "")
        before = self._view.state
        self._view.take(message, now, waking=self._waking(now))
        if self._view.state is not before:
            self._on_state(before, now)
        self._notify(now)

    def _on_state(self, before: State | None, now: float) -> None:
        """Answer a new state at once; what was ordered for one session does not touch the next."""
        state = self._view.state
        self._ignore_others()
        if state in IDLE or before in IDLE or state is State.NEGOTIATING:
            self._orders = replace(self._orders, stop=False, checked=None, emergency=False)
            self._enabled, self._kohm = False, None
            self._parameters_at, self._parameters_due = -math.inf, False
        self._sequence = None
        if not self._view.too_many:  # of two boards' states each is a change
            self._finish_logged = False
            _log.info("%s: %s", self._name, _words(state))
            self._send_all(now)

    def _report(self, now: float) -> Vehicle:
        checked, sensors = self._orders.checked is True, self._options.plug_sensors
        return self._view.report(now, checked=checked, waking=self._waking(now), sensors=sensors)

    def _waking(self, now: float) -> bool:
        """The pilot is interrupted, or was and the board is still out of service."""
        late = WAKE_GRACE_S if self._view.state in OUT_OF_SERVICE else 0.0
        return now < self._orders.wake_until + late

    def _notify(self, now: float) -> None:
        """Call the listeners if pilot, stage, lock or identity have changed."""
        if self._view.state is None:
            return
        vehicle = self._report(now)
        edges = (vehicle.pilot, vehicle.stage, vehicle.locked, vehicle.evcc_id)
        if edges != self._reported:
            self._reported = edges
            for listener in self._listeners:
                listener(vehicle)

    # --- to the board ------------------------------------------------------------------------------------------

    def _order(self, **changes: Any) -> None:
        """Change the orders and send them; an order that can't be sent is forgotten."""
        now = time.monotonic()
        self._require_link(now)
        before, self._orders = self._orders, replace(self._orders, **changes)
        try:
            self._send_sequence(now)
        except DeviceLost:
            self._orders = before
            raise
        self._notify(now)

    async def _keep_sending(self) -> None:
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now - self._view.status_at > self._options.silent_after_s:
                emergency = self._orders.emergency or self._enabled
                self._orders = replace(self._orders, authorised=False, limits=None, emergency=emergency)
            if self._orders.emergency or not self._view.stopped(now):
                self._own_stop = self._orders.emergency
            self._send_all(now)
            self._notify(now)
            due = max(due + PERIOD_S, now)
            await asyncio.sleep(due - time.monotonic())

    def _send_all(self, now: float) -> None:
        with suppress(DeviceLost):  # the bus logs it, and the next round sends again
            self._send_status(now)
            self._send_parameters(now)
            self._send_sequence(now)

    def _send_status(self, now: float) -> None:
        orders = self._orders
        self._enabled = self._enabled or (orders.authorised and self._view.state in BEGINNING)
        voltage_v, current_a = self._output if now - self._output_at <= OUTPUT_OLD_S else (0.0, 0.0)
        status = ModulesStatus(
            voltage_v=voltage_v,
            current_a=current_a,
            enabled=self._enabled and not orders.emergency,
            insulation_kohm=self._kohm if orders.checked is not False else None,
            module_c=UNMEASURED_C,
            cabinet_c=UNMEASURED_C,
        )
        self._bus.send(*status.frame(self._options.index))

    def _send_parameters(self, now: float) -> None:
        """Send the limits if they have changed, at least 100 ms apart, or once a second."""
        limits, pause_s = self._orders.limits, PERIOD_S if self._parameters_due else REPEAT_S
        wanted = self._view.state in BEGINNING or self._view.state in STOPPABLE
        if limits is None or not wanted or now - self._parameters_at < pause_s:
            return
        max_v, max_a, max_w = limits
        present_v = self._output[0] if self._view.state is State.CHARGING else self._view.max_v
        current_a = min(max_a, max_w / (present_v if present_v >= CONNECTED_V else max_v))
        self._bus.send(*Parameters(max_v, current_a).frame(self._options.index))
        self._parameters_at, self._parameters_due = now, False

    def _send_sequence(self, now: float) -> None:
        """Send the flags if they have changed, or once a second, but not before the board has reported its state."""
        orders, state = self._orders, self._view.state
        if state is None:
            return
        granted = orders.authorised and state not in IDLE and state is not State.NEGOTIATING
        sequence = SequenceControl(
            start=orders.available and now >= orders.wake_until,
            authorisation_done=granted,
            authorisation_valid=granted,
            parameters_done=granted and self._parameters_at > -math.inf,
            user_stop=state in STOPPABLE and (orders.stop or orders.checked is False or not orders.authorised),
        )
        if sequence != self._sequence or now - self._sequence_at >= REPEAT_S:
            self._bus.send(*sequence.frame(self._options.index))
            self._sequence, self._sequence_at = sequence, now


def _words(state: State | None) -> str:
    return state.name.lower().replace("_", " ") if state is not None else "unknown"
