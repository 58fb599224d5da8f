# SPDX-License-Identifier: Apache-2.0
"""A station and its CSMS for scenario tests: the whole station as real processes, and what each side saw of it.

    async with site(tmp_path) as here:
        transaction = await here.charge(1)                  # card, cable, until the CSMS has heard of energy
        story = await here.stop_with_card(1)                # until the CSMS has heard of the end
        assert story.states == ["Idle", "EVConnected", "Charging", "EVConnected"]

Three witnesses are asked, as in life: the user (`page`, `text`: the outlet's display), the CSMS (`Story`, `statuses`,
`here.csms`) and the log (`log`). On the way out the station is stopped, and its logs must hold no traceback, no
password and no card number.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from firmware.clock import CLOCK_FLOOR, parse_utc
from tests.support.csms import ScriptedCsms
from tests.support.rig import Rig
from tools.ocppj.frames import Call
from tools.rig.factory_file import Variables, factory_file

__all__ = ["CARD", "OTHER_CARD", "PASSWORD", "Site", "Story", "factory", "site", "stories"]

CARD = "04A1B2C3D4E5F6"
OTHER_CARD = "0466778899AABB"
PASSWORD = "correct-horse-battery"
PATIENCE_S = 20.0
REGISTER = "Energy.Active.Import.Register"

QUICK: Variables = {
    ("OCPPCommCtrlr", "RetryBackOffWaitMinimum"): "0",
    ("OCPPCommCtrlr", "RetryBackOffRandomRange"): "0",
    ("SampledDataCtrlr", "TxUpdatedInterval"): "1",
    ("AlignedDataCtrlr", "Interval"): "0",
    ("AlignedDataCtrlr", "TxEndedInterval"): "0",
}
"""A CSMS that is away is dialled again at once, meters are told of each second, and nothing comes by the wall clock."""


@dataclass
class Story:
    """One transaction as the CSMS heard it; `events` are the TransactionEvents as they came, each once."""

    id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0
    """How many came again, word for word but for the `offline` flag, as after a lost answer."""
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    """Other events under a seqNo that had been given before."""

    @property
    def triggers(self) -> list[str]:
        """Without the periodic meter values."""
        return [each["triggerReason"] for each in self.events if each["triggerReason"] != "MeterValuePeriodic"]

    @property
    def states(self) -> list[str]:
        """The chargingStates, each change once."""
        states: list[str] = []
        for each in self.events:
            state = each["transactionInfo"]["chargingState"]
            if states[-1:] != [state]:
                states.append(state)
        return states

    @property
    def ended(self) -> bool:
        return bool(self.events[-1]["eventType"] == "Ended")

    @property
    def reason(self) -> str | None:
        """The stoppedReason."""
        reason: str | None = self.events[-1]["transactionInfo"].get("stoppedReason")
        return reason

    @property
    def registers(self) -> list[float]:
        """The energy register in Wh, as it was told, in the order in which it was read.

        The last event repeats what was read at the beginning.
        """
        told = [(parse_utc(stamp), value) for event in self.events for stamp, value in _registers(event)]
        return [value for _, value in sorted(told, key=lambda each: each[0])]

    @property
    def energy_wh(self) -> float:
        return self.registers[-1] - self.registers[0]

    @property
    def evse(self) -> int | None:
        """The EVSE that the events name."""
        named = {each["evse"]["id"] for each in self.events if "evse" in each}
        assert len(named) <= 1, f"{self.id} is at several EVSEs: {named}"
        return named.pop() if named else None

    def check(self, *, ended: bool = True) -> None:
        """Nothing lost, doubled or out of order; the register never falls; times are of today and in order; a
        change is one."""
        assert not self.conflicts, (self.conflicts, self.outline)
        kinds = [each["eventType"] for each in self.events]
        assert [each["seqNo"] for each in self.events] == list(range(len(self.events))), self.outline
        assert kinds[0] == "Started", self.outline
        assert kinds[1:-1].count("Updated") == len(kinds[1:-1]), self.outline
        assert not ended or kinds[-1] == "Ended", self.outline
        assert not self.unchanged, self.outline
        assert not self.ended or self.reason is not None, self.outline
        assert self.registers == sorted(self.registers), (self.registers, self.outline)
        stamps = [parse_utc(each["timestamp"]) for each in self.events]
        assert stamps == sorted(stamps), [each["timestamp"] for each in self.events]
        assert stamps[0] >= CLOCK_FLOOR, self.events[0]["timestamp"]
        if ended:
            assert _registers(self.events[-1]), f"no meter value at the end: {self.events[-1]}"

    @property
    def unchanged(self) -> list[int]:
        """seqNo of what was told as a change of the chargingState and is none."""
        return [
            after["seqNo"]
            for before, after in pairwise(self.events)
            if (after["eventType"], after["triggerReason"]) == ("Updated", "ChargingStateChanged")
            and after["transactionInfo"]["chargingState"] == before["transactionInfo"]["chargingState"]
        ]

    @property
    def outline(self) -> list[str]:
        """For people who read a failure."""
        return [
            f"{each['seqNo']} {each['eventType']} {each['triggerReason']} {each['transactionInfo']['chargingState']}"
            for each in self.events
        ]


def _registers(event: dict[str, Any]) -> list[tuple[str, float]]:
    return [
        (value["timestamp"], sample["value"])
        for value in event.get("meterValue", ())
        for sample in value["sampledValue"]
        if sample.get("measurand", REGISTER) == REGISTER
    ]


def stories(received: Iterable[Call]) -> dict[str, Story]:
    """The transactions among what a CSMS received, in the order in which they began."""
    found: dict[str, Story] = {}
    for call in received:
        if call.action != "TransactionEvent":
            continue
        event = call.payload
        story = found.setdefault(
            event["transactionInfo"]["transactionId"], Story(event["transactionInfo"]["transactionId"])
        )
        before = next((each for each in story.events if each["seqNo"] == event["seqNo"]), None)
        if before is None:
            story.events.append(event)
        elif _without_offline(before) == _without_offline(event):
            story.repeated += 1
        else:
            story.conflicts.append(event)
    return found


def _without_offline(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "offline"}


class Site:
    """A rig and its CSMS. Waiting for what does not come ends in an error that tells what came instead."""

    def __init__(self, rig: Rig, csms: ScriptedCsms) -> None:
        self.rig = rig
        self.csms = csms

    # --- what driver and cars do ---------------------------------------------------------------------------

    async def card(self, evse: int | None = None, uid: str = CARD) -> str:
        """Present a card (at an outlet's display that was touched before); what came of it."""
        since = self.rig.mark
        await self.rig.op("present_card", uid=uid, hold_s=0.0, **({} if evse is None else {"evse": evse}))
        outcome: str = (await self.rig.wait("card", since=since, uid=uid))["outcome"]
        return outcome

    async def plug_in(self, evse: int, **car: Any) -> None:
        await self.rig.op("plug_in", evse=evse, car=car)

    async def plug_out(self, evse: int, *, force: bool = False) -> None:
        await self.rig.op("plug_out", evse=evse, force=force)

    async def charge(self, evse: int, *, uid: str = CARD, **car: Any) -> str:
        """Card, then cable, until the CSMS has heard that energy flows; the transaction's id."""
        since = len(self.csms.received)
        assert await self.card(evse, uid) == "started"
        await self.plug_in(evse, **car)
        return await self.charging(evse, since=since)

    async def charging(self, evse: int, *, since: int = 0) -> str:
        """Until the CSMS has heard that energy flows at this EVSE, and it does; the transaction's id."""

        def flowing() -> str | None:
            for story in stories(self.csms.received[since:]).values():
                if story.evse == evse and not story.ended and story.states[-1] == "Charging":
                    return story.id
            return None

        await self.csms.until(lambda: flowing() is not None, f"Charging at EVSE {evse}", timeout=PATIENCE_S)
        transaction = flowing()
        assert transaction is not None
        await self.until_evse(evse, lambda it: it["current_a"] > 10)
        return transaction

    async def stop_with_card(self, evse: int, uid: str = CARD) -> Story:
        """The same card again, until the CSMS has heard of the end."""
        transaction = (await self.rig.evse(evse))["transaction_id"]
        assert await self.card(evse, uid) == "stopped"
        return await self.end_of(transaction)

    async def end_of(self, transaction: str) -> Story:
        """Until the CSMS has heard of the transaction's end."""

        def over() -> bool:
            return any(
                call.action == "TransactionEvent"
                and call.payload["eventType"] == "Ended"
                and call.payload["transactionInfo"]["transactionId"] == transaction
                for call in self.csms.received
            )

        await self.csms.until(over, f"end of {transaction}", timeout=PATIENCE_S)
        return self.story(transaction)

    async def leave(self, evse: int) -> None:
        """The driver unplugs; until the outlet is free for the next one."""
        await self.plug_out(evse)
        await self.free(evse)

    async def free(self, evse: int) -> None:
        """Until the outlet could serve the next driver, and the CSMS knows."""
        await self.until_evse(
            evse, lambda it: (it["status"], it["phase"], it["contactor"]) == ("Available", "idle", "open")
        )
        await self.csms.until(lambda: self.statuses(evse)[-1:] == ["Available"], "Available", timeout=PATIENCE_S)

    # --- what the witnesses say ----------------------------------------------------------------------------

    def story(self, transaction: str) -> Story:
        return stories(self.csms.received)[transaction]

    @property
    def stories(self) -> list[Story]:
        return list(stories(self.csms.received).values())

    def sent(self, action: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The payloads of an action, as they came."""
        return [call.payload for call in self.csms.received[since:] if call.action == action]

    def statuses(self, evse: int, *, since: int = 0) -> list[str]:
        """What StatusNotification said of the EVSE's connector, in order."""
        notices = self.sent("StatusNotification", since=since)
        return [each["connectorStatus"] for each in notices if each["evseId"] == evse]

    def log(self, process: str) -> str:
        """Everything a process wrote into its log."""
        directory = self.rig.directory / "log"
        return "".join(
            file.read_text(errors="replace") for file in sorted(directory.glob(f"{process}.log*"), reverse=True)
        )

    async def page(self, evse: int) -> str:
        """The page that the outlet's display shows."""
        page: str = (await self.rig.state())["screens"][evse - 1]["page"]
        return page

    async def until_page(self, evse: int, *pages: str, **text: str) -> dict[str, str]:
        """Wait until the EVSE's display shows one of these pages, with this text on it; returns all of its text."""

        def shown(state: dict[str, Any]) -> bool:
            screen = state["screens"][evse - 1]
            return screen["page"] in pages and text.items() <= screen["text"].items()

        state = await self.rig.client.until(shown)
        found: dict[str, str] = state["screens"][evse - 1]["text"]
        return found

    async def until_evse(self, evse: int, holds: Any) -> dict[str, Any]:
        """Until something holds of the outlet's part of the rig's state; that part."""
        state = await self.rig.client.until(lambda state: holds(state["evses"][evse - 1]))
        found: dict[str, Any] = state["evses"][evse - 1]
        return found

    async def settled(self) -> None:
        """Until the CSMS accepted the station and everything that was queued has been told."""
        await self.rig.client.until(
            lambda state: (
                state["ocpp"]["registration"] == "Accepted"
                and state["ocpp"]["connected"]
                and state["ocpp"]["queued_messages"] == 0
            )
        )

    def check_logs(self) -> None:
        """What must never be in a log; a traceback is an error that nobody foresaw."""
        for process in ("hal", "ocpp", "rig"):
            text = self.log(process)
            assert "Traceback" not in text, f"{process}: {text[text.index('Traceback') :][:3000]}"
            for secret in (PASSWORD, CARD, OTHER_CARD):
                assert secret.casefold() not in text.casefold(), f"{process}.log tells {secret}"


def factory(
    url: str,
    *,
    variables: Variables | None = None,
    product: str = "c7am-400-cc",
    speed: float = 60.0,
    identity: str = "CP001",
    timeout_s: int = 30,
) -> str:
    """A factory settings file: one network profile, and a device model that suits impatient tests."""
    return factory_file(
        url,
        identity=identity,
        password=PASSWORD,
        profile={"message_timeout_s": timeout_s},
        variables={**QUICK, **(variables or {})},
        product=product,
        rig={"speed": speed},
    )


@contextlib.asynccontextmanager
async def site(
    directory: Path,
    *,
    name: str = "cp",
    csms: ScriptedCsms | None = None,
    rig: type[Rig] = Rig,
    accepted: bool = True,
    off: bool = False,
    **settings: Any,
) -> AsyncIterator[Site]:
    """A station that has booted and is accepted by its CSMS (unless `accepted` is false). `settings`: of `factory`."""
    async with contextlib.AsyncExitStack() as stack:
        if csms is None:
            csms = await stack.enter_async_context(ScriptedCsms())
        file = directory / f"{name}.toml"
        file.write_text(factory(csms.url, **settings))
        station = rig(directory / name, station=file, off=off)
        async with station:
            here = Site(station, csms)
            if accepted and not off:
                await here.settled()
                for evse in (1, 2):
                    await csms.until(lambda evse=evse: bool(here.statuses(evse)), "a StatusNotification")  # type: ignore[misc]
            yield here
        here.check_logs()
