# SPDX-License-Identifier: Apache-2.0
"""Block C, authorization: the authorization cache while online (C09 to C12), for products that have one."""

from __future__ import annotations

import asyncio
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Card
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.bench.transaction_events import optional_event
from tools.conformance.checks.values import Rule
from tools.conformance.run.registry import case

_MESSAGE_TIMEOUT = Preconditions(message_timeout_s=6)
"""Longer than a car needs from the card to the first energy, so that a wrong start is noticed."""

_DEAUTHORIZED_WITHIN_S = 5.0
_BLOCKED_CARD = Card("04B10CBED0CA4D")
_EXPIRED_CARD = Card("04E0E0E0E0E0E0")
_GROUP = {"idToken": "FAMILY-7", "type": "Central"}
_METERING = ("MeterValuePeriodic", "MeterValueClock")


async def _use_cache(t: Bench, settings: dict[str, str] | None = None) -> None:
    """The Configuration State of most cases; `settings` override it."""
    usual = {
        "AuthCacheCtrlr.Enabled": "true",
        "AuthCtrlr.LocalPreAuthorize": "true",
        "AuthCacheCtrlr.DisablePostAuthorize": "false",
    }
    await t.configure(usual | (settings or {}), if_implemented=True)


def _set_token(t: Bench, card: Card, status: str, group: dict[str, str] | None = None) -> None:
    """Sets the idTokenInfo with which the CSMS answers about `card`."""
    info: dict[str, Any] = {"status": status} | ({"groupIdToken": group} if group else {})
    t.tokens({card: info})


async def _known_as(t: Bench, card: Card, status: str, group: dict[str, str] | None = None) -> None:
    """IdTokenCached for a card of this status."""
    _set_token(t, card, status, group)
    await reusable_states.id_token_cached(t, card, accepted=status == "Accepted")


async def _asked_and_refused(t: Bench, card: Card, req: str) -> None:
    """The station sends Authorize for a card in its cache, and starts no transaction."""
    await t.present(card)
    asked = await t.expect("Authorize", card.fields(), req=req)
    await t.never("TransactionEvent", t.preconditions.message_timeout_s, since=asked.index, req=req)


async def _not_accepted(t: Bench, card: Card, status: str) -> None:
    """The three cases with a card that is in the cache and not accepted."""
    await _use_cache(t)
    await _known_as(t, card, status)
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await _asked_and_refused(t, card, "C10.FR.03")


@case("TC_C_08_CS", limit_s=120)
async def tc_c_08_cs(t: Bench) -> None:
    """Red when: Authorize is sent for a card that the cache accepts."""
    await _use_cache(t)
    await _known_as(t, t.card, "Accepted")
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t, cached=True)
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_C_09_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_09_cs(t: Bench) -> None:
    """Red when: a card that is Invalid in the cache is refused without Authorize."""
    await _not_accepted(t, t.fixtures.bad_card, "Invalid")


