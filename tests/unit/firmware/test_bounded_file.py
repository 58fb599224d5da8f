# SPDX-License-Identifier: Apache-2.0
"""A file of lines of bounded size: nothing is there by half."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from firmware.bounded_file import BoundedFile


@pytest.fixture
def file(tmp_path: Path) -> BoundedFile:
    return BoundedFile(tmp_path / "folder" / "x.log", 20, mode=0o600)


def test_it_is_made_with_its_folder_and_mode(file: BoundedFile) -> None:
    assert not any(path.exists() for path in file.paths)
    file.append(b"first\n")
    assert file.paths[1].read_bytes() == b"first\n"
    assert file.paths[1].stat().st_mode & 0o777 == 0o600


def test_both_parts_are_bounded(file: BoundedFile) -> None:
    for number in range(50):
        file.append(f"line {number:03d}\n".encode())
    older, newer = (path.read_bytes() for path in file.paths)
    assert older + newer == b"line 046\nline 047\nline 048\nline 049\n"
    assert sorted(file.paths[1].parent.iterdir()) == sorted(file.paths)


def test_it_continues_after_a_restart(file: BoundedFile) -> None:
    file.append(b"one\n")
    file.close()
    again = BoundedFile(file.paths[1], 20)
    again.append(b"two\n")
    assert file.paths[1].read_bytes() == b"one\ntwo\n"


def test_half_a_line_of_a_power_cut_is_ended(file: BoundedFile) -> None:
    file.append(b"one\n")
    file.close()
    file.paths[1].write_bytes(b"one\ntw")
    file.append(b"three\n")
    assert file.paths[1].read_bytes() == b"one\ntw\nthree\n"


def test_on_a_full_disk_nothing_is_written_by_half(
    file: BoundedFile, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    file.append(b"one\n")
    with full_disk(6), pytest.raises(OSError):
        file.append(b"seven\n")
    file.append(b"two\n")
    assert file.paths[1].read_bytes() == b"one\ntwo\n"


def test_a_link_is_not_followed(tmp_path: Path, file: BoundedFile) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_text("")
    file.paths[1].symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        file.append(b"one\n")
    assert (tmp_path / "target").read_text() == ""
