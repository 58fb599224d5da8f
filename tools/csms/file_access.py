# SPDX-License-Identifier: Apache-2.0
"""Ports and password of the file servers, which stay the same between starts: a station may keep a URL for days.

They are in `files.json` of the state folder, mode 0600, written when a start has chosen them.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from firmware import files
from firmware.errors import ConfigError, StorageError
from firmware.type_words import decode_json

__all__ = ["FileAccess", "keep", "kept"]


class FileAccess(Struct, frozen=True, forbid_unknown_fields=True):
    """A port of 0 is any free one."""

    https_port: int
    ftp_port: int
    password: str


def kept(path: Path, https_port: int | None, ftp_port: int | None) -> FileAccess:
    """What the last start has used, with the ports that this one names. Raises `ConfigError`."""
    try:
        last = decode_json(path.read_bytes(), FileAccess)
    except FileNotFoundError:
        last = FileAccess(0, 0, secrets.token_urlsafe(9))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; without it a start chooses new ports and a new password") from None
    named = {"https_port": https_port, "ftp_port": ftp_port}
    return msgspec.structs.replace(last, **{name: port for name, port in named.items() if port is not None})


def keep(path: Path, access: FileAccess) -> None:
    """For the next start. Raises `StorageError`."""
    try:
        files.replace(path, msgspec.json.encode(access))
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
