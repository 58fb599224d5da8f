# SPDX-License-Identifier: Apache-2.0
"""Block G, availability: connector status (G01) and ChangeAvailability (G03, G04).

ChangeAvailability is tested at three levels with the same steps. A `_Level` has the connectors that its requests
affect, and the requirements; the functions below it have the steps. Where part 6 requires "a message to report the
state of a connector for all connectors", these are the connectors of the level: a request for one EVSE is no reason to
report another one, as the first tool validations of the same cases confirm.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.expected import expected_status, reported_status
from tools.conformance.run.registry import case


@dataclass(frozen=True)
class _Level:
    """What a ChangeAvailabilityRequest affects, and the requirements of G03 or G04."""

    evse: bool
    connector: bool
    same: str
    """The requirement for a request that changes nothing."""
    reported: str
    """... that changes are reported to the CSMS."""
    scheduled: str
    """... for a request during a transaction."""
    unavailable: str
    """... that the connectors become Unavailable."""
    available: str
    persistent: str
    """... that the state survives a reboot."""

    def request(self, t: Bench, wanted: str) -> dict[str, Any]:
        """The request."""
        if not self.evse:
            return {"operationalStatus": wanted}
        place = {"id": t.evse} | ({"connectorId": t.connector} if self.connector else {})
        return {"operationalStatus": wanted, "evse": place}

    def statuses(self, t: Bench, status: str) -> dict[int, str]:
        """`status` for each EVSE that a request of this level affects."""
        return dict.fromkeys(self.evses(t), status)

    def evses(self, t: Bench) -> tuple[int, ...]:
        return (t.evse,) if self.evse else t.fixtures.evses

    def after_boot(self, t: Bench) -> dict[int, str]:
        """Every connector's status after a reboot while this level is Inoperative."""
        return dict.fromkeys(t.fixtures.evses, "Available") | self.statuses(t, "Unavailable")

    async def make_unavailable(self, t: Bench) -> None:
        """Reusable State Unavailable."""
        evse = t.evse if self.evse else None
        await reusable_states.unavailable(t, evse, t.connector if self.connector else None)


_G03 = {
    "same": "G03.FR.03",
    "reported": "G03.FR.04",
    "scheduled": "G03.FR.05",
    "unavailable": "G03.FR.06",
    "available": "G03.FR.07",
    "persistent": "G03.FR.08",
}
_STATION = _Level(
    evse=False,
    connector=False,
    same="G04.FR.04",
    reported="G04.FR.05",
    scheduled="G04.FR.06",
    unavailable="G04.FR.07",
    available="G04.FR.08",
    persistent="G04.FR.09",
)
_EVSE = _Level(evse=True, connector=False, **_G03)
_CONNECTOR = _Level(evse=True, connector=True, **_G03)


async def _change(t: Bench, level: _Level, wanted: str, status: str, req: str) -> None:
    """Steps 1 and 2: the request and its answer."""
    t.step(1)
    await t.call("ChangeAvailability", level.request(t, wanted), {"status": status}, req=req)
    t.step(3)


async def _operative_to_inoperative(t: Bench, level: _Level) -> None:
    """Step 1 and the post scenario validation, of messages that step 3 of the state has taken."""
    mark = t.mark()
    t.step(1)
    await level.make_unavailable(t)
    await t.quiet(0.5)
    _check_reports(t, level, mark, "Unavailable", level.unavailable)


def _check_reports(t: Bench, level: _Level, mark: int, status: str, req: str) -> None:
    """After `mark` all the level's connectors were reported with `status`, and no other one except as Available."""
    found = [(message, reported) for message in t.messages[mark:] if (reported := reported_status(message))]
    evses = {reported[0] for _, reported in found}
    t.post(evses >= set(level.evses(t)), level.reported, f"only the connectors of EVSE {sorted(evses)} were reported")
    for message, reported in found:
        if reported[0] in level.evses(t):
            t.check(reported[2] == status, req, f"{reported[2]} was reported on the way to {status}", message)
        else:
            t.check(reported[2] == "Available", req, "another EVSE became unavailable, too", message)


async def _unchanged(t: Bench, level: _Level, wanted: str, status: str) -> None:
    """Steps 1 and 2 and the post scenario validation: a request that changes nothing, and the status after it."""
    await _change(t, level, wanted, "Accepted", level.same)
    await t.expect_statuses(level.statuses(t, status), req=level.reported)


