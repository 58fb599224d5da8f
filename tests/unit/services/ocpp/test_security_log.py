# SPDX-License-Identifier: Apache-2.0
"""The security log: an intact one is accepted, and every change is detected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.log import register_secret
from services.ocpp.security_log import CRITICAL, NOT_CRITICAL, SecurityLog, is_critical


def log_at(folder: Path, **more: int) -> SecurityLog:
    return SecurityLog(folder / "security.log", **more)


def filled(folder: Path, count: int = 10, what: str = "number", **more: int) -> str:
    log = log_at(folder, **more)
    assert log.check(None) is None
    head = ""
    for number in range(count):
        head = log.record("InvalidMessages", time="2026-11-24T00:00:00Z", tech_info=f"{what} {number}")
    log.close()
    return head


def defect(folder: Path, head: str | None, **more: int) -> str | None:
    found = log_at(folder, **more).check(head)
    return None if found is None else found.event


def lines(folder: Path) -> list[bytes]:
    return (folder / "security.log").read_bytes().splitlines(keepends=True)


def rewrite(folder: Path, new: list[bytes]) -> None:
    (folder / "security.log").write_bytes(b"".join(new))


def test_a_new_log_is_intact(tmp_path: Path) -> None:
    assert defect(tmp_path, None) is None


def test_a_log_continues_after_a_restart(tmp_path: Path) -> None:
    head = filled(tmp_path)
    log = log_at(tmp_path)
    assert log.check(head) is None
    log.record("StartupOfTheDevice", time="2026-11-24T00:00:00Z", tech_info="PowerUp")
    assert [json.loads(line)["seq"] for line in lines(tmp_path)] == list(range(1, 12))
    assert json.loads(lines(tmp_path)[-1])["critical"] is True


def test_lines_after_the_stored_head_are_accepted(tmp_path: Path) -> None:
    """The power failed between the line and the commit of the database."""
    head = filled(tmp_path)
    log = log_at(tmp_path)
    log.check(head)
    log.record("ResetOrReboot", time="2026-11-24T00:00:00Z", tech_info="")
    log.close()
    assert defect(tmp_path, head) is None


def test_a_torn_last_line_is_no_defect(tmp_path: Path) -> None:
    head = filled(tmp_path)
    with (tmp_path / "security.log").open("ab") as file:
        file.write(b'{"seq":11,"ti')
    log = log_at(tmp_path)
    assert log.check(head) is None
    log.record("ResetOrReboot", time="2026-11-24T00:00:00Z", tech_info="")
    assert len(lines(tmp_path)) == 11


def test_a_changed_line(tmp_path: Path) -> None:
    head = filled(tmp_path)
    (tmp_path / "security.log").write_bytes(b"".join(lines(tmp_path)).replace(b"number 4", b"number 5"))
    assert defect(tmp_path, head) == "SecurityLogBroken"


def test_a_line_taken_out(tmp_path: Path) -> None:
    head = filled(tmp_path)
    rewrite(tmp_path, [line for number, line in enumerate(lines(tmp_path)) if number != 4])
    assert defect(tmp_path, head) == "SecurityLogBroken"


def test_the_last_line_changed(tmp_path: Path) -> None:
    head = filled(tmp_path)
    all_lines = lines(tmp_path)
    rewrite(tmp_path, [*all_lines[:-1], all_lines[-1].replace(b"number 9", b"number 8")])
    assert defect(tmp_path, head) == "SecurityLogBroken"


def test_the_end_cut_off(tmp_path: Path) -> None:
    head = filled(tmp_path)
    rewrite(tmp_path, lines(tmp_path)[:-2])
    assert defect(tmp_path, head) == "SecurityLogWasCleared"


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_all_of_it_gone(tmp_path: Path, how: str) -> None:
    head = filled(tmp_path)
    if how == "removed":
        (tmp_path / "security.log").unlink()
    else:
        rewrite(tmp_path, [])
    assert defect(tmp_path, head) == "SecurityLogWasCleared"


def test_a_whole_new_chain_in_its_place(tmp_path: Path) -> None:
    """Consistent in itself, but not written by this station."""
    head = filled(tmp_path)
    (tmp_path / "security.log").unlink()
    filled(tmp_path / "forged", 20, what="forged")
    rewrite(tmp_path, (tmp_path / "forged" / "security.log").read_bytes().splitlines(keepends=True))
    assert defect(tmp_path, head) == "SecurityLogBroken"


def test_a_defect_is_reported_once(tmp_path: Path) -> None:
    head = filled(tmp_path)
    rewrite(tmp_path, lines(tmp_path)[:3] + lines(tmp_path)[5:])
    log = log_at(tmp_path)
    found = log.check(head)
    assert found is not None
    head = log.record(found.event, time="2026-11-24T00:00:00Z", tech_info=found.text)
    log.close()
    assert defect(tmp_path, head) is None
    assert int(head.split(":")[0]) == 11


def test_it_is_bounded_and_rotates_in_one_chain(tmp_path: Path) -> None:
    head = filled(tmp_path, 200, file_bytes=2000, files=3)
    files = log_at(tmp_path, file_bytes=2000, files=3).files()
    assert [file.name for file in files] == ["security.log.2", "security.log.1", "security.log"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert defect(tmp_path, head, file_bytes=2000, files=3) is None
    (tmp_path / "security.log.1").unlink()
    assert defect(tmp_path, head, file_bytes=2000, files=3) == "SecurityLogBroken"


def test_where_it_begins(tmp_path: Path) -> None:
    log = log_at(tmp_path, file_bytes=1000, files=2)
    assert log.begins() is None
    for hour in range(10, 22):
        log.record("InvalidMessages", time=f"2026-11-24T{hour}:00:00Z", tech_info="x")
    kept = [json.loads(line) for path in log.files() for line in path.read_bytes().splitlines()]
    assert log.begins() == kept[0]["time"] > "2026-11-24T10:00:00Z"
    log.files()[0].write_bytes(b"damaged\n")
    assert log.begins() == json.loads(lines(tmp_path)[0])["time"]


def test_only_we_may_read_it(tmp_path: Path) -> None:
    filled(tmp_path)
    assert (tmp_path / "security.log").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_can_not_be_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "not yet"
    folder.write_text("a file where the folder should be")
    log = log_at(folder)
    log.check(None)
    log.record("InvalidMessages", time="2026-11-24T00:00:00Z", tech_info="first")
    folder.unlink()
    head = log.record("InvalidMessages", time="2026-11-24T00:00:00Z", tech_info="second")
    log.close()
    assert len(lines(folder)) == 2
    assert defect(folder, head) is None


def test_no_secret_and_no_forged_line(tmp_path: Path) -> None:
    register_secret("Pl4ntedInSecurityLog")
    log = log_at(tmp_path)
    log.check(None)
    info = 'password=Pl4ntedInSecurityLog\n{"seq":99}\r\x1b[31m' + "x" * 5000
    head = log.record("InvalidMessages", time="2026-11-24T00:00:00Z", tech_info=info)
    assert len(lines(tmp_path)) == 1
    assert b"Pl4nted" not in lines(tmp_path)[0]
    assert len(lines(tmp_path)[0]) < 2000
    assert defect(tmp_path, head) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_changed_byte_is_detected(tmp_path: Path, position: int, byte: int) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    head = filled(folder, 5)
    data = bytearray((folder / "security.log").read_bytes())
    position %= len(data)
    if data[position] == byte:
        return
    data[position] = byte
    (folder / "security.log").write_bytes(data)
    assert defect(folder, head) in ("SecurityLogBroken", "SecurityLogWasCleared")


def test_critical_or_not() -> None:
    assert is_critical("MemoryExhaustion")
    assert not is_critical("InvalidMessages")
    assert is_critical("DatabaseReplaced")  # not in the appendix
    assert not CRITICAL & NOT_CRITICAL
    assert len(CRITICAL | NOT_CRITICAL) == 20  # the count in the appendix
