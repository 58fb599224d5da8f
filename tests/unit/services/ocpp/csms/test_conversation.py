# SPDX-License-Identifier: Apache-2.0
"""Link and peer together against a CSMS that answers wrongly: every call ends, every frame is handled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from firmware.clock import SystemClock
from firmware.factory_settings import NetworkProfile
from services.ocpp.csms.dial import LinkSettings
from services.ocpp.csms.link import CsmsLink
from services.ocpp.csms.policy import RetryRules
from services.ocpp.no_connection import NoConnection
from services.ocpp.rpc.codec import encode_call
from services.ocpp.rpc.peer import CONNECTION_LOST, Answered, CallReceived, Event, Failed, RpcPeer
from tests.support.csms import CallFailed, Fault, ScriptedCsms


class _Station:
    """A minimal station: answers ClearCache, and sends a Heartbeat for each `call`."""

    def __init__(self, url: str) -> None:
        self.peer = RpcPeer(supported={"ClearCache"})
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.up = asyncio.Event()
        profile = NetworkProfile(slot=1, url=url, security_profile=0)
        settings = LinkSettings(
            identity="CP001", profiles=(profile,), retry=RetryRules(wait_minimum_s=0.0, least_s=0.0)
        )
        self.clock = SystemClock()
        self.link = CsmsLink(lambda: settings, self, clock=self.clock, random=lambda: 0.0)

    def call(self, message_id: str = "1") -> None:
        self.link.send(self.peer.call(message_id, "Heartbeat", {}, self.clock.monotonic()))

    def on_link_up(self, profile: NetworkProfile) -> None:
        self.up.set()

    def on_link_frame(self, frame: str | bytes) -> None:
        events = self.peer.receive(frame, self.clock.monotonic())
        for answer in self.peer.take_frames():
            self.link.send(answer)
        for event in events:
            if isinstance(event, CallReceived):
                self.link.send(self.peer.answer(event.message_id, {"status": "Rejected"}))
            else:
                self.events.put_nowait(event)

    def on_link_down(self, reason: str, failure: NoConnection | None) -> None:
        self.up.clear()
        failed = self.peer.reset()
        if failed is not None:
            self.events.put_nowait(failed)

    def on_link_failed(self, profile: NetworkProfile, failure: NoConnection) -> None:
        raise AssertionError(failure.text)

    async def event(self) -> Event:
        return await asyncio.wait_for(self.events.get(), 5.0)


@contextlib.asynccontextmanager
async def _talking() -> AsyncIterator[tuple[_Station, ScriptedCsms]]:
    async with ScriptedCsms() as csms:
        station = _Station(csms.url)
        running = asyncio.ensure_future(station.link.run())
        try:
            await asyncio.wait_for(station.up.wait(), 5.0)
            yield station, csms
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_a_conversation() -> None:
    async with _talking() as (station, csms):
        station.call()
        assert isinstance(await station.event(), Answered)
        assert await csms.call("ClearCache", {}) == {"status": "Rejected"}
        with pytest.raises(CallFailed, match="NotSupported"):
            await csms.call("Reset", {"type": "OnIdle"})


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.CALLERROR, "InternalError"),
        (Fault.INVALID_ANSWER, "OccurrenceConstraintViolation"),
        (Fault.BINARY, "RpcFrameworkError"),
        (Fault.CLOSE, CONNECTION_LOST),
        (Fault.OVERSIZED, CONNECTION_LOST),
        (Fault.BAD_UTF8, CONNECTION_LOST),
    ],
)
async def test_a_wrong_answer_ends_the_call_and_the_next_one_works(fault: Fault, code: str) -> None:
    async with _talking() as (station, csms):
        csms.fail(fault, times=1)
        station.call("1")
        event = await station.event()
        assert isinstance(event, Failed)
        assert event.code == code
        await asyncio.wait_for(station.up.wait(), 5.0)
        station.call("2")
        assert isinstance(await station.event(), Answered)


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.NONSENSE, Fault.WRONG_ID])
async def test_no_answer_leaves_the_call_to_its_time_out(fault: Fault) -> None:
    async with _talking() as (station, csms):
        csms.fail(fault, times=1)
        station.call()
        await csms.expect("Heartbeat")
        assert await csms.call("ClearCache", {}) == {"status": "Rejected"}  # and all that came before has been read
        assert station.peer.busy
        (event,) = station.peer.on_time(station.clock.monotonic() + 30.0)
        assert isinstance(event, Failed)
        assert event.timed_out


async def test_a_second_answer_is_ignored() -> None:
    async with _talking() as (station, csms):
        csms.fail(Fault.DUPLICATE, times=1)
        station.call()
        assert isinstance(await station.event(), Answered)
        assert await csms.call("ClearCache", {}) == {"status": "Rejected"}
        assert station.events.empty()


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("hello", ("-1", "RpcFrameworkError")),
        ('[2,"7","ClearCache",{', ("7", "FormatViolation")),
        ('[9,"7",{}]', ("7", "MessageTypeNotSupported")),
        (encode_call("7", "MakeCoffee", {}), ("7", "NotImplemented")),
        (encode_call("7", "ClearCache", {"now": True}), ("7", "FormatViolation")),
        (b'[2,"7","ClearCache",{}]', ("7", "RpcFrameworkError")),
        ('[2,"7","ClearCache",' + "[" * 100_000, ("7", "FormatViolation")),
    ],
)
async def test_a_malformed_frame_gets_its_callerror(frame: str | bytes, expected: tuple[str, str]) -> None:
    async with _talking() as (_, csms):
        await csms.send_raw(frame)
        error = await csms.expect_error()
        assert (error.message_id, error.code) == expected
