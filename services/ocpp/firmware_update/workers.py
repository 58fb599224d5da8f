# SPDX-License-Identifier: Apache-2.0
"""The workers of a firmware update: download, verify, install, and requests to the board about its slots.

The block (`blocks/firmware_management.py`) decides; these do the slow work (`tasks.py` lists orders and outcomes).

The image has a folder of its own. It is read without following links, and the installation hashes again the bytes
that it writes, so that only verified bytes can be installed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.errors import ImageError
from firmware.update.slot_directory import open_image
from firmware.update.slots import Proof, RebootNeeded, SlotError
from services.ocpp.background import Failed, Order, Outcome, Progress
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    DownloadOutcome,
    ImageRefused,
    Install,
    InstallBegun,
    Installed,
    InstallOutcome,
    RebootRequired,
    Signed,
    SignerUntrusted,
    SlotOutcome,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
    VerifyOutcome,
)
from services.ocpp.transfer import TransferError, Transfers

if TYPE_CHECKING:
    from firmware.product import Product
    from firmware.update.slots import Slots

__all__ = ["FirmwareWorkers"]

MAX_IMAGE_BYTES = 320 << 20
_log = logging.getLogger(__name__)


class FirmwareWorkers:
    """The workers, and the checks that the block makes at once (`context.Firmware`).

    `folder` is for the image alone; `running` is the version that runs. `manufacturer_roots` gives the PEMs of the
    installed ManufacturerRootCertificates, `utc` the station's time, None while that is not known.
    """

    orders = (Download, Verify, Install, SlotRequest)

    def __init__(
        self,
        folder: Path,
        slots: Slots,
        product: Product,
        *,
        running: str,
        manufacturer_roots: Callable[[], Iterable[str]],
        utc: Callable[[], float | None],
        transfers: Transfers,
    ) -> None:
        self._image = folder / "image"
        self._slots = slots
        self._product = product
        self._running = running
        self._manufacturer_roots = manufacturer_roots
        self._utc = utc
        self._transfers = transfers

    async def run(self, order: Order, progress: Callable[[Progress], None]) -> Outcome:
        match order:
            case Download():
                return await self._download(order)
            case Verify():
                return await self._verify(order.signed)
            case Install():
                return await self._install(order.signed, progress)
            case SlotRequest():
                return await self._ask_slots(order)
        raise TypeError(order)

    # --- context.Firmware --------------------------------------------------------------------------------------

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        """Why this certificate may not sign firmware here; None if it may (L01.FR.12, L01.FR.21)."""
        from firmware.update import signing

        try:
            roots = [pem.encode() for pem in self._manufacturer_roots()]
            signing.check_signer(certificate.encode(), roots, utc=utc)
        except (ImageError, UnicodeEncodeError) as error:
            return str(error)
        return None

    def location_problem(self, location: str) -> str | None:
        """Why this station downloads nothing from there; None if it tries to."""
        return self._transfers.problem(location)

    # --- workers ----------------------------------------------------------------------------------------------

    async def _download(self, order: Download) -> DownloadOutcome:
        try:
            await self._transfers.download(order.remote, self._image, limit_bytes=MAX_IMAGE_BYTES)
        except TransferError as error:
            _log.warning("firmware not downloaded: %s", error)
            return Failed(str(error))
        return Downloaded()

    async def _verify(self, signed: Signed) -> VerifyOutcome:
        """L01.FR.04: the signature, over the SHA-256 of the whole file; L01.FR.12: by a signer who is valid now.

        The request may be old: meanwhile roots may have been deleted (M04) and certificates expired.
        """
        problem = self.signer_problem(signed.certificate, self._utc())
        if problem is not None:
            return Failed(problem)
        try:
            await asyncio.to_thread(_verify, self._image, signed)
        except (ImageError, OSError) as error:
            _log.warning("firmware not verified: %s", error)
            return Failed(str(error))
        return Verified()

    async def _install(self, signed: Signed, progress: Callable[[Progress], None]) -> InstallOutcome:
        problem = self.signer_problem(signed.certificate, None)  # an expiry after the verification does not matter
        if problem is not None:
            _log.warning("firmware not installed: %s", problem)
            return SignerUntrusted(problem)
        try:
            await self._slots.prepare()
            progress(InstallBegun())
            slot = await self._slots.install(
                self._image,
                _proof(signed),
                family=self._product.identity.firmware_family,
                running=self._running,
                rollback=self._product.limits.firmware_rollback,
            )
        except ImageError as error:
            _log.warning("firmware refused: %s", error)
            return ImageRefused(str(error))
        except RebootNeeded:
            return RebootRequired()
        except (SlotError, OSError) as error:
            _log.warning("firmware not installed: %s", error)
            return Failed(str(error))
        return Installed(slot)

    async def _ask_slots(self, request: SlotRequest) -> SlotOutcome:
        slots = self._slots
        try:
            match request.action:
                case "activate":
                    await slots.activate(request.slot)
                case "keep":
                    await slots.keep()
                case "roll_back":
                    await slots.roll_back()
                case "clean":
                    self._image.unlink(missing_ok=True)
            return SlotsAnswered(await slots.status())
        except (SlotError, OSError) as error:
            _log.error("slots: %s: %s", request.action, error)
            return Failed(str(error))


def _proof(signed: Signed) -> Proof:
    from firmware.update import signing

    return Proof(signed.certificate.encode(), signing.decode_signature(signed.signature))


def _verify(image: Path, signed: Signed) -> None:
    from firmware.update import signing

    proof = _proof(signed)
    digest = hashlib.sha256()
    with open_image(image) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_IMAGE_BYTES:
            raise ImageError("the image is too large")
        while piece := stream.read(1 << 20):
            digest.update(piece)
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest.digest())
