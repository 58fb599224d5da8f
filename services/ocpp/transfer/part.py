# SPDX-License-Identifier: Apache-2.0
"""A file that is being fetched: `TARGET.part`, and its origin beside it in `TARGET.part.from`.

A part is continued only if it came from the same URL and the server has named its version (ETag, Last-Modified; FTP:
size and time). If anything is wrong with either file, the download starts again. The URL is stored as a hash, as it
may hold credentials. These functions block for as long as the disk does: call them in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.ocpp.transfer.rules import TransferError

__all__ = ["PartFile", "disk_errors"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turns errors of the station's own disk into `TransferError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TransferError("too_large", "no room on the disk") from error
        raise TransferError("broken", f"the station's disk: {error.strerror}") from error


class _Origin(msgspec.Struct):
    url_sha256: str
    version: str


class PartFile:
    """See the module. Never more than `limit` bytes are written."""

    def __init__(self, target: Path, url: str, limit: int) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.from")
        self._url = hashlib.sha256(url.encode()).hexdigest()
        self._limit = limit
        self._descriptor = -1
        self.size = 0
        """Number of bytes."""
        self.version = ""
        """The version of the file, as the server names it."""

    def find(self) -> None:
        """Read what an earlier attempt left."""
        self.size, self.version = 0, ""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            origin = msgspec.json.decode(self._note.read_bytes(), type=_Origin)
            if origin.url_sha256 == self._url and origin.version and not self._path.is_symlink():
                self.size, self.version = self._path.stat().st_size, origin.version

    def begin(self, version: str, *, at: int) -> None:
        """Write from byte `at` of this version on; a file without a version can't be continued later."""
        self.close()
        with self._translated():
            if at == 0:
                self._note.unlink(missing_ok=True)
            self._descriptor = os.open(self._path, _FLAGS, 0o600)
            os.ftruncate(self._descriptor, at)
            os.lseek(self._descriptor, at, os.SEEK_SET)
            if version:
                self._note.write_bytes(msgspec.json.encode(_Origin(self._url, version)))
        self.size, self.version = at, version

    def write(self, data: bytes) -> None:
        """Append; raises `TransferError` past the limit or on a full disk."""
        self.expect(self.size + len(data))
        with self._translated():
            view = memoryview(data)
            while view:
                written = os.write(self._descriptor, view)
                view = view[written:]
                self.size += written

    def expect(self, total: int) -> None:
        """Raises `TransferError` if `total` bytes are too many, and discards the part."""
        if total > self._limit:
            self.discard()
            raise TransferError("too_large", f"more than {self._limit} bytes")

    def finish(self) -> None:
        """The file is complete: make it durable under its own name."""
        with self._translated():
            os.fsync(self._descriptor)
            self.close()
            os.replace(self._path, self._target)
            self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Start again next time."""
        self.close()
        for path in (self._note, self._path):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self.size, self.version = 0, ""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with disk_errors():
                yield
        except TransferError as error:
            if error.kind == "too_large":
                self.discard()
            raise
