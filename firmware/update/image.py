# SPDX-License-Identifier: Apache-2.0
"""The firmware image: a manifest, then the bytes of its files one after the other, then an optional signature.

    8 bytes   "BAYWATT" and the format's number, 1
    4 bytes   length of the manifest, big-endian
    n bytes   manifest: JSON of `Manifest`
    ...       the files' contents in the manifest's order, nothing between them
    optional  8 bytes "BWSIGN" 0 1, 2 bytes length, signing certificate (PEM), 2 bytes length, signature

The format can't express what an image must not contain: it has no links, devices, modes, owners or compression, so
nothing has to be filtered and nothing grows when it is unpacked. Names are checked against a short alphabet and a
list of top-level folders. The embedded signature covers every byte before it and is for people who do not have the
OCPP request's (`baywatt image verify`); OCPP's detached signature covers the whole file.

The reader reads the file once from start to end and hashes what it returns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Literal

import msgspec
from msgspec import Meta, Struct

from firmware.errors import ImageError
from firmware.type_words import decode_json
from firmware.update.version import Version

__all__ = [
    "TOP_LEVEL",
    "Embedded",
    "Entry",
    "ImageReader",
    "Limits",
    "Manifest",
    "check_allowed",
    "check_whole",
    "embed",
    "write_image",
]

MAGIC = b"BAYWATT\x01"
SIGNATURE_MAGIC = b"BWSIGN\x00\x01"
CHUNK = 1 << 16
TOP_LEVEL = ("drivers", "firmware", "hal", "services")
"""The top-level folders of a version tree; an image holds nothing else."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79}", re.ASCII)
_CERTIFICATE_BYTES = 16_384
_SIGNATURE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest image that is accepted."""

    manifest_bytes: int = 2 << 20
    files: int = 5000
    file_bytes: int = 32 << 20
    total_bytes: int = 256 << 20
    depth: int = 8


Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case")]


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the version tree; `path` is relative to it, with `/` between its parts."""

    path: Annotated[str, Meta(min_length=1, max_length=240)]
    size: Annotated[int, Meta(ge=0)]
    sha256: Sha256


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What the image is and for which products.

    `family` is `identity.firmware_family` of the products it is for; `min_version` is the oldest version that it may
    replace directly.
    """

    format: Literal[1]
    family: Annotated[str, Meta(min_length=1, max_length=50)]
    version: Annotated[str, Meta(max_length=40)]
    min_version: Annotated[str, Meta(max_length=40)]
    files: list[Entry]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded signature; `digest` is the SHA-256 of what it covers."""

    certificate: bytes
    signature: bytes
    digest: bytes


