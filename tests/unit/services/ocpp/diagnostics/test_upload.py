# SPDX-License-Identifier: Apache-2.0
"""Log uploads: where the file goes, and how each one ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.ocpp.background import Outcome, Progress
from services.ocpp.diagnostics.period import Period
from services.ocpp.diagnostics.upload import LogUpload, LogUploads, NotUploaded, UploadAttempt, Uploaded
from services.ocpp.message_log import Formatter, MessageLog, Redaction, open_file
from services.ocpp.security_log import SecurityLog
from services.ocpp.transfer import Remote, Rules, Transfers
from services.ocpp.transfer.trust import Trust
from tests.support.clock import ManualClock
from tests.support.diagnostics import contents, write_logs
from tests.support.file_servers import RawServer, raw_server
from tests.support.tls import make_files, server_context

ALWAYS = Period()
SECRET = 'Pl4nted "secret" ü'
OK = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return write_logs(tmp_path / "log")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(certificates: Path) -> AsyncIterator[RawServer]:
    async with raw_server(server_context(certificates)) as raw:
        raw.answers = [OK]
        yield raw


@pytest.fixture
def messages(tmp_path: Path) -> MessageLog:
    return MessageLog(open_file(tmp_path), Formatter(Redaction([]), lambda now: now), clock=ManualClock())


@pytest.fixture
def worker(tmp_path: Path, logs: Path, messages: MessageLog, certificates: Path) -> LogUploads:
    security_log = SecurityLog(tmp_path / "security.log")
    security_log.check(None)
    security_log.record("StartupOfTheDevice", time="2026-11-24T00:00:00.000Z", tech_info="PowerUp")
    trust = Trust(lambda: [(certificates / "root.pem").read_text(), "no certificate"], utc=lambda: None)
    return LogUploads(
        tmp_path / "uploads",
        logs=logs,
        messages=messages,
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


async def test_the_diagnostics_arrive(
    worker: LogUploads, messages: MessageLog, server: RawServer, tmp_path: Path
) -> None:
    """With the messages that were only in memory."""
    messages.sent('[2,"1","Heartbeat",{}]')
    assert await run(worker, order(f"{server.base}/logs/")) == ([UploadAttempt()], Uploaded())
    files = contents(server.bodies[0])
    assert "log/hal.log" in files
    assert json.loads(files["log/messages.jsonl"])["action"] == "Heartbeat"
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
