# SPDX-License-Identifier: Apache-2.0
"""A station and its CSMS for scenario tests: the whole station as real processes, and what each side observed.

    async with site(tmp_path) as here:
        await here.charge(1)                                # card, cable; until the CSMS knows that energy flows
        transaction = await here.stop_with_card(1)          # until the CSMS knows of the end
        assert transaction.states == ["Idle", "EVConnected", "Charging", "EVConnected"]

There are three observers: the EV driver (`page`, `until_page`: the EVSE's display), the CSMS (`transactions`,
`statuses`, `here.csms`) and the log (`log`). At the end the station is stopped, and its logs must contain no
traceback, no password and no card number.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.csms import ScriptedCsms
from tests.support.received_transactions import ReceivedTransaction, received_transactions
from tests.support.rig import Rig
from tools.rig.factory_file import Variables, factory_file

__all__ = ["CARD", "OTHER_CARD", "PASSWORD", "Site", "factory", "site", "within"]

CARD = "04A1B2C3D4E5F6"
OTHER_CARD = "0466778899AABB"
PASSWORD = "correct-horse-battery"
PATIENCE_S = 20.0

QUICK: Variables = {
    ("OCPPCommCtrlr", "RetryBackOffWaitMinimum"): "0",
    ("OCPPCommCtrlr", "RetryBackOffRandomRange"): "0",
    ("SampledDataCtrlr", "TxUpdatedInterval"): "1",
    ("AlignedDataCtrlr", "Interval"): "0",
    ("AlignedDataCtrlr", "TxEndedInterval"): "0",
}
"""Dial again at once, report the meter every second, and send nothing at times of the wall clock."""


class Site:
    """A rig and its CSMS. Waits fail after a time limit, with an error that shows what happened instead."""

    def __init__(self, rig: Rig, csms: ScriptedCsms) -> None:
        self.rig = rig
        self.csms = csms

    # --- EV drivers and cars ---------------------------------------------------------------------------------

    async def card(self, evse: int | None = None, uid: str = CARD) -> str:
        """Present a card, after a touch on the display of `evse`; returns the outcome."""
        since = self.rig.mark
        await self.rig.op("present_card", uid=uid, hold_s=0.0, **({} if evse is None else {"evse": evse}))
        outcome: str = (await self.rig.wait("card", since=since, uid=uid))["outcome"]
        return outcome

    async def plug_in(self, evse: int, **car: Any) -> None:
        await self.rig.op("plug_in", evse=evse, car=car)

    async def plug_out(self, evse: int, *, force: bool = False) -> None:
        await self.rig.op("plug_out", evse=evse, force=force)

    async def charge(self, evse: int, *, uid: str = CARD, **car: Any) -> str:
        """Card, then cable; waits until the CSMS knows that energy flows. Returns the transaction's id."""
        since = len(self.csms.received)
        assert await self.card(evse, uid) == "started"
        await self.plug_in(evse, **car)
        return await self.charging(evse, since=since)

    async def charging(self, evse: int, *, since: int = 0) -> str:
        """Wait until energy flows at this EVSE and the CSMS knows; returns the transaction's id."""

        def flowing() -> str | None:
            for transaction in received_transactions(self.csms.received[since:]).values():
                if transaction.evse == evse and not transaction.ended and transaction.states[-1] == "Charging":
                    return transaction.id
            return None

        await self.csms.until(lambda: flowing() is not None, f"Charging at EVSE {evse}", timeout=PATIENCE_S)
        transaction_id = flowing()
        assert transaction_id is not None
        await self.until_evse(evse, lambda it: it["current_a"] > 10)
        return transaction_id

    async def stop_with_card(self, evse: int, uid: str = CARD) -> ReceivedTransaction:
        """Present the card that started; waits until the CSMS knows of the end."""
        transaction_id = (await self.rig.evse(evse))["transaction_id"]
        assert await self.card(evse, uid) == "stopped"
        return await self.end_of(transaction_id)

    async def end_of(self, transaction_id: str) -> ReceivedTransaction:
        """Wait until the CSMS knows of the transaction's end."""

        def over() -> bool:
            return any(
                call.action == "TransactionEvent"
                and call.payload["eventType"] == "Ended"
                and call.payload["transactionInfo"]["transactionId"] == transaction_id
                for call in self.csms.received
            )

        await self.csms.until(over, f"end of {transaction_id}", timeout=PATIENCE_S)
        return self.transaction(transaction_id)

    async def leave(self, evse: int) -> None:
        """Unplug; waits until the EVSE is free for the next EV driver."""
        await self.plug_out(evse)
        await self.free(evse)

    async def free(self, evse: int) -> None:
        """Wait until the EVSE is free for the next EV driver and the CSMS knows."""
        await self.until_evse(
            evse, lambda it: (it["status"], it["phase"], it["contactor"]) == ("Available", "idle", "open")
        )
        await self.until_status(evse, "Available")

    # --- observations ----------------------------------------------------------------------------------------

    def transaction(self, transaction_id: str) -> ReceivedTransaction:
        return received_transactions(self.csms.received)[transaction_id]

    @property
    def transactions(self) -> list[ReceivedTransaction]:
        return list(received_transactions(self.csms.received).values())

    async def until_ended(self, count: int = 1) -> ReceivedTransaction:
        """Wait until the CSMS knows of the end of the `count`-th transaction; returns it."""
        await self.csms.until(
            lambda: len(self.transactions) >= count and self.transactions[count - 1].ended,
            f"end of transaction {count}",
            timeout=PATIENCE_S,
        )
        return self.transactions[count - 1]

    async def until_another(self, transaction_id: str) -> None:
        """Wait until the CSMS knows of a transaction after this one."""
        await self.csms.until(
            lambda: self.transactions[-1].id != transaction_id, "another transaction", timeout=PATIENCE_S
        )

    async def until_more_events(self, transaction_id: str, count: int = 1) -> None:
        """Wait until the CSMS has received `count` more events of the transaction."""
        wanted = len(self.transaction(transaction_id).events) + count
        await self.csms.until(
            lambda: len(self.transaction(transaction_id).events) >= wanted, f"{count} more events", timeout=PATIENCE_S
        )

    def sent(self, action: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The payloads of an action, in order of arrival."""
        return [call.payload for call in self.csms.received[since:] if call.action == action]

    def statuses(self, evse: int, *, since: int = 0) -> list[str]:
        """The statuses of the EVSE's connector in StatusNotification, in order."""
        notices = self.sent("StatusNotification", since=since)
        return [each["connectorStatus"] for each in notices if each["evseId"] == evse]

    async def until_status(self, evse: int, status: str, *, since: int = 0) -> None:
        """Wait until this is the last status that StatusNotification reported for the EVSE's connector."""
        await self.csms.until(
            lambda: self.statuses(evse, since=since)[-1:] == [status], f"{status} at EVSE {evse}", timeout=PATIENCE_S
        )

    def security_events(self, *, since: int = 0) -> list[str]:
        return [each["type"] for each in self.sent("SecurityEventNotification", since=since)]

    def boot_reasons(self, *, since: int = 0) -> list[str]:
        return [each["reason"] for each in self.sent("BootNotification", since=since)]

    def log(self, process: str) -> str:
        """The whole log of a process."""
        directory = self.rig.directory / "log"
        return "".join(
            file.read_text(errors="replace") for file in sorted(directory.glob(f"{process}.log*"), reverse=True)
        )

    async def page(self, evse: int) -> str:
        """The page on the EVSE's display."""
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

    async def until_evse(self, evse: int, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the EVSE's part of the rig's state fulfils the condition; returns that part."""
        state = await self.rig.client.until(lambda state: holds(state["evses"][evse - 1]))
        found: dict[str, Any] = state["evses"][evse - 1]
        return found

    async def until_station_faults(self, *faults: str) -> None:
        """Wait until exactly these faults of the whole station are present."""
        await self.rig.client.until(lambda state: state["faults"] == sorted(faults))

    async def register_wh(self, evse: int) -> float:
        """The energy register of the EVSE's meter."""
        energy: float = (await self.rig.evse(evse))["energy_wh"]
        return energy

    async def until_register(self, evse: int, above_wh: float) -> None:
        await self.until_evse(evse, lambda it: it["energy_wh"] > above_wh)

    async def settled(self) -> None:
        """Wait until the CSMS has accepted the station and no message is queued."""
        await self.rig.client.until(
            lambda state: (
                state["ocpp"]["registration"] == "Accepted"
                and state["ocpp"]["connected"]
                and state["ocpp"]["queued_messages"] == 0
            )
        )

    def check_logs(self) -> None:
        """No log contains a secret or a traceback: expected errors are logged without one."""
        for process in ("hal", "ocpp", "commissioning", "rig"):
            text = self.log(process)
            assert "Traceback" not in text, f"{process}: {text[text.index('Traceback') :][:3000]}"
            for secret in (PASSWORD, CARD, OTHER_CARD):
                assert secret.casefold() not in text.casefold(), f"{process}.log contains {secret}"


def factory(
    url: str,
    *,
    variables: Variables | None = None,
    product: str = "c7am-400-cc",
    speed: float = 60.0,
    wire: bool = False,
    displays: bool = False,
    identity: str = "CP001",
    timeout_s: int = 30,
) -> str:
    """A factory settings file: one network profile, and a device model with short intervals."""
    return factory_file(
        url,
        identity=identity,
        password=PASSWORD,
        profile={"message_timeout_s": timeout_s},
        variables={**QUICK, **(variables or {})},
        product=product,
        rig={"speed": speed, "wire": wire, "displays": displays},
    )


@contextlib.contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Assert that the block takes less than this time."""
    began = time.monotonic()
    yield
    taken = time.monotonic() - began
    assert taken < limit_s, f"took {taken:.2f} s"


@contextlib.asynccontextmanager
async def site(
    directory: Path,
    *,
    name: str = "cp",
    csms: ScriptedCsms | None = None,
    rig: type[Rig] = Rig,
    accepted: bool = True,
    off: bool = False,
    page: bool = False,
    **settings: Any,
) -> AsyncIterator[Site]:
    """A station that has booted and, unless `accepted` is false, is accepted by its CSMS. `settings`: see `factory`."""
    async with contextlib.AsyncExitStack() as stack:
        if csms is None:
            csms = await stack.enter_async_context(ScriptedCsms())
        file = directory / f"{name}.toml"
        file.write_text(factory(csms.url, **settings))
        station = rig(directory / name, station=file, off=off, page=page)
        async with station:
            here = Site(station, csms)
            if accepted and not off:
                await here.settled()
                for evse in (1, 2):
                    await here.until_status(evse, "Available")
            yield here
        here.check_logs()
