# SPDX-License-Identifier: Apache-2.0
"""Block N, diagnostics: a customer's data is reported (N09) and cleared (N10)."""

from __future__ import annotations

import asyncio
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.checks.values import PRESENT
from tools.conformance.run.registry import case

_GROUP = {"idToken": "FAMILY-7", "type": "Central"}
_CARD_AWAY_S = 0.6
"""As in `reusable_states.id_token_cached`."""


async def _known_customer(t: Bench, group: dict[str, str] | None = None) -> None:
    """The preparation: the cache is enabled, and the card, which is in `group` at the CSMS, has charged."""
    usual = {
        "LocalAuthListCtrlr.Enabled": "true",
        "AuthCtrlr.LocalPreAuthorize": "true",
        "AuthCacheCtrlr.Enabled": "true",
    }
    await t.configure(usual, if_implemented=True)
    t.tokens({t.card: {"status": "Accepted"} | ({"groupIdToken": group} if group else {})})
    await reusable_states.id_token_cached(t, t.card)


async def _charged_again(t: Bench) -> None:
    """Authorized (local), then ParkingBayUnoccupied."""
    await reusable_states.authorized(t, cached=True)
    await reusable_states.ev_connected_pre_session(t)
    await reusable_states.energy_transfer_started(t)
    await reusable_states.stop_authorized(t)
    await reusable_states.ev_disconnected(t)
    await asyncio.sleep(_CARD_AWAY_S)


async def _ask(t: Bench, first: int, req: str, *, report: bool, clear: bool, **customer: Any) -> list[str]:
    """CustomerInformation, which is step `first`; returns the data of its NotifyCustomerInformation messages."""
    t.step(first)
    request_id = t.new_id()
    payload = {"requestId": request_id, "report": report, "clear": clear, **customer}
    mark = t.mark()
    await t.call("CustomerInformation", payload, {"status": "Accepted"}, req="N10.FR.01" if clear else "N09.FR.02")
    t.step(first + 2)
    parts: list[str] = []
    more = True
    while more:
        check = {"requestId": request_id, "seqNo": len(parts), "data": PRESENT, "generatedAt": PRESENT}
        part = await t.expect("NotifyCustomerInformation", check, req=req)
        parts.append(str(part.get("data")))
        more = bool(part.get("tbc"))
    await t.never("NotifyCustomerInformation", 0.5, req=req, since=mark)
    return parts


def _no_data(parts: list[str]) -> bool:
    """One message, which is empty or states that there is no data."""
    return len(parts) == 1 and (not parts[0].strip() or "no data" in parts[0].casefold())


@case("TC_N_27_CS", limit_s=150)
async def tc_n_27_cs(t: Bench) -> None:
    """Red when: nothing is reported about a card in the cache, or a part of it is missing."""
    await _known_customer(t)
    await _charged_again(t)
    parts = await _ask(t, 1, "N09.FR.05", report=True, clear=False, idToken=t.card.id_token)
    t.check(not _no_data(parts), "N09.FR.05", "data about the customer")


@case("TC_N_28_CS")
async def tc_n_28_cs(t: Bench) -> None:
    """Red when: the report about an unknown card has data, or more than one message."""
    await _ask(t, 0, "N10.FR.06", report=False, clear=True, idToken=t.card.id_token)
    parts = await _ask(t, 1, "N09.FR.06", report=True, clear=False, idToken=t.card.id_token)
    t.post(_no_data(parts), "N09.FR.06", "a message states that no data was found")


@case("TC_N_30_CS", limit_s=150)
async def tc_n_30_cs(t: Bench) -> None:
    """Red when: the cleared data is not reported, or the card is still in the cache."""
    await _known_customer(t)
    await _charged_again(t)
    parts = await _ask(t, 1, "N10.FR.03", report=True, clear=True, idToken=t.card.id_token)
    t.check(not _no_data(parts), "N10.FR.03", "the data that was cleared")
    parts = await _ask(t, 5, "N09.FR.06", report=True, clear=False, idToken=t.card.id_token)
    t.check(_no_data(parts), "N10.FR.03", "no data is left")


@case("TC_N_31_CS")
async def tc_n_31_cs(t: Bench) -> None:
    """Red when: the report about an unknown card has data."""
    parts = await _ask(t, 1, "N10.FR.04", report=True, clear=True, idToken=t.card.id_token)
    t.post(_no_data(parts), "N10.FR.04", "a message states that no data was found")


@case("TC_N_32_CS")
async def tc_n_32_cs(t: Bench) -> None:
    """Red when: no message, or more than one, states that the data was cleared."""
    parts = await _ask(t, 1, "N10.FR.06", report=False, clear=True, idToken=t.card.id_token)
    t.check(len(parts) == 1 and bool(parts[0]), "N10.FR.06", "one message states that the data was cleared")


@case("TC_N_62_CS", limit_s=120)
async def tc_n_62_cs(t: Bench) -> None:
    """Red when: nothing is reported about the cards of a group, or they are still in the cache after they were cleared.

    The customer identifier of this station is the group of the customer's tokens, which is stored when a card charges.
    """
    await _known_customer(t, _GROUP)
    identifier = _GROUP["idToken"]
    parts = await _ask(t, 1, "N10.FR.03", report=True, clear=True, customerIdentifier=identifier)
    t.check(bool("".join(parts)), "N10.FR.03", "the data that was cleared")
    parts = await _ask(t, 5, "N09.FR.06", report=True, clear=False, customerIdentifier=identifier)
    t.check(parts == [""], "N10.FR.03", "no data is left")
