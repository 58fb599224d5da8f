# SPDX-License-Identifier: Apache-2.0
"""Names of users and groups in settings, as the numbers by which the kernel knows the peers of a socket."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterable

from firmware.errors import ConfigError

__all__ = ["gid_of", "uids_of"]


def uids_of(names: Iterable[str], where: object) -> frozenset[int]:
    """The users' uids; raises `ConfigError` for a user that this machine does not have."""
    return frozenset(_uid(name, where) for name in names)


def _uid(name: str, where: object) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigError(f"{where}: there is no user {name} on this machine") from None


def gid_of(name: str) -> int | None:
    """The group's number; None if this machine does not have it."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