class ImageReader:
    """Reads one image from the start of a stream. Raises `ImageError`, and `OSError` of the stream."""

    def __init__(self, stream: BinaryIO, limits: Limits | None = None) -> None:
        self._stream = stream
        self._limits = limits or Limits()
        self._hash = hashlib.sha256()
        if self._exactly(len(MAGIC)) != MAGIC:
            raise ImageError("not a firmware image")
        length = int.from_bytes(self._exactly(4), "big")
        if length > self._limits.manifest_bytes:
            raise ImageError("the manifest is too long")
        self.manifest = _decode(self._exactly(length))
        _check_entries(self.manifest, self._limits)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all bytes read so far; of the whole image after `finish`."""
        return self._hash.digest()

    def files(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Each file with its content in pieces; the content must be read to its end before the next file."""
        for entry in self.manifest.files:
            yield entry, self._content(entry)

    def check_files(self) -> None:
        """Check every file's hash, without keeping any content."""
        for _entry, content in self.files():
            for _piece in content:
                pass

    def finish(self) -> Embedded | None:
        """After the files: check the end of the image; returns the embedded signature, if there is one."""
        covered = self.digest
        magic = self._some(len(SIGNATURE_MAGIC))
        if not magic:
            return None
        if magic != SIGNATURE_MAGIC:
            raise ImageError("bytes after the last file")
        certificate = self._block(_CERTIFICATE_BYTES)
        signature = self._block(_SIGNATURE_BYTES)
        if self._some(1):
            raise ImageError("bytes after the signature")
        return Embedded(certificate, signature, covered)

    def _content(self, entry: Entry) -> Iterator[bytes]:
        left, digest = entry.size, hashlib.sha256()
        while left:
            piece = self._exactly(min(left, CHUNK))
            left -= len(piece)
            digest.update(piece)
            yield piece
        if digest.hexdigest() != entry.sha256:
            raise ImageError(f"{entry.path}: does not match its hash in the manifest")

    def _block(self, limit: int) -> bytes:
        length = int.from_bytes(self._exactly(2), "big")
        if not 0 < length <= limit:
            raise ImageError("the embedded signature is malformed")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = self._some(count)
        if len(data) != count:
            raise ImageError("the image is cut short")
        return data

    def _some(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._stream.read(count - len(data))
            if not more:
                break
            data += more
        self._hash.update(data)
        return data


def _decode(data: bytes) -> Manifest:
    try:
        return decode_json(data, Manifest)
    except ValueError as error:
        raise ImageError(f"manifest: {error}") from error


def _check_entries(manifest: Manifest, limits: Limits) -> None:
    Version.parse(manifest.version)
    Version.parse(manifest.min_version)
    if not 0 < len(manifest.files) <= limits.files:
        raise ImageError(f"{len(manifest.files)} files")
    if any(entry.size > limits.file_bytes for entry in manifest.files):
        raise ImageError("a file is too large")
    if sum(entry.size for entry in manifest.files) > limits.total_bytes:
        raise ImageError("the image is too large")
    # Compared without case: a file system may not distinguish `a` and `A`.
    names = [_checked_path(entry.path, limits.depth).casefold() for entry in manifest.files]
    folders = {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}
    if len(set(names)) < len(names) or folders.intersection(names):
        raise ImageError("two files with one name")


def _checked_path(path: str, depth: int) -> str:
    parts = path.split("/")
    if not 2 <= len(parts) <= depth or parts[0] not in TOP_LEVEL or not all(_NAME.fullmatch(part) for part in parts):
        raise ImageError(f"{path[:80]!r} is not an allowed file name")
    return path


def check_whole(manifest: Manifest) -> None:
    """Raises `ImageError` if a top-level folder is missing: Python would import it from another version tree."""
    paths = {entry.path for entry in manifest.files}
    for folder in TOP_LEVEL:
        if f"{folder}/__init__.py" not in paths:
            raise ImageError(f"not a whole version tree: no {folder}/__init__.py")


def check_allowed(manifest: Manifest, *, family: str, running: str, rollback: bool) -> None:
    """Raises `ImageError` with the reason if this image may not replace the running version here."""
    check_whole(manifest)
    if manifest.family != family:
        raise ImageError(f"the image is for {manifest.family}, this station is {family}")
    new, now = Version.parse(manifest.version), Version.parse(running)
    if now < Version.parse(manifest.min_version):
        raise ImageError(f"{new} replaces only {manifest.min_version} and newer, but {now} is running")
    if new < now and not rollback:
        raise ImageError(f"{new} is older than the running version {now}")


def write_image(out: BinaryIO, manifest: Manifest, contents: Iterable[bytes]) -> None:
    """Write an unsigned image; `contents` in the manifest's order. Raises `ImageError` where the reader would."""
    limits = Limits()
    _check_entries(manifest, limits)
    head = msgspec.json.encode(manifest)
    if len(head) > limits.manifest_bytes:
        raise ImageError("the manifest is too long")
    out.write(MAGIC + len(head).to_bytes(4, "big") + head)
    for entry, content in zip(manifest.files, contents, strict=True):
        if len(content) != entry.size:
            raise ImageError(f"{entry.path}: its size has changed")
        out.write(content)


def embed(certificate: bytes, signature: bytes) -> bytes:
    """The signature section to append to an unsigned image."""
    sizes = (len(certificate), len(signature))
    if not 0 < sizes[0] <= _CERTIFICATE_BYTES or not 0 < sizes[1] <= _SIGNATURE_BYTES:
        raise ImageError("certificate or signature is too long")
    parts = (sizes[0].to_bytes(2, "big"), certificate, sizes[1].to_bytes(2, "big"), signature)
    return SIGNATURE_MAGIC + b"".join(parts)
