# SPDX-License-Identifier: Apache-2.0
"""The orders that block L gives to the workers (`workers.py`), and every outcome that each of them can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

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


@dataclass(frozen=True, slots=True)
class Signed:
    """The request's signature (Base64) and signing certificate (PEM)."""

    signature: str
    certificate: str


@dataclass(frozen=True, slots=True)
class Download(Order):
    """Fetch the image."""

    remote: Remote


@dataclass(frozen=True, slots=True)
class Downloaded(Outcome):
    """The whole file is in the image folder."""


@dataclass(frozen=True, slots=True)
class Verify(Order):
    """Check the signer and the signature over the downloaded file."""

    signed: Signed


@dataclass(frozen=True, slots=True)
class Verified(Outcome):
    """The signature is valid."""


@dataclass(frozen=True, slots=True)
class Install(Order):
    """Write the image into the slot that does not run."""

    signed: Signed


@dataclass(frozen=True, slots=True)
class InstallBegun(Progress):
    """The board needs no restart first and begins to write."""


@dataclass(frozen=True, slots=True)
class Installed(Outcome):
    """The image is in `slot`, which is not yet activated."""

    slot: str


@dataclass(frozen=True, slots=True)
class RebootRequired(Outcome):
    """The board has to restart before it can install."""


@dataclass(frozen=True, slots=True)
class ImageRefused(Outcome):
    """The image is damaged, unsigned, or not allowed on this station."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignerUntrusted(Outcome):
    """The signing certificate no longer comes from an installed manufacturer root."""

    reason: str


@dataclass(frozen=True, slots=True)
class SlotRequest(Order):
    """What the board shall do with its slots. `clean` deletes the image at the end of an update."""

    action: Literal["status", "activate", "keep", "roll_back", "clean"]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class SlotsAnswered(Outcome):
    """The request was carried out; the slots' status afterwards."""

    status: SlotStatus


DownloadOutcome: TypeAlias = Downloaded | Failed
VerifyOutcome: TypeAlias = Verified | Failed
InstallOutcome: TypeAlias = Installed | RebootRequired | ImageRefused | SignerUntrusted | Failed
SlotOutcome: TypeAlias = SlotsAnswered | Failed
