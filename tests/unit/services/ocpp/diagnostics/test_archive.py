# SPDX-License-Identifier: Apache-2.0
"""The files of a log upload: what they hold, and what they must not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from services.ocpp.diagnostics import archive
from services.ocpp.diagnostics.archive import write_diagnostics, write_security_log
from services.ocpp.diagnostics.period import Period
from services.ocpp.security_log import SecurityLog
from tests.support.diagnostics import contents, write_logs

ALWAYS = Period()
SECRET = 'Pl4nted "secret" ü'


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return write_logs(tmp_path / "log")


def write(target: Path, folder: Path | None, **more: Any) -> dict[str, str]:
    options: dict[str, Any] = {"documents": {}, "messages": (), "secrets": [], "period": ALWAYS, **more}
    documents = options.pop("documents")
    write_diagnostics(target, folder, documents, **options)
    return contents(target.read_bytes())


def test_the_logs_of_all_processes_and_the_documents(tmp_path: Path, logs: Path) -> None:
    files = write(tmp_path / "out.tar.gz", logs, documents={"state": {"connected": True}})
    assert set(files) == {"state.json", "log/hal.log", "log/ocpp.log", "log/ocpp.log.1"}
    assert json.loads(files["state.json"]) == {"connected": True}
    assert "hal: started" in files["log/hal.log"]
    assert (tmp_path / "out.tar.gz").stat().st_mode & 0o777 == 0o600


def test_without_log_files(tmp_path: Path) -> None:
    assert write(tmp_path / "out", None) == {}
    assert write(tmp_path / "out", tmp_path / "nowhere") == {}


def test_a_period_of_time(tmp_path: Path, logs: Path) -> None:
    lines = [f"2026-11-24T0{hour}:00:00.000Z INFO x: hour {hour}\nTraceback of {hour}\n" for hour in range(6)]
    (logs / "ocpp.log").write_text("".join(lines))
    period = Period(parse_utc("2026-11-24T02:00:00Z"), parse_utc("2026-11-24T03:00:00Z"))
    files = write(tmp_path / "out", logs, period=period)
    assert files["log/ocpp.log"] == "".join(lines[2:4])
    assert files["log/hal.log"] == ""


def test_secrets_are_taken_out_in_every_form(tmp_path: Path, logs: Path) -> None:
    url = "https://user:Pl4nted-in-url@files.example/x"
    (logs / "ocpp.log").write_text(
        f"2026-11-24T00:00:00.000Z INFO a: {SECRET}\n"
        f"2026-11-24T00:00:00.000Z INFO a: {json.dumps(SECRET)}\n"
        f"2026-11-24T00:00:00.000Z INFO a: {url} Authorization: Basic UGw0bnRlZA==\n"
        "-----BEGIN EC PRIVATE KEY-----\nPl4ntedKey\n-----END EC PRIVATE KEY-----\n"
    )
    documents = {"inventory": [{"value": SECRET}, {"url": url}]}
    files = write(tmp_path / "out", logs, documents=documents, secrets=[SECRET])
    everything = "".join(files.values())
    assert "Pl4nted" not in everything
    assert "UGw0bnRlZA" not in everything
    assert "files.example" in everything


def test_the_message_log_stays_json(tmp_path: Path, logs: Path) -> None:
    """Its lines are without secrets already, and what looks like one is none: `"idToken":"***"`."""
    line = '{"time":"2026-11-24T0%d:00:00.000Z","type":"CALL","payload":{"idToken":"***","text":"%s"}}\n'
    (tmp_path / "messages.jsonl.1").write_text(line % (1, "one"))
    (tmp_path / "messages.jsonl").write_text(line % (2, "two") + line % (3, "Pl4nted"))
    paths = (tmp_path / "messages.jsonl.1", tmp_path / "messages.jsonl")
    period = Period(parse_utc("2026-11-24T02:00:00Z"))
    files = write(tmp_path / "out", logs, messages=paths, secrets=["Pl4nted"], period=period)
    assert files["log/messages.jsonl.1"] == ""
    texts = [json.loads(each)["payload"]["text"] for each in files["log/messages.jsonl"].splitlines()]
    assert texts == ["two", "***"]
    (tmp_path / "messages.jsonl").unlink()
    (tmp_path / "messages.jsonl").symlink_to(tmp_path / "messages.jsonl.1")
    assert "log/messages.jsonl" not in write(tmp_path / "again", logs, messages=paths)


def test_only_log_files_and_no_links(tmp_path: Path, logs: Path) -> None:
    (tmp_path / "station.key").write_text("Pl4nted")
    (logs / "link.log").symlink_to(tmp_path / "station.key")
    (logs / "station.toml").write_text("Pl4nted")
    (logs / "folder.log").mkdir()
    (logs / "odd name.log").write_text("Pl4nted")
    files = write(tmp_path / "out", logs)
    assert set(files) == {"log/hal.log", "log/ocpp.log", "log/ocpp.log.1"}


def test_it_is_bounded(tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(archive, "MAX_BYTES", 1500)
    for name in ("a.log", "b.log", "c.log"):
        (logs / name).write_text("".join(f"2026-11-24T00:00:00.000Z INFO x: {n}\n" for n in range(200)))
    files = write(tmp_path / "out", logs)
    assert sum(len(text) for text in files.values()) <= 1500
    assert files["log/a.log"].endswith("x: 199\n")
    assert files["log/a.log"].startswith("2026")


def test_bytes_that_are_no_text(tmp_path: Path, logs: Path) -> None:
    (logs / "ocpp.log").write_bytes(b"\xff\xfe\x00 2026 \x80\n" * 10)
    assert "2026" in write(tmp_path / "out", logs)["log/ocpp.log"]


def test_the_security_log_keeps_its_chain(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path / "security.log", file_bytes=1000, files=3)
    log.check(None)
    for hour in range(8):
        log.record("InvalidMessages", time=f"2026-11-24T0{hour}:00:00.000Z", tech_info=f"number {hour}")
    out = tmp_path / "out.log"
    write_security_log(out, log.files(), period=ALWAYS)
    head = f"{json.loads(out.read_text().splitlines()[-1])['seq']}:"
    assert head == "8:"
    assert SecurityLog(out).check(None) is None
    write_security_log(out, log.files(), period=Period(parse_utc("2026-11-24T06:00:00Z"), None))
    assert [json.loads(line)["info"] for line in out.read_text().splitlines()] == ["number 6", "number 7"]


# --- the whole job ------------------------------------------------------------------------------------------------
