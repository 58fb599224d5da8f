# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import resource
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.errors import ConfigError
from tools.fleet import machine


class _Usage(NamedTuple):
    free: int


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits that were set; the present ones are 1024 and 4096."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: found.append(limit))
    return found


def test_the_soft_limit_of_open_files_is_raised_as_far_as_needed(limits: list[tuple[int, int]]) -> None:
    machine.allow_files(10)
    assert limits == []
    machine.allow_files(200)
    assert limits == [(3500, 4096)]


def test_a_hard_limit_that_is_too_low_is_named(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(
        ConfigError, match=r"500 stations in a process need 8300 open files, and this user may have 4096"
    ):
        machine.allow_files(500)
    assert limits == []


def test_the_state_is_in_memory_if_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    memory.mkdir()
    monkeypatch.setattr(machine, "_MEMORY", memory)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(disk))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(200_000_000))
    assert machine.state_folder(None, 10).parent == memory
    assert machine.state_folder(None, 20).parent == disk
    assert machine.state_folder(tmp_path / "mine", 20).parent == tmp_path / "mine"


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--state .*file/below: Not a directory"):
        machine.state_folder(tmp_path / "file" / "below", 1)
