# SPDX-License-Identifier: Apache-2.0
"""Files that survive a power cut: written under another name, flushed, then renamed.

The content is on the disk before the name leads to it, and the rename before the next step can depend on it: after a
power cut there is the old file or the new one, never half of one. Every function raises `OSError`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["NEW_SUFFIX", "rename", "replace", "sync_folder", "write_new"]

NEW_SUFFIX = ".new"
"""Of a file whose content is not complete; a power cut may leave one behind."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600, durable: bool = True) -> None:
    """Write a file that must not exist yet. Its content is then on the disk, its name only after `sync_folder`."""
    with open(os.open(path, _FLAGS, mode), "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def replace(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write `path` as a whole. After an error in writing, the old file is unchanged.

    With `durable=False` nothing is flushed: enough where only the process may die, and not the machine. Two processes
    must not replace the same file at once.
    """
    new = path.with_name(path.name + NEW_SUFFIX)
    try:
        new.unlink(missing_ok=True)
        write_new(new, (content,), mode=mode, durable=durable)
        rename(new, path, durable=durable)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def rename(old: Path, new: Path, *, durable: bool = True) -> None:
    """Rename within one folder; a file `new` is replaced."""
    os.replace(old, new)
    if durable:
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Flush names to the disk: what was created, renamed or removed in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
