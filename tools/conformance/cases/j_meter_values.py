# SPDX-License-Identifier: Apache-2.0
"""Block J, meter values: clock-aligned (J01) and sampled (J02).

`_check_value` checks every meter value: its context, one element for each configured measurand, and no location EV
except for SoC (erratum 6.2.58). `_check_moments` compares the times of the readings with the configured interval;
values of one reading have the same timestamp, in however many messages they come.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from firmware.clock import parse_utc
from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event, tx_points
from tools.conformance.checks.expected import Expected, expected
from tools.conformance.checks.values import PRESENT
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case

_INTERVAL_S = 3
_ROUNDS = 3
"""The number of readings that a case waits for."""
_DEVIATION_S = 1.0
"""The tolerance of a time; the laboratory allows 4 s."""
_REGISTER = "Energy.Active.Import.Register"
"""The measurand of an element without one."""

_START_POINTS = {"EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer", "DataSigned"}
"""With any of these a transaction may start at a known EVSE, because the cable is plugged in first."""

_NOT_ONLY_IDLE = {"AlignedDataCtrlr.SendDuringIdle": "false"}
_ALL_PHASES = {"SampledDataCtrlr.RegisterValuesWithoutPhases": "false"}


async def _measurands(t: Bench, variable: str) -> list[str]:
    """The measurands that are configured in `variable`."""
    text = await t.get_variable(variable)
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _check_value(
    t: Bench, message: Message, value: Mapping[str, Any], contexts: tuple[str, ...], *, measurands: list[str], req: str
) -> None:
    """One meterValue of `message`."""
    samples: list[dict[str, Any]] = value.get("sampledValue", [])
    context = samples[0].get("context") if samples else "nothing"
    t.check(context in contexts, req, f"context is {context}, expected {' or '.join(contexts)}", message)
    sent = {sample.get("measurand", _REGISTER) for sample in samples}
    missing = [measurand for measurand in measurands if measurand not in sent]
    t.check(not missing, req, f"the configured measurands {missing} are missing", message)
    for sample in samples:
        inside = sample.get("location") == "EV" and sample.get("measurand") != "SoC"
        t.check(not inside, "erratum 6.2.58", f"{sample.get('measurand')} has location EV", message)


def _check_moments(t: Bench, stamps: Iterable[str], interval_s: float, req: str) -> None:
    """The interval lies between any two consecutive moments."""
    moments = sorted({parse_utc(stamp) for stamp in stamps})
    t.check(len(moments) > 1, req, f"there are only {len(moments)} readings")
    for before, after in itertools.pairwise(moments):
        wrong = abs(after - before - interval_s) > _DEVIATION_S
        t.check(not wrong, req, f"{after - before:.1f} s between two meter values, expected {interval_s}")


def _check_aligned(t: Bench, stamps: Iterable[str], interval_s: float, req: str) -> None:
    """The moments are multiples of the interval since midnight (part 2, J, 2.2)."""
    for stamp in stamps:
        past = parse_utc(stamp) % 86400 % interval_s
        wrong = min(past, interval_s - past) > _DEVIATION_S
        t.check(not wrong, req, f"{stamp} is not aligned to {interval_s} s")


def _values(messages: Iterable[Message]) -> list[tuple[Message, Mapping[str, Any]]]:
    return [(message, value) for message in messages for value in message.get("meterValue", [])]


def _ended(t: Bench) -> Message:
    """The event that ended the transaction."""
    for message in reversed(t.messages):
        if message.action == "TransactionEvent" and message.get("eventType") == "Ended":
            return message
    raise t.abort("no TransactionEvent ended the transaction", "E06.FR.11")


# -- clock-aligned ---------------------------------------------------------------------------------------------------


@case("TC_J_01_CS")
async def tc_j_01_cs(t: Bench) -> None:
    """Red when: one EVSE is left out, the readings are not at multiples of the interval, or context is missing."""
    await t.configure({"AlignedDataCtrlr.Interval": str(_INTERVAL_S)})
    measurands = await _measurands(t, "AlignedDataCtrlr.Measurands")
    t.step(1)
    wanted = expected("MeterValues")
    count = _ROUNDS * len(t.fixtures.evses)
    messages = [await t.expect_message(wanted, req="J01.FR.14", within=_INTERVAL_S * 3) for _ in range(count)]
    for message, value in _values(messages):
        _check_value(t, message, value, ("Sample.Clock",), measurands=measurands, req="J01.FR.08")
    t.step("post")
    stamps = [value["timestamp"] for _, value in _values(messages)]
    _check_moments(t, stamps, _INTERVAL_S, "J01.FR.14")
    _check_aligned(t, stamps, _INTERVAL_S, "J01.FR.14")
    for evse in t.fixtures.evses:
        count = sum(message.get("evseId") == evse for message in messages)
        t.check(count == _ROUNDS, "J01.FR.02", f"EVSE {evse} was reported {count} times, expected {_ROUNDS}")


def _clock_values(transaction_id: str | None, evse: int) -> Expected:
    """Clock-aligned values of an EVSE: of its transaction, or in a MeterValuesRequest (J01.FR.22)."""

    def compare(message: Message) -> list[str] | None:
        if message.action == "MeterValues":
            return [] if message.get("evseId") == evse else None
        if message.action != "TransactionEvent" or message.get("triggerReason") != "MeterValueClock":
            return None
        return [] if message.get("transactionInfo.transactionId") == transaction_id else None

    return Expected(f"clock-aligned values of EVSE {evse}", compare)


@case("TC_J_02_CS", limit_s=120)
async def tc_j_02_cs(t: Bench) -> None:
    """Red when: during a transaction its EVSE, or the idle one, is not reported at every interval."""
    await t.configure({"AlignedDataCtrlr.Interval": str(_INTERVAL_S)})
    await t.configure(_NOT_ONLY_IDLE | _ALL_PHASES, if_implemented=True)
    measurands = await _measurands(t, "AlignedDataCtrlr.Measurands")
    session = await reusable_states.energy_transfer_started(t)
    mark = t.mark()
    for step, evse, number in [(3, t.evse, session.transaction_id), *((1, e, None) for e in _idle(t))]:
        t.step(step)
        messages = [
            await t.expect_message(_clock_values(number, evse), req="J01.FR.22", within=_INTERVAL_S * 3, since=mark)
            for _ in range(_ROUNDS)
        ]
        for message, value in _values(messages):
            _check_value(t, message, value, ("Sample.Clock",), measurands=measurands, req="J01.FR.08")
        stamps = [value["timestamp"] for _, value in _values(messages)]
        _check_moments(t, stamps, _INTERVAL_S, "J01.FR.22")
        _check_aligned(t, stamps, _INTERVAL_S, "J01.FR.22")
        if evse == t.evse:
            _check_moments(t, [message.get("timestamp", stamps[0]) for message in messages], _INTERVAL_S, "J01.FR.22")


def _idle(t: Bench) -> list[int]:
    return [evse for evse in t.fixtures.evses if evse != t.evse]


@case("TC_J_03_CS", limit_s=120)
async def tc_j_03_cs(t: Bench) -> None:
    """Red when: the Ended event has no values of AlignedDataCtrlr.TxEndedInterval, or sampled ones among them."""
    await t.configure({"AlignedDataCtrlr.TxEndedInterval": str(_INTERVAL_S), "SampledDataCtrlr.TxEndedMeasurands": ""})
    await t.configure(_NOT_ONLY_IDLE, if_implemented=True)
    measurands = await _measurands(t, "AlignedDataCtrlr.TxEndedMeasurands")
    await reusable_states.energy_transfer_started(t)
    await asyncio.sleep(_INTERVAL_S * _ROUNDS)
    t.step(1)
    await reusable_states.ev_disconnected(t)
    t.step("post")
    ended = _ended(t)
    t.match(ended, {"meterValue": PRESENT}, "E06.FR.11")
    for message, value in _values([ended]):
        _check_value(t, message, value, ("Sample.Clock",), measurands=measurands, req="J01.FR.08")
    stamps = [value["timestamp"] for _, value in _values([ended])]
    _check_moments(t, stamps, _INTERVAL_S, "AlignedDataTxEndedInterval")
    _check_aligned(t, stamps, _INTERVAL_S, "AlignedDataTxEndedInterval")


# -- sampled ---------------------------------------------------------------------------------------------------------


@case("TC_J_07_CS")
async def tc_j_07_cs(t: Bench) -> None:
    """Red when: the event that starts the transaction at a known EVSE has no values, or not with Transaction.Begin."""
    start, _ = await tx_points(t)
    if not start & _START_POINTS:
        await t.configure({"TxCtrlr.TxStartPoint": "Authorized"})
    measurands = await _measurands(t, "SampledDataCtrlr.TxStartedMeasurands")
    mark = t.mark()
    t.step(1)
    await reusable_states.ev_connected_pre_session(t)
    t.step(2)
    await reusable_states.energy_transfer_started(t)
    t.step("post")
    started = [m for m in t.messages[mark:] if m.get("eventType") == "Started"]
    t.check(len(started) == 1, "E01.FR.02", f"{len(started)} transactions were started")
    for message in started:
        t.match(message, {"meterValue": PRESENT}, "E02.FR.09")
    for message, value in _values(started):
        _check_value(t, message, value, ("Transaction.Begin",), measurands=measurands, req="E02.FR.09")


@case("TC_J_09_CS", limit_s=120)
async def tc_j_09_cs(t: Bench) -> None:
    """Red when: the values of TxUpdatedInterval are left out, come at another interval, or without Sample.Periodic."""
    await t.configure({"SampledDataCtrlr.TxUpdatedInterval": str(_INTERVAL_S)})
    measurands = await _measurands(t, "SampledDataCtrlr.TxUpdatedMeasurands")
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    check = {"eventType": "Updated", "triggerReason": "MeterValuePeriodic", "meterValue": PRESENT}
    events = [
        await transaction_event(t, t.evse, check, req="J02.FR.11", within=_INTERVAL_S * 3) for _ in range(_ROUNDS)
    ]
    for message, value in _values(events):
        _check_value(t, message, value, ("Sample.Periodic",), measurands=measurands, req="J02.FR.11")
        age = parse_utc(message.payload["timestamp"]) - parse_utc(value["timestamp"])
        t.check(0 <= age < _INTERVAL_S, "J02.FR.10", f"the value is {age:.1f} s older than its event", message)
    t.step("post")
    _check_moments(t, [event.payload["timestamp"] for event in events], _INTERVAL_S, "J02.FR.11")


@case("TC_J_10_CS", limit_s=120)
async def tc_j_10_cs(t: Bench) -> None:
    """Red when: the Ended event has no values of SampledDataCtrlr.TxEndedInterval, or not the meter's last one."""
    await t.configure({"SampledDataCtrlr.TxEndedInterval": str(_INTERVAL_S), "AlignedDataCtrlr.TxEndedMeasurands": ""})
    measurands = await _measurands(t, "SampledDataCtrlr.TxEndedMeasurands")
    await reusable_states.energy_transfer_started(t)
    await asyncio.sleep(_INTERVAL_S * _ROUNDS)
    t.step(1)
    await reusable_states.ev_disconnected(t)
    t.step("post")
    ended = _ended(t)
    t.match(ended, {"meterValue": PRESENT}, "E06.FR.11")
    # Part 2 requires a value from the start of the transaction, whose context is Transaction.Begin by definition.
    contexts = ("Sample.Periodic", "Transaction.Begin", "Transaction.End")
    found = [_context(value) for _, value in _values([ended])]
    for message, value in _values([ended]):
        _check_value(t, message, value, contexts, measurands=measurands, req="E06.FR.11")
    t.check(found.count("Transaction.End") == 1, "E06.FR.11", f"the contexts are {found}", ended)
    t.check(found[:1] != ["Transaction.End"], "E06.FR.11", f"the last value comes first: {found}", ended)
    periodic = [value["timestamp"] for _, value in _values([ended]) if _context(value) == "Sample.Periodic"]
    _check_moments(t, periodic, _INTERVAL_S, "SampledDataTxEndedInterval")


