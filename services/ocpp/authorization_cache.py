# SPDX-License-Identifier: Apache-2.0
"""The authorization cache (C10, C11, C12): what the CSMS last said of each token.

Tokens are kept as hashes (C10.FR.12), entries survive a reboot (C10.FR.02), and room is made for a new one by dropping
refused tokens first and then the one that was used longest ago (C10.FR.07): the CSMS decides how much it says of a
token, so that it is bytes that are bounded. Nothing expires on a clock that is not set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from firmware.clock import parse_utc
from services.ocpp.device_model import keys
from services.ocpp.id_tokens import is_group, token_key

if TYPE_CHECKING:
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.messages import IdTokenInfoType, IdTokenType
    from services.ocpp.station_time import StationTime

__all__ = ["AuthorizationCache", "CacheStore", "Entry"]

_NAME_BYTES = hashlib.sha256().digest_size * 2
_MOST_BYTES = 1_000_000
"""As AuthCacheCtrlr.Storage has its maxLimit in the product file."""


@dataclass(slots=True)
class Entry:
    """One token's latest information; `updated` and `used` are UTC seconds."""

    info: IdTokenInfoType
    updated: float
    used: float

    @property
    def size(self) -> int:
        """Bytes, as they lie on disk, with the token's hash and the times."""
        return len(msgspec.json.encode(self.info)) + _NAME_BYTES + 16


class CacheStore(Protocol):
    """The cache's disk; writes join the unit of work of the event being handled."""

    def load(self) -> dict[str, Entry]: ...

    def save(self, token: str, entry: Entry) -> None: ...

    def drop(self, token: str) -> None: ...

    def clear(self) -> None: ...


class AuthorizationCache:
    """`most`: how many bytes are remembered."""

    def __init__(self, store: CacheStore, model: DeviceModel, time: StationTime, *, most: int = _MOST_BYTES) -> None:
        self._store = store
        self._model = model
        self._time = time
        self._most = most
        self._entries = store.load() if self.available else {}
        self._bytes = sum(entry.size for entry in self._entries.values())
        self._report_size()

    @property
    def available(self) -> bool:
        """Does this product have a cache (C-49)?"""
        return bool(self._model.find(keys.AUTH_CACHE_AVAILABLE))

    @property
    def enabled(self) -> bool:
        """C10.FR.11."""
        return self.available and bool(self._model.find(keys.AUTH_CACHE_ENABLED))

    def find(self, id_token: IdTokenType, now: float) -> IdTokenInfoType | None:
        """What is known of a token, or None; an entry whose time is over is forgotten (C10.FR.10, C10.FR.13)."""
        name = _name(id_token)
        entry = self._entries.get(name) if self.enabled else None
        if entry is None:
            return None
        if self._is_over(entry, now):
            self._drop(name)
            return None
        entry.used = self._time.utc(now)
        return entry.info

    def learn(self, id_token: IdTokenType, info: IdTokenInfoType, now: float) -> None:
        """C10.FR.04, C10.FR.05: the CSMS said this of a token; tokens of type Central are not kept (C05.FR.02)."""
        if not self.enabled or id_token["type"] in ("Central", "NoAuthorization"):
            return
        utc = self._time.utc(now)
        entry = Entry(_kept(info), utc, utc)
        name = _name(id_token)
        self._drop(name)
        if self._is_over(entry, now):
            return
        self._entries[name] = entry
        self._bytes += entry.size
        self._store.save(name, entry)
        while self._bytes > self._most:
            self._make_room()
        self._report_size()

    def about(self, id_token: IdTokenType) -> list[IdTokenInfoType]:
        """N09.FR.05: what is kept about this token, whether the cache is in use or not."""
        entry = self._entries.get(_name(id_token))
        return [] if entry is None else [entry.info]

    def about_group(self, group: str) -> list[IdTokenInfoType]:
        """The same of all tokens of a group."""
        return [entry.info for entry in self._entries.values() if _is_in(entry, group)]

    def forget(self, id_token: IdTokenType) -> None:
        """N10.FR.03: nothing is kept about this token any more, whether the cache is in use or not."""
        self._drop(_name(id_token))

    def forget_group(self, group: str) -> None:
        """The same of all tokens of a group."""
        for name in [name for name, entry in self._entries.items() if _is_in(entry, group)]:
            self._drop(name)

    def clear(self) -> bool:
        """C11.FR.03, C11.FR.04: False when the cache is not enabled."""
        if not self.enabled:
            return False
        self._entries.clear()
        self._bytes = 0
        self._store.clear()
        self._report_size()
        return True

    def _is_over(self, entry: Entry, now: float) -> bool:
        if not self._time.is_known:
            return False
        utc = self._time.utc(now)
        until = entry.info.get("cacheExpiryDateTime")
        if until is not None:
            return utc > parse_utc(until)  # C10.FR.13
        life_time = self._model.find(keys.AUTH_CACHE_LIFE_TIME)
        return life_time is not None and utc - entry.updated > life_time  # C10.FR.10

    def _make_room(self) -> None:
        """The newest goes last, and then only when it alone is too much."""
        *others, newest = self._entries
        self._drop(min(others, key=self._worth, default=newest))

    def _worth(self, name: str) -> tuple[bool, float]:
        entry = self._entries[name]
        return entry.info["status"] == "Accepted", entry.used

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= entry.size
            self._store.drop(name)
            self._report_size()

    def _report_size(self) -> None:
        if self._model.has(keys.AUTH_CACHE_STORAGE):
            self._model.put(keys.AUTH_CACHE_STORAGE, self._bytes)  # part 2, 2.4: in bytes


def _name(id_token: IdTokenType) -> str:
    """The token's key as it is stored: hashed (C10.FR.12)."""
    return hashlib.sha256(token_key(id_token).encode()).hexdigest()


def _is_in(entry: Entry, group: str) -> bool:
    return is_group(entry.info.get("groupIdToken"), group)


def _kept(info: IdTokenInfoType) -> IdTokenInfoType:
    """Without messages to the driver, which belong to the moment (C10.FR.09)."""
    kept: Any = {key: value for key, value in info.items() if key != "personalMessage"}
    return kept  # type: ignore[no-any-return]
