# SPDX-License-Identifier: Apache-2.0
"""How one bench CSMS is set up, and what may be changed while it runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from firmware.errors import ConfigError
from tools.csms.store import Limits

__all__ = ["Behaviour", "Settings", "read_passwords"]

Registration = Literal["Accepted", "Pending", "Rejected"]


class Behaviour(Struct, frozen=True, forbid_unknown_fields=True):
    """How stations are answered; may be changed on the page and through the API."""

    boot_status: Registration = "Accepted"
    heartbeat_interval_s: Annotated[int, Meta(ge=0, le=86_400)] = 60
    accept_unknown: bool = False


@dataclass(frozen=True)
class Settings:
    """Fixed from start to end. A station that is not in `passwords` may come with any password, or none."""

    database: Path
    host: str = "127.0.0.1"
    port: int = 9000
    behaviour: Behaviour = field(default_factory=Behaviour)
    passwords: Mapping[str, str] = field(default_factory=dict)
    call_timeout_s: float = 30.0
    ping_interval_s: float = 30.0
    max_frame_bytes: int = 1024 * 1024
    max_connections: int = 200
    files: Path | None = None
    """The folder for firmware and logs (`files.py`); None: no file servers."""
    limits: Limits = field(default_factory=Limits)


def read_passwords(path: Path) -> dict[str, str]:
    """A TOML file of `identity = "password"` lines. Raises `ConfigError`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for identity, password in table.items():
        if not isinstance(password, str):
            raise ConfigError(f"{path}: {identity}: a password is a text")
    return table
