# SPDX-License-Identifier: Apache-2.0
"""The authorization cache (C10, C11, C12): the CSMS's latest information about each token.

Tokens are stored as hashes (C10.FR.12) and entries survive a reboot (C10.FR.02). The size is bounded in bytes, because
the CSMS decides how long the information about a token is: a new entry displaces refused tokens first, then the least
recently used one (C10.FR.07). Nothing expires while the clock is not set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

import msgspec
from msgspec import Struct

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
"""The maxLimit of AuthCacheCtrlr.Storage in the product file."""


class Entry(Struct):
    """One token's latest information; `updated` and `used` are UTC seconds."""

    info: IdTokenInfoType
    updated: float
    used: float

    @property
    def size(self) -> int:
        """Bytes on disk, with the token's hash and the times."""
        return len(msgspec.json.encode(self.info)) + _NAME_BYTES + 16


class CacheStore(Protocol):
    """The cache on disk; writes join the unit of work of the event being handled."""

    def load(self) -> dict[str, Entry]: ...

    def save(self, token: str, entry: Entry) -> None: ...

    def drop(self, token: str) -> None: ...

    def clear(self) -> None: ...


class AuthorizationCache:
    """`most` bytes at the most."""

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
        """Whether this product has a cache (C-49)."""
        return bool(self._model.find(keys.AUTH_CACHE_AVAILABLE))

    @property
    def enabled(self) -> bool:
        """C10.FR.11."""
        return self.available and bool(self._model.find(keys.AUTH_CACHE_ENABLED))

    def find(self, id_token: IdTokenType, now: float) -> IdTokenInfoType | None:
        """The information about a token, or None; an expired entry is removed (C10.FR.10, C10.FR.13)."""
        name = _name(id_token)
        entry = self._entries.get(name) if self.enabled else None
        if entry is None:
            return None
        if self._is_expired(entry, now):
            self._drop(name)
            return None
        entry.used = self._time.utc(now)
        return entry.info

    def learn(self, id_token: IdTokenType, info: IdTokenInfoType, now: float) -> None:
        """C10.FR.04, C10.FR.05: store what the CSMS sent about a token, whatever its status (C10.FR.01).

        Not of tokens of type Central (C05.FR.02).
        """
        if not self.enabled or id_token["type"] in ("Central", "NoAuthorization"):
            return
        utc = self._time.utc(now)
        entry = Entry(_storable(info), utc, utc)
        name = _name(id_token)
        self._drop(name)
        if self._is_expired(entry, now):
            return
        self._entries[name] = entry
        self._bytes += entry.size
        self._store.save(name, entry)
        while self._bytes > self._most:
            self._make_room()
        self._report_size()

    def about(self, id_token: IdTokenType) -> list[IdTokenInfoType]:
        """N09.FR.05: the information stored about this token, whether the cache is enabled or not."""
        entry = self._entries.get(_name(id_token))
        return [] if entry is None else [entry.info]

    def about_group(self, group: str) -> list[IdTokenInfoType]:
        """The same of all tokens of a group."""
        return [entry.info for entry in self._entries.values() if _is_in(entry, group)]

    def forget(self, id_token: IdTokenType) -> None:
        """N10.FR.03: remove the entry of this token, whether the cache is enabled or not."""
        self._drop(_name(id_token))

    def forget_group(self, group: str) -> None:
        """The same of all tokens of a group."""
        for name in [name for name, entry in self._entries.items() if _is_in(entry, group)]:
            self._drop(name)

    def saved(self) -> Callable[[], None]:
        """A function that puts back, also on disk, what was removed since this call."""
        entries = dict(self._entries)

        def put_back() -> None:
            for name in entries.keys() - self._entries.keys():
                self._entries[name] = entries[name]
                self._bytes += entries[name].size
                self._store.save(name, entries[name])
            self._report_size()

        return put_back

    def clear(self) -> bool:
        """C11.FR.03, C11.FR.04: False when the cache is not enabled."""
        if not self.enabled:
            return False
        self._entries.clear()
        self._bytes = 0
        self._store.clear()
        self._report_size()
        return True

    def _is_expired(self, entry: Entry, now: float) -> bool:
        if not self._time.is_known:
            return False
        utc = self._time.utc(now)
        until = entry.info.get("cacheExpiryDateTime")
        if until is not None:
            return utc > parse_utc(until)  # C10.FR.13
        life_time = self._model.find(keys.AUTH_CACHE_LIFE_TIME)
        return life_time is not None and utc - entry.updated > life_time  # C10.FR.10

    def _make_room(self) -> None:
        """Drop one entry; the newest only if there is no other."""
        *others, newest = self._entries
        self._drop(min(others, key=self._eviction_order, default=newest))

    def _eviction_order(self, name: str) -> tuple[bool, float]:
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


def _storable(info: IdTokenInfoType) -> IdTokenInfoType:
    """Without messages to the EV driver, which are for this presentation of the card only (C10.FR.09)."""
    return cast("IdTokenInfoType", {key: value for key, value in info.items() if key != "personalMessage"})
