# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware.contract import BoardClock, BootCause
from tools.rig.devices.board import BoardTree, pt1000_ohm

CLOCK = BoardClock(mono_s=100.0, utc_s=1_800_000_000.7, is_set=True, synchronised=True)


@pytest.mark.parametrize(("celsius", "ohm"), [(-50.0, 803.06), (0.0, 1000.0), (50.0, 1193.97), (100.0, 1385.06)])
def test_pt1000_by_the_standards_table(celsius: float, ohm: float) -> None:
    assert pt1000_ohm(celsius) == pytest.approx(ohm, abs=0.01)


def test_files_of_a_board(tmp_path: Path) -> None:
    tree = BoardTree(tmp_path, serial_number="BW7")
    tree.boot("4f2c", BootCause.WATCHDOG)
    tree.step(CLOCK, {1: 100.0, 2: None})
    read = {
        name: (tmp_path / name).read_text()
        for name in (
            "sys/firmware/devicetree/base/serial-number",
            "proc/sys/kernel/random/boot_id",
            "sys/class/watchdog/watchdog0/bootstatus",
            "sys/devices/platform/pmic/power_on_reason",
            "sys/class/rtc/rtc0/since_epoch",
            "sys/bus/iio/devices/iio:device0/in_resistance1_raw",
            "sys/bus/iio/devices/iio:device0/in_resistance2_raw",
        )
    }
    texts = [text.rstrip("\n") for text in read.values()]
    assert texts == ["BW7\0", "4f2c", "32", "watchdog timeout", "1800000000", "11346", "32767"]
    assert (tmp_path / "run/systemd/timesync/synchronized").exists()
    tree.step(BoardClock(101.0, 946_684_800.0, is_set=False, synchronised=False), {})
    assert not (tmp_path / "run/systemd/timesync/synchronized").exists()
    assert (tmp_path / "sys/class/rtc/rtc0/since_epoch").read_text() == "946684800\n"
    tree.close()


def test_watchdog_expires_when_it_was_fed_and_is_not_any_more(tmp_path: Path) -> None:
    tree = BoardTree(tmp_path, serial_number="BW7", watchdog_timeout_s=10.0)
    tree.boot("4f2c", BootCause.POWER_UP)
    tree.step(CLOCK, {})
    assert not tree.watchdog_expired(1000.0)
    device = os.open(tmp_path / "dev/watchdog", os.O_WRONLY | os.O_NONBLOCK)
    os.write(device, b"\0")
    tree.step(CLOCK, {})
    assert (tree.watchdog_expired(109.0), tree.watchdog_expired(111.0)) == (False, True)
    os.write(device, b"V")
    tree.step(CLOCK, {})
    assert not tree.watchdog_expired(1000.0)
    os.close(device)
    tree.close()