def _context(value: Mapping[str, Any]) -> str:
    samples = value.get("sampledValue") or [{}]
    return str(samples[0].get("context"))


def _any_clock_values(message: Message) -> bool:
    return message.action == "MeterValues" or message.get("triggerReason") == "MeterValueClock"


@case("TC_J_06_CS", limit_s=150)
async def tc_j_06_cs(t: Bench) -> None:
    """Red when: clock-aligned values are sent during a transaction, or no longer after it."""
    await t.configure({"AlignedDataCtrlr.Interval": str(_INTERVAL_S), "AlignedDataCtrlr.SendDuringIdle": "true"})
    measurands = await _measurands(t, "AlignedDataCtrlr.Measurands")
    t.step(1)
    before = [await t.expect_message(expected("MeterValues"), req="J01.FR.14", within=_INTERVAL_S * 3)]
    t.step(3)
    session = await reusable_states.authorized(t)
    quiet_from = t.mark()
    await reusable_states.energy_transfer_started(t)
    t.step(4)
    await asyncio.sleep(_INTERVAL_S + 5)  # no such message may come in this time
    wrong = [message for message in t.messages[quiet_from:] if _any_clock_values(message)]
    t.check(not wrong, "J01.FR.20", f"{len(wrong)} clock-aligned messages during transaction {session.transaction_id}")
    t.step(6)
    await reusable_states.ev_disconnected(t)
    t.step(7)
    after_from = t.mark()
    wanted = expected("MeterValues")
    after = [
        await t.expect_message(wanted, req="J01.FR.14", within=_INTERVAL_S * 3, since=after_from)
        for _ in range(_ROUNDS * len(t.fixtures.evses))
    ]
    for message, value in _values([*before, *after]):
        _check_value(t, message, value, ("Sample.Clock",), measurands=measurands, req="J01.FR.08")
    t.step("post")
    _check_moments(t, [value["timestamp"] for _, value in _values(after)], _INTERVAL_S, "J01.FR.14")
