# SPDX-License-Identifier: Apache-2.0
"""Block B, provisioning: booting (B01 to B03), being offline (B04) and reconnecting (part 4, 5.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from firmware.clock import format_utc
from tools.conformance.bench import inventory, reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event, tx_points
from tools.conformance.checks.expected import reported_status
from tools.conformance.checks.values import any_of
from tools.conformance.peer.answers import Payload
from tools.conformance.peer.endpoint import OnConnect
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case

_EARLY_S = 0.2
"""How much too early a message may seem to come, because the times of two messages are compared."""


def _not_yet(status: str, interval_s: int) -> Callable[[Message], Payload]:
    """A BootNotificationResponse that does not accept the station."""
    return lambda _: {"currentTime": format_utc(time.time()), "interval": interval_s, "status": status}


def _check_silence(t: Bench, first: Message, last: Message, req: str, allow: tuple[str, ...] = ()) -> None:
    """No call but those of `allow` between two messages."""
    for message in t.messages[first.index + 1 : last.index]:
        t.check(message.action in allow, req, f"{message.action} was sent before the boot was accepted", message)
        message.taken = True


@case("TC_B_01_CS")
async def tc_b_01_cs(t: Bench) -> None:
    """Red when: the status of one connector is not sent after the boot, or the reason is not PowerUp."""
    t.step(1)
    await reusable_states.booted(t, check={"reason": "PowerUp"}, req="B01.FR.09")


@case("TC_B_02_CS")
async def tc_b_02_cs(t: Bench) -> None:
    """Red when: a StatusNotification is sent while the boot is Pending, or RequestStartTransaction is accepted."""
    t.answer("BootNotification", _not_yet("Pending", 60), times=1)
    await t.manual("reboot")
    t.step(1)
    first = await t.expect("BootNotification", req="B02.FR.01", within=30)
    threshold = "OCPPCommCtrlr.OfflineThreshold"
    t.step(4)
    await t.configure({threshold: "300"})
    t.step(6)
    t.check(await t.get_variable(threshold) == "300", "B02.FR.01", "OfflineThreshold is not 300 after it was set")
    await inventory.collect(t, "FullInventory", steps=(8, 9))
    t.step(12)
    start = {"idToken": t.card.id_token, "remoteStartId": t.new_id(), "evseId": t.evse}
    await t.call("RequestStartTransaction", start, {"status": "Rejected"}, req="B02.FR.05")
    t.step(14)
    trigger = {"requestedMessage": "BootNotification"}
    check = {"status": any_of("Accepted", "NotImplemented")}
    answer = await t.call("TriggerMessage", trigger, check, req="F06.FR.17")
    t.step(15)
    triggered = answer.get("status") == "Accepted"
    second = await t.expect(
        "BootNotification",
        {"reason": "Triggered"} if triggered else {},
        req="B02.FR.04",
        within=10 if triggered else 70,
    )
    _check_silence(t, first, second, "B02.FR.02", allow=("NotifyReport",))
    t.check(second.connection == first.connection, "B02.FR.06", "the connection was closed while the boot was Pending")
    t.step(17)
    await reusable_states.statuses_after_boot(t, security_event=False)


@case("TC_B_03_CS")
async def tc_b_03_cs(t: Bench) -> None:
    """Red when: the second BootNotification comes before the interval is over, or anything else comes in between."""
    interval_s = 5
    t.answer("BootNotification", _not_yet("Rejected", interval_s), times=1)
    await t.manual("reboot")
    t.step(1)
    first = await t.expect("BootNotification", req="B03.FR.06", within=30)
    t.step(3)
    second = await t.expect("BootNotification", req="B03.FR.06", within=interval_s + 15)
    waited = second.at - first.at
    t.check(waited >= interval_s - _EARLY_S, "B03.FR.02", f"it came after {waited:.1f} s, not {interval_s}", second)
    _check_silence(t, first, second, "B03.FR.02")
    t.step(5)
    await reusable_states.statuses_after_boot(t, security_event=False)


@case("TC_B_30_CS")
async def tc_b_30_cs(t: Bench) -> None:
    """Red when: GetBaseReport is answered although the boot was Rejected."""
    t.answer("BootNotification", _not_yet("Rejected", 60))
    await t.manual("reboot")
    t.step(1)
    await t.expect("BootNotification", req="B03.FR.06", within=30)
    await t.quiet(0.3)
    t.step(4)
    if t.csms.connection is not None:
        report = {"requestId": t.new_id(), "reportBase": "FullInventory"}
        await t.call_error("GetBaseReport", report, "SecurityError", req="B03.FR.08")
    await t.never(None, 1.0, req="B03.FR.02")


_THRESHOLD_S = 4


async def _offline_plug_in(t: Bench, wait_minimum_s: int, offline_s: float) -> int:
    """Steps 1 to 3 of the two offline cases; returns the mark of the reconnection."""
    await t.configure(
        {
            "OCPPCommCtrlr.OfflineThreshold": str(_THRESHOLD_S),
            "OCPPCommCtrlr.RetryBackOffWaitMinimum": str(wait_minimum_s),
            "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
        }
    )
    t.step(1)
    await t.hang_up(OnConnect.REFUSE)
    t.step(2)
    await t.manual("plug_in", evse=t.evse)
    await asyncio.sleep(offline_s)
    t.step(3)
    t.on_connect(OnConnect.ACCEPT)
    mark = t.mark()
    await t.connected(within=wait_minimum_s * 4 + 15, req="OCPP-J 5.3")
    return mark


async def _queued_start(t: Bench) -> None:
    """A transaction that the cable has started while offline is also reported."""
    start, _ = await tx_points(t)
    if "EVConnected" in start:
        t.session().connected = True
        await transaction_event(t, t.evse, {"offline": True}, req="E04.FR.03")


@case("TC_B_51_CS")
async def tc_b_51_cs(t: Bench) -> None:
    """Red when: after a long time offline only the connector that has changed is reported."""
    await _offline_plug_in(t, _THRESHOLD_S + 2, _THRESHOLD_S + 0.5)
    t.step(4)
    each = dict.fromkeys(t.fixtures.evses, "Available") | {t.evse: "Occupied"}
    await t.expect_statuses(each, req="B04.FR.01", within=15)
    await _queued_start(t)


@case("TC_B_52_CS")
async def tc_b_52_cs(t: Bench) -> None:
    """Red when: after a short time offline every connector is reported, or the changed one is not."""
    mark = await _offline_plug_in(t, _THRESHOLD_S - 2, 0.0)
    t.step(4)
    await t.expect_status("Occupied", req="B04.FR.02", within=15)
    await _queued_start(t)
    await t.quiet(1.0)
    for message in t.messages[mark:]:
        reported = reported_status(message)
        if reported is not None:
            text = "a connector that has not changed is reported"
            t.check(reported[0] == t.evse, "B04.FR.02", text, message)


@case("TC_B_57_CS")
async def tc_b_57_cs(t: Bench) -> None:
    """Red when: the back-off does not start with RetryBackOffWaitMinimum, or is not doubled after a refusal."""
    wait_s = 2
    await t.configure(
        {
            "OCPPCommCtrlr.NetworkProfileConnectionAttempts": "3",
            "OCPPCommCtrlr.RetryBackOffRepeatTimes": "2",
            "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
            "OCPPCommCtrlr.RetryBackOffWaitMinimum": str(wait_s),
        }
    )
    t.step(1)
    await _reconnects_after(t, wait_s, hang_up=True)
    await t.connected()
    t.step(4)
    t.on_connect(OnConnect.REFUSE)
    t.step(5)
    await _reconnects_after(t, wait_s, hang_up=True)
    t.on_connect(OnConnect.ACCEPT)
    t.step(7)
    await _reconnects_after(t, 2 * wait_s, hang_up=False)
    t.step(8)
    await t.connected()


async def _reconnects_after(t: Bench, wait_s: int, *, hang_up: bool) -> None:
    """The next attempt is not earlier than `wait_s` after the end of the connection, or of the last attempt."""
    tries = len(t.csms.attempts)
    if hang_up:
        await t.hang_up()
        ended = t.elapsed
    else:
        ended = t.csms.attempts[-1].at
    attempt = await t.attempt(tries, within=wait_s + 20, req="OCPP-J 5.3")
    waited = attempt.at - ended
    text = f"the station tried to connect after {waited:.2f} s, expected at least {wait_s}"
    t.check(waited >= wait_s - _EARLY_S, "OCPP-J 5.3", text)
