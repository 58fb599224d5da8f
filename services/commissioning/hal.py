# SPDX-License-Identifier: Apache-2.0
"""The HAL's socket, in the role of maintenance: devices, tests, network, power-off; its refusals become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from firmware.clock import Clock
from firmware.contract.messages import (
    Answer,
    Command,
    DeviceReport,
    Done,
    GetSiteLimit,
    ListDevices,
    NetworkCommand,
    Problem,
    Refused,
    Role,
    SelfTest,
    SelfTestFinished,
    SetSiteLimit,
    SiteLimit,
    Snapshot,
    Stamped,
    StartTest,
)
from firmware.contract.network import Network
from firmware.errors import ContractError
from firmware.ipc.hal_link import HalLink
from firmware.version import VERSION
from services.commissioning.api_error import ApiError
from services.commissioning.events import EVENTS, Event, Hub
from services.commissioning.station import Station

__all__ = ["Hal", "TestState", "Tests"]

ANSWER_S = 5.0
NETWORK_S = 45.0
"""A daemon of the board carries it out, in several steps."""
DEVICES_S = 2.0
_T = TypeVar("_T")
_STATUS = {
    Problem.BAD_REQUEST: 400,
    Problem.UNKNOWN_EVSE: 404,
    Problem.NOT_ALLOWED: 409,
    Problem.FAULTED: 409,
    Problem.NO_HARDWARE: 501,
    Problem.DEVICE_FAILED: 502,
    Problem.BUSY: 409,
}


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    text: str
    question: str = ""


_WORDS = {
    SelfTest.CARD_READER: _Words("Card reader", "Hold a card to the reader within 20 s; it is not used for charging."),
    SelfTest.SCREEN: _Words("Display", "Touch the display of this outlet within 20 s."),
    SelfTest.CONTACTOR: _Words(
        "Contactor",
        "Closes and opens without voltage; its mirror contact must follow.",
        "The contactor of this outlet will close for up to a second. Is nobody working at it?",
    ),
    SelfTest.INSULATION: _Words("Insulation monitor", "Is switched on, and must measure within 15 s."),
}


class TestState(Struct, frozen=True):
    """One self test; `question` is to be asked before it begins, `result` says in words how the last one ended."""

    __test__ = False
    name: str
    title: str
    text: str
    question: str = ""
    state: str = "idle"
    """`idle`, `running`, `passed` or `failed`."""
    result: str = ""


class Tests(Struct, frozen=True):
    tests: list[TestState]


class Hal:
    """The connection to `path`; `station` is told what it hears. Requests raise `ApiError`."""

    def __init__(self, path: Path, station: Station, hub: Hub, clock: Clock) -> None:
        self._station = station
        self._hub = hub
        self._link = HalLink(
            path, self, on_answer=self._on_answer, role=Role.MAINTENANCE, software=f"commissioning {VERSION}"
        )
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._tests: dict[tuple[SelfTest, int | None], TestState] = {}
        self._clock = clock
        self._asking = asyncio.Lock()
        self._listed = 0.0
        self.devices: list[DeviceReport] = []
        """As they were when they were asked for last; none while there is no HAL."""

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._link.run()

    async def ask(self, command: Command, within_s: float = ANSWER_S) -> Done:
        try:
            number = self._link.request(command)
        except ContractError:
            raise _no_hal() from None
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(within_s):
                answered = await answer
        except TimeoutError:
            raise _no_hal() from None
        finally:
            self._waiting.pop(number, None)
        if isinstance(answered, Refused):
            problem = answered.problem
            raise ApiError(_STATUS[problem], problem.value, answered.detail or problem.value.replace("_", " "))
        return answered

    async def list_devices(self) -> list[DeviceReport]:
        """As they are, or were `DEVICES_S` ago at most: the HAL has more important work."""
        async with self._asking:
            now = self._clock.monotonic()
            if not self.devices or now - self._listed >= DEVICES_S:
                self.devices, self._listed = (await self.ask(ListDevices())).devices or [], now
        return self.devices

    async def site_limit(self, command: GetSiteLimit | SetSiteLimit) -> SiteLimit:
        return _there((await self.ask(command)).site_limit)

    async def network(self, command: NetworkCommand) -> Network:
        return _there((await self.ask(command, NETWORK_S)).network)

    # --- self tests -----------------------------------------------------------------------------------------------

    @property
    def tests(self) -> Tests:
        return Tests(list(self._tests.values()))

    async def start_test(self, name: str) -> None:
        key = next((key for key, test in self._tests.items() if test.name == name), None)
        if key is None:
            raise ApiError(404, "not_found", "there is no such test")
        await self.ask(StartTest(*key))
        self._set(key, "running", "")

    def _set(self, key: tuple[SelfTest, int | None], state: str, result: str) -> None:
        test = self._tests.get(key)
        if test is not None:
            self._tests[key] = TestState(test.name, test.title, test.text, test.question, state, result)
            self._hub.publish(EVENTS, Event.of("tests", self.tests))

    # --- firmware.ipc.hal_link.HalWatcher -------------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self._tests = {key: _test(*key) for key in _possible(snapshot)}
        self._station.on_hal_up(snapshot)
        self._hub.publish(EVENTS, Event.of("tests", self.tests))

    def on_hal_event(self, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, SelfTestFinished):
            self._set((event.test, event.evse), "passed" if event.passed else "failed", event.detail)
        else:
            self._station.on_hal_event(stamped)

    def on_hal_down(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(_no_hal())
        self._tests, self.devices = {}, []
        self._station.on_hal_down(reason)

    def _on_answer(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


def _possible(snapshot: Snapshot) -> Iterator[tuple[SelfTest, int | None]]:
    """Those that the HAL may have devices for; it refuses what it has not."""
    yield SelfTest.CARD_READER, None
    for evse in snapshot.evses:
        yield SelfTest.SCREEN, evse.evse
        yield SelfTest.CONTACTOR, evse.evse
        yield SelfTest.INSULATION, evse.evse


def _test(test: SelfTest, evse: int | None) -> TestState:
    words = _WORDS[test]
    if evse is None:
        return TestState(test.value, words.title, words.text, words.question)
    return TestState(f"{test.value}-{evse}", f"{words.title}, EVSE {evse}", words.text, words.question)


def _there(found: _T | None) -> _T:
    if found is None:
        raise ApiError(502, "failed", "the HAL is of another release")
    return found


def _no_hal() -> ApiError:
    return ApiError(503, "hal_down", "the HAL does not answer: it may be starting again")
