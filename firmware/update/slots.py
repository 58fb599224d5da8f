# SPDX-License-Identifier: Apache-2.0
"""What a board must offer for updates: a slot to install into while another runs, and a way back.

The promise behind every back-end: the running slot is never written to; a new slot is booted on trial, and the board
goes back by itself to the one before when the new one is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firmware.errors import BaywattError

__all__ = ["Proof", "RebootNeeded", "SlotError", "SlotStatus", "Slots"]


class SlotError(BaywattError):
    """The board could not do it: disk full, damaged, its update service gone."""


class RebootNeeded(BaywattError):
    """This board has to be restarted before it can install."""


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """Which slot runs, and whether it still has to prove itself."""

    running: str
    trial: bool = False
    failed: str = ""
    """The slot from which the board went back by itself, since the last installation."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why an image may be installed: the certificate (PEM, already judged) and its signature over the whole file.

    Given again to the installation, which hashes the bytes that it writes: verified bytes are installed bytes.
    """

    certificate: bytes
    signature: bytes


class Slots(Protocol):
    """The board's slots. Every method may raise `SlotError` and is safe to repeat after a power cut."""

    async def status(self) -> SlotStatus: ...

    async def prepare(self) -> None:
        """Right before `install`: raises `RebootNeeded` when the board has to restart before it can install."""

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        """Write the image into the slot that does not run; the slot's name.

        `running` is the version that runs. Raises `ImageError` when the image is damaged, not for this `family`, older
        without `rollback`, or not what `proof` signs. The slot is not booted before `activate`.
        """

    async def activate(self, slot: str) -> None:
        """Boot this slot from the next restart on, on trial."""

    async def keep(self) -> None:
        """The running slot has proved itself."""

    async def roll_back(self) -> None:
        """The running slot, on trial, has failed: boot the one before from the next restart on."""
