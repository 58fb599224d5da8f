# SPDX-License-Identifier: Apache-2.0
"""What a card reader signals with its LED and beeper: whether the card was accepted, by the page that follows it. Pure.

The OCPP service decides about the card and shows the outcome on a display. A page counts if it follows the card within
`PATIENCE_S`, or on the display that says meanwhile that the card is being checked.
"""

from __future__ import annotations

from firmware.contract import Page

__all__ = ["PATIENCE_S", "CardSignal"]

PATIENCE_S = 5.0
_OUTCOMES = {
    Page.REJECTED: False,
    Page.AUTHORISED: True,
    Page.PLUG_IN: True,
    Page.PREPARING: True,
    Page.STOPPING: True,
    Page.FINISHED: True,
}


class CardSignal:
    """The last card, until its outcome is shown."""

    def __init__(self) -> None:
        self._presented_at: float | None = None
        self._checked_on: int | None = None
        """The display that says that the card is being checked."""

    def presented(self, now: float) -> None:
        self._presented_at, self._checked_on = now, None

    def shown(self, screen: int, page: Page, now: float) -> bool | None:
        """Whether the page on this display says that the card is accepted, or refused; None if it says neither."""
        if self._presented_at is None or self._checked_on not in (None, screen):
            return None
        if self._checked_on is None and now - self._presented_at > PATIENCE_S:
            self._presented_at = None
            return None
        if page is Page.AUTHORISING:
            self._checked_on = screen
        outcome = _OUTCOMES.get(page)
        if outcome is not None:
            self._presented_at = None
        return outcome