async def _inoperative_to_operative(t: Bench, level: _Level) -> None:
    await level.make_unavailable(t)
    await _change(t, level, "Operative", "Accepted", level.reported)
    await t.expect_statuses(level.statuses(t, "Available"), req=level.available)


async def _persists(t: Bench, level: _Level) -> None:
    """Steps 1 to 7 of the cases with Booting, with a real reset."""
    await level.make_unavailable(t)
    t.step(1)
    await reusable_states.booting(t)
    t.step(2)
    await t.expect("BootNotification", req="B01.FR.01", within=30)
    t.step(4)
    await reusable_states.statuses_after_boot(t, level.after_boot(t))
    await t.quiet(0.5)


async def _with_transaction(t: Bench, level: _Level) -> None:
    """The cases with an ongoing transaction: the change waits for its end, which depends on TxStopPoint."""
    session = await reusable_states.energy_transfer_started(t)
    t.step(1)
    await t.call("ChangeAvailability", level.request(t, "Inoperative"), {"status": "Scheduled"}, req=level.scheduled)
    free = [evse for evse in level.evses(t) if evse != t.evse]
    if free:
        t.step(3)
        await t.expect_statuses(dict.fromkeys(free, "Unavailable"), req=level.reported)
    await asyncio.sleep(t.fixtures.transaction_s)
    first = 5 if free else 3
    t.step(first)
    mark = t.mark()
    await reusable_states.stop_authorized(t)
    done = await _unavailable_when_ended(t, level, first + 1, mark, done=False)
    t.step(first + 3)
    await reusable_states.ev_connected_post_session(t)
    done = await _unavailable_when_ended(t, level, first + 4, mark, done=done)
    t.step(first + 6)
    await _disconnect(t)
    await _unavailable_when_ended(t, level, first + 7, mark, done=done)
    t.post(session.ended, level.scheduled, "the transaction has not ended")
    wrong = [m for m in t.messages[mark:] if (r := reported_status(m)) and r[0] == t.evse and r[2] == "Available"]
    t.post(not wrong, "G01.FR.05", "the connector was reported Available although it was to become Unavailable")


async def _unavailable_when_ended(t: Bench, level: _Level, step: int, mark: int, *, done: bool) -> bool:
    """The step after each state: the connector becomes Unavailable if that state has ended the transaction.

    Returns whether it has become Unavailable; `done`: in an earlier step.
    """
    if done or not t.session().ended:
        return done
    t.step(step)
    wanted = expected_status("Unavailable", evse=t.evse, connector=t.connector)
    await t.expect_message(wanted, req=level.reported, since=mark)
    return True


async def _disconnect(t: Bench) -> None:
    """EVDisconnected; a connector that is Unavailable reports no status when the cable is unplugged."""
    session = t.session()
    if not session.ended:
        await reusable_states.ev_disconnected(t, status="Unavailable")
        return
    await t.unplug()


# -- G01 -------------------------------------------------------------------------------------------------------------


@case("TC_G_01_CS")
async def tc_g_01_cs(t: Bench) -> None:
    """Red when: plugging the cable in is not reported as Occupied."""
    t.step(1)
    await reusable_states.ev_connected_pre_session(t)


@case("TC_G_02_CS")
async def tc_g_02_cs(t: Bench) -> None:
    """Red when: unplugging the cable is not reported as Available."""
    session = await reusable_states.ev_connected_pre_session(t)
    await t.unplug()
    t.step(3)
    await t.expect_status("Available", req="G01.FR.04")
    if session.transaction_id is not None:
        await transaction_event(t, t.evse, {"triggerReason": "EVCommunicationLost"}, req="E06.FR.02")


# -- G03: an EVSE ----------------------------------------------------------------------------------------------------


@case("TC_G_03_CS")
async def tc_g_03_cs(t: Bench) -> None:
    """Red when: the connector of an EVSE that was made Inoperative is not reported Unavailable."""
    await _operative_to_inoperative(t, _EVSE)


@case("TC_G_04_CS")
async def tc_g_04_cs(t: Bench) -> None:
    """Red when: the connector of an EVSE that was made Operative again is not reported Available."""
    await _inoperative_to_operative(t, _EVSE)


@case("TC_G_09_CS")
async def tc_g_09_cs(t: Bench) -> None:
    """Red when: making an Operative EVSE Operative is rejected."""
    await _change(t, _EVSE, "Operative", "Accepted", "G03.FR.03")


