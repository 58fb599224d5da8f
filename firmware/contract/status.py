# SPDX-License-Identifier: Apache-2.0
"""What the OCPP service reports about itself to other local processes (commissioning page, rig).

The service listens on a second Unix socket and sends one `ServiceStatus` to each client of the same user, of root or of
the group that may administer the station, then a line for each change; it accepts no messages. Newline-delimited JSON,
tagged by `kind`, the framing of `firmware.ipc`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "CardNotice",
    "EvseService",
    "FailureKind",
    "FromService",
    "LinkFailure",
    "ServiceStatus",
    "TransactionNotice",
]


FailureKind: TypeAlias = Literal[
    "dns", "refused", "unreachable", "timeout", "tls", "http", "subprotocol", "closed", "registration"
]


class LinkFailure(Struct, frozen=True):
    """The last time that there was no registered connection to the CSMS, and why; it stays when there is one again.

    `time` is the station's, as RFC 3339 text; `text` is one sentence for a person, without secrets.
    """

    time: str
    slot: int
    kind: FailureKind
    text: str


class EvseService(Struct, frozen=True):
    """One EVSE, in the terms of OCPP."""

    evse: int
    connector: int
    availability: str
    status: str
    selected: bool
    transaction_id: str | None
    charging_state: str | None
    id_token: str | None


class ServiceStatus(Struct, frozen=True, tag="status", tag_field="kind"):
    """The whole state; sent at the connection and after each change."""

    connected: bool
    registration: str | None
    slot: int | None
    security_profile: int | None
    queued_messages: int
    last_contact_mono_s: float | None
    firmware_version: str
    evses: list[EvseService]
    last_failure: LinkFailure | None = None
    """Null when there was none since the service started."""
    interface: str | None = None
    """The network interface that the connection goes over, by its OCPP name."""


class TransactionNotice(Struct, frozen=True, tag="transaction", tag_field="kind"):
    evse: int
    id: str
    change: Literal["started", "updated", "ended"]


class CardNotice(Struct, frozen=True, tag="card", tag_field="kind"):
    """The `outcome` of a presented card, such as `started`, `stopped`, `rejected`, `no_evse_selected`."""

    uid: str
    outcome: str


FromService: TypeAlias = ServiceStatus | TransactionNotice | CardNotice
