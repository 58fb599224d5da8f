# SPDX-License-Identifier: Apache-2.0
"""The service's state for local observers (`firmware/contract/status.py`), and its transactions for the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from firmware.contract.status import CardNotice, EvseService, LinkFailure, ServiceStatus, TransactionNotice
from firmware.log import fields
from firmware.message_ids import MessageId
from services.ocpp.signals import CardOutcome, TransactionChanged

if TYPE_CHECKING:
    from typing import Literal

    from firmware.timer import Scheduled, Timer
    from services.ocpp.context import Context
    from services.ocpp.station import Station

__all__ = ["StatusPublisher", "log_transaction", "notice", "status", "summary"]

_COUNTERS_S = 0.2
_MESSAGE_IDS = {"started": MessageId.TRANSACTION_STARTED, "ended": MessageId.TRANSACTION_ENDED}

_log = logging.getLogger(__name__)


class StatusPublisher:
    """Publishes a status at once after an event; changes of counters alone with a delay, several at once."""

    def __init__(self, publish: Callable[[ServiceStatus], None], timer: Timer, *, firmware_version: str) -> None:
        self._publish = publish
        self._timer = timer
        self._firmware_version = firmware_version
        self._published: ServiceStatus | None = None
        """Without counters."""
        self._delayed: Scheduled | None = None

    def update(self, station: Station) -> None:
        """Call after each unit of work."""
        now = status(station, firmware_version=self._firmware_version)
        without_counters = replace(now, queued_messages=0, last_contact_mono_s=None)
        if without_counters != self._published:
            self._published = without_counters
            self._publish(now)
        else:
            self.contact(station)

    def contact(self, station: Station) -> None:
        """Counters may have changed, and nothing else."""
        if self._delayed is None:
            self._delayed = self._timer.call_later(_COUNTERS_S, lambda: self._publish_counters(station))

    def _publish_counters(self, station: Station) -> None:
        self._delayed = None
        self._publish(status(station, firmware_version=self._firmware_version))


def summary(status: ServiceStatus) -> str:
    """In one line, for `systemctl status`: `connected to slot 1 over Wired0, Accepted; EVSE 1 Charging`."""
    if status.connected:
        parts = [f"connected to slot {status.slot} over {status.interface}, {status.registration or 'not registered'}"]
    else:
        parts = [f"not connected: {status.last_failure.text}" if status.last_failure else "not connected"]
    parts += [f"EVSE {evse.evse} {evse.charging_state or evse.status}" for evse in status.evses]
    if status.queued_messages:
        parts.append(f"messages queued: {status.queued_messages}")
    return "; ".join(parts)


def status(station: Station, *, firmware_version: str) -> ServiceStatus:
    """The present state. `last_contact_mono_s` is rounded down to the second, so that it changes rarely."""
    context, registration = station.context, station.context.registration
    contact = registration.last_contact
    return ServiceStatus(
        connected=registration.link_up,
        registration=registration.status,
        slot=registration.slot if registration.link_up else None,
        interface=registration.interface if registration.link_up else None,
        security_profile=registration.security_profile if registration.link_up else None,
        queued_messages=len(context.outbox),
        last_contact_mono_s=None if contact is None else float(int(contact)),
        firmware_version=firmware_version,
        evses=[
            EvseService(
                evse=evse.evse,
                connector=evse.connector,
                availability="Operative" if evse.operative else "Inoperative",
                status=evse.status,
                selected=context.hal.selected == evse.evse,
                transaction_id=evse.transaction_id,
                charging_state=evse.reported_charging_state,
                id_token=evse.id_token["idToken"] if evse.id_token else None,
            )
            for evse in context.hal.evses.values()
        ],
        last_failure=_last_failure(context),
    )


def _last_failure(context: Context) -> LinkFailure | None:
    failure = context.registration.last_failure
    if failure is None:
        return None
    time = context.time.text(context.registration.failed_at)
    return LinkFailure(time, failure.slot, failure.cause.kind, failure.text)


def notice(signal: TransactionChanged | CardOutcome) -> TransactionNotice | CardNotice:
    if isinstance(signal, CardOutcome):
        return CardNotice(signal.uid, signal.result.value)
    change = cast("Literal['started', 'updated', 'ended']", signal.change)
    return TransactionNotice(signal.evse, signal.transaction_id, change)


def log_transaction(signal: TransactionChanged) -> None:
    """Call when the event has been committed and sent: the CSMS does not wait for a log."""
    extra = fields(evse=signal.evse, transaction=signal.transaction_id, message_id=_MESSAGE_IDS.get(signal.change))
    _log.info(
        "EVSE %d: transaction %s (%s, seqNo %d)", signal.evse, signal.change, signal.trigger, signal.seq_no, extra=extra
    )
