# SPDX-License-Identifier: Apache-2.0
"""What a board must offer for updates: a slot to install into while another runs, and a way back.

Every back-end promises: the running slot is never written to; a new slot is booted on trial, and the board returns to
the previous one by itself if the new one is not kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from firmware.errors import BaywattError

__all__ = ["Proof", "RebootNeeded", "SlotError", "SlotStatus", "Slots"]


class SlotError(BaywattError):
    """The board failed: disk full or damaged, or its update service not available."""


class RebootNeeded(BaywattError):
    """This board has to be restarted before it can install."""


class SlotStatus(Struct, frozen=True):
    """Which slot runs, and whether it is still on trial."""

    running: str
    trial: bool = False
    failed: str = ""
    """The slot from which the board has returned by itself since the last installation."""


class Proof(Struct, frozen=True):
    """Why an image may be installed: the certificate (PEM, already checked) and its signature over the whole file.

    The installation gets it again and hashes the bytes that it writes: only verified bytes are installed.
    """

    certificate: bytes
    signature: bytes


class Slots(Protocol):
    """The board's slots. Every method may raise `SlotError` and is safe to repeat after a power cut."""

    async def status(self) -> SlotStatus: ...

    async def prepare(self) -> None:
        """Called right before `install`; raises `RebootNeeded` if the board has to restart first."""

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        """Write the image into the slot that does not run; returns that slot's name.

        `running` is the version that runs. Raises `ImageError` if the image is damaged, not for this `family`, older
        without `rollback`, or not what `proof` signs. The slot is not booted before `activate`.
        """

    async def activate(self, slot: str) -> None:
        """Boot this slot on trial from the next restart on."""

    async def keep(self) -> None:
        """Keep the running slot: its trial is over."""

    async def roll_back(self) -> None:
        """The running slot has failed its trial: boot the previous one from the next restart on."""
