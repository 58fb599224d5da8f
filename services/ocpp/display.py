# SPDX-License-Identifier: Apache-2.0
"""What the display of each EVSE shows, derived from the state; nothing here decides anything.

A refused card is explained for a few seconds, then the display shows the state again. Texts are for the EV driver.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.contract import EnergyFlow, Page, Phase, Show
from services.ocpp.signals import CardResult

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.signals import CardOutcome

__all__ = ["Display"]

_REFUSAL_S = 5.0

_WOUND_UP = (Phase.STOPPING, Phase.FINISHED)

_REASONS = {
    CardResult.REJECTED: "This card is not accepted.",
    CardResult.NOT_ALLOWED_HERE: "This card can't be used at this outlet.",
    CardResult.NOT_YOURS: "This outlet is in use with another card.",
    CardResult.NO_EVSE_SELECTED: "Please choose an outlet on the screen first.",
    CardResult.OFFLINE: "We can't reach the operator at the moment. Please try again later.",
    CardResult.UNAVAILABLE: "This outlet is out of service.",
    CardResult.FAULTED: "This outlet is out of service.",
    CardResult.ERROR: "We could not check this card. Please try again.",
    CardResult.SEVERAL_CARDS: "Please hold only one card to the reader.",
    CardResult.UNREADABLE: "We could not read this card. Please try again.",
    CardResult.NO_IDENTITY: "This phone has no card number of its own. Please use a card.",
}
_PROMPT = "Please hold your card to the reader."
_PLUG_AGAIN = "The car does not answer. Please unplug the cable and plug it in again."


@dataclass(slots=True)
class Display:
    """`screens`: the EVSE of each screen."""

    context: Context
    screens: dict[int, int]
    _shown: dict[int, tuple[Page, dict[str, str]]] = field(default_factory=dict)
    _refused: dict[int, tuple[str, float]] = field(default_factory=dict)

    def forget(self) -> None:
        """The HAL restarted and shows nothing: send every page again."""
        self._shown.clear()

    def card(self, outcome: CardOutcome, now: float) -> None:
        """Explain a refused card on the display of its EVSE, or on all if no EVSE was selected."""
        if outcome.result in (CardResult.STARTED, CardResult.STOPPED):
            self._refused.clear()
            return
        for screen, evse in self.screens.items():
            if outcome.evse in (None, evse):
                self._refused[screen] = (_REASONS[outcome.result], now + _REFUSAL_S)

    def update(self, now: float) -> None:
        """Send the pages that have changed."""
        for screen, evse_id in self.screens.items():
            page, text = self._page(screen, self.context.hal.evses[evse_id], now)
            if self._shown.get(screen) != (page, text) and self.context.hal.present:
                self._shown[screen] = page, text
                self.context.hal.ask(Show(screen, page.value, text))

    def next_deadline(self) -> float | None:
        return min((until for _reason, until in self._refused.values()), default=None)

    def _page(self, screen: int, evse: Evse, now: float) -> tuple[Page, dict[str, str]]:
        refused = self._refused.get(screen)
        if refused is not None:
            if now < refused[1]:
                return Page.REJECTED, {"reason": refused[0]}
            del self._refused[screen]
        hal = self.context.hal
        if evse.flow is EnergyFlow.UNANSWERED and evse.id_token is not None:
            return Page.PLUG_IN, {"prompt": _PLUG_AGAIN}
        if evse.transaction_id is not None and evse.started_by is not None:
            return _session(evse)
        if hal.is_faulted(evse):
            return Page.FAULTED, {"faults": ", ".join(sorted(fault.value for fault in hal.faults_of(evse)))}
        if not evse.operative:
            return Page.UNAVAILABLE, {}
        if not self.context.registration.online:
            why = self.context.registration.why_offline
            return Page.OFFLINE, {} if why is None else {"detail": why.cause.for_driver}
        if evse.authorising:
            return Page.AUTHORISING, {}
        if evse.id_token is not None:
            return (Page.AUTHORISED if evse.plugged else Page.PLUG_IN), {}
        if evse.plugged and evse.phase in _WOUND_UP and hal.selected != evse.evse:
            return Page.FINISHED, _figures(evse)  # until the EV driver unplugs, or touches it for another session
        if evse.plugged or hal.selected == evse.evse:
            return Page.SELECT, {"prompt": _PROMPT}
        return Page.IDLE, {}


def _session(evse: Evse) -> tuple[Page, dict[str, str]]:
    if evse.stopping or evse.id_token is None:  # stopped; the transaction may stay open until the cable is out
        return Page.FINISHED, _figures(evse)
    match evse.observed_charging_state:
        case "Idle":
            return Page.PLUG_IN, {}
        case "Charging":
            return Page.CHARGING, _figures(evse)
        case "SuspendedEV" | "SuspendedEVSE":
            return Page.SUSPENDED, _figures(evse)
        case _:
            return Page.PREPARING, {}


def _figures(evse: Evse) -> dict[str, str]:
    """Power, energy of this transaction and state of charge, as far as known."""
    reading = evse.reading
    if reading is None:
        return {}
    figures = {"power_kw": f"{reading.power_w / 1000:.1f}"}
    delivered_wh = evse.delivered_wh
    if delivered_wh is not None:
        figures["energy_kwh"] = f"{max(0.0, delivered_wh) / 1000:.2f}"
    if reading.soc_percent is not None:
        figures["soc_percent"] = f"{reading.soc_percent:.0f}"
    return figures
