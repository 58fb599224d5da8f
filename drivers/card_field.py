# SPDX-License-Identifier: Apache-2.0
"""The field of a card reader: which of the cards that a driver sees are reported. Pure; `now` is an argument.

A reader sees a card with each poll for as long as it is there, or each change. Reported is:

- a card that comes into the empty field, or in the place of another one, once;
- one problem instead, if there are several cards at once, a card that can't be read, or one without an identity;
- after several cards nothing, until the field has been empty: which of them is meant is not known;
- a card that has been reported and left again only after `ignore_s`, so that one which lies at the edge of the
  field does not start and stop a session again and again.

Nothing is forgotten while the reader is lost: a card that has stayed in its field is not reported when it is back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from msgspec import Struct

from firmware.contract import CardProblem

__all__ = ["IGNORE_S", "CardField", "CardListener", "Sighting", "identity"]

IGNORE_S = 2.5
_UID_BYTES = (4, 7, 10)
_RANDOM = 0x08
"""A UID of 4 bytes that begins with this is a random one (ISO 14443-3, 6.5.4): phones and passports make it up."""

Sighting: TypeAlias = str | CardProblem
"""The UID of a card, upper-case hex, or why there is none."""


def identity(uid: bytes) -> Sighting:
    """The identity of a card of type A by its UID."""
    if len(uid) not in _UID_BYTES:
        return CardProblem.UNREADABLE
    if len(uid) == 4 and uid[0] == _RANDOM:
        return CardProblem.NO_IDENTITY
    return uid.hex().upper()


class CardListener(Struct, frozen=True):
    """Who gets the reports of a reader."""

    on_card: Callable[[str], None]
    on_problem: Callable[[CardProblem], None]
    on_lost: Callable[[str | None], None]

    def report(self, card: Sighting | None) -> None:
        if isinstance(card, CardProblem):
            self.on_problem(card)
        elif card is not None:
            self.on_card(card)


class CardField:
    """The cards of one reader.

    Args:
        ignore_s: for how long a card that has left is not reported again.
        misses: how many polls in a row see no card until it has left.
    """

    def __init__(self, *, ignore_s: float = IGNORE_S, misses: int = 1) -> None:
        self._ignore_s = ignore_s
        self._misses = misses
        self._missed = 0
        self._present: Sighting | None = None
        self._seen_at: dict[Sighting, float] = {}
        """When each card of the last `ignore_s` was there."""

    def see(self, cards: Collection[Sighting], now: float) -> Sighting | None:
        """What a poll sees; returns what is to be reported, or None."""
        if not cards:
            if self._present is not None and not self._missed:
                self._seen_at[self._present] = now
            self._missed += 1
            if self._missed >= self._misses:
                self._present = None
            return None
        self._missed = 0
        card = CardProblem.SEVERAL_CARDS if len(cards) > 1 else next(iter(cards))
        if self._present is CardProblem.SEVERAL_CARDS:
            return None
        if self._present is not None and card is CardProblem.UNREADABLE:
            card = self._present  # it is being taken away
        news = card != self._present and not self._is_recent(card, now)
        self._present = card
        self._seen_at[card] = now
        return card if news else None

    def _is_recent(self, card: Sighting, now: float) -> bool:
        self._seen_at = {each: at for each, at in self._seen_at.items() if now - at < self._ignore_s}
        return card in self._seen_at
