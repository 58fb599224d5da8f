# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS with a listener that records what it hears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from firmware.clock import SystemClock
from firmware.factory_settings import NetworkProfile
from services.ocpp.csms.dial import LinkSettings
from services.ocpp.csms.link import CsmsLink
from services.ocpp.csms.policy import RetryRules
from services.ocpp.no_connection import Cause, NoConnection
from tests.support.csms import ScriptedCsms
from tests.support.timer import ManualTimer

__all__ = ["QUICK", "LinkBench", "LinkRecorder", "link_profile"]

QUICK = RetryRules(attempts_per_slot=2, wait_minimum_s=0.01, random_range_s=0.0, repeat_times=0, least_s=0.0)


class LinkRecorder:
    """Records the calls; a test can wait for them."""

    def __init__(self) -> None:
        self.ups: list[int] = []
        self.downs: list[str] = []
        self.losses: list[Cause] = []
        """Ends that the station did not want."""
        self.frames: list[str | bytes] = []
        self.failures: list[NoConnection] = []
        self._changed = asyncio.Event()

    def on_link_up(self, profile: NetworkProfile) -> None:
        self.ups.append(profile.slot)
        self._changed.set()

    def on_link_frame(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        self._changed.set()

    def on_link_down(self, reason: str, failure: NoConnection | None) -> None:
        self.downs.append(reason)
        self.losses += [] if failure is None else [failure.cause]
        self._changed.set()

    def on_link_failed(self, profile: NetworkProfile, failure: NoConnection) -> None:
        self.failures.append(failure)
        self._changed.set()

    async def until(self, met: Callable[[], Any]) -> None:
        async with asyncio.timeout(5.0):
            while not met():
                self._changed.clear()
                await self._changed.wait()


class LinkBench:
    """A link, the calls to its listener, and the settings that a test may change meanwhile. Without a `timer` it waits
    in real time."""

    def __init__(
        self,
        *profiles: NetworkProfile,
        dial_via: str | None = None,
        timer: ManualTimer | None = None,
        bind: bool = False,
        busy: Callable[[], bool] = lambda: False,
        **settings: Any,
    ) -> None:
        self.settings = LinkSettings(
            identity="CP001",
            profiles=profiles,
            **{"basic_auth_password": "0123456789abcdef", "ping_interval_s": 0.0, "retry": QUICK, **settings},
        )
        self.listener = LinkRecorder()
        self.link = CsmsLink(
            lambda: self.settings,
            self.listener,
            clock=SystemClock() if timer is None else timer.clock,
            random=lambda: 0.5,
            timer=timer,
            dial_via=dial_via,
            bind=bind,
            busy=busy,
        )

    async def up(self, count: int = 1) -> None:
        """Wait until the link has reported `count` connections; the CSMS sees each a moment earlier."""
        await self.listener.until(lambda: len(self.listener.ups) >= count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.ensure_future(self.link.run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def link_profile(csms: ScriptedCsms, slot: int = 1, **fields: Any) -> NetworkProfile:
    return NetworkProfile(slot=slot, url=csms.url, **fields)
