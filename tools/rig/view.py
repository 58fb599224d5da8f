# SPDX-License-Identifier: Apache-2.0
"""The state of the station as its processes report it: the HAL's events and the OCPP service's status, combined.

Pure: messages come in, and each change goes out through `emit` as an event of the control socket. When a process is
not running, nothing of its last report remains: its part falls back to what an onlooker would see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from firmware.contract import (
    Fault,
    FaultCleared,
    FaultRaised,
    MeterReading,
    PageModel,
    Phase,
    PhaseChanged,
    ScreenShown,
    Snapshot,
    Stamped,
)
from firmware.contract.status import CardNotice, EvseService, FromService, ServiceStatus, TransactionNotice
from firmware.version import VERSION

__all__ = ["EvseView", "StationView"]

Emit = Callable[..., None]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class EvseView:
    """One EVSE as the HAL reports it."""

    connector: int = 1
    phase: Phase = Phase.IDLE
    offered_w: float = 0.0
    faults: set[Fault] = field(default_factory=set)


class StationView:
    """The combined state. `emit(name, t, **fields)` is called for each change; `t` None means now."""

    def __init__(self, evses: list[int], emit: Emit) -> None:
        self.evses = {evse: EvseView() for evse in evses}
        self.faults: set[Fault] = set()
        self.hal_up = False
        self.status: ServiceStatus | None = None
        self.firmware_version = VERSION
        self.on_screen: Callable[[int, PageModel], None] | None = None
        """Called with each page that the HAL has shown, where the displays are no part of the simulated world."""
        self._emit = emit
        self._failure_logged: tuple[int, str] | None = None
        """Slot and text of the last failure to connect."""
        self._statuses: dict[tuple[int, int], str] = {}
        self._transactions: dict[tuple[int, str], str] = {}
        """For each EVSE the transactions whose `started` and `ended` were emitted last."""

    def forget(self) -> None:
        """The power is off: forget everything; of this only `disconnected` is an event."""
        self.hal_up = False
        self.evses = {evse: EvseView() for evse in self.evses}
        self.faults = set()
        self._statuses.clear()
        self._service_gone()

    def service(self, evse: int) -> EvseService | None:
        """The EVSE as the OCPP service reports it; None while the service is not running."""
        entries = self.status.evses if self.status is not None else []
        return next((each for each in entries if each.evse == evse), None)

    # --- the HAL (firmware.ipc.hal_link.HalWatcher) -------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self.hal_up = True
        self._set_faults(None, set(snapshot.faults))
        for status in snapshot.evses:
            view = self.evses.setdefault(status.evse, EvseView())
            view.connector = status.connector
            view.offered_w = status.reading.offered_w if status.reading is not None else 0.0
            self._set_faults(status.evse, set(status.faults))
            self._set_phase(status.evse, status.phase, None)
        for shown in snapshot.screens:
            self._on_shown(shown)

    def on_hal_event(self, stamped: Stamped) -> None:
        if stamped.replayed:
            return
        match stamped.event:
            case PhaseChanged(evse=evse, phase=phase):
                self._set_phase(evse, phase, stamped.mono_s)
            case MeterReading(evse=evse, offered_w=offered_w):
                self.evses[evse].offered_w = offered_w
            case ScreenShown() as shown:
                self._on_shown(shown)
            case FaultRaised(fault=fault, evse=evse, detail=detail):
                self._faults_of(evse).add(fault)
                self._emit("fault", stamped.mono_s, code=fault.value, evse=evse, detail=detail)
            case FaultCleared(fault=fault, evse=evse):
                self._faults_of(evse).discard(fault)
                self._emit("fault_cleared", stamped.mono_s, code=fault.value, evse=evse)

    def _on_shown(self, shown: ScreenShown) -> None:
        if self.on_screen is not None:
            self.on_screen(shown.screen, shown.model)

    def on_hal_down(self, reason: str) -> None:
        self.hal_up = False

    def _faults_of(self, evse: int | None) -> set[Fault]:
        return self.faults if evse is None else self.evses[evse].faults

    def _set_faults(self, evse: int | None, now: set[Fault]) -> None:
        faults = self._faults_of(evse)
        for fault in sorted(now - faults):
            self._emit("fault", None, code=fault.value, evse=evse, detail="")
        for fault in sorted(faults - now):
            self._emit("fault_cleared", None, code=fault.value, evse=evse)
        faults.clear()
        faults.update(now)

    def _set_phase(self, evse: int, phase: Phase, mono_s: float | None) -> None:
        view = self.evses[evse]
        if view.phase is not phase:
            view.phase = phase
            self._emit("phase", mono_s, evse=evse, phase=phase.value)

    # --- the OCPP service (firmware.ipc.status.StatusWatcher) ---------------------------------------------

    def on_service_message(self, message: FromService) -> None:
        if isinstance(message, TransactionNotice):
            self._emit_transaction(message.evse, message.id, message.change)
        elif isinstance(message, CardNotice):
            self._emit("card", None, uid=message.uid, outcome=message.outcome)
        elif isinstance(message, ServiceStatus):
            self._on_status(message)

    def on_service_down(self, reason: str) -> None:
        self._service_gone()

    def _service_gone(self) -> None:
        if self.status is not None and self.status.connected:
            self._emit("disconnected", None)
        self.status = None

    def _on_status(self, status: ServiceStatus) -> None:
        before, self.status = self.status, status
        self.firmware_version = status.firmware_version
        was_connected = before is not None and before.connected
        if status.connected and not was_connected:
            self._emit("connected", None, slot=status.slot, security_profile=status.security_profile)
        elif was_connected and not status.connected:
            self._emit("disconnected", None)
        if status.registration is not None and (before is None or before.registration != status.registration):
            self._emit("registration", None, status=status.registration)
        self._log_failure(before, status)
        for each in status.evses:
            key = (each.evse, each.connector)
            if self._statuses.get(key) != each.status:
                self._statuses[key] = each.status
                self._emit("status", None, evse=each.evse, connector=each.connector, status=each.status)
            self._compare_transaction(each.evse, each.transaction_id)

    def _log_failure(self, before: ServiceStatus | None, status: ServiceStatus) -> None:
        """A line for each cause, not for each attempt; after a connection, the same cause is logged again."""
        failure = status.last_failure
        if failure is None or (before is not None and before.last_failure == failure):
            return
        if before is not None and before.connected:
            self._failure_logged = None
        cause = (failure.slot, failure.text)
        if cause != self._failure_logged:
            _log.warning("no connection, slot %d, %s: %s", failure.slot, failure.kind, failure.text)
        self._failure_logged = cause

    def _compare_transaction(self, evse: int, running: str | None) -> None:
        """A starting service may end an interrupted transaction, or start one, before the rig receives its notices."""
        started = self._transactions.get((evse, "started"))
        if started not in (None, running):
            self._emit_transaction(evse, started, "ended")
        if running is not None:
            self._emit_transaction(evse, running, "started")

    def _emit_transaction(self, evse: int, transaction_id: str, kind: str) -> None:
        """Start and end are emitted once, for the notice or for the status that shows it, whichever comes first."""
        if kind != "updated":
            if self._transactions.get((evse, kind)) == transaction_id:
                return
            self._transactions[evse, kind] = transaction_id
        self._emit("transaction", None, evse=evse, id=transaction_id, kind=kind)

    # --- for `state` --------------------------------------------------------------------------------------

    def ocpp(self, now: float) -> dict[str, Any]:
        """The `ocpp` part of the snapshot."""
        status = self.status
        if status is None:
            return {
                "connected": False,
                "registration": None,
                "slot": None,
                "interface": None,
                "security_profile": None,
                "queued_messages": 0,
                "last_contact_s": None,
                "last_failure": None,
            }
        heard, failure = status.last_contact_mono_s, status.last_failure
        return {
            "connected": status.connected,
            "registration": status.registration,
            "slot": status.slot,
            "interface": status.interface,
            "security_profile": status.security_profile,
            "queued_messages": status.queued_messages,
            "last_contact_s": None if heard is None else round(max(0.0, now - heard), 3),
            "last_failure": None if failure is None else msgspec.structs.asdict(failure),
        }
