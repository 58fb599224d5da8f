# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from firmware import files
from tests.support.power_cut import power_cut


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every flush and rename, in order."""
    made: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        made.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def renamed(old: Path, new: Path) -> None:
        made.append(f"{old.name} -> {new.name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_flushed_before_the_rename_and_the_folder_after_it(tmp_path: Path, calls: list[str]) -> None:
    files.replace(tmp_path / "key.pem", b"key")
    assert calls == ["content", "key.pem.new -> key.pem", "folder"]
    assert (tmp_path / "key.pem").read_bytes() == b"key"
    assert names(tmp_path) == ["key.pem"]


def test_without_durability_nothing_is_flushed(tmp_path: Path, calls: list[str]) -> None:
    files.replace(tmp_path / "world.json", b"{}", durable=False)
    assert calls == ["world.json.new -> world.json"]


@pytest.mark.parametrize("step", [0, 1])
def test_power_cut_before_the_rename_leaves_the_old_file(tmp_path: Path, step: int) -> None:
    path = tmp_path / "boot.json"
    files.replace(path, b"old")
    with power_cut(step):
        files.replace(path, b"new")
    assert path.read_bytes() == b"old"


def test_power_cut_after_the_rename_leaves_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "boot.json"
    files.replace(path, b"old")
    with power_cut(2):
        files.replace(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("step", [0, 1, 2])
def test_write_after_a_power_cut(tmp_path: Path, step: int) -> None:
    path = tmp_path / "boot.json"
    with power_cut(step):
        files.replace(path, b"a longer text")
    files.replace(path, b"short")
    assert path.read_bytes() == b"short"
    assert names(tmp_path) == ["boot.json"]


def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "root.pem"
    files.replace(path, b"old")
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        files.replace(path, bytes(101))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["root.pem"]


def test_failed_flush_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "root.pem"
    files.replace(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["root.pem"]


def test_readable_by_the_owner_alone_unless_a_mode_is_given(tmp_path: Path) -> None:
    files.replace(tmp_path / "key", b"")
    files.replace(tmp_path / "public", b"", mode=0o644)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) & 0o700 == 0o600


def test_link_in_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    (tmp_path / "key.new").symlink_to(outside)
    files.replace(tmp_path / "key", b"key")
    assert outside.read_bytes() == b"outside"
    assert (tmp_path / "key").read_bytes() == b"key"
    assert not (tmp_path / "key").is_symlink()


def test_new_file_must_not_exist(tmp_path: Path, calls: list[str]) -> None:
    files.write_new(tmp_path / "new", [b"one, ", b"two"])
    assert calls == ["content"]
    with pytest.raises(FileExistsError):
        files.write_new(tmp_path / "new", [b"three"])
    assert (tmp_path / "new").read_bytes() == b"one, two"


def test_rename_is_flushed(tmp_path: Path, calls: list[str]) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    files.rename(tmp_path / "old", tmp_path / "new")
    assert calls == ["old -> new", "folder"]
    assert (tmp_path / "new").read_text() == "old"
