# SPDX-License-Identifier: Apache-2.0
"""The line to the CSMS: keeps a WebSocket open (part 4, sections 3 and 5), and says what comes over it.

One task, `run`, dials as `ConnectionPolicy` says, and holds the connection until it ends, for whatever reason. It
knows nothing of OCPP's messages. Everything else here only leaves a note and returns at once:

- `send` puts a frame into a bounded buffer. Frames for a connection that is gone are dropped: what must not get lost
  is kept by who sends it until it is answered;
- `disconnect` lets go of the CSMS and stays away (before a reboot nobody dials again); `reconnect` comes back, at
  once, or moves to another slot. Frames that were sent before are still delivered.

A connection over which no pong comes in time, or whose interface goes down, is dropped without a farewell.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from firmware.clock import Clock
from firmware.config import NetworkProfile
from services.ocpp.csms.dial import DialError, FailureKind, LinkSettings, dial, security_event
from services.ocpp.csms.policy import ConnectionPolicy
from services.ocpp.csms.tls import forget_session

__all__ = ["CsmsLink", "FailureKind", "LinkListener", "LinkSettings", "security_event"]

_MAX_WAITING_FRAMES: Final = 256
_FLUSH_TIMEOUT_S: Final = 2.0
_NO_PING_NAP_S: Final = 5.0  # how soon a ping interval that was 0 is noticed

_log = logging.getLogger(__name__)


class LinkListener(Protocol):
    """Who is told; each call is made on the event loop and must return at once."""

    def on_link_up(self, profile: NetworkProfile) -> None:
        """Connected; `send` works from now on."""

    def on_link_frame(self, frame: str | bytes) -> None:
        """A message came: `str` from a text frame, `bytes` from a binary one."""

    def on_link_down(self, reason: str) -> None:
        """No longer connected; once for each `on_link_up`."""

    def on_link_failed(self, profile: NetworkProfile, reason: str, kind: FailureKind) -> None:
        """An attempt came to nothing. For kind `tls`, `security_event(reason)` names the event to record."""


class CsmsLink:
    """See the module. `settings` is asked before each attempt, and for the ping interval before each ping; `random`
    gives numbers of [0, 1); `dial_via` is the path of a rig's network (see `dial.dial`)."""

    def __init__(
        self,
        settings: Callable[[], LinkSettings],
        listener: LinkListener,
        *,
        clock: Clock,
        random: Callable[[], float],
        dial_via: str | None = None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._clock = clock
        self._dial_via = dial_via
        self._policy = ConnectionPolicy(random)
        self._down: set[str] = set()
        self._profile: NetworkProfile | None = None
        self._waiting: deque[str] = deque()
        self._something_waits = asyncio.Event()
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._end_reason = ""
        self._asked = False  # the end was asked for by `disconnect` or `reconnect`
        self._away = False
        self._last_failure = ""

    @property
    def profile(self) -> NetworkProfile | None:
        """The profile in use, while connected."""
        return self._profile

    async def run(self) -> None:
        """Keeps the line up until cancelled."""
        while True:
            profile, delay_s = self._next_profile()
            if profile is None or delay_s > 0:
                await self._nap(None if profile is None else delay_s)
            else:
                await self._attempt(profile)

    def send(self, frame: str) -> None:
        """Sends a text frame, or drops it when there is no connection. A CSMS that takes none is let go."""
        if self._profile is None:
            _log.debug("not connected: frame dropped")
        elif len(self._waiting) >= _MAX_WAITING_FRAMES:
            self._finish("the CSMS takes no more frames")
        else:
            self._waiting.append(frame)
            self._something_waits.set()

    def disconnect(self, reason: str) -> None:
        """Closes the connection, once what was sent is delivered, and dials no more until `reconnect`."""
        self._away = True
        self._asked = True
        self._finish(reason)

    def reconnect(self, slot: int | None = None) -> None:
        """Closes the connection likewise, and dials at once: `slot`, or, if None, the one that was in use last."""
        self._away = False
        self._asked = True
        self._configure()
        self._policy.restart(slot)
        self._finish("reconnecting")

    def links_changed(self, up: dict[str, bool]) -> None:
        """Which interfaces (`Wired0`, ...) have a link; one that isn't named is taken to have one."""
        down = {name for name, is_up in up.items() if not is_up}
        if self._down - down:
            self._configure()
            self._policy.link_up(self._clock.monotonic())
        self._down = down
        self._wake.set()
        if self._profile is not None and self._profile.interface in down:
            self._finish(f"{self._profile.interface} is down")

    def _finish(self, reason: str) -> None:
        if not self._end.is_set():
            self._end_reason = reason
            self._end.set()
        self._wake.set()

    def _next_profile(self) -> tuple[NetworkProfile | None, float]:
        """The profile to dial, and in how many seconds; None: there is nothing to do until somebody says so."""
        profiles = self._configure()
        usable = [slot for slot, profile in profiles.items() if profile.interface not in self._down]
        attempt = None if self._away else self._policy.next(usable)
        if attempt is None:
            return None, 0.0
        return profiles[attempt.slot], attempt.at - self._clock.monotonic()

    def _configure(self) -> dict[int, NetworkProfile]:
        settings = self._settings()
        profiles = {profile.slot: profile for profile in settings.profiles}
        self._policy.configure(tuple(profiles), settings.retry)
        return profiles

    async def _nap(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _attempt(self, profile: NetworkProfile) -> None:
        self._asked = False
        self._end.clear()
        dialling = asyncio.ensure_future(dial(self._settings(), profile, self._dial_via))
        interrupted = asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait({dialling, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(interrupted)
            if self._asked or not dialling.done():
                await _let_go(dialling)
        if dialling.cancelled() or self._asked:
            return
        error = dialling.exception()
        if isinstance(error, DialError):
            self._on_failure(profile, error)
        else:
            await self._hold(dialling.result(), profile)

    def _on_failure(self, profile: NetworkProfile, error: DialError) -> None:
        self._policy.failed(profile.slot, self._clock.monotonic())
        text = f"slot {profile.slot}: {error}"
        _log.log(logging.DEBUG if text == self._last_failure else logging.WARNING, "no connection, %s", text)
        self._last_failure = text
        self._listener.on_link_failed(profile, error.reason, error.kind)

    async def _hold(self, connection: ClientConnection, profile: NetworkProfile) -> None:
        """From the open connection to its end."""
        self._policy.connected(profile.slot)
        self._profile, self._last_failure = profile, ""
        _log.info("connected to slot %d", profile.slot)
        self._listener.on_link_up(profile)
        reason = "stopping"
        try:
            reason = await self._until_the_end(connection)
        finally:
            self._profile = None
            self._waiting.clear()
            if not self._asked:
                self._configure()  # the CSMS may have set other back-off times meanwhile
                self._policy.lost(self._clock.monotonic())
            if _left(connection):
                forget_session(connection.transport.get_extra_info("ssl_object"))
            connection.transport.abort()
            _log.info("disconnected: %s", reason)
            self._listener.on_link_down(reason)

    async def _until_the_end(self, connection: ClientConnection) -> str:
        jobs = [self._read(connection), self._write(connection), self._ping(connection), self._await_end()]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reasons = [task.result() for task in tasks if task in done]
            if self._asked:
                await self._say_goodbye(connection, tasks[1])
        finally:
            for task in tasks:
                await _cancelled(task)
        return reasons[0]

    async def _say_goodbye(self, connection: ClientConnection, writing: asyncio.Task[str]) -> None:
        """What was sent is delivered first: the answer to the Reset that makes us leave, for one."""
        await _cancelled(writing)  # a frame whose sending is cancelled is in the transport's buffer already
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                while self._waiting:
                    await connection.send(self._waiting.popleft())
            await connection.close(1000, self._end_reason[:60])
        except (TimeoutError, ConnectionClosed):
            pass

    async def _await_end(self) -> str:
        await self._end.wait()
        return self._end_reason

    async def _read(self, connection: ClientConnection) -> str:
        try:
            while True:
                self._listener.on_link_frame(await connection.recv())
                if self._waiting:  # or the answers to a burst of requests would wait until the last has been read
                    await asyncio.sleep(0)
        except ConnectionClosed as closed:
            return _closing(closed)

    async def _write(self, connection: ClientConnection) -> str:
        try:
            while True:
                while self._waiting:
                    await connection.send(self._waiting.popleft())
                self._something_waits.clear()
                await self._something_waits.wait()
        except ConnectionClosed as closed:
            return _closing(closed)

    async def _ping(self, connection: ClientConnection) -> str:
        try:
            while True:
                interval_s = self._settings().ping_interval_s
                await asyncio.sleep(interval_s if interval_s > 0 else _NO_PING_NAP_S)
                if interval_s > 0 and not await _answers(connection, self._settings().pong_timeout_s):
                    return "no pong in time"
        except ConnectionClosed as closed:
            return _closing(closed)


async def _answers(connection: ClientConnection, timeout_s: float) -> bool:
    """Whether a pong comes in time; a ping that can't even leave counts as unanswered."""
    try:
        async with asyncio.timeout(timeout_s):
            await (await connection.ping())
    except TimeoutError:
        return False
    return True


def _left(connection: ClientConnection) -> bool:
    """The CSMS ended it, in whatever way, and may come back as another (TC_A_05_CS); a line that broke in silence is
    one that we gave up."""
    protocol = connection.protocol
    ended = protocol.close_rcvd is not None or protocol.state is State.CLOSED
    return ended and protocol.close_rcvd_then_sent is not False


def _closing(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None and closed.rcvd_then_sent is not False:
        return f"closed by the CSMS with {closed.rcvd.code}"
    if closed.sent is not None:
        return f"closed with {closed.sent.code}: {closed.sent.reason}"
    return "connection lost"


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Cancels and waits, so that nothing outlives its connection."""
    task.cancel()
    await asyncio.wait({task})


async def _let_go(dialling: asyncio.Future[ClientConnection]) -> None:
    """Ends an attempt that nobody wants any more, even if it has just succeeded."""
    await _cancelled(dialling)
    if not dialling.cancelled() and dialling.exception() is None:
        dialling.result().transport.abort()