@case("TC_G_10_CS")
async def tc_g_10_cs(t: Bench) -> None:
    """Red when: making an Inoperative EVSE Inoperative is rejected, or its connector is not reported."""
    await _EVSE.make_unavailable(t)
    await _unchanged(t, _EVSE, "Inoperative", "Unavailable")


@case("TC_G_11_CS", limit_s=120)
async def tc_g_11_cs(t: Bench) -> None:
    """Red when: an EVSE with a transaction is unavailable at once, or is Available when the transaction has ended."""
    await _with_transaction(t, _EVSE)


@case("TC_G_18_CS")
async def tc_g_18_cs(t: Bench) -> None:
    """Red when: an EVSE that was made Inoperative is Available after a power cycle."""
    await _EVSE.make_unavailable(t)
    mark = t.mark()
    await _change(t, _EVSE, "Inoperative", "Accepted", "G03.FR.03")
    await t.expect_statuses({t.evse: "Unavailable"}, req="G03.FR.04")
    for message in t.messages[mark:]:
        reported = reported_status(message)
        if reported is not None and reported[0] != t.evse:
            t.check(reported[2] == "Available", "G03.FR.04", "another EVSE became unavailable, too", message)
    t.step(5)
    await reusable_states.booted(t, statuses=_EVSE.after_boot(t), req="G03.FR.08")


# -- G04: the station ------------------------------------------------------------------------------------------------


@case("TC_G_05_CS")
async def tc_g_05_cs(t: Bench) -> None:
    """Red when: one connector of a station that was made Inoperative is not reported Unavailable."""
    await _operative_to_inoperative(t, _STATION)


@case("TC_G_06_CS")
async def tc_g_06_cs(t: Bench) -> None:
    """Red when: one connector of a station that was made Operative again is not reported Available."""
    await _inoperative_to_operative(t, _STATION)


@case("TC_G_12_CS")
async def tc_g_12_cs(t: Bench) -> None:
    """Red when: making an Operative station Operative is rejected, or its connectors are not reported."""
    await _unchanged(t, _STATION, "Operative", "Available")


@case("TC_G_13_CS")
async def tc_g_13_cs(t: Bench) -> None:
    """Red when: making an Inoperative station Inoperative is rejected, or its connectors are not reported."""
    await _STATION.make_unavailable(t)
    await _unchanged(t, _STATION, "Inoperative", "Unavailable")


@case("TC_G_14_CS", limit_s=120)
async def tc_g_14_cs(t: Bench) -> None:
    """Red when: during a transaction the other EVSEs are not unavailable at once, or this one at its end."""
    await _with_transaction(t, _STATION)


@case("TC_G_21_CS")
async def tc_g_21_cs(t: Bench) -> None:
    """Red when: a station that was made Inoperative is Available after a reset."""
    await _persists(t, _STATION)


# -- G03: a connector ------------------------------------------------------------------------------------------------


@case("TC_G_07_CS")
async def tc_g_07_cs(t: Bench) -> None:
    """Red when: a connector that was made Inoperative is not reported Unavailable."""
    await _operative_to_inoperative(t, _CONNECTOR)


@case("TC_G_08_CS")
async def tc_g_08_cs(t: Bench) -> None:
    """Red when: a connector that was made Operative again is not reported Available."""
    await _inoperative_to_operative(t, _CONNECTOR)


@case("TC_G_15_CS")
async def tc_g_15_cs(t: Bench) -> None:
    """Red when: making an Operative connector Operative is rejected, or it is not reported."""
    await _unchanged(t, _CONNECTOR, "Operative", "Available")


@case("TC_G_16_CS")
async def tc_g_16_cs(t: Bench) -> None:
    """Red when: making an Inoperative connector Inoperative is rejected, or it is not reported."""
    await _CONNECTOR.make_unavailable(t)
    await _unchanged(t, _CONNECTOR, "Inoperative", "Unavailable")


@case("TC_G_17_CS", limit_s=120)
async def tc_g_17_cs(t: Bench) -> None:
    """Red when: a connector with a transaction is unavailable at once, or is Available when that has ended."""
    await _with_transaction(t, _CONNECTOR)


@case("TC_G_19_CS")
async def tc_g_19_cs(t: Bench) -> None:
    """Red when: a connector that was made Inoperative is Available after a reset."""
    await _persists(t, _CONNECTOR)
