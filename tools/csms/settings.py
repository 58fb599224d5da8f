# SPDX-License-Identifier: Apache-2.0
"""The settings of one bench CSMS, and the behaviour that can be changed while it runs."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from firmware.config import read_toml
from firmware.errors import ConfigError
from tools.csms.store import Limits

__all__ = ["Behaviour", "Settings", "address", "reached_as", "read_passwords"]

_ANY_ADDRESS = ("0.0.0.0", "::")
Registration = Literal["Accepted", "Pending", "Rejected"]


class Behaviour(Struct, frozen=True, forbid_unknown_fields=True):
    """How stations are answered; can be changed on the page and through the API."""

    boot_status: Registration = "Accepted"
    heartbeat_interval_s: Annotated[int, Meta(ge=0, le=86_400)] = 60
    accept_unknown: bool = False
    sign_certificate: Literal["Accepted", "Rejected", "Silent"] = "Accepted"
    """The answer to a valid signing request; Silent: accepted, but no certificate follows."""


@dataclass(frozen=True)
class Settings:
    """Fixed while the bench runs. A station that is not in `passwords` may use any password.

    `security_profile` is the minimum: 0 no authentication, 1 a password, 2 TLS and a password, 3 TLS and a certificate
    of the bench's authority. 2 and 3 need a `tls_port` (0: any free one), which serves wss.
    """

    database: Path
    host: str = "127.0.0.1"
    port: int = 9000
    security_profile: int = 0
    tls_port: int | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    passwords: Mapping[str, str] = field(default_factory=dict)
    call_timeout_s: float = 30.0
    ping_interval_s: float = 30.0
    max_frame_bytes: int = 1024 * 1024
    max_connections: int = 2_000
    files: Path | None = None
    """The folder for firmware and logs (`files.py`); None: no file servers."""
    https_port: int | None = None
    ftp_port: int | None = None
    """Of the file servers; None: as at the last start, at the first any free one; 0: any free one."""
    limits: Limits = field(default_factory=Limits)


def reached_as(host: str) -> str:
    """The name by which others reach a server that listens on `host`."""
    return socket.gethostname() if host in _ANY_ADDRESS else host


def address(host: str, port: int) -> str:
    """Host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_passwords(path: Path) -> dict[str, str]:
    """A TOML file of `identity = "password"` lines. Raises `ConfigError`."""
    table = read_toml(path)
    for identity, password in table.items():
        if not isinstance(password, str):
            raise ConfigError(f"{path}: {identity}: the password must be a string")
    return table
