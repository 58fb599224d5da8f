# SPDX-License-Identifier: Apache-2.0
"""Log uploads: what is in the file, what must not be, and where it goes."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from services.ocpp.background import Outcome, Progress
from services.ocpp.diagnostics import archive
from services.ocpp.diagnostics.archive import Period, write_diagnostics, write_security_log
from services.ocpp.diagnostics.upload import LogUpload, LogUploads, NotUploaded, UploadAttempt, Uploaded
from services.ocpp.security_log import SecurityLog
from services.ocpp.transfer import Remote, Rules, Transfers
from services.ocpp.transfer.trust import Trust
from tests.support.file_servers import RawServer, raw_server
from tests.support.tls import make_files, server_context

ALWAYS = Period()
SECRET = 'Pl4nted "secret" ü'
OK = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def contents(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        files = {entry.name: opened.extractfile(entry) for entry in opened.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def write(target: Path, folder: Path | None, **more: Any) -> dict[str, str]:
    options: dict[str, Any] = {"documents": {}, "secrets": [], "period": ALWAYS, **more}
    documents = options.pop("documents")
    write_diagnostics(target, folder, documents, **options)
    return contents(target.read_bytes())


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "hal.log").write_text("2026-11-24T00:00:00.000Z INFO hal: started\n")
    (folder / "ocpp.log").write_text("2026-11-24T00:00:01.000Z INFO ocpp: started\n")
    (folder / "ocpp.log.1").write_text("2026-11-23T00:00:01.000Z INFO ocpp: older\n")
    return folder


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


def test_what_is_no_text(tmp_path: Path, logs: Path) -> None:
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


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(certificates: Path) -> AsyncIterator[RawServer]:
    async with raw_server(server_context(certificates)) as raw:
        raw.answers = [OK]
        yield raw


@pytest.fixture
def worker(tmp_path: Path, logs: Path, certificates: Path) -> LogUploads:
    security_log = SecurityLog(tmp_path / "security.log")
    security_log.check(None)
    security_log.record("StartupOfTheDevice", time="2026-11-24T00:00:00.000Z", tech_info="PowerUp")
    trust = Trust(lambda: [(certificates / "root.pem").read_text(), "no certificate"], utc=lambda: None)
    return LogUploads(
        tmp_path / "uploads",
        logs=logs,
        security_log=security_log,
        transfers=Transfers(trust, lambda: Rules(stall_s=0.5)),
    )


def order(url: str, retries: int = 0, **more: Any) -> LogUpload:
    options: dict[str, Any] = {
        "name": "diagnostics-CP001-20261124T000000Z-7.tar.gz",
        "security": False,
        "remote": Remote(url, retries, 0.0),
        "period": ALWAYS,
        "documents": {"state": {"x": 1}},
        "secrets": (SECRET,),
    }
    return LogUpload(**{**options, **more})


async def run(worker: LogUploads, order: LogUpload) -> tuple[list[Progress], Outcome]:
    """What the worker reported, and the outcome."""
    reports: list[Progress] = []
    return reports, await worker.run(order, reports.append)


async def test_the_diagnostics_arrive(worker: LogUploads, server: RawServer, tmp_path: Path) -> None:
    assert await run(worker, order(f"{server.base}/logs/")) == ([UploadAttempt()], Uploaded())
    assert "log/hal.log" in contents(server.bodies[0])
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_the_security_log_arrives(worker: LogUploads, server: RawServer) -> None:
    await run(worker, order(f"{server.base}/logs/", security=True, name="security-CP001-7.log"))
    assert json.loads(server.bodies[0])["type"] == "StartupOfTheDevice"


async def test_a_failure_has_its_kind(worker: LogUploads, server: RawServer, tmp_path: Path) -> None:
    server.answers = [b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
    reports, outcome = await run(worker, order(f"{server.base}/logs/", retries=1))
    assert (reports, outcome) == ([UploadAttempt(), UploadAttempt()], NotUploaded("permission"))
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_no_room_for_the_file(worker: LogUploads, server: RawServer, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file where the folder should be")
    assert (await run(worker, order(f"{server.base}/logs/")))[1] == NotUploaded("broken")
    assert server.heads == []


async def test_a_cancelled_upload_leaves_nothing(worker: LogUploads, server: RawServer, tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hold(_head: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reached.set()
        await asyncio.sleep(30)

    server.answers = [hold]
    task = asyncio.create_task(run(worker, order(f"{server.base}/logs/")))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_nothing_secret_is_logged_or_sent(
    worker: LogUploads, server: RawServer, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (logs / "ocpp.log").write_text(f"2026-11-24T00:00:00.000Z INFO a: the password is {SECRET}\n")
    location = server.base.replace("//", "//me:Pl4nted-url-password@") + "/logs/?sig=Pl4nted-signature"
    with caplog.at_level("DEBUG"):
        await run(worker, order(location, documents={"state": {"x": SECRET}}))
        server.answers = [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
        await run(worker, order(location))
    assert "Pl4nted" not in caplog.text
    assert "Pl4nted" not in "".join(contents(server.bodies[0]).values())
    assert "Pl4nted" not in repr(order(location))
