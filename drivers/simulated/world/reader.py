# SPDX-License-Identifier: Apache-2.0
"""The card reader's field: cards are held to it for a while, and two at once can't be distinguished."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.card_field import identity
from drivers.simulated.messages import CardSeen, CardTrouble
from firmware.contract import CardProblem

__all__ = ["ReaderField"]


@dataclass(slots=True)
class ReaderField:
    """Which cards are in the field, and until when (monotonic seconds)."""

    _cards: dict[str, float] = field(default_factory=dict)

    def present(self, uid: str, hold_s: float, now: float) -> CardSeen | CardTrouble:
        """Hold a card to the reader; returns what the reader reports. The same card again is a second tap."""
        self._forget(now)
        others = self._cards.keys() - {uid}
        self._cards[uid] = now + hold_s
        if others:
            return CardTrouble(CardProblem.SEVERAL_CARDS)
        no_identity = identity(bytes.fromhex(uid)) is CardProblem.NO_IDENTITY
        return CardTrouble(CardProblem.NO_IDENTITY) if no_identity else CardSeen(uid)

    def cards(self, now: float) -> list[str]:
        """The UIDs of the cards in the field."""
        self._forget(now)
        return list(self._cards)

    def _forget(self, now: float) -> None:
        self._cards = {uid: until for uid, until in self._cards.items() if until > now}
