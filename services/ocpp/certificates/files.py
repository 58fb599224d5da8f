# SPDX-License-Identifier: Apache-2.0
"""Small files, written whole or not at all, and still there after a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from firmware.errors import StorageError

__all__ = ["make_folder", "remove", "rename", "write"]

_NEW = ".new"


def make_folder(path: Path) -> None:
    """For our user alone; what a power cut left half written is cleared away. Raises `StorageError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        for leftover in path.glob(f"*{_NEW}"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Replaces `path` at once and durably, readable by our user alone. Raises `StorageError`, and nothing changed."""
    new = path.with_name(path.name + _NEW)
    try:
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StorageError(f"{path.name} can't be written: {error.strerror}") from error


def rename(old: Path, new: Path) -> None:
    """Durably; `new` is replaced. Raises `StorageError`."""
    try:
        os.replace(old, new)
        _sync(new.parent)
    except OSError as error:
        raise StorageError(f"{old.name} can't be renamed: {error.strerror}") from error


def remove(path: Path) -> None:
    """Durably; nothing to do when it is gone. Raises `StorageError`."""
    try:
        path.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(f"{path.name} can't be removed: {error.strerror}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
