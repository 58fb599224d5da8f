# SPDX-License-Identifier: Apache-2.0
"""C Authorization: who may charge, and what a presented card means.

The driver selects an EVSE before presenting a card (touching its display, or plugging in when that leaves only one
EVSE waiting). A card is one of: the one that charges here (it stops), a stranger (the CSMS is asked), a member of
the same group (it stops), or a master pass (everything stops). The last two are known only from the CSMS. A card that
charges elsewhere starts a second session only where its driver touched the display: the cable that waits may be
another driver's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.contract import CardPresented, CardUnreadable, Event, EvseSelected, Plugged
from services.ocpp import signals
from services.ocpp.context import Block, Context, Failure
from services.ocpp.device_model import keys
from services.ocpp.hal_view import NotStartable
from services.ocpp.id_tokens import is_group, same_token

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        AuthorizeRequest,
        AuthorizeResponse,
        ClearCacheResponse,
        IdTokenInfoType,
        IdTokenType,
    )

__all__ = ["Authorization"]

_log = logging.getLogger(__name__)

_SELECTION_S = 60.0
"""How long a touched EVSE stays selected without a card."""


@dataclass(slots=True)
class _Asked:
    """A token whose Authorize is under way."""

    id_token: IdTokenType
    evse: int | None
    remote_start_id: int | None
    card: bool


class Authorization(Block):
    letter = "C"
    handles = ("ClearCache",)
    asks = ("Authorize",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._touched = False
        """The selected EVSE was chosen at its display."""
        self._selected_until: float | None = None
        self._asked: list[_Asked] = []

    def on_call(self, action: Action, request: Any, now: float) -> ClearCacheResponse:
        cleared = self.context.authorization_cache.clear()
        return {"status": "Accepted" if cleared else "Rejected"}  # C11.FR.03, C11.FR.04

    # --- the driver --------------------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        match event:
            case EvseSelected(evse=evse) if evse in self.context.hal.evses:
                self._select(evse, now, touched=True)
            case Plugged(evse=evse) if self.context.hal.selected is None and self._waiting_for_driver() == [evse]:
                self._select(evse, now, touched=False)
            case CardPresented():
                self._card(event.uid, now)
            case CardUnreadable():
                self._outcome("", event.problem.value)

    def _select(self, evse: int, now: float, *, touched: bool) -> None:
        self.context.hal.selected, self._selected_until, self._touched = evse, now + _SELECTION_S, touched

    def _deselect(self) -> None:
        self.context.hal.selected, self._selected_until, self._touched = None, None, False

    def _waiting_for_driver(self) -> list[int]:
        return [
            evse.evse
            for evse in self.context.hal.evses.values()
            if evse.plugged and evse.id_token is None and evse.operative and not evse.stopping
        ]

    def _card(self, uid: str, now: float) -> None:
        id_token: IdTokenType = {"idToken": uid, "type": "ISO14443"}
        if any(same_token(asked.id_token, id_token) for asked in self._asked):
            return  # still held to the reader, or shown twice: the answer is on its way
        evse_id = self.context.hal.selected
        if evse_id is None:
            waiting = self._waiting_for_driver()
            evse_id = waiting[0] if len(waiting) == 1 else None
        evse = self.context.hal.evses.get(evse_id or 0)
        held = evse if evse and evse.id_token else self._evse_held_by(id_token)
        if held is not None and same_token(held.id_token, id_token) and (held is evse or not self._touched):
            self._stop(held, id_token, "Local")  # C01.FR.03, C09.FR.07, E07.FR.01
            self._outcome(uid, "stopped", held.evse)
            return
        refusal = self._why_unusable(evse)
        if refusal is not None:
            self._outcome(uid, refusal, evse_id)
            return
        self._authorise(_Asked(id_token, evse_id, None, card=True), now)

    def _evse_held_by(self, id_token: IdTokenType) -> Evse | None:
        """The EVSE that this token alone can mean when none was selected."""
        held = [evse for evse in self.context.hal.evses.values() if same_token(evse.id_token, id_token)]
        return held[0] if len(held) == 1 else None

    def _why_unusable(self, evse: Evse | None) -> str | None:
        """The outcome of a card other than the charging one if it can't be used here now, or None.

        While a transaction runs every card is checked: it may be of the same group or a master pass.
        """
        if evse is None:
            running = any(each.transaction_id for each in self.context.hal.evses.values())
            return None if running else "no_evse_selected"
        if evse.transaction_id is not None:
            return None
        obstacle = self.context.hal.why_not_startable(evse, even_if_in_use=True)
        if obstacle is None:
            return None
        return "faulted" if obstacle is NotStartable.FAULTED else "unavailable"

    # --- asking the CSMS -------------------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.AuthorisationRequested():
                self._authorise(_Asked(signal.id_token, signal.evse, signal.remote_start_id, card=False), now)
            case signals.TokenInformed():
                self.context.authorization_cache.learn(signal.id_token, signal.info, now)
            case signals.TransactionChanged(change="started") if signal.evse == self.context.hal.selected:
                self._deselect()

    def _authorise(self, asked: _Asked, now: float) -> None:
        """By what is known here, where that may decide; else by asking the CSMS."""
        info = self._known(asked, now)
        if info is not None:
            self._decide(asked, info)
        elif self.context.model.find(keys.DISABLE_REMOTE_AUTHORIZATION):  # part 2, 2.3.8
            self._outcome(asked.id_token["idToken"], "rejected", asked.evse)
        elif self.context.registration.online:
            self._ask(asked)
        else:
            self._outcome(asked.id_token["idToken"], "offline", asked.evse)

    def _known(self, asked: _Asked, now: float) -> IdTokenInfoType | None:
        """What decides without the CSMS, or None."""
        model, cached = self.context.model, self.context.authorization_cache.find(asked.id_token, now)
        if cached is not None and self._is_of_the_group(asked, cached):
            return cached  # C01.FR.03, C09.FR.07
        if not self.context.registration.online:
            if cached is not None:
                return cached if model.get(keys.LOCAL_AUTHORIZE_OFFLINE) else None
            return {"status": "Accepted"} if model.find(keys.OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED) else None  # C15.FR.08
        if cached is None or model.find(keys.DISABLE_REMOTE_AUTHORIZATION):  # part 2, 2.3.8
            return cached
        if cached["status"] == "Accepted":
            return cached if model.get(keys.LOCAL_PRE_AUTHORIZE) else None  # C12.FR.02
        # C10.FR.03, C12.FR.05; part 2, 2.4.6
        return cached if model.find(keys.AUTH_CACHE_DISABLE_POST_AUTHORIZE) else None

    def _is_of_the_group(self, asked: _Asked, info: IdTokenInfoType) -> bool:
        """Is this an accepted token of the group that charges at the EVSE?"""
        evse = self.context.hal.evses.get(asked.evse or 0)
        if evse is None or evse.id_token is None or info["status"] != "Accepted":
            return False
        return same_token(info.get("groupIdToken"), evse.group)

    def _ask(self, asked: _Asked) -> None:
        self._asked.append(asked)
        self._show_asked()
        self.context.outbox.send("Authorize", {"idToken": asked.id_token})  # C01.FR.02, C09.FR.05

    def _show_asked(self) -> None:
        for evse in self.context.hal.evses.values():
            evse.authorising = any(asked.evse == evse.evse for asked in self._asked)

    def on_answer(self, action: Action, request: AuthorizeRequest, answer: Any, now: float) -> None:
        asked = next((each for each in self._asked if same_token(each.id_token, request["idToken"])), None)
        if asked is None:
            return
        self._asked.remove(asked)
        self._show_asked()
        uid = asked.id_token["idToken"]
        if isinstance(answer, Failure):
            self._outcome(uid, "offline" if answer.code in ("offline", "timeout") else "error", asked.evse)
            return
        response: AuthorizeResponse = answer
        self.context.authorization_cache.learn(asked.id_token, response["idTokenInfo"], now)  # C10.FR.04
        self._decide(asked, response["idTokenInfo"])

    def _decide(self, asked: _Asked, info: IdTokenInfoType) -> None:
        uid, group = asked.id_token["idToken"], info.get("groupIdToken")
        if info["status"] != "Accepted":  # C09.FR.11
            self._outcome(uid, "rejected", asked.evse)
            return
        if self._is_master_pass(group):
            self._use_master_pass(asked)
            return
        evse = self.context.hal.evses.get(asked.evse or 0)
        if evse is None:
            evse = self._evse_of_group(group)
            if evse is None:
                self._outcome(uid, "no_evse_selected")
                return
        if evse.is_taken and not _resumes(evse, asked.id_token):
            self._use_on_running(asked, evse, group)
            return
        if not self._allowed_at(evse, info):  # C01.FR.21
            self._outcome(uid, "not_allowed_here", evse.evse)
            return
        if self.context.hal.why_not_startable(evse, even_if_in_use=True) is not None:
            self._outcome(uid, "unavailable", evse.evse)
            return
        self._deselect()
        self._outcome(uid, "started", evse.evse)
        self.context.emit(signals.Authorised(evse.evse, asked.id_token, info, asked.remote_start_id))

    def _use_on_running(self, asked: _Asked, evse: Evse, group: IdTokenType | None) -> None:
        """A valid token at an EVSE that another one holds: the same group may stop it (C09.FR.03)."""
        uid = asked.id_token["idToken"]
        if asked.card and evse.id_token is not None and same_token(group, evse.group):
            self._stop(evse, asked.id_token, "Local")
            self._outcome(uid, "stopped", evse.evse)
        else:  # C01.FR.23
            self._outcome(uid, "not_yours", evse.evse)

    def _evse_of_group(self, group: IdTokenType | None) -> Evse | None:
        running = [evse for evse in self.context.hal.evses.values() if evse.id_token and same_token(group, evse.group)]
        return running[0] if len(running) == 1 else None

    def _allowed_at(self, evse: Evse, info: IdTokenInfoType) -> bool:
        return not info.get("evseId") or evse.evse in info["evseId"]

    def _is_master_pass(self, group: IdTokenType | None) -> bool:
        master = self.context.model.get(keys.MASTER_PASS_GROUP_ID)
        return bool(master) and is_group(group, master)

    def _use_master_pass(self, asked: _Asked) -> None:
        """C16.FR.02: all ongoing transactions stop; C16.FR.03: none starts."""
        running = [evse for evse in self.context.hal.evses.values() if evse.transaction_id]
        for evse in running:
            self._stop(evse, asked.id_token, "MasterPass")
        self._outcome(asked.id_token["idToken"], "stopped" if running else "rejected", asked.evse)

    def _stop(self, evse: Evse, id_token: IdTokenType, reason: Any) -> None:
        self._deselect()
        self.context.emit(signals.StopRequested(evse.evse, "StopAuthorized", reason, id_token))

    def _outcome(self, uid: str, outcome: str, evse: int | None = None) -> None:
        _log.info("card: %s (EVSE %s)", outcome, evse or "-")
        self.context.emit(signals.CardOutcome(uid, outcome, evse))

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        return self._selected_until

    def on_time(self, now: float) -> None:
        if self._selected_until is not None and now >= self._selected_until:
            self._deselect()


def _resumes(evse: Evse, id_token: IdTokenType) -> bool:
    """E09.FR.01, C01.FR.23: a transaction that outlived its authorisation may be resumed by the same token."""
    return evse.id_token is None and not evse.stopping and same_token(evse.started_by, id_token)
