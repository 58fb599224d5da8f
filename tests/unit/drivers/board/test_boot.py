# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from drivers.board.boot import BootRecord, Evidence, Recorder, boot_cause
from firmware.contract import BootCause

POWER_UP, LOCAL, REQUESTED, WATCHDOG = (
    BootCause.POWER_UP,
    BootCause.LOCAL_RESET,
    BootCause.REQUESTED,
    BootCause.WATCHDOG,
)


def _before(*, boot: str = "old", requested: bool = False, orderly: bool = False) -> BootRecord:
    return BootRecord(boot, BootCause.WATCHDOG, requested, orderly)


@pytest.mark.parametrize(
    ("before", "found", "cause"),
    [
        (None, Evidence(), POWER_UP),
        (None, Evidence(watchdog_status=0x20), WATCHDOG),
        (_before(), Evidence(), POWER_UP),
        (_before(), Evidence(watchdog_status=0x8120), WATCHDOG),
        (_before(), Evidence(watchdog_status=0x8100), POWER_UP),
        (_before(orderly=True), Evidence(), LOCAL),
        (_before(orderly=True), Evidence(watchdog_status=0x20), LOCAL),  # a board that restarts by its watchdog
        (_before(orderly=True), Evidence("regular power-up"), POWER_UP),
        (_before(), Evidence("reset button action"), LOCAL),
        (_before(), Evidence("watchdog timeout"), WATCHDOG),
        (_before(), Evidence("unknown reason", 0x20), WATCHDOG),
        (_before(requested=True, orderly=True), Evidence("watchdog timeout", 0x20), REQUESTED),
        (_before(boot="this", requested=True), Evidence(), WATCHDOG),  # the HAL was started again in the same boot
    ],
)
def test_cause_of_a_boot(before: BootRecord | None, found: Evidence, cause: BootCause) -> None:
    assert boot_cause(before, "this", found) is cause


def test_evidence_of_several_watchdogs(tmp_path: Path) -> None:
    for number, text in enumerate(("0\n", "0x20\n", "garbage")):
        folder = tmp_path / f"sys/class/watchdog/watchdog{number}"
        folder.mkdir(parents=True)
        (folder / "bootstatus").write_text(text)
    assert Evidence.collect(tmp_path) == Evidence(None, 0x20)
    (tmp_path / "sys/devices/platform/pmic").mkdir(parents=True)
    (tmp_path / "sys/devices/platform/pmic/power_on_reason").write_text("regular power-up\n")
    assert Evidence.collect(tmp_path) == Evidence("regular power-up", 0x20)


def test_record_outlives_boots(tmp_path: Path) -> None:
    path = tmp_path / "state/boot.json"
    first = Recorder(path, "a", Evidence())
    assert first.cause is POWER_UP
    assert not path.exists()
    first.note()
    first.note(requested=True)
    assert Recorder(path, "b", Evidence()).cause is REQUESTED
    first.note()
    assert Recorder(path, "b", Evidence()).cause is POWER_UP
    first.note(orderly=True)
    second = Recorder(path, "b", Evidence())
    assert second.cause is LOCAL
    second.note()
    assert Recorder(path, "b", Evidence(watchdog_status=0x20)).cause is LOCAL


@pytest.mark.parametrize("content", [b"", b"{", b'{"boot_id": 1}', b"\xff\xfe"])
def test_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "boot.json"
    path.write_bytes(content)
    recorder = Recorder(path, "a", Evidence())
    assert recorder.cause is POWER_UP
    recorder.note(orderly=True)
    assert Recorder(path, "b", Evidence()).cause is LOCAL


def test_record_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    recorder = Recorder(tmp_path / "file/boot.json", "a", Evidence())
    recorder.note()
    assert recorder.cause is POWER_UP
