# SPDX-License-Identifier: Apache-2.0
"""The card reader's field: cards are held to it for a while, and two at once can't be distinguished."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        return CardTrouble(CardProblem.SEVERAL_CARDS) if others else CardSeen(uid)

    def _forget(self, now: float) -> None:
        self._cards = {uid: until for uid, until in self._cards.items() if until > now}
