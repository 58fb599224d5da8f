# SPDX-License-Identifier: Apache-2.0
"""Passwords: how they are made, what a new one must be, and how they are kept.

Kept is what scrypt makes of them, in 8 MiB of memory and ten rounds: the parameters of OWASP's list that need the least
memory. One is computed at a time, in a child process, so that guesses can't fill the memory.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from functools import partial

from services.commissioning.isolated import isolated

__all__ = [
    "LEAST_CHARACTERS",
    "MOST_CHARACTERS",
    "BusyError",
    "Hasher",
    "generate",
    "new_token",
    "problem",
    "token_hash",
]

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 128
MOST_WAITING = 8
_N, _R, _P = 2**13, 8, 10
_MOST_MEMORY = 2 * 128 * _N * _R
_SALT_BYTES = _HASH_BYTES = 16
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without what looks alike on a label: 32 characters, five bits each."""
_GROUPS, _GROUP = 3, 4
_TOKEN_PREFIX = "bw_"


class BusyError(Exception):
    """Too many passwords wait to be checked."""


class Hasher:
    """Computes one hash at a time; raises `BusyError` when many wait."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._nobodys = _format(_SALT_BYTES * b"\0", _HASH_BYTES * b"\0")

    async def hash(self, password: str) -> str:
        salt = secrets.token_bytes(_SALT_BYTES)
        return _format(salt, await self._compute(password, salt))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether `kept` was made of this password; takes as long if nothing is kept."""
        _, salt, expected = (kept or self._nobodys).split("$")
        found = await self._compute(password, base64.b64decode(salt))
        return hmac.compare_digest(found, base64.b64decode(expected)) and kept is not None

    async def _compute(self, password: str, salt: bytes) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._lock:
                return await isolated(partial(_scrypt, password.encode(), salt))
        finally:
            self._waiting -= 1


def _scrypt(password: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=_N, r=_R, p=_P, maxmem=_MOST_MEMORY, dklen=_HASH_BYTES)


def _format(salt: bytes, found: bytes) -> str:
    return f"scrypt-{_N}-{_R}-{_P}${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


def generate() -> str:
    """A password for a label: 60 bits, in groups, such as `7KQM-X2RP-9VTA`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def problem(password: str, *, known: tuple[str, ...]) -> str | None:
    """What is wrong with a new password; `known` are words that others can read on the station."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        return f"expected {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters"
    if not password.isprintable():
        return "there is a character in it that can't be typed"
    if len(set(password)) < 5:
        return "expected at least five different characters"
    folded = password.casefold()
    if any(len(word) > 3 and word.casefold() in folded for word in known):
        return "there is a word in it that everybody can read on the station"
    return None


def new_token() -> str:
    """For scripts: 256 bits."""
    return _TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """A token is random, so a plain hash is enough to keep it by."""
    return hashlib.sha256(token.encode()).hexdigest()
