# SPDX-License-Identifier: Apache-2.0
"""What is kept of accounts, and what a power cut, a full disk or a damaged file makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.errors import ConfigError
from services.commissioning import passwords
from services.commissioning.accounts import Accounts
from services.commissioning.label import valid_password
from services.commissioning.passwords import MOST_WAITING, BusyError, Hasher
from services.commissioning.sessions import Role
from services.commissioning.throttle import Allowance, Throttle, Waits
from tests.support.commissioning import LABEL, PASSWORD, QuickHasher


async def opened(folder: Path, label: str | None = LABEL) -> Accounts:
    accounts = Accounts(folder, QuickHasher())
    await accounts.open(label)
    return accounts


async def test_a_new_station_makes_a_password_of_its_own(tmp_path: Path) -> None:
    accounts = await opened(tmp_path, None)
    made = valid_password(tmp_path)
    assert made is not None
    assert len(made) == 14
    assert await accounts.check("installer", made) is Role.INSTALLER
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())


async def test_the_label_of_the_factory_counts_at_the_first_start_alone(tmp_path: Path) -> None:
    await opened(tmp_path)
    again = await opened(tmp_path, "AAAA-BBBB-CCCC")
    assert await again.check("installer", LABEL) is Role.INSTALLER
    assert await again.check("installer", "AAAA-BBBB-CCCC") is None


async def test_nothing_readable_is_kept_of_a_password(tmp_path: Path) -> None:
    accounts = await opened(tmp_path)
    await accounts.set_password(Role.INSTALLER, PASSWORD)
    await accounts.set_password(Role.VIEWER, PASSWORD)
    kept = (tmp_path / "accounts.json").read_text()
    assert PASSWORD not in kept
    assert LABEL not in kept
    assert len({part for part in kept.split('"') if part.startswith("scrypt")}) == 3  # each with a salt of its own
    assert valid_password(tmp_path) is None


@pytest.mark.parametrize("file", ["accounts.json", "label.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"label": 1}'])
async def test_a_damaged_file_opens_no_door(tmp_path: Path, file: str, content: bytes) -> None:
    await opened(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{file} is damaged"):
        await opened(tmp_path)


async def test_a_power_cut_at_any_write_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th system call that changes the disk does not happen, nor does any after it."""
    real: dict[str, Callable[..., object]] = {name: getattr(os, name) for name in ("fsync", "replace")}
    for cut_at in range(8):
        folder = tmp_path / str(cut_at)
        folder.mkdir()
        left = cut_at
        accounts = Accounts(folder, QuickHasher())

        def call(name: str, *arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(5, "no power")
            return real[name](*arguments)

        monkeypatch.setattr(os, "fsync", lambda *a, call=call: call("fsync", *a))
        monkeypatch.setattr(os, "replace", lambda *a, call=call: call("replace", *a))
        try:
            await accounts.open(LABEL)
            await accounts.set_password(Role.INSTALLER, PASSWORD)
            set_is_done = True
        except OSError:
            set_is_done = False
        monkeypatch.undo()
        after = await opened(folder)
        works = [password for password in (LABEL, PASSWORD) if await after.check("installer", password)]
        assert len(works) == 1, cut_at
        assert works == [PASSWORD] or not set_is_done, cut_at


async def test_a_station_reset_to_its_factory_settings_has_its_label_again(tmp_path: Path) -> None:
    accounts = await opened(tmp_path)
    await accounts.set_password(Role.INSTALLER, PASSWORD)
    await accounts.set_password(Role.VIEWER, PASSWORD)
    accounts.add_token("t", Role.VIEWER, "now")
    accounts.reset()
    assert accounts.must_change
    assert not accounts.has_viewer
    assert accounts.tokens == []
    assert valid_password(tmp_path) == LABEL


# --- hashes, waits ----------------------------------------------------------------------------------------------------


async def test_a_hash_is_of_its_password_alone() -> None:
    hasher = Hasher()
    kept = await hasher.hash("a password")
    assert await hasher.matches("a password", kept)
    assert not await hasher.matches("another password", kept)
    assert not await hasher.matches("a password", None)


async def test_no_more_than_a_few_wait_for_their_hash() -> None:
    hasher = Hasher()
    hasher._waiting = MOST_WAITING
    with pytest.raises(BusyError):
        await hasher.hash("x")


def test_generated_passwords_differ_and_are_easy_to_read() -> None:
    made = {passwords.generate() for _ in range(200)}
    assert len(made) == 200
    assert not set("".join(made)) & set("01IO")


def test_waits_double_up_to_the_longest() -> None:
    waits = Waits(free=2, first_s=10.0, most_s=60.0)
    assert [waits.after(count) for count in range(8)] == [0, 0, 0, 10, 20, 40, 60, 60]
    assert waits.after(10_000) == 60


def test_so_many_requests_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(per_s=2.0, burst=10.0)
    assert [allowance.take("a", 0.0) for _ in range(11)] == [True] * 10 + [False]
    assert allowance.take("b", 0.0)
    assert [allowance.take("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [allowance.take("a", 1000.0) for _ in range(11)] == [True] * 10 + [False]
    for number in range(1000):
        allowance.take(str(number), 1000.0)
    assert len(allowance._left) == 256


def test_the_memory_for_failures_is_bounded_and_ends() -> None:
    throttle = Throttle(Waits(free=0, first_s=10.0, most_s=60.0))
    for number in range(1000):
        throttle.failed(str(number), 0.0)
    assert len(throttle.failures()) == 256
    assert throttle.wait_s("999", 0.0) == 10
    assert throttle.wait_s("999", 90_000.0) == 0
    assert throttle.failed("999", 90_000.0) == 1
