# SPDX-License-Identifier: Apache-2.0
"""A flashed board: its first start in 1970, and what is there at the second."""

from __future__ import annotations

import pytest

from firmware.version import VERSION
from tests.support.image_lab import GIB, EmulatedBoard, Lab, Started

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]

PASSWORD = "the password of root at the console is "


def test_nothing_has_failed(board: EmulatedBoard) -> None:
    board.run("systemctl is-system-running --wait")
    assert not board.run("systemctl --failed --quiet --no-legend --plain")


def test_identity_and_password_are_made_once(board: EmulatedBoard, started: Started) -> None:
    assert len(started.machine_id) == 32
    assert board.run("cat /etc/machine-id; cmp /etc/machine-id /data/machine-id").strip() == started.machine_id
    assert board.run("journalctl --list-boots --no-pager --quiet").count("\n") == 2, "one id, so one journal"
    assert started.console.read_text("latin-1").count(PASSWORD) == 1
    assert PASSWORD not in board.console.read_text("latin-1")
    assert started.password not in board.run("journalctl --no-pager -o export; cat /proc/cmdline", limit_s=300.0)


def test_a_clock_of_1970_goes_on_from_the_last_time_that_was_known(board: EmulatedBoard, started: Started) -> None:
    assert started.floor > 1_700_000_000
    assert started.clock >= started.floor
    assert int(board.run("date +%s")) >= started.clock


def test_what_lasts_is_on_the_data_partition_and_the_root_is_read_only(board: EmulatedBoard) -> None:
    for path in ("/etc/x", "/usr/x", "/opt/baywatt/x", "/x", "/var/lib/x"):
        assert "Read-only" in board.run(f"touch {path}", check=False), path
    assert int(board.run("df --output=size -B1 /data | tail -1")) > GIB, "it has grown to the end of the disk"
    assert board.run("ls /efi/baywatt") == "", "settings of the small partition were taken over"
    assert board.run("stat -c '%U:%G %a' /etc/baywatt/station.toml").strip() == "root:baywatt 640"
    for path in ("/etc/baywatt", "/var/lib/baywatt", "/var/log", "/var/lib/chrony"):
        assert "/data[" in board.run(f"findmnt -n -o SOURCE --target {path}"), path


def test_image_says_what_it_is_made_of(board: EmulatedBoard) -> None:
    assert "bookworm" in board.run("cat /usr/share/baywatt/image.cdx.json")
    assert board.run("grep ^rauc /usr/share/baywatt/debian-packages.txt")
    assert VERSION in board.run("dpkg-query -W baywatt")
    assert "never on hardware" in board.run("cat /usr/share/baywatt/board.txt")


def test_can_buses_have_their_bit_rates_and_carry_frames(board: EmulatedBoard) -> None:
    for name, rate in (("can0", "125000"), ("can1", "500000")):
        shown = board.run(f"ip -details link show {name}")
        assert f"bitrate {rate}" in shown
        assert "state UP" in shown
    send = "while kill -0 $! 2>/dev/null; do cansend can0 123#DEADBEEF; sleep 0.2; done"
    board.run(f"timeout 60 candump -n 1 can1 >/run/frame & {send}")
    assert "DE AD BE EF" in board.run("cat /run/frame")


def test_a_session_is_charged_and_billed(board: EmulatedBoard, lab: Lab) -> None:
    def ended() -> bool:
        return any(each["ended"] and each["energy_wh"] for each in lab.bench.client.get("/api/transactions"))

    board.until(ended, "a session with energy", limit_s=600.0)
