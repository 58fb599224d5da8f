# SPDX-License-Identifier: Apache-2.0
"""A file of lines that is bounded in size: `FILE`, and the part before it, `FILE.1`.

What is appended is there as a whole or not at all: a part that was written is cut off again, and half a line that a
power cut has left is ended, so that it spoils no other.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["BoundedFile"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class BoundedFile:
    """Appends to `path` up to `max_bytes`, then renames it to `path.1` and starts a new file.

    It is opened when it is first needed. `append` raises `OSError`, and opens it anew the next time.
    """

    def __init__(self, path: Path, max_bytes: int, *, mode: int = 0o640) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._mode = mode
        self._fd = -1
        self._size = 0

    @property
    def paths(self) -> tuple[Path, Path]:
        """Both parts, the older one first; they need not exist."""
        return self._path.with_name(self._path.name + ".1"), self._path

    def append(self, data: bytes) -> None:
        """Append whole lines."""
        try:
            self._append(data)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        written = os.write(self._fd, data)
        if written < len(data):
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise OSError("only a part was written")
        self._size += written

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, _FLAGS, self._mode)
        self._size = os.fstat(self._fd).st_size
        if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
            self._size += os.write(self._fd, b"\n")

    def _rotate(self) -> None:
        self.close()
        os.replace(self._path, self.paths[0])
        self._open()
