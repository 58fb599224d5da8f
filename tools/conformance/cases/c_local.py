# SPDX-License-Identifier: Apache-2.0
"""Block C, authorization: a card that the CSMS does not accept (C01), and another EV driver's card (C01, E07)."""

from __future__ import annotations

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Card
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.values import PRESENT
from tools.conformance.run.registry import case

_MESSAGE_TIMEOUT = Preconditions(message_timeout_s=6)
"""Longer than a car needs from the card to the first energy, so that a wrong start is noticed."""

_LOCAL = {"AuthCtrlr.Enabled": "true", "AuthCtrlr.DisableRemoteAuthorization": "false"}

_BLOCKED_CARD = Card("04B10CBED0CA4D")
_EXPIRED_CARD = Card("04E0E0E0E0E0E0")


async def _refused_start(t: Bench, card: Card, status: str) -> None:
    """A card for which the CSMS answers `status`, at an EVSE with a cable plugged in, starts no transaction."""
    await t.configure(_LOCAL, if_implemented=True)
    t.tokens({card: {"status": status}})
    await reusable_states.ev_connected_pre_session(t)
    await t.present(card)
    t.step(1)
    asked = await t.expect("Authorize", card.fields(), req="C01.FR.02")
    await t.never("TransactionEvent", t.preconditions.message_timeout_s, since=asked.index, req="C01.FR.02")


@case("TC_C_02_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_02_cs(t: Bench) -> None:
    """Red when: a card whose status is Invalid starts a transaction."""
    await _refused_start(t, t.fixtures.bad_card, "Invalid")


@case("TC_C_06_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_06_cs(t: Bench) -> None:
    """Red when: a card whose status is Blocked starts a transaction."""
    await _refused_start(t, _BLOCKED_CARD, "Blocked")


@case("TC_C_07_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_07_cs(t: Bench) -> None:
    """Red when: a card whose status is Expired starts a transaction."""
    await _refused_start(t, _EXPIRED_CARD, "Expired")


@case("TC_C_56_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_56_cs(t: Bench) -> None:
    """Red when: a card whose status is Unknown starts a transaction."""
    await _refused_start(t, t.fixtures.bad_card, "Unknown")


@case("TC_C_04_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_04_cs(t: Bench) -> None:
    """Red when: any accepted card stops the transaction, or no Authorize is sent for it."""
    await t.configure(_LOCAL, if_implemented=True)
    session = await reusable_states.energy_transfer_started(t)
    other = t.fixtures.card2
    await t.present(other)
    t.step(1)
    asked = await t.expect("Authorize", other.fields(), req="C01.FR.02")
    timeout_s, with_token = t.preconditions.message_timeout_s, {"idToken": PRESENT}
    await t.never("TransactionEvent", timeout_s, where=with_token, since=asked.index, req="C01.FR.03")
    ended = [m for m in t.messages if m.action == "TransactionEvent" and m.get("eventType") == "Ended"]
    t.post(not ended and not session.ended, "C01.FR.03", "the transaction has not ended")
