# SPDX-License-Identifier: Apache-2.0
"""Who may sign in: the installer, a viewer if there is one, and tokens for scripts.

    label.json      what the cabinet's label says (`label.py`)
    accounts.json   hashes of the passwords and tokens in force
    failures.json   who has guessed wrongly too often

Each is written as a whole: after a power cut there is the old one or the new one. One that can't be read is an error,
never an empty one: a damaged file must not bring back the password of the label.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from firmware import files
from firmware.errors import ConfigError
from firmware.log import register_secret
from services.commissioning import passwords
from services.commissioning.label import ACCOUNTS, LABEL, Label
from services.commissioning.passwords import Hasher
from services.commissioning.sessions import Role
from services.commissioning.throttle import Throttle

__all__ = ["MOST_TOKENS", "Accounts", "Failures", "Token"]

MOST_TOKENS = 16
_T = TypeVar("_T", bound=Struct)


class Token(Struct, frozen=True):
    """A token for scripts, without the token itself."""

    id: str
    name: str
    role: Role
    created: str
    hash: str


class _Kept(Struct, frozen=True):
    label: str
    """The hash of the label's password."""
    installer: str | None = None
    """None: that of the label, which is to be changed."""
    viewer: str | None = None
    tokens: list[Token] = field(default_factory=list)


class Accounts:
    """The accounts in `folder`. Methods that change something raise `OSError`, and then nothing is changed."""

    def __init__(self, folder: Path, hasher: Hasher) -> None:
        self._file = folder / ACCOUNTS
        self._label = folder / LABEL
        self._hasher = hasher
        self._kept = _Kept("")

    async def open(self, label_password: str | None) -> None:
        """Read the accounts, or make those of a new station, whose label says `label_password` or a random one.

        Raises `ConfigError`, `OSError`.
        """
        kept = _read(self._file, _Kept)
        if kept is None:
            # A label without accounts: a power cut between the two writes, or a factory reset.
            new = _read(self._label, Label) or Label(label_password or passwords.generate())
            files.replace(self._label, msgspec.json.encode(new))
            kept = _Kept(await self._hasher.hash(new.commissioning_password))
            self._store(kept)
        self._kept = kept
        label = _read(self._label, Label)
        if label is not None:
            register_secret(label.commissioning_password)

    def _store(self, kept: _Kept) -> None:
        files.replace(self._file, msgspec.json.encode(kept))
        self._kept = kept

    @property
    def must_change(self) -> bool:
        """Whether the installer's password is that of the label."""
        return self._kept.installer is None

    @property
    def has_viewer(self) -> bool:
        return self._kept.viewer is not None

    @property
    def tokens(self) -> list[Token]:
        return self._kept.tokens

    async def check(self, user: str, password: str) -> Role | None:
        """The role of the user with this password; None for a wrong one, and as slowly for a user that is not."""
        kept = {Role.INSTALLER: self._kept.installer or self._kept.label, Role.VIEWER: self._kept.viewer}
        role = next((each for each in Role if each.value == user), None)
        matches = await self._hasher.matches(password, kept[role] if role else None)
        return role if matches else None

    async def is_labels(self, password: str) -> bool:
        return await self._hasher.matches(password, self._kept.label)

    async def set_password(self, role: Role, password: str) -> None:
        kept = await self._hasher.hash(password)
        self._store(msgspec.structs.replace(self._kept, **{role.value: kept}))

    def remove_viewer(self) -> None:
        self._store(msgspec.structs.replace(self._kept, viewer=None))

    def add_token(self, name: str, role: Role, created: str) -> tuple[Token, str]:
        """Returns what is kept of it, and the token, which nobody can read again."""
        secret = passwords.new_token()
        token = Token(secrets.token_hex(4), name, role, created, passwords.token_hash(secret))
        self._store(msgspec.structs.replace(self._kept, tokens=[*self.tokens, token]))
        return token, secret

    def remove_token(self, token_id: str) -> bool:
        left = [each for each in self.tokens if each.id != token_id]
        found = len(left) < len(self.tokens)
        if found:
            self._store(msgspec.structs.replace(self._kept, tokens=left))
        return found

    def token(self, secret: str) -> Token | None:
        """A hash of 256 random bits can't be guessed by timing its comparison."""
        found = passwords.token_hash(secret)
        return next((each for each in self.tokens if each.hash == found), None)

    def reset(self) -> None:
        """As new: the password of the label, which is to be changed; no viewer and no tokens."""
        self._store(_Kept(self._kept.label))


class Failures:
    """Wrong passwords by address and by account; those who have to wait, have to wait again after a restart."""

    def __init__(self, folder: Path, addresses: Throttle, accounts: Throttle) -> None:
        self._file = folder / "failures.json"
        self.addresses = addresses
        self.accounts = accounts

    def open(self, now: float) -> None:
        """What can't be read counts as none: this file alone opens no door."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=dict[str, dict[str, int]])
        except (OSError, msgspec.DecodeError):
            return
        self.addresses.restore(kept.get("addresses", {}), now)
        self.accounts.restore(kept.get("accounts", {}), now)

    def wait_s(self, address: str, user: str, now: float) -> int:
        return max(self.addresses.wait_s(address, now), self.accounts.wait_s(user, now))

    def failed(self, address: str, user: str, now: float) -> None:
        before = self._state()
        self.addresses.failed(address, now)
        self.accounts.failed(user, now)
        self._save(before)

    def succeeded(self, address: str, user: str) -> None:
        before = self._state()
        self.addresses.succeeded(address)
        self.accounts.succeeded(user)
        self._save(before)

    def _state(self) -> dict[str, dict[str, int]]:
        return {"addresses": self.addresses.failures(), "accounts": self.accounts.failures()}

    def _save(self, before: dict[str, dict[str, int]]) -> None:
        state = self._state()
        if state != before:
            try:
                files.replace(self._file, msgspec.json.encode(state), durable=False)
            except OSError:  # a full disk: they count until the restart
                return


def _read(path: Path, kind: type[_T]) -> _T | None:
    """None if there is no such file; raises `ConfigError` for one that can't be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError:
        raise ConfigError(
            f"{path} is damaged: remove it, and the password of the label counts again (nobody else can do that)"
        ) from None
