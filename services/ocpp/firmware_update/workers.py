# SPDX-License-Identifier: Apache-2.0
"""The slow half of a firmware update: fetching, hashing, installing, and asking the board about its slots.

The block (`blocks/firmware_management.py`) decides, these workers do; what they say is news of a job:

    firmware.download  `done`; `failed` with the kind of `TransferError`
    firmware.verify    `done`; `failed` with why the signature is not good
    firmware.install   `begun`; `done` with the slot; `reboot`: the board restarts first; `refused`: the image is no
                       good for this station; `untrusted`: its signer is no longer; `failed`: the board could not do it
    firmware.slots     `done` with a `SlotStatus`, whatever was asked; `failed`

The image lies in a folder of our own. It is read without following links, and the installation hashes again what it
writes, so that nothing else than what was verified can be installed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from firmware.errors import ImageError
from firmware.update.slot_directory import open_image
from firmware.update.slots import Proof, RebootNeeded, SlotError
from services.ocpp import transfer

if TYPE_CHECKING:
    from firmware.product import Product
    from firmware.update.slots import Slots
    from services.ocpp.background import Worker
    from services.ocpp.transfer.trust import Trust

__all__ = ["Download", "FirmwareJobs", "Signed", "SlotWish"]

MAX_IMAGE_BYTES = 320 << 20
_log = logging.getLogger(__name__)
_News = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Download:
    """`retries` after the first attempt. The location may hold a password: never log it."""

    location: str
    retries: int
    retry_interval_s: float

    def __repr__(self) -> str:
        return "Download()"


@dataclass(frozen=True, slots=True)
class Signed:
    """The request's signature (Base64) and signing certificate (PEM)."""

    signature: str
    certificate: str


@dataclass(frozen=True, slots=True)
class SlotWish:
    """What is wanted of the slots; `clean` removes the image when an update is over."""

    wish: Literal["status", "activate", "keep", "roll_back", "clean"]
    slot: str = ""


class FirmwareJobs:
    """The workers, and what the block may ask at once (`context.Firmware`).

    `folder` is for the image alone. `manufacturer_roots` gives the PEMs of the installed ManufacturerRootCertificates,
    `trust` whom a file server may be certified by, `rules` where a download may go.
    """

    def __init__(
        self,
        folder: Path,
        slots: Slots,
        product: Product,
        *,
        running: str,
        manufacturer_roots: Callable[[], Iterable[str]],
        trust: Trust,
        rules: Callable[[], transfer.Rules],
    ) -> None:
        self._folder = folder
        self._image = folder / "image"
        self._slots = slots
        self._product = product
        self._running = running
        self._manufacturer_roots = manufacturer_roots
        self._trust = trust
        self._rules = rules

    def workers(self) -> dict[str, Worker]:
        """For the `JobRunner`."""
        return {
            "firmware.download": self._download,
            "firmware.verify": self._verify,
            "firmware.install": self._install,
            "firmware.slots": self._ask_slots,
        }

    # --- context.Firmware --------------------------------------------------------------------------------------

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        """Why this certificate may not sign firmware here; None when it may (L01.FR.12, L01.FR.21)."""
        from firmware.update import signing

        try:
            roots = [pem.encode() for pem in self._manufacturer_roots()]
            signing.check_signer(certificate.encode(), roots, utc=utc)
        except (ImageError, UnicodeEncodeError) as error:
            return str(error)
        return None

    def location_problem(self, location: str) -> str | None:
        """Why nothing can be fetched from there; None when it can be tried."""
        try:
            transfer.parse(location, self._rules())
        except transfer.TransferError as error:
            return error.text
        return None

    # --- workers ----------------------------------------------------------------------------------------------

    async def _download(self, order: Download, news: _News) -> tuple[str, Any]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._image.unlink(missing_ok=True)
            tls = await self._trust.context()
            await transfer.download(
                order.location,
                self._image,
                limit_bytes=MAX_IMAGE_BYTES,
                retries=order.retries,
                retry_interval_s=order.retry_interval_s,
                tls=tls,
                progress=lambda state: news("progress", state),
                rules=self._rules(),
            )
        except transfer.TransferError as error:
            _log.warning("firmware not downloaded: %s", error)
            return "failed", error.kind
        except OSError as error:
            _log.warning("firmware not downloaded: %s", error.strerror)
            return "failed", "broken"
        return "done", None

    async def _verify(self, order: Signed, _news: _News) -> tuple[str, Any]:
        """L01.FR.04: the signature, over the SHA-256 of the whole file; L01.FR.12: by one who may sign today.

        The request may be from long ago: roots are deleted (M04) and certificates expire meanwhile.
        """
        problem = self.signer_problem(order.certificate, self._trust.utc())
        if problem is not None:
            return "failed", problem
        try:
            await asyncio.to_thread(_verify, self._image, order)
        except (ImageError, OSError) as error:
            _log.warning("firmware not verified: %s", error)
            return "failed", str(error)
        return "done", None

    async def _install(self, order: Signed, news: _News) -> tuple[str, Any]:
        problem = self.signer_problem(order.certificate, None)  # a date that has passed since is no doubt of the image
        if problem is not None:
            _log.warning("firmware not installed: %s", problem)
            return "untrusted", problem
        try:
            await self._slots.prepare()
            news("begun", None)
            slot = await self._slots.install(
                self._image,
                _proof(order),
                family=self._product.identity.firmware_family,
                running=self._running,
                rollback=self._product.limits.firmware_rollback,
            )
        except ImageError as error:
            _log.warning("firmware refused: %s", error)
            return "refused", str(error)
        except RebootNeeded:
            return "reboot", None
        except (SlotError, OSError) as error:
            _log.warning("firmware not installed: %s", error)
            return "failed", str(error)
        return "done", slot

    async def _ask_slots(self, order: SlotWish, _news: _News) -> tuple[str, Any]:
        slots = self._slots
        try:
            match order.wish:
                case "activate":
                    await slots.activate(order.slot)
                case "keep":
                    await slots.keep()
                case "roll_back":
                    await slots.roll_back()
                case "clean":
                    self._image.unlink(missing_ok=True)
            return "done", await slots.status()
        except (SlotError, OSError) as error:
            _log.error("slots: %s: %s", order.wish, error)
            return "failed", str(error)


def _proof(order: Signed) -> Proof:
    from firmware.update import signing

    return Proof(order.certificate.encode(), signing.decode_signature(order.signature))


def _verify(image: Path, order: Signed) -> None:
    from firmware.update import signing

    proof = _proof(order)
    digest = hashlib.sha256()
    with open_image(image) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_IMAGE_BYTES:
            raise ImageError("the image is too large")
        while piece := stream.read(1 << 20):
            digest.update(piece)
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest.digest())
