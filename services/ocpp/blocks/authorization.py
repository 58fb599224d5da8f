# SPDX-License-Identifier: Apache-2.0
"""C Authorization: who may charge, and what a presented card means.

The EV driver selects an EVSE before presenting a card, by touching its display, or by plugging in if no other EVSE is
waiting for a card. The card that started the session there stops it, and so does a card of the same group; a master
pass stops all sessions; any other card starts one. The CSMS is asked about all but the first. A card that charges
elsewhere starts a second session only if the display was touched: the waiting vehicle may be another driver's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from firmware.contract import CardPresented, CardUnreadable, Event, EvseSelected, Plugged, Refusal, StopPressed
from firmware.log import fields
from services.ocpp import signals
from services.ocpp.context import DISK_FULL, Block, Context, Failure
from services.ocpp.device_model import keys
from services.ocpp.hal_view import NotStartable
from services.ocpp.id_tokens import is_group, same_token
from services.ocpp.signals import CardEffect

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        AuthorizeRequest,
        AuthorizeResponse,
        ClearCacheResponse,
        IdTokenInfoType,
        IdTokenType,
        ReasonEnumType,
    )

__all__ = ["Authorization"]

_log = logging.getLogger(__name__)

_SELECTION_S = 60.0
"""How long an EVSE stays selected without a card."""


class _Check(Struct):
    """A token that is being authorised."""

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
        self._checks: list[_Check] = []
        """Those for which the CSMS has been asked."""

    def on_call(self, action: Action, request: Any, now: float) -> ClearCacheResponse:
        put_back = self.context.authorization_cache.saved()
        if not self.context.authorization_cache.clear():
            return {"status": "Rejected"}  # C11.FR.04
        if not self.context.kept(put_back):
            return {"status": "Rejected", "statusInfo": DISK_FULL}
        return {"status": "Accepted"}  # C11.FR.03

    # --- the EV driver --------------------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        match event:
            case EvseSelected(evse=evse) if evse in self.context.hal.evses:
                self._select(evse, now, touched=True)
            case StopPressed(evse=evse) if evse == self.context.hal.selected:
                self._deselect()  # it was chosen to be stopped: no card is waited for
            case Plugged(evse=evse) if self.context.hal.selected is None and self._waiting_for_driver() == [evse]:
                self._select(evse, now, touched=False)
            case CardPresented():
                self._on_card(event.uid, now)
            case CardUnreadable():
                self._report("", Refusal(event.problem.value))

    def _select(self, evse: int, now: float, *, touched: bool) -> None:
        self.context.hal.selected, self._selected_until, self._touched = evse, now + _SELECTION_S, touched

    def _deselect(self) -> None:
        self.context.hal.selected, self._selected_until, self._touched = None, None, False

    def _waiting_for_driver(self) -> list[int]:
        """EVSEs with a vehicle and no token. A faulted one is included: its card is refused for that reason."""
        return [
            evse.evse
            for evse in self.context.hal.evses.values()
            if evse.plugged and evse.id_token is None and evse.operative and not evse.stopping
        ]

    def _on_card(self, uid: str, now: float) -> None:
        id_token: IdTokenType = {"idToken": uid, "type": "ISO14443"}
        if any(same_token(check.id_token, id_token) for check in self._checks):
            return  # still held to the reader, or presented twice: the answer is pending
        evse_id = self.context.hal.selected
        if evse_id is None:
            waiting = self._waiting_for_driver()
            evse_id = waiting[0] if len(waiting) == 1 else None
        evse = self.context.hal.evses.get(evse_id or 0)
        held = evse if evse and evse.id_token else self._evse_held_by(id_token)
        if held is not None and same_token(held.id_token, id_token) and (held is evse or not self._touched):
            self._stop(held, id_token, "Local")  # C01.FR.03, C09.FR.07, E07.FR.01; offline, too: E08.FR.01
            self._report(uid, CardEffect.STOPPED, held.evse)
            return
        refusal = self._why_unusable(evse)
        if refusal is not None:
            self._report(uid, refusal, evse_id)
            return
        self._authorise(_Check(id_token, evse_id, None, card=True), now)

    def _evse_held_by(self, id_token: IdTokenType) -> Evse | None:
        """The EVSE where this token is in use, if there is exactly one."""
        held = [evse for evse in self.context.hal.evses.values() if same_token(evse.id_token, id_token)]
        return held[0] if len(held) == 1 else None

    def _why_unusable(self, evse: Evse | None) -> Refusal | None:
        """Why a card other than the charging one can't be used here now, or None.

        While a transaction runs every card is checked: it may be of the same group or a master pass.
        """
        if evse is None:
            running = any(each.transaction_id for each in self.context.hal.evses.values())
            return None if running else Refusal.NO_EVSE_SELECTED
        if evse.transaction_id is not None:
            return None
        obstacle = self.context.hal.why_not_startable(evse, even_if_in_use=True)
        if obstacle is None:
            return None
        return Refusal.FAULTED if obstacle is NotStartable.FAULTED else Refusal.UNAVAILABLE

    # --- asking the CSMS -------------------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.AuthorisationRequested():
                self._authorise(_Check(signal.id_token, signal.evse, signal.remote_start_id, card=False), now)
            case signals.TokenInformed():
                self.context.authorization_cache.learn(signal.id_token, signal.info, now)
            case signals.TransactionChanged(change="started" | "ended") if signal.evse == self.context.hal.selected:
                self._deselect()

    def _authorise(self, check: _Check, now: float) -> None:
        """By the information stored here, where it is sufficient; otherwise by asking the CSMS."""
        info = self._local_info(check, now)
        if info is not None:
            self._apply(check, info)
        elif self.context.model.find(keys.DISABLE_REMOTE_AUTHORIZATION):  # part 2, 2.3.8
            self._report(check.id_token["idToken"], Refusal.REJECTED, check.evse)
        elif self.context.registration.online:
            self._ask(check)
        else:
            self._report(check.id_token["idToken"], Refusal.OFFLINE, check.evse)

    def _local_info(self, check: _Check, now: float) -> IdTokenInfoType | None:
        """The information that suffices without asking the CSMS, or None."""
        model, cached = self.context.model, self.context.authorization_cache.find(check.id_token, now)
        if cached is not None and self._is_of_the_group(check, cached):
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

    def _is_of_the_group(self, check: _Check, info: IdTokenInfoType) -> bool:
        """Whether this is an accepted token of the group that charges at the EVSE."""
        evse = self.context.hal.evses.get(check.evse or 0)
        if evse is None or evse.id_token is None or info["status"] != "Accepted":
            return False
        return same_token(info.get("groupIdToken"), evse.group)

    def _ask(self, check: _Check) -> None:
        self._checks.append(check)
        self._show_checks()
        self.context.outbox.send("Authorize", {"idToken": check.id_token})  # C01.FR.02, C09.FR.05

    def _show_checks(self) -> None:
        for evse in self.context.hal.evses.values():
            evse.authorising = any(check.evse == evse.evse for check in self._checks)

    def on_answer(self, action: Action, request: AuthorizeRequest, answer: Any, now: float) -> None:
        check = next((each for each in self._checks if same_token(each.id_token, request["idToken"])), None)
        if check is None:
            return
        self._checks.remove(check)
        self._show_checks()
        uid = check.id_token["idToken"]
        if isinstance(answer, Failure):
            unreachable = answer.code in ("offline", "timeout")
            self._report(uid, Refusal.OFFLINE if unreachable else Refusal.ERROR, check.evse)
            return
        response: AuthorizeResponse = answer
        self.context.authorization_cache.learn(check.id_token, response["idTokenInfo"], now)  # C10.FR.04
        self._apply(check, response["idTokenInfo"])

    def _apply(self, check: _Check, info: IdTokenInfoType) -> None:
        """Start, stop or refuse, as the information about the token and the state of the EVSE require."""
        uid, group = check.id_token["idToken"], info.get("groupIdToken")
        if info["status"] != "Accepted":  # C09.FR.11
            self._report(uid, Refusal.REJECTED, check.evse)
            return
        if self._is_master_pass(group):
            self._use_master_pass(check)
            return
        evse = self.context.hal.evses.get(check.evse or 0)
        if evse is None:
            evse = self._evse_of_group(group)
            if evse is None:
                self._report(uid, Refusal.NO_EVSE_SELECTED)
                return
        if evse.is_taken and not _resumes(evse, check.id_token):
            self._use_on_running(check, evse, group)
            return
        if not self._allowed_at(evse, info):  # C01.FR.21
            self._report(uid, Refusal.NOT_ALLOWED_HERE, evse.evse)
            return
        if self.context.hal.why_not_startable(evse, even_if_in_use=True) is not None:
            self._report(uid, Refusal.UNAVAILABLE, evse.evse)
            return
        self._deselect()
        self._report(uid, CardEffect.STARTED, evse.evse)
        self.context.emit(signals.Authorised(evse.evse, check.id_token, info, check.remote_start_id))

    def _use_on_running(self, check: _Check, evse: Evse, group: IdTokenType | None) -> None:
        """An accepted token at an EVSE that another token holds: one of the same group stops it (C09.FR.03)."""
        uid = check.id_token["idToken"]
        if check.card and evse.id_token is not None and same_token(group, evse.group):
            self._stop(evse, check.id_token, "Local")
            self._report(uid, CardEffect.STOPPED, evse.evse)
        else:  # C01.FR.23
            self._report(uid, Refusal.NOT_YOURS, evse.evse)

    def _evse_of_group(self, group: IdTokenType | None) -> Evse | None:
        running = [evse for evse in self.context.hal.evses.values() if evse.id_token and same_token(group, evse.group)]
        return running[0] if len(running) == 1 else None

    def _allowed_at(self, evse: Evse, info: IdTokenInfoType) -> bool:
        return not info.get("evseId") or evse.evse in info["evseId"]

    def _is_master_pass(self, group: IdTokenType | None) -> bool:
        master = self.context.model.get(keys.MASTER_PASS_GROUP_ID)
        return bool(master) and is_group(group, master)

    def _use_master_pass(self, check: _Check) -> None:
        """C16.FR.02: stop all ongoing transactions; C16.FR.03: start none."""
        running = [evse for evse in self.context.hal.evses.values() if evse.transaction_id]
        for evse in running:
            self._stop(evse, check.id_token, "MasterPass")  # C16.FR.07
        self._report(check.id_token["idToken"], CardEffect.STOPPED if running else Refusal.REJECTED, check.evse)

    def _stop(self, evse: Evse, id_token: IdTokenType, reason: ReasonEnumType) -> None:
        self._deselect()
        self.context.emit(signals.StopRequested(evse.evse, "StopAuthorized", reason, id_token))

    def _report(self, uid: str, result: CardEffect | Refusal, evse: int | None = None) -> None:
        _log.info("card: %s (EVSE %s)", result.value, evse or "-", extra=fields(evse=evse or None))
        self.context.emit(signals.CardOutcome(uid, result, evse))

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        return self._selected_until

    def on_time(self, now: float) -> None:
        if self._selected_until is not None and now >= self._selected_until:
            self._deselect()


def _resumes(evse: Evse, id_token: IdTokenType) -> bool:
    """E09.FR.01, C01.FR.23: a transaction that outlived its authorisation may be resumed by the same token."""
    return evse.id_token is None and not evse.stopping and same_token(evse.started_by, id_token)
