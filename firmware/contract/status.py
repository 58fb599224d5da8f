# SPDX-License-Identifier: Apache-2.0
"""What the OCPP service tells other local processes about itself (commissioning page, rig).

The service listens on a second Unix socket and sends, to whoever connects as the same user or root, one
`ServiceStatus` and from then on a line for each change; it reads nothing from it. Newline-delimited JSON,
tagged by `kind`, the framing of `firmware.ipc`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "CardNotice",
    "EvseService",
    "FromService",
    "ServiceStatus",
    "TransactionNotice",
]


class EvseService(Struct, frozen=True):
    """One EVSE as OCPP sees it, in the specification's words."""

    evse: int
    connector: int
    availability: str
    status: str
    selected: bool
    transaction_id: str | None
    charging_state: str | None
    id_token: str | None


class ServiceStatus(Struct, frozen=True, tag="status", tag_field="kind"):
    """The whole state; sent on connection and whenever something in it changes."""

    connected: bool
    registration: str | None
    slot: int | None
    security_profile: int | None
    queued_messages: int
    last_contact_mono_s: float | None
    firmware_version: str
    evses: list[EvseService]


class TransactionNotice(Struct, frozen=True, tag="transaction", tag_field="kind"):
    evse: int
    id: str
    change: Literal["started", "updated", "ended"]


class CardNotice(Struct, frozen=True, tag="card", tag_field="kind"):
    """What came of a card: an `outcome` such as `started`, `stopped`, `rejected`, `no_evse_selected`."""

    uid: str
    outcome: str


FromService: TypeAlias = ServiceStatus | TransactionNotice | CardNotice
