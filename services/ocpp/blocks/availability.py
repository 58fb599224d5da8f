# SPDX-License-Identifier: Apache-2.0
"""G Availability: connector status, and the availability that the CSMS sets.

A connector's status follows, in this order, from a fault, from Inoperative by request, and from a connected vehicle. It
is updated once for each event, so that no transient status is reported. Availability set by the CSMS is stored for
station, EVSE and connector separately (G03.FR.07, G04.FR.08) and survives a reboot (G03.FR.08, G04.FR.09).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from firmware.clock import parse_utc
from firmware.contract import Event, OutOfService, SetAvailable
from firmware.log import fields
from services.ocpp import signals
from services.ocpp.context import DISK_FULL, Block, Context, Failure, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        ChangeAvailabilityRequest,
        ChangeAvailabilityResponse,
        ConnectorStatusEnumType,
        HeartbeatResponse,
        MessageTriggerEnumType,
        OperationalStatusEnumType,
        StatusNotificationRequest,
    )

__all__ = ["Availability"]

_log = logging.getLogger(__name__)

_STATION = "station"
_MOST_REPETITIONS = 5
"""Of a StatusNotification that is not answered; then the status is sent with the next change or connection."""


class Availability(Block):
    letter = "G"
    handles = ("ChangeAvailability",)
    asks = ("StatusNotification", "Heartbeat")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._inoperative: set[str] = set()
        self._since: dict[str, float] = {}
        """Since when a level is Inoperative, UTC, as far as known."""
        self._scheduled: dict[str, OperationalStatusEnumType] = {}
        self._reported: dict[int, str] = {}
        """The status last sent, by EVSE; missing: has to be sent."""
        self._unanswered: set[int] = set()
        """EVSEs of which the last StatusNotification failed."""
        self._time_outs: Counter[int] = Counter()
        """How often the present status of an EVSE was sent and not answered."""
        self._repeat_at: dict[int, float] = {}
        """When the present status of an EVSE is sent again."""
        self._update_waits = False
        self._closed_for_reset: set[int] = set()
        self._heartbeat_at: float | None = None
        self._last_heartbeat = 0.0

    def start(self, now: float) -> None:
        # G01.FR.02; after a reset, too: B01.FR.07, B11.FR.02, B12.FR.06.
        stored = self.context.key_values.get(Key.AVAILABILITY) or {}
        self._inoperative = set(stored.get("inoperative", ()))
        self._scheduled = dict(stored.get("scheduled", {}))
        self._since = dict(stored.get("since", {}))
        self._update_status(now)

    # --- G03, G04 --------------------------------------------------------------------------------------------

    def on_call(self, action: Action, request: ChangeAvailabilityRequest, now: float) -> ChangeAvailabilityResponse:
        """G03.FR.01, G03.FR.02: answer whether the requested availability is possible now, later, or not at all."""
        target = self._target(request)
        if target is None:
            unknown = "UnknownConnectorId" if request["evse"]["id"] in self.context.hal.evses else "UnknownEvse"
            return {"status": "Rejected", "statusInfo": {"reasonCode": unknown}}
        requested = request["operationalStatus"]
        former = set(self._inoperative), dict(self._scheduled), dict(self._since)
        repeated = (target in self._inoperative) == (requested == "Inoperative")
        waits = not repeated and any(evse.transaction_id is not None for evse in self._covered(target))
        self._scheduled.pop(target, None)  # the change that this cancels may have closed an EVSE
        if waits:
            self._scheduled[target] = requested
        else:
            self._set(target, requested, now)
        self._save()
        if not self.context.kept(lambda: self._restore(*former)):
            return {"status": "Rejected", "statusInfo": DISK_FULL}
        if repeated:
            for evse in self._covered(target):  # the answer to a repeated request is reported again (TC_G_13_CS)
                self._reported.pop(evse.evse, None)
        self._update_status(now)  # of one that waits: the EVSEs without a transaction change now
        return {"status": "Scheduled" if waits else "Accepted"}  # G03.FR.03, G03.FR.05, G04.FR.04, G04.FR.06

    def _target(self, request: ChangeAvailabilityRequest) -> str | None:
        """The stored name of the level that the request is for; None if there is no such EVSE or connector."""
        if "evse" not in request or request["evse"]["id"] == 0:
            return _STATION  # G04.FR.01
        evse = self.context.hal.evses.get(request["evse"]["id"])
        connector = request["evse"].get("connectorId")
        if evse is None or connector not in (None, evse.connector):
            return None
        return f"evse {evse.evse}" if connector is None else f"connector {evse.evse}.{connector}"

    def _covered(self, target: str) -> list[Evse]:
        return [evse for evse in self.context.hal.evses.values() if target in _levels(evse)]

    def _set(self, target: str, requested: OperationalStatusEnumType, now: float) -> None:
        utc = self.context.time.known_utc(now)
        if requested == "Operative":
            self._inoperative.discard(target)
            self._since.pop(target, None)
        elif target not in self._inoperative:
            self._inoperative.add(target)
            if utc is not None:
                self._since[target] = utc
        _log.info("%s is now %s", target, requested)

    def _restore(
        self, inoperative: set[str], scheduled: dict[str, OperationalStatusEnumType], since: dict[str, float]
    ) -> None:
        self._inoperative, self._scheduled, self._since = inoperative, scheduled, since
        self._save()

    def _save(self) -> None:
        stored = {"inoperative": sorted(self._inoperative), "scheduled": self._scheduled, "since": self._since}
        self.context.key_values.put(Key.AVAILABILITY, stored)

    def _run_scheduled(self, now: float) -> None:
        """A transaction ended: apply the changes that waited for it (G01.FR.05)."""
        for target, requested in list(self._scheduled.items()):
            if not any(evse.transaction_id for evse in self._covered(target)):
                del self._scheduled[target]
                self._set(target, requested, now)
                self._save()

    # --- G01 ---------------------------------------------------------------------------------------------------

    def _update_status(self, now: float) -> None:
        for evse in self.context.hal.evses.values():
            self._open_or_close(evse, now)
            if not evse.operative and evse.id_token is not None and evse.transaction_id is None:
                self.context.emit(signals.StopRequested(evse.evse, "Deauthorized", "DeAuthorized"))
            status = self._status(evse)
            if status != evse.status:
                _log.info("EVSE %d: %s", evse.evse, status, extra=fields(evse=evse.evse))
                evse.status = status
                self._mirror(evse)
                if not self.context.registration.online:  # B04.FR.02: a change, even one that is reverted
                    self._reported.pop(evse.evse, None)
            if self.context.registration.online and self._reported.get(evse.evse) != status:
                del self._time_outs[evse.evse]
                self._notify(evse, now)  # after a ChangeAvailability: G01.FR.07, G03.FR.04, G04.FR.05

    def _open_or_close(self, evse: Evse, now: float) -> None:
        why = self._why_out_of_service(evse)
        if why is evse.out_of_service:
            return
        known = [self._since[level] for level in _levels(evse) & self._inoperative & set(self._since)]
        since = min(known) if known else self.context.time.known_utc(now)
        evse.out_of_service, evse.out_of_service_since = why, None if why is None else since
        self._tell_vehicles(evse)

    def _tell_vehicles(self, evse: Evse) -> None:
        self.context.hal.ask(SetAvailable(evse.evse, evse.operative))

    def _why_out_of_service(self, evse: Evse) -> OutOfService | None:
        if _levels(evse) & self._inoperative:
            return OutOfService.OPERATOR
        if evse.evse in self._closed_for_reset:
            return OutOfService.RESTART
        if self._update_waits and evse.transaction_id is None:
            return OutOfService.UPDATE  # L01.FR.07
        leaving = {target for target, requested in self._scheduled.items() if requested == "Inoperative"}
        return OutOfService.OPERATOR if _levels(evse) & leaving and evse.transaction_id is None else None

    def _status(self, evse: Evse) -> ConnectorStatusEnumType:
        """One of the valid statuses (G01.FR.01); Reserved is not used."""
        if self.context.hal.is_faulted(evse):
            return "Faulted"
        still_there = evse.plugged and evse.status == "Occupied"
        if self._update_waits and still_there and not _levels(evse) & self._inoperative:
            return "Occupied"  # L01.FR.07: Unavailable once it would become Available, and from then on (G01)
        if not evse.operative and evse.transaction_id is None:
            return "Unavailable"  # G03.FR.06, G04.FR.07
        return "Occupied" if evse.plugged else "Available"  # E02.FR.05, G01.FR.03, G01.FR.04

    def _mirror(self, evse: Evse) -> None:
        """Set the same status in the device model as in StatusNotification."""
        model = self.context.model
        model.put(keys.CONNECTOR_AVAILABILITY_STATE, evse.status, evse=evse.evse, connector=evse.connector)
        model.put(keys.AVAILABILITY_STATE, evse.status, evse=evse.evse)

    def _notify(self, evse: Evse, now: float, *, early: bool = False) -> None:
        self._reported[evse.evse] = evse.status
        self._repeat_at.pop(evse.evse, None)
        request: StatusNotificationRequest = {
            "timestamp": self.context.time.text(now),
            "connectorStatus": evse.status,
            "evseId": evse.evse,
            "connectorId": evse.connector,
        }
        self.context.outbox.send("StatusNotification", request, early=early)

    # --- events ------------------------------------------------------------------------------------------------------

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        for evse in self.context.hal.evses.values():
            self._tell_vehicles(evse)
        self._update_status(now)

    def on_hal_down(self, now: float) -> None:
        self._update_status(now)

    def on_hal_event(self, event: Event, now: float) -> None:
        self._update_status(now)

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.TransactionChanged(change="ended"):
                self._run_scheduled(now)
                self._update_status(now)
            case signals.TransactionChanged():
                self._update_status(now)
            case signals.UpdateWaits():
                self._update_waits = signal.waits
                self._update_status(now)
            case signals.ResetWaits():
                self._close_for_reset(waits=signal.waits)
                self._update_status(now)
            case signals.Registered():
                self._registered(signal, now)
            case signals.WentOffline():
                self._heartbeat_at = None
                self._repeat_at.clear()
            case signals.VariablesChanged():
                self._plan_heartbeat(now)
            case signals.Triggered(message="Heartbeat"):
                self._heartbeat(now, early=True)
            case signals.Triggered(message="StatusNotification"):
                evse = self.context.hal.evses.get(signal.evse or 0)
                if evse is not None:
                    self._notify(evse, now, early=True)

    def _close_for_reset(self, *, waits: bool) -> None:
        """B12, scenario 3a: Available EVSEs become Unavailable; those in use become Available later (TC_B_41_CS)."""
        free = {
            evse.evse
            for evse in self.context.hal.evses.values()
            if evse.status == "Available" and evse.transaction_id is None and evse.id_token is None
        }
        self._closed_for_reset = free if waits else set()

    def _registered(self, signal: signals.Registered, now: float) -> None:
        """B01.FR.05: report all after a boot; B04.FR.01: all after a long outage; B04.FR.02: else only changes."""
        if signal.booted or signal.offline_s > self.context.model.get(keys.OFFLINE_THRESHOLD):
            self._reported.clear()
        for evse in self._unanswered:
            self._reported.pop(evse, None)
        self._unanswered.clear()
        self._update_status(now)
        if signal.booted:
            self._last_heartbeat = now
        else:
            self._heartbeat(now)  # B04: after an outage
        self._plan_heartbeat(now)

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        if message == "Heartbeat":
            return "Accepted"
        if message != "StatusNotification":
            return None
        known = self.context.hal.evses.get(evse or 0)
        return "Accepted" if known is not None and connector == known.connector else "Rejected"  # F06.FR.12

    # --- G02 Heartbeat -----------------------------------------------------------------------------------------------

    def _heartbeat(self, now: float, *, early: bool = False) -> None:
        self._last_heartbeat = now
        self.context.outbox.send("Heartbeat", {}, early=early)

    def _plan_heartbeat(self, now: float) -> None:
        interval = self.context.model.get(keys.HEARTBEAT_INTERVAL)
        online = self.context.registration.online
        self._heartbeat_at = max(self._last_heartbeat + interval, now) if online and interval > 0 else None

    def on_answer(self, action: Action, request: Any, answer: Any, now: float) -> None:
        if action == "Heartbeat" and not isinstance(answer, Failure):
            self.context.time.hear("Heartbeat", parse_utc(cast("HeartbeatResponse", answer)["currentTime"]), now)
        elif action == "StatusNotification" and isinstance(answer, Failure):
            self._unanswered.add(request["evseId"])  # repeated with the next change or connection at the latest
            if answer.code == "timeout":
                self._plan_repetition(request, now)
        elif action == "StatusNotification":
            self._unanswered.discard(request["evseId"])

    def _plan_repetition(self, request: StatusNotificationRequest, now: float) -> None:
        """The link is up, and yet the CSMS may not have the status; a newer one, if there is one, is on its way.

        Each repetition waits one MessageTimeout longer than the one before.
        """
        evse = request["evseId"]
        self._time_outs[evse] += 1
        is_newest = request["connectorStatus"] == self._reported.get(evse)
        if self.context.registration.online and is_newest and self._time_outs[evse] <= _MOST_REPETITIONS:
            self._repeat_at[evse] = now + self._time_outs[evse] * self.context.model.get(keys.MESSAGE_TIMEOUT)

    def next_deadline(self) -> float | None:
        times = [*self._repeat_at.values(), *([] if self._heartbeat_at is None else [self._heartbeat_at])]
        return min(times, default=None)

    def on_time(self, now: float) -> None:
        for evse in [evse for evse, at in self._repeat_at.items() if now >= at]:
            self._notify(self.context.hal.evses[evse], now)
        if self._heartbeat_at is not None and now >= self._heartbeat_at:
            self._heartbeat(now)  # G02.FR.02
            self._plan_heartbeat(now)


def _levels(evse: Evse) -> set[str]:
    return {_STATION, f"evse {evse.evse}", f"connector {evse.evse}.{evse.connector}"}
