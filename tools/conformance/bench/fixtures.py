# SPDX-License-Identifier: Apache-2.0
"""What a case knows of the station under test: its EVSEs, its cards, and the state of each session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.conformance.checks import values

__all__ = ["Card", "Fixtures", "Session"]


@dataclass(frozen=True)
class Card:
    """An idToken, and the card that carries it."""

    uid: str
    type: str = "ISO14443"

    @property
    def id_token(self) -> dict[str, str]:
        """The idToken of a message."""
        return {"idToken": self.uid, "type": self.type}

    def fields(self, path: str = "idToken") -> dict[str, Any]:
        """The checks for a message with this token at `path`."""
        return {f"{path}.idToken": values.text(self.uid), f"{path}.type": self.type}


@dataclass
class Fixtures:
    """What is known of the station before a case; the configured values of part 6."""

    product: str
    identity: str
    password: str
    evses: tuple[int, ...] = (1, 2)
    evse: int = 1
    """The EVSE that a case uses when it needs one (`<Configured evseId>`)."""
    connector: int = 1
    card: Card = Card("04A1B2C3D4E5F6")
    """The valid token (`<Configured valid_idtoken>`)."""
    card2: Card = Card("04FEDCBA987654")
    """Another valid token."""
    bad_card: Card = Card("04BADBADBADBAD")
    """A token that the CSMS does not know."""
    transaction_s: float = 2.0
    """How long energy flows before a case stops it (`<Configured TransactionDuration>`)."""
    answers: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Session:
    """What has happened at one EVSE, as the reusable states record it."""

    evse: int
    card: Card
    connected: bool = False
    authorized: bool = False
    remote: bool = False
    energy: bool = False
    stopping: bool = False
    transaction_id: str | None = None
    remote_start_id: int | None = None
    ended: bool = False
    token_due: bool = False
    """A card was presented and no event has carried its idToken yet."""
    remote_due: bool = False
    """RequestStartTransaction was accepted and no event has named its remoteStartId yet."""
    connected_again: bool = False
    """ChargingState EVConnected was reported after the stop."""
