# SPDX-License-Identifier: Apache-2.0
"""`firmware/files.py` for certificates and keys: every error is a `StorageError` that names the file."""

from __future__ import annotations

from pathlib import Path

from firmware import files
from firmware.errors import StorageError

__all__ = ["damage", "make_folder", "remove", "rename", "write"]


def make_folder(path: Path) -> None:
    """Make a folder for our user alone; remove files that a power cut left half written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        for leftover in path.glob(f"*{files.NEW_SUFFIX}"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Replace `path` at once and durably, readable by our user alone. After an error nothing has changed."""
    try:
        files.replace(path, content)
    except OSError as error:
        raise StorageError(f"{path.name} can't be written: {error.strerror}") from error


def rename(old: Path, new: Path) -> None:
    """Durably; `new` is replaced."""
    try:
        files.rename(old, new)
    except OSError as error:
        raise StorageError(f"{old.name} can't be renamed: {error.strerror}") from error


def remove(path: Path) -> None:
    """Durably; nothing to do when it is gone."""
    try:
        path.unlink(missing_ok=True)
        files.sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path.name} can't be removed: {error.strerror}") from error


def damage(error: Exception) -> str:
    """Why a file can't be used: the system's text, or that it is damaged."""
    return getattr(error, "strerror", None) or "damaged"
