# SPDX-License-Identifier: Apache-2.0
"""Signals between functional blocks: plain facts and requests, delivered by the station.

A block never calls another. It emits one of these through `Context.emit`; once all blocks have handled the event, the
station delivers each signal, in the order of emission, to every block.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from firmware.contract import Refusal

if TYPE_CHECKING:
    from services.ocpp.device_model import Change
    from services.ocpp.messages import (
        IdTokenInfoType,
        IdTokenType,
        MessageTriggerEnumType,
        ReasonEnumType,
        TriggerReasonEnumType,
    )

__all__ = [
    "AuthorisationRequested",
    "Authorised",
    "CardEffect",
    "CardOutcome",
    "ClockMoved",
    "Connected",
    "MeterSampled",
    "Registered",
    "ResetWaits",
    "SecurityEvent",
    "Signal",
    "StopRequested",
    "TaskUnderWay",
    "TokenInformed",
    "TransactionChanged",
    "Triggered",
    "UpdateWaits",
    "VariablesChanged",
    "WentOffline",
]


class Registered(Struct, frozen=True):
    """The CSMS is connected and has accepted the station: by a BootNotification just now (`booted`), or before, and
    the connection is back after `offline_s` seconds."""

    booted: bool
    offline_s: float


class Connected(Struct, frozen=True):
    """The link to the CSMS is up, over this security profile; the CSMS may not have accepted the station yet."""

    security_profile: int


class WentOffline(Struct, frozen=True):
    """The link to the CSMS is down, or the registration was lost."""


class AuthorisationRequested(Struct, frozen=True):
    """Authorise this token for the EVSE as if it had been presented there (F01.FR.01)."""

    evse: int
    id_token: IdTokenType
    remote_start_id: int | None = None


class Authorised(Struct, frozen=True):
    """The EV driver may charge at this EVSE."""

    evse: int
    id_token: IdTokenType
    info: IdTokenInfoType | None = None
    remote_start_id: int | None = None


class StopRequested(Struct, frozen=True):
    """End the authorisation on this EVSE; whether that ends the transaction depends on TxStopPoint."""

    evse: int
    trigger: TriggerReasonEnumType
    reason: ReasonEnumType
    id_token: IdTokenType | None = None


class TokenInformed(Struct, frozen=True):
    """The answer to a TransactionEvent had this information about a token (C10.FR.05)."""

    id_token: IdTokenType
    info: IdTokenInfoType


class TransactionChanged(Struct, frozen=True):
    """A TransactionEvent was queued. `change` is `started`, `updated` or `ended`."""

    evse: int
    transaction_id: str
    change: str
    trigger: str
    """The event's triggerReason."""
    seq_no: int
    stopped_reason: str | None = None
    """As in the event; None: Local, or it has not ended."""


class Triggered(Struct, frozen=True):
    """TriggerMessage was answered Accepted: send the message (F06.FR.10)."""

    message: MessageTriggerEnumType
    evse: int | None
    connector: int | None


class VariablesChanged(Struct, frozen=True):
    """Variables were written by the CSMS or changed by the station."""

    changes: tuple[Change, ...]


class MeterSampled(Struct, frozen=True):
    """The sample of a clock-aligned interval is due (J01); EVSEs in a transaction report it themselves."""

    utc: float


class SecurityEvent(Struct, frozen=True):
    """A security event of the appendix to part 2 happened (A04.FR.01)."""

    type: str
    tech_info: str = ""


class ClockMoved(Struct, frozen=True):
    """The clock was set: whatever waits for a time of day must be planned again."""


class UpdateWaits(Struct, frozen=True):
    """A firmware update waits for the EVSEs in use, or is being installed: free EVSEs are Unavailable (L01.FR.07).
    False: no longer."""

    waits: bool


class TaskUnderWay(Struct, frozen=True):
    """Whether this `task` keeps the station busy: a reset on idle waits for it (erratum 2.14 of part 2)."""

    task: str
    busy: bool


class ResetWaits(Struct, frozen=True):
    """A reset waits until the station is idle: EVSEs that are free now are Unavailable (B12). False: no longer."""

    waits: bool


class CardEffect(str, Enum):
    """What a card did that was not refused."""

    STARTED = "started"
    STOPPED = "stopped"


class CardOutcome(Struct, frozen=True):
    """The outcome of a presented card, for the display and local observers."""

    uid: str
    result: CardEffect | Refusal
    evse: int | None = None


Signal: TypeAlias = (
    Registered
    | Connected
    | WentOffline
    | AuthorisationRequested
    | Authorised
    | StopRequested
    | TokenInformed
    | TransactionChanged
    | Triggered
    | UpdateWaits
    | TaskUnderWay
    | ResetWaits
    | VariablesChanged
    | MeterSampled
    | SecurityEvent
    | ClockMoved
    | CardOutcome
)
