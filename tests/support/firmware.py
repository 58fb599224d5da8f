# SPDX-License-Identifier: Apache-2.0
"""Images and signers for tests: small images made on the spot, and whole ones of this checkout."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

from firmware.update.image import TOP_LEVEL, Entry, Manifest, write_image
from firmware.update.signing import sign_digest
from firmware.update.slots import Proof
from tests.support.rig import ROOT
from tools.image.build import build
from tools.pki import Authority, Issued

__all__ = ["FAMILY", "FILES", "checkout_image", "image", "proof", "signature"]

FAMILY = "OCPP_C7_STA"
FILES = {
    **{f"{folder}/__init__.py": b"" for folder in TOP_LEVEL},
    "firmware/version.py": b'VERSION = "1.0.1"\n',
    "hal/__main__.py": b"print('hal')\n",
    "services/ocpp/__main__.py": b"print('ocpp')\n",
}


def image(
    files: dict[str, bytes] | None = None,
    *,
    family: str = FAMILY,
    version: str = "1.0.1",
    min_version: str = "0.0.0",
) -> bytes:
    """An unsigned image."""
    contents = FILES if files is None else files
    entries = [Entry(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in contents.items()]
    out = io.BytesIO()
    write_image(out, Manifest(1, family, version, min_version, entries), contents.values())
    return out.getvalue()


def checkout_image(path: Path, *, version: str, min_version: str = "0.0.0", product: str = "c7am-400-cc") -> bytes:
    """An unsigned image of this checkout, called `version`."""
    build(ROOT, path, product_name=product, version=version, min_version=min_version)
    return path.read_bytes()


def proof(data: bytes, signer: Issued | None = None) -> Proof:
    """The proof that OCPP delivers with an image."""
    by = signer or Authority("manufacturer").firmware_signer()
    return Proof(by.pem.encode(), sign_digest(by.key, hashlib.sha256(data).digest()))


def signature(data: bytes, signer: Issued) -> str:
    """Base64, as in UpdateFirmwareRequest."""
    return base64.b64encode(proof(data, signer).signature).decode()
