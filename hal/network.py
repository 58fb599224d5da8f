# SPDX-License-Identifier: Apache-2.0
"""The settings of the network interfaces, as an installer asks for them: checked, tried, and kept when confirmed.

New settings are on trial for `TRIAL_S`: whoever has cut off their own connection with them can't confirm, and the
former ones return. They are on the disk from the confirmation on, not before: a power cut in between returns to the
former ones, too.
"""

from __future__ import annotations

import asyncio
import logging

from msgspec import Struct

from firmware.clock import Clock
from firmware.contract import (
    TRIAL_S,
    EndNetworkTrial,
    GetNetwork,
    Network,
    NetworkCommand,
    NetworkInterface,
    NetworkTrial,
    Problem,
    SetCellular,
    SetWired,
    cellular_problems,
    wired_problems,
)
from firmware.errors import BaywattError, DriverError
from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.timer import LoopTimer, Scheduled, Timer
from hal.ports import NetworkLinks

__all__ = ["NetworkRefused", "NetworkSettings"]

RETRY_S = 10.0
"""Between two attempts to return to the former settings."""
_log = logging.getLogger(__name__)


class NetworkRefused(BaywattError):
    """Why a command is not carried out."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


class _Trial(Struct, frozen=True):
    interface: str
    until: float


class NetworkSettings:
    """One command at a time; `links` carries them out."""

    def __init__(self, links: NetworkLinks, clock: Clock, timer: Timer | None = None) -> None:
        self._links = links
        self._clock = clock
        self._timer = timer or LoopTimer()
        self._trial: _Trial | None = None
        self._ending: Scheduled | None = None
        self._returning: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    def close(self) -> None:
        """A trial goes on without us; the driver sees to its end."""
        self._stop_waiting()
        if self._returning is not None:
            self._returning.cancel()

    async def execute(self, command: NetworkCommand) -> Network:
        """The state after the command; raises `NetworkRefused`."""
        if not isinstance(command, GetNetwork) and self._busy.locked():
            raise NetworkRefused(Problem.BUSY, "the network is being set already")
        async with self._busy:
            try:
                if isinstance(command, SetWired | SetCellular):
                    await self._try(command)
                elif isinstance(command, EndNetworkTrial):
                    await self._end(keep=command.keep)
                return await self._read()
            except DriverError as error:
                raise NetworkRefused(Problem.DEVICE_FAILED, str(error)) from error

    async def _read(self) -> Network:
        trial, now = self._trial, self._clock.monotonic()
        shown = None if trial is None else NetworkTrial(trial.interface, round(max(0.0, trial.until - now), 1))
        return Network(await self._links.interfaces(), shown)

    async def _try(self, command: SetWired | SetCellular) -> None:
        if self._trial is not None:
            raise NetworkRefused(
                Problem.NOT_ALLOWED,
                f"new settings of {self._trial.interface} are being tried: confirm or end that first",
            )
        self._check(command, await self._links.interfaces())
        await self._links.try_settings(command.interface, command.settings, within_s=TRIAL_S)
        self._trial = _Trial(command.interface, self._clock.monotonic() + TRIAL_S)
        self._ending = self._timer.call_later(TRIAL_S, self._expired)
        _note(command.interface, "new settings are tried for %.0f s", TRIAL_S)

    @staticmethod
    def _check(command: SetWired | SetCellular, interfaces: list[NetworkInterface]) -> None:
        known = {each.name: each for each in interfaces}
        interface = known.get(command.interface)
        if interface is None:
            raise NetworkRefused(
                Problem.BAD_REQUEST, f"interface: expected {' or '.join(known) or 'none: there is none'}"
            )
        if interface.is_cellular is not isinstance(command, SetCellular):
            kind = "a modem" if interface.is_cellular else "Ethernet"
            raise NetworkRefused(Problem.BAD_REQUEST, f"interface: {command.interface} is {kind}")
        if interface.problem:
            raise NetworkRefused(Problem.DEVICE_FAILED, interface.problem)
        others = [each for other in interfaces if other is not interface for each in other.addresses]
        problems = (
            wired_problems(command.settings, others=others)
            if isinstance(command, SetWired)
            else cellular_problems(command.settings)
        )
        if problems:
            raise NetworkRefused(Problem.BAD_REQUEST, "; ".join(f"{name}: {why}" for name, why in problems.items()))

    async def _end(self, *, keep: bool) -> None:
        if self._trial is None:
            raise NetworkRefused(
                Problem.NOT_ALLOWED, "no new settings are being tried: they have returned, or are kept"
            )
        if keep:
            await self._links.keep_settings()
        else:
            await self._links.return_settings()
        self._ended("kept" if keep else "the former settings are back")

    def _ended(self, how: str) -> None:
        if self._trial is not None:
            _note(self._trial.interface, how)
        self._trial = None
        self._stop_waiting()

    def _expired(self) -> None:
        self._ending = None
        self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """The time is over; repeated until it has worked, as the station may be out of reach otherwise."""
        try:
            async with self._busy:
                if self._trial is None:
                    return
                await self._links.return_settings()
                self._ended("nobody has confirmed: the former settings are back")
        except DriverError as error:
            _log.error("the former settings of the network can't be brought back yet: %s", error)
            self._ending = self._timer.call_later(RETRY_S, self._expired)

    def _stop_waiting(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


def _note(interface: str, text: str, *arguments: object) -> None:
    _log.info("link %s: " + text, interface, *arguments, extra=fields(message_id=MessageId.LINK_CHANGED))
