# SPDX-License-Identifier: Apache-2.0
"""Builds firmware images from a checkout, and signs them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from firmware import product
from firmware.errors import ImageError
from firmware.update import signing
from firmware.update.image import TOP_LEVEL, Embedded, Entry, ImageReader, Manifest, check_whole, embed, write_image
from firmware.update.slot_directory import open_image
from firmware.version import VERSION

__all__ = ["build", "next_version", "read", "request_fields", "sign"]

_SUFFIXES = frozenset({".py", ".toml", ".sql", ".json", ".md", ".html", ".css", ".js", ".svg", ".png", ".typed"})
_VERSION_FILE = "firmware/version.py"
_VERSION = re.compile(r'^VERSION = "([^"]*)"$', re.MULTILINE)


def next_version(version: str = VERSION) -> str:
    """A version after this one, by default after the running one."""
    return re.sub(r"\d+$", lambda digits: str(int(digits.group()) + 1), version.partition("-")[0])


def build(checkout: Path, out: Path, *, product_name: str, version: str | None, min_version: str) -> Manifest:
    """Write an unsigned image of `checkout` to `out`.

    With `version`, the image is that version instead of the checkout's own. Raises `ImageError`, `ConfigError`,
    `OSError`.
    """
    contents = {path: (checkout / path).read_bytes() for path in _files(checkout)}
    if _VERSION_FILE not in contents:
        raise ImageError(f"{checkout} is not a checkout: it has no {_VERSION_FILE}")
    text = contents[_VERSION_FILE].decode()
    found = _VERSION.search(text)
    if found is None:
        raise ImageError(f"{checkout / _VERSION_FILE} defines no VERSION")
    if version is not None:
        contents[_VERSION_FILE] = _VERSION.sub(f'VERSION = "{version}"', text).encode()
    manifest = Manifest(
        format=1,
        family=product.load(product_name).identity.firmware_family,
        version=found.group(1) if version is None else version,
        min_version=min_version,
        files=[Entry(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in contents.items()],
    )
    check_whole(manifest)
    _write(out, lambda file: write_image(file, manifest, contents.values()))
    return manifest


def _files(checkout: Path) -> list[str]:
    """The files of the version tree, sorted, so that a checkout always gives the same image. Links are refused."""
    found: list[str] = []
    for top in TOP_LEVEL:
        for folder, folders, files in os.walk(checkout / top):
            folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
            for path in (Path(folder) / name for name in sorted(files)):
                if path.is_symlink() or any((Path(folder) / name).is_symlink() for name in folders):
                    raise ImageError(f"{path}: links can't be part of an image")
                if path.suffix in _SUFFIXES:
                    found.append(path.relative_to(checkout).as_posix())
    return found


def sign(image: Path, out: Path, *, certificate: Path, key: Path) -> None:
    """Write `image` with an embedded signature to `out`, in place of any earlier one. Raises `ImageError`."""
    pem = certificate.read_bytes()
    signer = signing.load_certificate(pem)
    private = _private_key(key)
    if private.public_key() != signer.public_key():
        raise ImageError("the key does not belong to the certificate")
    content = image.read_bytes()
    _manifest, embedded, _digest = read(image)
    if embedded is not None:
        content = content[: -len(embed(embedded.certificate, embedded.signature))]
    signature = signing.sign_digest(private, hashlib.sha256(content).digest())
    _write(out, lambda file: file.write(content + embed(pem, signature)))


def _private_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except TypeError as error:
        raise ImageError(f"{path}: a key with a password can't be used; decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ImageError(f"{path}: not a private key in PEM format") from error


def request_fields(image: Path, *, certificate: Path, key: Path) -> dict[str, str]:
    """`signature` and `signingCertificate` of an UpdateFirmwareRequest for the whole file (L01.FR.04)."""
    private = _private_key(key)
    digest = hashlib.sha256(image.read_bytes()).digest()
    signature = base64.b64encode(signing.sign_digest(private, digest)).decode()
    return {"signature": signature, "signingCertificate": certificate.read_text()}


def read(image: Path) -> tuple[Manifest, Embedded | None, bytes]:
    """The manifest, the embedded signature and the digest of a complete image. Raises `ImageError`."""
    with open_image(image) as stream:
        reader = ImageReader(stream)
        reader.check_files()
        embedded = reader.finish()
        return reader.manifest, embedded, reader.digest


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        fill(file)
    new.replace(path)
