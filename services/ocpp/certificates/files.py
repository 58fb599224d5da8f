# SPDX-License-Identifier: Apache-2.0
"""Small files, written whole or not at all, and still there after a power cut."""

from __future__ import annotations

from pathlib import Path

from firmware import files
from firmware.errors import StorageError

__all__ = ["make_folder", "remove", "rename", "write"]


def make_folder(path: Path) -> None:
    """For our user alone; what a power cut left half written is cleared away. Raises `StorageError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        for leftover in path.glob(f"*{files.NEW_SUFFIX}"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Replaces `path` at once and durably, readable by our user alone. Raises `StorageError`, and nothing changed."""
    try:
        files.replace(path, content)
    except OSError as error:
        raise StorageError(f"{path.name} can't be written: {error.strerror}") from error


def rename(old: Path, new: Path) -> None:
    """Durably; `new` is replaced. Raises `StorageError`."""
    try:
        files.rename(old, new)
    except OSError as error:
        raise StorageError(f"{old.name} can't be renamed: {error.strerror}") from error


def remove(path: Path) -> None:
    """Durably; nothing to do when it is gone. Raises `StorageError`."""
    try:
        path.unlink(missing_ok=True)
        files.sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path.name} can't be removed: {error.strerror}") from error
