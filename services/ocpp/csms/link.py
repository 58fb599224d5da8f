# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS: keeps a WebSocket open (part 4, sections 3 and 5) and passes on the frames received.

One task, `run`, dials the slots that `ConnectionPolicy` returns, and holds the connection until it ends. It knows
nothing of OCPP's messages. All other methods set a flag or send a frame, and return immediately:

- `send` writes a frame to the transport, or into a bounded queue while the CSMS does not read (`wire.py`). Frames for a
  connection that has ended are dropped: the sender keeps a message that must not get lost until it is answered;
- `disconnect` closes the connection and does not dial again (before a reboot); `reconnect` dials without a back-off,
  the same slot or another one. Frames that were sent before are still delivered.

A connection on which no pong arrives in time, or whose link goes down or is no longer in use, is dropped without a
closing handshake. When another link is there, it is dialled at once (`failover.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from msgspec import Struct
from websockets.client import ClientProtocol
from websockets.frames import CLOSE_CODE_EXPLANATIONS, Close
from websockets.protocol import State

from firmware.clock import Clock
from firmware.contract import LinkDetails
from firmware.factory_settings import NetworkProfile
from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.timer import LoopTimer, Scheduled, Timer, sleep
from services.ocpp.csms.diagnosis import DialError
from services.ocpp.csms.dial import LinkSettings, dial
from services.ocpp.csms.failover import FailOver, Leave, News, Why
from services.ocpp.csms.policy import ConnectionPolicy
from services.ocpp.csms.tls import forget_session
from services.ocpp.csms.wire import Wire
from services.ocpp.no_connection import Cause, NoConnection, peer_text

__all__ = ["CsmsLink", "LinkListener"]

_NO_PING_RECHECK_S: Final = 5.0  # how soon a new ping interval is noticed after 0

_log = logging.getLogger(__name__)


class LinkListener(Protocol):
    """Is called on the event loop; each call must return immediately."""

    def on_link_up(self, profile: NetworkProfile) -> None:
        """Connected: `send` works from now on."""

    def on_link_frame(self, frame: str | bytes) -> None:
        """A message arrived: `str` from a text frame, `bytes` from a binary one."""

    def on_link_down(self, reason: str, failure: NoConnection | None) -> None:
        """No longer connected; once for each `on_link_up`. Without a `failure`, the station wanted it."""

    def on_link_failed(self, profile: NetworkProfile, failure: NoConnection) -> None:
        """An attempt to connect failed."""


class _End(Struct, frozen=True):
    """Why an open connection has ended; without a `cause`, the station wanted it."""

    cause: Cause | None
    detail: str = ""


class CsmsLink:
    """See the module. `settings` is called before each attempt, and for the ping interval before each ping; `random`
    returns numbers of [0, 1); `timer` is for the back-off and for pings; `dial_via` is the path of a rig's network (see
    `dial.dial`); `bind` opens each connection over the interface of its slot, as a rig's network does; `busy` says
    whether a message waits for its answer."""

    def __init__(
        self,
        settings: Callable[[], LinkSettings],
        listener: LinkListener,
        *,
        clock: Clock,
        random: Callable[[], float],
        timer: Timer | None = None,
        dial_via: str | None = None,
        bind: bool = False,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._clock = clock
        self._timer = timer or LoopTimer()
        self._dial_via = dial_via
        self._policy = ConnectionPolicy(random)
        self._links = FailOver(bound=bind or dial_via is not None)
        self._busy = busy
        self._judging: Scheduled | None = None
        self._moving = False
        """The next slot is to be dialled at once."""
        self.interface: str | None = None
        """The link that the connection goes over, or the last one did."""
        self._profile: NetworkProfile | None = None
        self._wire: Wire | None = None
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._end_reason = _End(None)
        self._asked = False  # `disconnect` or `reconnect` has requested the end
        self._away = False
        self._last_failure: NoConnection | None = None

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        while True:
            profile, delay_s = self._next_profile()
            if profile is None or delay_s > 0:
                await self._wait(None if profile is None else delay_s)
            else:
                await self._attempt(profile)

    def send(self, frame: str) -> bool:
        """Send a text frame, or drop it when there is no connection. Disconnects from a CSMS that reads none.

        Returns whether the frame leaves, unless the connection is lost first.
        """
        if self._wire is None:
            _log.debug("not connected: frame dropped")
            return False
        if not self._wire.send(frame):
            self._finish(_End(Cause.READS_NOTHING))
            return False
        return True

    def disconnect(self, reason: str) -> None:
        """Close the connection after the frames sent before, and do not dial until `reconnect`."""
        self._away = True
        self._asked = True
        self._finish(_End(None, reason))

    def reconnect(self, slot: int | None = None) -> None:
        """Close the connection likewise, and dial without a back-off: `slot`, or, if None, the one in use last."""
        self._away = False
        self._asked = True
        self._configure()
        self._policy.restart(slot)
        self._finish(_End(None, "reconnecting"))

    def links_changed(self, up: Mapping[str, bool], details: Mapping[str, LinkDetails] = MappingProxyType({})) -> None:
        """Note which interfaces (`Wired0`, ...) have a link, and what else is known of them.

        One that isn't named is assumed to have a link.
        """
        now = self._clock.monotonic()
        news = self._links.report(up, details, now, order=tuple(self._configure().values()))
        if news is News.NEW_WAY and self._profile is None:
            self._policy.restart()
        elif news is not News.NONE:
            self._policy.link_up(now)
        self._wake.set()
        self._judge()

    def device(self, profile: NetworkProfile) -> str | None:
        """The kernel's interface that a connection of this slot is bound to; None: to none."""
        return self._links.device(profile)

    def _judge(self) -> None:
        """Leave the link in use if there is a reason, and look again when there may be one."""
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None
        order, now = tuple(self._configure().values()), self._clock.monotonic()
        leave = self._links.decide(order, now, busy=self._profile is None or self._busy())
        if leave is not None:
            self._leave(leave)
            return
        deadline = self._links.next_deadline(order, now)
        if deadline is not None:
            self._judging = self._timer.call_later(deadline - now, self._judge)

    def _leave(self, leave: Leave) -> None:
        if leave.why is Why.RETURNED:
            _log.info("the link %s is back: connecting to slot %d", leave.interface, leave.slot)
            self.reconnect(leave.slot)
            return
        if leave.slot is not None:
            self._moving = True
            self._policy.restart(leave.slot)
        elif self._profile is None:
            return
        down = leave.why is Why.DOWN
        self._finish(_End(Cause.LINK_DOWN, leave.interface) if down else _End(None, f"moving to {leave.interface}"))

    def _finish(self, reason: _End) -> None:
        if not self._end.is_set():
            self._end_reason = reason
            self._end.set()
        self._wake.set()

    def _next_profile(self) -> tuple[NetworkProfile | None, float]:
        """The profile to dial, and in how many seconds; None: do not dial until `reconnect` or a new link."""
        profiles = self._configure()
        usable = [slot for slot, profile in profiles.items() if self._links.is_up(profile.interface)]
        attempt = None if self._away else self._policy.next(usable)
        if attempt is None:
            return None, 0.0
        return profiles[attempt.slot], attempt.at - self._clock.monotonic()

    def _configure(self) -> dict[int, NetworkProfile]:
        settings = self._settings()
        profiles = {profile.slot: profile for profile in settings.profiles}
        self._policy.configure(tuple(profiles), settings.retry)
        return profiles

    async def _wait(self, seconds: float | None) -> None:
        """Wait for `_wake`, at most `seconds` if that is a number."""
        scheduled = None if seconds is None else self._timer.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if scheduled is not None:
                scheduled.cancel()
        self._wake.clear()

    async def _attempt(self, profile: NetworkProfile) -> None:
        self._policy.began(self._clock.monotonic())
        self._asked = self._moving = False
        self._end.clear()
        self.interface = self._links.using(profile)
        self._judge()
        dialling = asyncio.ensure_future(
            dial(self._settings(), profile, self._dial_via, device=self._links.device(profile))
        )
        interrupted = asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait({dialling, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            await _cancelled(interrupted)
            if self._asked or not dialling.done():
                return
            error = dialling.exception()
            if isinstance(error, DialError):
                self._on_failure(profile, error)
            else:
                await self._hold(dialling.result(), profile)
        finally:
            self._links.unused()
            await _cancelled(interrupted)
            await _abandon(dialling)

    def _on_failure(self, profile: NetworkProfile, error: DialError) -> None:
        self._policy.failed(profile.slot, self._clock.monotonic())
        failure = NoConnection.of(error.cause, profile, error.detail)
        level = logging.DEBUG if failure == self._last_failure else logging.WARNING
        _log.log(level, "no connection, slot %d: %s", profile.slot, failure.text)
        self._last_failure = failure
        self._listener.on_link_failed(profile, failure)

    async def _hold(self, wire: Wire, profile: NetworkProfile) -> None:
        """Serve an open connection until it ends."""
        self._policy.connected(profile.slot)
        self._profile, self._wire, self._last_failure = profile, wire, None
        extra = fields(message_id=MessageId.CSMS_CONNECTED)
        _log.info("connected to slot %d over %s", profile.slot, self.interface, extra=extra)
        self._listener.on_link_up(profile)
        end = _End(None, "stopping")
        try:
            end = await self._until_the_end(wire)
        finally:
            self._profile = self._wire = None
            if not self._asked and not self._moving:
                self._configure()  # the CSMS may have set other back-off times meanwhile
                self._policy.lost(self._clock.monotonic())
            if _ended_by_csms(wire.protocol):
                forget_session(wire.transport.get_extra_info("ssl_object"))
            wire.abort()
            self._on_end(profile, end)

    def _on_end(self, profile: NetworkProfile, end: _End) -> None:
        failure = None if end.cause is None else NoConnection.of(end.cause, profile, end.detail)
        reason = end.detail if failure is None else failure.text
        level = logging.INFO if failure is None else logging.WARNING
        extra = fields(message_id=MessageId.CSMS_DISCONNECTED)
        _log.log(level, "disconnected, slot %d: %s", profile.slot, reason, extra=extra)
        self._listener.on_link_down(reason, failure)

    def _on_frame(self, frame: str | bytes) -> None:
        self._listener.on_link_frame(frame)

    async def _until_the_end(self, wire: Wire) -> _End:
        wire.listen(self._on_frame)
        pinging = asyncio.ensure_future(self._ping(wire))
        ended = asyncio.ensure_future(self._end.wait())
        try:
            events: list[asyncio.Future[Any]] = [wire.closed, pinging, ended]
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
            if self._asked and not wire.closed.done():
                await wire.close(reason=self._end_reason.detail[:60])
            if wire.closed.done():
                wire.closed.result()  # raises what the listener has raised
            if ended.done():
                return self._end_reason
            return _closing(wire.protocol) if wire.closed.done() else pinging.result()
        finally:
            await _cancelled(pinging)
            await _cancelled(ended)

    async def _ping(self, wire: Wire) -> _End:
        while True:
            interval_s = self._settings().ping_interval_s
            await sleep(self._timer, interval_s if interval_s > 0 else _NO_PING_RECHECK_S)
            timeout_s = self._settings().pong_timeout_s
            if interval_s > 0 and not await wire.answers_ping(timeout_s):
                return _End(Cause.NO_PONG, f"{timeout_s:g} s")


def _ended_by_csms(protocol: ClientProtocol) -> bool:
    """Whether the CSMS ended it, in whatever way: it may come back with another certificate (TC_A_05_CS). A connection
    that broke in silence was ended by us."""
    ended = protocol.close_rcvd is not None or protocol.state is State.CLOSED
    return ended and protocol.close_rcvd_then_sent is not False


def _closing(protocol: ClientProtocol) -> _End:
    if protocol.close_rcvd is not None and protocol.close_rcvd_then_sent is not False:
        return _End(Cause.CLOSED, _close_text(protocol.close_rcvd))
    if protocol.close_sent is not None:
        return _End(Cause.BAD_FRAME, _close_text(protocol.close_sent))
    return _End(Cause.BROKEN)


def _close_text(close: Close) -> str:
    """The code, its name (RFC 6455, section 7.4.1) and the reason in the words of the sender."""
    name = CLOSE_CODE_EXPLANATIONS.get(close.code)
    code = f"{close.code} ({name})" if name else str(close.code)
    return f'{code}: "{peer_text(close.reason)}"' if close.reason else code


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel and wait, so that no task outlives its connection."""
    task.cancel()
    await asyncio.wait({task})


async def _abandon(dialling: asyncio.Future[Wire]) -> None:
    """End an attempt, and its connection if it has succeeded."""
    await _cancelled(dialling)
    if not dialling.cancelled() and dialling.exception() is None:
        dialling.result().abort()
