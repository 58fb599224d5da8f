# SPDX-License-Identifier: Apache-2.0
"""The orders that block L gives to the workers (`workers.py`), and every outcome that each of them can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from services.ocpp.background import Failed, Order, Outcome, Progress

if TYPE_CHECKING:
    from firmware.update.slots import SlotStatus
    from services.ocpp.transfer import Remote

__all__ = [
    "Download",
    "DownloadOutcome",
    "Downloaded",
    "ImageRefused",
    "Install",
    "InstallBegun",
    "InstallOutcome",
    "Installed",
    "RebootRequired",
    "Signed",
    "SignerUntrusted",
    "SlotOutcome",
    "SlotRequest",
    "SlotsAnswered",
    "Verified",
    "Verify",
    "VerifyOutcome",
]


class Signed(Struct, frozen=True):
    """The request's signature (Base64) and signing certificate (PEM)."""

    signature: str
    certificate: str


class Download(Order, frozen=True):
    """Fetch the image."""

    remote: Remote


class Downloaded(Outcome, frozen=True):
    """The whole file is in the image folder."""


class Verify(Order, frozen=True):
    """Check the signer and the signature over the downloaded file."""

    signed: Signed


class Verified(Outcome, frozen=True):
    """The signature is valid."""


class Install(Order, frozen=True):
    """Write the image into the slot that does not run."""

    signed: Signed


class InstallBegun(Progress, frozen=True):
    """The board needs no restart first and begins to write."""


class Installed(Outcome, frozen=True):
    """The image is in `slot`, which is not yet activated."""

    slot: str


class RebootRequired(Outcome, frozen=True):
    """The board has to restart before it can install."""


class ImageRefused(Outcome, frozen=True):
    """The image is damaged, unsigned, or not allowed on this station."""

    reason: str


class SignerUntrusted(Outcome, frozen=True):
    """The signing certificate no longer comes from an installed manufacturer root."""

    reason: str


class SlotRequest(Order, frozen=True):
    """What the board shall do with its slots. `clean` deletes the image at the end of an update."""

    action: Literal["status", "activate", "keep", "roll_back", "clean"]
    slot: str = ""


class SlotsAnswered(Outcome, frozen=True):
    """The request was carried out; the slots' status afterwards."""

    status: SlotStatus


DownloadOutcome: TypeAlias = Downloaded | Failed
VerifyOutcome: TypeAlias = Verified | Failed
InstallOutcome: TypeAlias = Installed | RebootRequired | ImageRefused | SignerUntrusted | Failed
SlotOutcome: TypeAlias = SlotsAnswered | Failed
