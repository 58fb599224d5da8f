# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.board.watchdog import Watchdog, set_timeout
from firmware.errors import DeviceLost


@pytest.fixture
def device(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO, and the end from which the hardware reads."""
    path = tmp_path / "watchdog"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reading
    os.close(reading)


def test_time_out_is_set_by_ioctl() -> None:
    called: list[tuple[int, int, bytes]] = []

    def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
        called.append((descriptor, request, argument))
        return bytes.fromhex("10000000")  # the hardware has chosen 16 s

    assert set_timeout(5, 15, ioctl) == 16
    assert called == [(5, 0xC0045706, bytes.fromhex("0f000000"))]


def test_is_opened_by_the_first_feeding_and_stopped_by_v(device: tuple[Path, int]) -> None:
    path, reading = device
    watchdog = Watchdog(path, 10)
    watchdog.close()
    assert os.read(reading, 10) == b""
    watchdog.feed()
    watchdog.feed()
    watchdog.close()
    assert os.read(reading, 10) == b"\0\0V"
    assert os.read(reading, 10) == b""  # closed


def test_absent_device_is_lost_until_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    watchdog = Watchdog(path, 10)
    with pytest.raises(DeviceLost, match="No such file"):
        watchdog.feed()
    os.mkfifo(path)
    with pytest.raises(DeviceLost, match="No such device"):
        watchdog.feed()
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    watchdog.feed()
    assert os.read(reading, 10) == b"\0"
    os.close(reading)
    watchdog.close()


def test_device_that_fails_is_opened_again(device: tuple[Path, int]) -> None:
    path, reading = device
    watchdog = Watchdog(path, 10)
    watchdog.feed()
    path.unlink()
    os.mkfifo(path)
    another = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.dup2(another, reading)  # nobody reads the old one any more
    os.close(another)
    with pytest.raises(DeviceLost, match="Broken pipe"):
        watchdog.feed()
    watchdog.feed()
    assert os.read(reading, 10) == b"\0"
    watchdog.close()
