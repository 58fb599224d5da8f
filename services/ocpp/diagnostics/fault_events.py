# SPDX-License-Identifier: Apache-2.0
"""N07: each hardware fault that comes or goes is reported as a HardWiredNotification of its component's `Problem`.

No monitor is needed for that (part 1 recommends it for stations without monitoring). `techCode` is the ChargeX
code of the fault (`Fault.mrec`), or the fault's own name where there is none; `techInfo` says what was found.

Reported is the difference between the faults that are present and those that the CSMS has acknowledged, which are on
disk: what came and went while the station was offline is not reported, and after an outage or a restart the CSMS gets
what has changed. A report that fails is made again with the next change or connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from firmware.contract import Event, Fault, FaultCleared, FaultRaised
from services.ocpp.context import Context, Failure
from services.ocpp.device_model import keys
from services.ocpp.device_model.hardware import COMPONENT_OF_FAULT
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.messages import EventDataType, NotifyEventRequest

__all__ = ["FaultEvents"]

_MAX_INFO_CHARS = 500
_Place: TypeAlias = tuple[Fault, int]
"""A fault and its EVSE; 0: the station."""


class FaultEvents:
    """What block N does for N07."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: set[_Place] = set()
        """Acknowledged by the CSMS."""
        self._sent: tuple[int, set[_Place]] | None = None
        """The report that is not answered yet: its first eventId, and what the CSMS will know by it."""
        self._details: dict[_Place, str] = {}
        self._last_id = 0
        self._changed = False

    def start(self) -> None:
        stored = self._context.key_values.get(Key.FAULTS_REPORTED) or {"last_id": 0, "known": []}
        self._last_id = stored["last_id"]
        self._known = {(Fault(code), evse) for code, evse in stored["known"] if code in set(Fault)}

    def on_hal_event(self, event: Event) -> None:
        if isinstance(event, FaultRaised | FaultCleared):
            place = (event.fault, event.evse or 0)
            self._details.pop(place, None)
            if isinstance(event, FaultRaised):
                self._details[place] = event.detail
            self._changed = True

    def again(self) -> None:
        """The HAL or the CSMS is back: compare anew what is present with what is known."""
        self._changed = True

    def answered(self, request: NotifyEventRequest, answer: object) -> None:
        if self._sent is None or self._sent[0] != request["eventData"][0]["eventId"]:
            return  # made before the last restart
        (_, known), self._sent = self._sent, None
        if not isinstance(answer, Failure):
            self._known = known
            self._keep()

    def settle(self, now: float) -> None:
        """Report what has changed, one report at a time."""
        context = self._context
        if not self._changed or self._sent or not (context.registration.online and context.hal.present):
            return
        self._changed = False
        present = {(fault, 0) for fault in context.hal.station_faults}
        present |= {(fault, evse.evse) for evse in context.hal.evses.values() for fault in evse.faults}
        events = [event for place in sorted(self._known - present) for event in self._events(place, True, now)]
        events += [event for place in sorted(present - self._known) for event in self._events(place, False, now)]
        if not events:
            return
        self._sent = (events[0]["eventId"], present)
        self._keep()
        request: NotifyEventRequest = {"generatedAt": context.time.text(now), "seqNo": 0, "eventData": events}
        context.outbox.send("NotifyEvent", request)

    def _keep(self) -> None:
        known = sorted([fault.value, evse] for fault, evse in self._known)
        self._context.key_values.put(Key.FAULTS_REPORTED, {"last_id": self._last_id, "known": known})

    def _events(self, place: _Place, cleared: bool, now: float) -> list[EventDataType]:
        """One event; of a fault of the station in a component that each EVSE has, one for each."""
        fault, evse = place
        problem, model = keys.problem(COMPONENT_OF_FAULT[fault]), self._context.model
        places = [evse] if evse or model.has(problem) else list(self._context.hal.evses)
        return [self._event(place, at, cleared, now) for at in places]

    def _event(self, place: _Place, at: int, cleared: bool, now: float) -> EventDataType:
        fault, evse = place
        problem, model = keys.problem(COMPONENT_OF_FAULT[fault]), self._context.model
        present = model.get(problem, evse=at) if model.has(problem, evse=at) else not cleared
        self._last_id += 1
        event: EventDataType = {
            "eventId": self._last_id,
            "timestamp": self._context.time.text(now),
            "trigger": "Alerting",
            "actualValue": "true" if present else "false",
            "techCode": fault.mrec(evse or None) or fault.value,
            "cleared": cleared,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": COMPONENT_OF_FAULT[fault]},
            "variable": {"name": "Problem"},
        }
        if at:
            event["component"]["evse"] = {"id": at}
            transaction_id = self._context.hal.evses[at].transaction_id
            if transaction_id is not None:
                event["transactionId"] = transaction_id
        if self._details.get(place):
            event["techInfo"] = self._details[place][:_MAX_INFO_CHARS]
        return event