@case("TC_C_10_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_10_cs(t: Bench) -> None:
    """Red when: a card that is Blocked in the cache is refused without Authorize."""
    await _not_accepted(t, _BLOCKED_CARD, "Blocked")


@case("TC_C_11_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_11_cs(t: Bench) -> None:
    """Red when: a card that is Expired in the cache is refused without Authorize."""
    await _not_accepted(t, _EXPIRED_CARD, "Expired")


@case("TC_C_12_CS")
async def tc_c_12_cs(t: Bench) -> None:
    """Red when: a card that is Invalid in the cache is refused although the CSMS accepts it now."""
    await _use_cache(t)
    await _known_as(t, t.card, "Invalid")
    _set_token(t, t.card, "Accepted")
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(5)
    await reusable_states.energy_transfer_started(t)


@case("TC_C_13_CS", limit_s=120)
async def tc_c_13_cs(t: Bench) -> None:
    """Red when: Authorize is sent for a card that the cache accepts, or plugging in cancels the authorisation."""
    await _use_cache(t)
    await _known_as(t, t.card, "Accepted")
    t.step(1)
    await reusable_states.authorized(t, cached=True)
    t.step(3)
    await reusable_states.ev_connected_pre_session(t)
    t.step(4)
    await reusable_states.energy_transfer_started(t)


@case("TC_C_57_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_57_cs(t: Bench) -> None:
    """Red when: Authorize is sent for a card that the cache refuses, although DisablePostAuthorize is true."""
    await _use_cache(t, {"AuthCacheCtrlr.DisablePostAuthorize": "true"})
    card = t.fixtures.bad_card
    await _known_as(t, card, "Invalid")
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    mark = t.mark()
    await t.present(card)
    await t.never(None, t.preconditions.message_timeout_s, since=mark, allow=("Heartbeat",), req="C10.FR.03")


@case("TC_C_32_CS", limit_s=150)
async def tc_c_32_cs(t: Bench) -> None:
    """Red when: the cache is empty after a power cut."""
    await _use_cache(t)
    await _known_as(t, t.card, "Accepted")
    t.step(1)
    await reusable_states.booted(t)
    t.step(2)
    await reusable_states.authorized(t, cached=True)
    t.step(4)
    await reusable_states.ev_connected_pre_session(t)
    t.step(5)
    await reusable_states.energy_transfer_started(t)


@case("TC_C_33_CS", limit_s=150)
async def tc_c_33_cs(t: Bench) -> None:
    """Red when: the idTokenInfo of an AuthorizeResponse is not cached."""
    await _use_cache(t, {"LocalAuthListCtrlr.Enabled": "true"})
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(5)
    await reusable_states.energy_transfer_started(t)
    t.step(6)
    await reusable_states.ev_connected_post_session(t)
    t.step(7)
    await reusable_states.ev_disconnected(t)
    t.step(10)
    await reusable_states.ev_connected_pre_session(t)
    _set_token(t, t.card, "Invalid")
    t.step(12)
    await reusable_states.authorized(t, cached=True)
    await optional_event(t, t.evse, {"triggerReason": "Deauthorized"}, within=_DEAUTHORIZED_WITHIN_S)


@case("TC_C_34_CS", preconditions=_MESSAGE_TIMEOUT, limit_s=150)
async def tc_c_34_cs(t: Bench) -> None:
    """Red when: the idTokenInfo of a TransactionEventResponse is not cached, or does not end the transaction."""
    await _use_cache(t, {"LocalAuthListCtrlr.Enabled": "true"})
    stop = {"TxCtrlr.StopTxOnInvalidId": "true", "TxCtrlr.MaxEnergyOnInvalidId": "0"}
    await t.configure(stop, if_implemented=True)
    await _known_as(t, t.card, "Accepted")
    _set_token(t, t.card, "Invalid")
    t.step(1)
    session = await reusable_states.authorized(t, cached=True)
    t.step(2)
    await reusable_states.deauthorized(t)
    t.step(3)
    if session.connected:
        await reusable_states.ev_disconnected(t)
    t.sessions.pop(t.evse, None)
    t.step(6)
    await _asked_and_refused(t, t.card, "C10.FR.05")


@case("TC_C_36_CS", preconditions=_MESSAGE_TIMEOUT, limit_s=120)
async def tc_c_36_cs(t: Bench) -> None:
    """Red when: a card that the cache accepts starts without Authorize, although LocalPreAuthorize is false."""
    await t.configure({"AuthCacheCtrlr.Enabled": "true", "AuthCtrlr.LocalPreAuthorize": "false"})
    await _known_as(t, t.card, "Accepted")
    _set_token(t, t.card, "Invalid")
    t.step(1)
    await _asked_and_refused(t, t.card, "C01.FR.02")


@case("TC_C_37_CS", limit_s=120)
async def tc_c_37_cs(t: Bench) -> None:
    """Red when: a card is still in the cache after ClearCache."""
    await _use_cache(t)
    await _known_as(t, t.card, "Accepted")
    t.step(1)
    await t.call("ClearCache", {}, {"status": "Accepted"}, req="C11.FR.03")
    t.step(4)
    await reusable_states.ev_connected_pre_session(t)
    t.step(5)
    await reusable_states.authorized(t)
    t.step(9)
    await reusable_states.energy_transfer_started(t)


@case("TC_C_38_CS", limit_s=120)
async def tc_c_38_cs(t: Bench) -> None:
    """Red when: ClearCache is accepted although the cache is off."""
    await t.configure({"AuthCacheCtrlr.Enabled": "false"}, if_implemented=True)
    await _known_as(t, t.card, "Accepted")
    t.step(1)
    await t.call("ClearCache", {}, {"status": "Rejected"}, req="C11.FR.04")


@case("TC_C_41_CS", limit_s=180)
async def tc_c_41_cs(t: Bench) -> None:
    """Red when: a cached card of the same group does not stop the transaction, or Authorize is sent for it."""
    await _use_cache(t)
    other = t.fixtures.card2
    for card in (t.card, other):
        await _known_as(t, card, "Accepted", _GROUP)
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t, cached=True)
    t.step(3)
    await reusable_states.energy_transfer_started(t)
    t.step(4)
    await reusable_states.stop_authorized(t, card=other)
    t.step(5)
    await reusable_states.ev_connected_post_session(t)
    t.step(6)
    await reusable_states.ev_disconnected(t)


@case("TC_C_44_CS", preconditions=_MESSAGE_TIMEOUT, limit_s=150)
async def tc_c_44_cs(t: Bench) -> None:
    """Red when: a card of the same group that is Invalid in the cache stops the transaction."""
    await _use_cache(t)
    other = t.fixtures.bad_card
    await _known_as(t, t.card, "Accepted", _GROUP)
    await _known_as(t, other, "Invalid", _GROUP)
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t, cached=True)
    t.step(3)
    await reusable_states.energy_transfer_started(t)
    await t.present(other)
    t.step(4)
    asked = await t.expect("Authorize", other.fields(), req="C09.FR.05")
    no_metering = {"triggerReason": Rule("no meter values", lambda reason: reason not in _METERING)}
    await t.never(
        "TransactionEvent", t.preconditions.message_timeout_s, where=no_metering, since=asked.index, req="C09.FR.11"
    )


@case("TC_C_46_CS", limit_s=120)
async def tc_c_46_cs(t: Bench) -> None:
    """Red when: the cache still accepts a card after AuthCacheLifeTime."""
    life_s = round(t.fixtures.transaction_s)
    await _use_cache(t, {"AuthCacheCtrlr.LifeTime": str(life_s)})
    await _known_as(t, t.card, "Accepted")
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await asyncio.sleep(life_s + 0.5)
    t.step(2)
    await reusable_states.authorized(t)
