# SPDX-License-Identifier: Apache-2.0
"""What each outlet's display shows, derived from the state; nothing here decides anything.

Pages are those of `firmware/contract/README.md`. A refused card is shown for a few seconds, then the state again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.contract import Phase, Show

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.signals import CardOutcome

__all__ = ["Display"]

_REFUSAL_S = 5.0

_WOUND_UP = (Phase.STOPPING, Phase.FINISHED)

_WORDS = {
    "rejected": "This card is not accepted.",
    "not_allowed_here": "This card may not charge here.",
    "not_yours": "Another card is charging here.",
    "no_evse_selected": "Touch the outlet that you want to use first.",
    "offline": "Out of touch with the operator. Please try again later.",
    "unavailable": "Out of service.",
    "faulted": "Out of service.",
    "error": "The operator could not check this card.",
    "several_cards": "Hold a single card to the reader.",
    "unreadable": "This card can't be read.",
}


@dataclass(slots=True)
class Display:
    """`screens`: which EVSE each screen belongs to."""

    context: Context
    screens: dict[int, int]
    _shown: dict[int, tuple[str, dict[str, str]]] = field(default_factory=dict)
    _refused: dict[int, tuple[str, float]] = field(default_factory=dict)

    def forget(self) -> None:
        """The HAL restarted and shows nothing."""
        self._shown.clear()

    def card(self, outcome: CardOutcome, now: float) -> None:
        """A card that led to nothing is explained, on the outlet's display or, without one, on all."""
        if outcome.outcome in ("started", "stopped"):
            self._refused.clear()
            return
        for screen, evse in self.screens.items():
            if outcome.evse in (None, evse):
                self._refused[screen] = (_WORDS.get(outcome.outcome, "Please try again."), now + _REFUSAL_S)

    def update(self, now: float, *, selected: int | None) -> None:
        """Show what changed."""
        for screen, evse_id in self.screens.items():
            wanted = self._wanted(screen, self.context.hal.evses[evse_id], selected, now)
            if self._shown.get(screen) != wanted and self.context.hal.present:
                self._shown[screen] = wanted
                self.context.hal.ask(Show(screen, *wanted))

    def next_deadline(self) -> float | None:
        return min((until for _words, until in self._refused.values()), default=None)

    def _wanted(self, screen: int, evse: Evse, selected: int | None, now: float) -> tuple[str, dict[str, str]]:
        refused = self._refused.get(screen)
        if refused is not None:
            if now < refused[1]:
                return "rejected", {"reason": refused[0]}
            del self._refused[screen]
        if evse.transaction_id is not None and evse.starter is not None:
            return _session(evse)
        if self.context.hal.is_faulted(evse):
            return "faulted", {"faults": ", ".join(sorted(fault.value for fault in self.context.hal.faults_of(evse)))}
        if not evse.operative:
            return "unavailable", {}
        if not self.context.registration.online:
            return "offline", {}
        if evse.authorising:
            return "authorising", {}
        if evse.id_token is not None:
            return ("authorised" if evse.plugged else "plug_in"), {}
        if evse.plugged and evse.phase in _WOUND_UP and selected != evse.evse:
            return "finished", _figures(evse)  # until the driver unplugs, or touches the display for another session
        if evse.plugged or selected == evse.evse:
            return "select", {"prompt": "Hold your card to the reader."}
        return "idle", {}


def _session(evse: Evse) -> tuple[str, dict[str, str]]:
    if evse.stopping or evse.id_token is None:  # stopped; the transaction may go on until the cable is out
        return "finished", _figures(evse)
    match evse.state_of_charging:
        case "Idle":
            return "plug_in", {}
        case "Charging":
            return "charging", _figures(evse)
        case "SuspendedEV" | "SuspendedEVSE":
            return "suspended", _figures(evse)
        case _:
            return "preparing", {}


def _figures(evse: Evse) -> dict[str, str]:
    reading = evse.reading
    if reading is None:
        return {}
    figures = {"power_kw": f"{reading.power_w / 1000:.1f}"}
    if evse.begin_wh is not None:
        figures["energy_kwh"] = f"{max(0.0, reading.energy_wh - evse.begin_wh) / 1000:.2f}"
    if reading.soc_percent is not None:
        figures["soc_percent"] = f"{reading.soc_percent:.0f}"
    return figures
