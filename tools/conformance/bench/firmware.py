# SPDX-License-Identifier: Apache-2.0
"""For the cases of block L: an image of this checkout on a file server, and the request that names it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from firmware.clock import SystemClock, format_utc
from firmware.update.signing import sign_digest
from tools.conformance.bench.bench import Bench
from tools.conformance.peer.files import FileServer
from tools.image.build import build, next_version
from tools.pki import Issued, server_context

__all__ = ["Firmware", "firmware"]

_ROOT = Path(__file__).resolve().parents[3]
_PAST_S = -7200.0


class Firmware:
    """An image on the file server and its signer."""

    def __init__(self, files: FileServer, image: bytes, signer: Issued) -> None:
        self.files = files
        self.image = image
        self.signer = signer
        self.requested = 0
        """The last requestId."""

    def request(
        self,
        t: Bench,
        *,
        retrieve_in_s: float = _PAST_S,
        install_in_s: float | None = _PAST_S,
        name: str = "firmware",
        signer: Issued | None = None,
        signed: bytes | None = None,
    ) -> dict[str, Any]:
        """An UpdateFirmwareRequest; times are seconds from now. The signature is over `signed` (default: the image)."""
        by, now = signer or self.signer, SystemClock().utc()
        digest = hashlib.sha256(self.image if signed is None else signed).digest()
        fields: dict[str, Any] = {
            "location": self.files.url(name),
            "retrieveDateTime": format_utc(now + retrieve_in_s),
            "signingCertificate": by.pem,
            "signature": base64.b64encode(sign_digest(by.key, digest)).decode(),
        }
        if install_in_s is not None:
            fields["installDateTime"] = format_utc(now + install_in_s)
        self.requested = t.new_id()
        return {"requestId": self.requested, "retries": 1, "retryInterval": 1, "firmware": fields}


@asynccontextmanager
async def firmware(t: Bench, *, version: str | None = None, product: str | None = None) -> AsyncIterator[Firmware]:
    """A file server with an image of this checkout whose version is the one after the running one.

    `version` and `product` (a firmware family) replace those of the image. Needs `Preconditions(updates=True)`.
    """
    assert t.csms_root is not None
    assert t.manufacturer is not None
    files = FileServer(t.folder / "files", server_context(t.csms_root.server(), t.folder))
    await files.start()
    try:
        path = t.folder / "files" / "firmware"
        name = product or t.fixtures.product
        await asyncio.to_thread(
            build, _ROOT, path, product_name=name, version=version or next_version(), min_version="0.0.0"
        )
        yield Firmware(files, path.read_bytes(), t.manufacturer.firmware_signer())
    finally:
        await files.stop()
