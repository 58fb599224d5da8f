# SPDX-License-Identifier: Apache-2.0
"""What the functional blocks tell one another: plain facts and requests, delivered by the station.

A block never calls another. It emits one of these through `Context.emit`; when the event being handled is
done, the station hands each signal, in the order they were emitted, to every block that listens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

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
    "AuthorisationWanted",
    "Authorised",
    "BootWanted",
    "CardOutcome",
    "CertificatesChanged",
    "ClockMoved",
    "Connected",
    "MeterSampled",
    "ProfilesChanged",
    "Registered",
    "ResetWaits",
    "SecurityEvent",
    "Signal",
    "StopWanted",
    "TaskUnderWay",
    "TokenInformed",
    "TransactionChanged",
    "Triggered",
    "UpdateWaits",
    "VariablesChanged",
    "WentOffline",
]


@dataclass(frozen=True, slots=True)
class Registered:
    """The CSMS is reachable and has accepted us. `booted` right after a BootNotification; otherwise the link
    came back after `offline_s` seconds."""

    booted: bool
    offline_s: float


@dataclass(frozen=True, slots=True)
class Connected:
    """The link to the CSMS is up, over this security profile; whether it accepts us is another matter."""

    security_profile: int


@dataclass(frozen=True, slots=True)
class WentOffline:
    """The link to the CSMS is gone, or registration was lost."""


@dataclass(frozen=True, slots=True)
class BootWanted:
    """Send a BootNotification now (F06)."""


@dataclass(frozen=True, slots=True)
class AuthorisationWanted:
    """Authorise this token for the EVSE as if it had been presented there (F01.FR.01)."""

    evse: int
    id_token: IdTokenType
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class Authorised:
    """The driver may charge at this EVSE."""

    evse: int
    id_token: IdTokenType
    info: IdTokenInfoType | None = None
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class StopWanted:
    """End the authorisation on this EVSE; whether that ends the transaction is for TxStopPoint to say."""

    evse: int
    trigger: TriggerReasonEnumType
    reason: ReasonEnumType
    id_token: IdTokenType | None = None


@dataclass(frozen=True, slots=True)
class TokenInformed:
    """The CSMS said this of a token in the answer to a TransactionEvent (C10.FR.05)."""

    id_token: IdTokenType
    info: IdTokenInfoType


@dataclass(frozen=True, slots=True)
class TransactionChanged:
    """A TransactionEvent was made. `change` is `started`, `updated` or `ended`."""

    evse: int
    transaction_id: str
    change: str


@dataclass(frozen=True, slots=True)
class Triggered:
    """The CSMS was told that this message will come; now it has to (F06.FR.10)."""

    message: MessageTriggerEnumType
    evse: int | None
    connector: int | None


@dataclass(frozen=True, slots=True)
class VariablesChanged:
    """Variables were written by the CSMS or changed by the station."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class ProfilesChanged:
    """A network connection profile or their priority changed."""


@dataclass(frozen=True, slots=True)
class MeterSampled:
    """The sample of a clock-aligned interval is due (J01); EVSEs in a transaction report it themselves."""

    utc: float


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something of the appendix's list of security events happened (A04.FR.01)."""

    type: str
    tech_info: str = ""


@dataclass(frozen=True, slots=True)
class ClockMoved:
    """UTC is another than it would have been; what waits for a time of day has to look again."""


@dataclass(frozen=True, slots=True)
class CertificatesChanged:
    """The station's own certificate was replaced, or one of two was discarded."""


@dataclass(frozen=True, slots=True)
class UpdateWaits:
    """A firmware update waits for the EVSEs that are in use, or is being installed: whatever is free is Unavailable
    (L01.FR.07). False: no longer."""

    waits: bool


@dataclass(frozen=True, slots=True)
class TaskUnderWay:
    """The station is not idle, or no longer because of this `task`: a reset on idle waits (erratum 2.14 of part 2)."""

    task: str
    busy: bool


@dataclass(frozen=True, slots=True)
class ResetWaits:
    """A reset waits until the station is idle: whatever is free now is Unavailable (B12). False: no longer."""

    waits: bool


@dataclass(frozen=True, slots=True)
class CardOutcome:
    """What came of a card, for the display and local observers."""

    uid: str
    outcome: str
    evse: int | None = None


Signal: TypeAlias = (
    Registered
    | Connected
    | WentOffline
    | BootWanted
    | AuthorisationWanted
    | Authorised
    | StopWanted
    | TokenInformed
    | TransactionChanged
    | Triggered
    | UpdateWaits
    | TaskUnderWay
    | ResetWaits
    | VariablesChanged
    | ProfilesChanged
    | MeterSampled
    | SecurityEvent
    | ClockMoved
    | CertificatesChanged
    | CardOutcome
)
