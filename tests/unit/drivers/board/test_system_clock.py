# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from drivers.board.system_clock import SystemTime
from firmware.clock import CLOCK_FLOOR
from tests.support.clock import ManualClock


def _rtc(root: Path, since_epoch: str, *, number: int = 0, hctosys: int = 1) -> None:
    folder = root / f"sys/class/rtc/rtc{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "since_epoch").write_text(f"{since_epoch}\n")
    (folder / "hctosys").write_text(f"{hctosys}\n")


def _synchronise(root: Path) -> None:
    folder = root / "run/systemd/timesync"
    folder.mkdir(parents=True)
    (folder / "synchronized").touch()


def test_clock_is_set_by_an_rtc_that_has_kept_its_time(tmp_path: Path) -> None:
    _rtc(tmp_path, "1800000000")
    read = SystemTime(tmp_path, ManualClock(50.0, utc=1_800_000_000.5), "system").read()
    assert (read.mono_s, read.utc_s, read.is_set, read.synchronised) == (50.0, 1_800_000_000.5, True, False)


@pytest.mark.parametrize("since_epoch", ["0", "946684800", str(int(CLOCK_FLOOR) - 1), "9999999999", "", "garbage"])
def test_rtc_that_was_without_power_does_not_set_it(tmp_path: Path, since_epoch: str) -> None:
    _rtc(tmp_path, since_epoch)
    assert not SystemTime(tmp_path, ManualClock(), "system").read().is_set


def test_without_rtc_it_is_set_when_it_is_synchronised(tmp_path: Path) -> None:
    time = SystemTime(tmp_path, ManualClock(), "system")
    assert not time.read().is_set
    _synchronise(tmp_path)
    time.update()
    assert time.read().is_set
    assert time.read().synchronised


def test_loss_of_the_time_server_does_not_unset_it(tmp_path: Path) -> None:
    _synchronise(tmp_path)
    time = SystemTime(tmp_path, ManualClock(), "system")
    (tmp_path / "run/systemd/timesync/synchronized").unlink()
    time.update()
    assert (time.read().is_set, time.read().synchronised) == (True, False)


@pytest.mark.parametrize("utc_s", [0.0, 946_684_800.0, CLOCK_FLOOR - 1.0])
def test_impossible_utc_is_not_set_whatever_the_rtc_says(tmp_path: Path, utc_s: float) -> None:
    _rtc(tmp_path, "1800000000")
    assert not SystemTime(tmp_path, ManualClock(utc=utc_s), "system").read().is_set


def test_rtc_from_which_the_kernel_sets_its_clock_is_taken(tmp_path: Path) -> None:
    _rtc(tmp_path, "0", number=0, hctosys=0)
    _rtc(tmp_path, "1800000000", number=1)
    assert SystemTime(tmp_path, ManualClock(), "system").read().is_set


def test_time_by_the_rtc_follows_its_steps_only(tmp_path: Path) -> None:
    clock = ManualClock(utc=1_800_000_000.0)
    _rtc(tmp_path, "1800003600")
    time = SystemTime(tmp_path, clock, "rtc")
    assert time.read().utc_s == pytest.approx(1_800_003_600.0, abs=0.6)
    before = time.read().utc_s
    clock.advance(0.9)
    time.update()
    assert time.read().utc_s == before + 0.9
    _rtc(tmp_path, "946684800")
    time.update()
    assert time.read().utc_s == pytest.approx(946_684_800.0, abs=1.0)
    assert not time.read().is_set


def test_kernel_is_asked_on_a_board() -> None:
    assert SystemTime(Path("/"), ManualClock(), "system").read().synchronised in (True, False)
