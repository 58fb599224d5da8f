# SPDX-License-Identifier: Apache-2.0
"""Block N, diagnostics: log uploads (N01), and the log status on request (F06)."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.checks.values import Rule
from tools.conformance.peer.transcript import Message
from tools.conformance.peer.uploads import UploadServer
from tools.conformance.run.registry import case
from tools.pki import Authority, server_context

_FILLED = Rule("a name", lambda value: isinstance(value, str) and bool(value))
_RETRIES = 3
_RETRY_INTERVAL_S = 2
_LATE_S = 1.5
_FAILED = ("UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation")


@contextlib.asynccontextmanager
async def _server(t: Bench) -> AsyncIterator[UploadServer]:
    """A log server whose root the station trusts as a CSMS root (N01.FR.15)."""
    root = Authority("log server root")
    await reusable_states.certificate_installed(t, "CSMSRootCertificate", root.pem)
    async with UploadServer(server_context(root.server(), t.folder)) as server:
        yield server


async def _get_log(t: Bench, log_type: str, location: str, check: dict[str, Any], **more: Any) -> tuple[int, str]:
    """Steps 1 and 2; returns the request's id and the file's name."""
    t.step(1)
    request_id = t.new_id()
    payload = {"logType": log_type, "requestId": request_id, "log": {"remoteLocation": location}, **more}
    answer = await t.call("GetLog", payload, {"status": "Accepted", **check}, req="N01.FR.01")
    return request_id, str(answer.get("filename", ""))


async def _status(t: Bench, request_id: int, status: str | tuple[str, ...], req: str) -> Message:
    return await t.expect("LogStatusNotification", {"status": status, "requestId": request_id}, req=req, within=20)


async def _uploaded(t: Bench, server: UploadServer, log_type: str, check: dict[str, Any]) -> bytes:
    """A successful upload; returns the content of the file."""
    request_id, name = await _get_log(t, log_type, server.url, check)
    t.step(3)
    await _status(t, request_id, "Uploading", "N01.FR.08")
    t.step(5)
    await _status(t, request_id, "Uploaded", "N01.FR.09")
    content = server.files.get(name, b"")
    t.post(list(server.files) == [name] and bool(content), "N01.FR.02", f"one file arrived, with the name {name}")
    return content


@case("TC_N_25_CS")
async def tc_n_25_cs(t: Bench) -> None:
    """Red when: the response names no file, the file does not arrive, or Uploaded has another requestId."""
    async with _server(t) as server:
        content = await _uploaded(t, server, "DiagnosticsLog", {"filename": _FILLED})
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(content)) as archive:
        t.post(len(archive.getnames()) > 1, "N01.FR.04", "the diagnostics can be opened")
        return
    t.post(False, "N01.FR.04", "the diagnostics can be opened")


@case("TC_N_26_CS", limit_s=60)
async def tc_n_26_cs(t: Bench) -> None:
    """Red when: the station stops before the requested retries, or reports only some of the failures."""
    async with _server(t) as server:
        mark = t.mark()
        more = {"retries": _RETRIES, "retryInterval": _RETRY_INTERVAL_S}
        request_id, _name = await _get_log(t, "DiagnosticsLog", server.missing_url, {}, **more)
        t.step(3)
        first = await _status(t, request_id, "Uploading", "N01.FR.08")
        sent: list[Message] = [first]
        wanted_s = _RETRIES * _RETRY_INTERVAL_S
        while sent[-1].get("status") not in _FAILED or sent[-1].at - first.at < wanted_s - 0.5:
            t.step(5 if sent[-1].get("status") == "Uploading" else 3)
            sent.append(await _status(t, request_id, ("Uploading", *_FAILED), "N01.FR.10"))
        await t.never("LogStatusNotification", _RETRY_INTERVAL_S + 0.5, req="N01.FR.10", since=mark)
        lasted = sent[-1].at - first.at
        t.check(
            wanted_s - 0.2 <= lasted <= wanted_s + _LATE_S, "N01.FR.10", f"{lasted:.1f} s, not {wanted_s} s", sent[-1]
        )
        for what, statuses in (("Uploading", ("Uploading",)), ("its failure", _FAILED)):
            count = sum(message.get("status") in statuses for message in sent)
            t.check(count in (1, _RETRIES + 1), "N01.FR.10", f"{what} was sent {count} times, not 1 or {_RETRIES + 1}")
        t.post(server.attempts >= _RETRIES + 1, "N01.FR.10", "the upload was tried as often as requested")


@case("TC_N_35_CS")
async def tc_n_35_cs(t: Bench) -> None:
    """Red when: another file than the security log arrives, or one without an entry of the start of the station."""
    async with _server(t) as server:
        content = await _uploaded(t, server, "SecurityLog", {})
    with contextlib.suppress(ValueError):
        types = [json.loads(line)["type"] for line in content.decode().splitlines()]
        t.post("StartupOfTheDevice" in types, "N01.FR.03", "the start of the station is in its security log")
        return
    if t.station.own:
        t.post(False, "N01.FR.03", "the security log can be read")


@case("TC_N_36_CS")
async def tc_n_36_cs(t: Bench) -> None:
    """Red when: a second request is rejected during the upload, or the end of the first upload is not reported."""
    async with _server(t) as server:
        server.hold()
        first, _name = await _get_log(t, "DiagnosticsLog", server.url, {})
        t.step(3)
        await _status(t, first, "Uploading", "N01.FR.08")
        t.step(5)
        mark = t.mark()
        second = t.new_id()
        payload = {"logType": "DiagnosticsLog", "requestId": second, "log": {"remoteLocation": server.url}}
        answer = await t.call("GetLog", payload, {"status": "AcceptedCanceled", "filename": _FILLED}, req="N01.FR.12")
        t.step(7)
        cancelled = {"status": "AcceptedCanceled", "requestId": first}
        await t.expect("LogStatusNotification", cancelled, req="N01.FR.20", since=mark)
        t.step(9)
        await _status(t, second, "Uploading", "N01.FR.08")
        server.release()
        t.step(11)
        await _status(t, second, "Uploaded", "N01.FR.09")
        t.post(bool(server.files.get(str(answer.get("filename")))), "N01.FR.02", "the second file arrived")


@case("TC_F_16_CS")
async def tc_f_16_cs(t: Bench) -> None:
    """Red when: the status that is triggered during an upload is Idle, or has no requestId."""
    async with _server(t) as server:
        server.hold()
        request_id, _name = await _get_log(t, "DiagnosticsLog", server.url, {})
        t.step(3)
        await _status(t, request_id, "Uploading", "N01.FR.08")
        t.step(5)
        payload = {"requestedMessage": "LogStatusNotification"}
        await t.call("TriggerMessage", payload, {"status": "Accepted"}, req="F06.FR.05")
        t.step(7)
        await _status(t, request_id, "Uploading", "F06.FR.14")
        server.release()
        await _status(t, request_id, "Uploaded", "N01.FR.09")
