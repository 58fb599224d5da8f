# SPDX-License-Identifier: Apache-2.0
"""Where log lines go and what may not be in them.

One line a record, stamped in UTC, to standard error or to a file of bounded size (`FILE` and `FILE.1`). Logging never
raises into the caller: on a full disk, lines are lost and counted, and the count is written once there is room again.
Under systemd a record goes to the journal instead of standard error (`systemd_journal.py`), with the fields that the
call gives as `extra=fields(evse=1)`.

Secrets are removed from the formatted message, tracebacks included, so that no argument of a log call can leak one:
HTTP authorization, passwords in URLs, private keys in PEM, `password=`/`token=`-like pairs, and every secret passed to
`register_secret`. Control characters are shown as escapes: a remote text can't forge a line.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firmware.bounded_file import BoundedFile
from firmware.message_ids import MessageId
from firmware.systemd_journal import JournalHandler, Send, find_journal

__all__ = ["MAX_FILE_BYTES", "MAX_LINE_CHARS", "fields", "redact", "register_secret", "setup"]

MAX_FILE_BYTES = 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
_MIN_SECRET_CHARS = 4
_MAX_SECRETS = 64
_HIDDEN = "***"
_JOURNAL_FORMAT = "%(message)s"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {9: "\t", 10: "\\n", 13: "\\r"}
_QUIET_LIBRARIES = ("aioftp", "aiohttp", "asyncio", "websockets")
"""Their DEBUG lines contain whole frames, headers and answers."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)", re.S
)
_HEADER = re.compile(
    r"(?P<line_start>^(?:\S+ )?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \w+(?:\.\w+)+: )"
    r"|(?P<header>(?i:authorization)[\"']?\s{0,3}[:=,]\s{0,3})"
    r"(?:\"[^\"\r\n]*|'[^'\r\n]*|[^\"'\s][^\r\n]*)",
    re.M,
)
"""The header, or the start of a line of a log file, whose logger may be named like the header."""
_NAMED = (
    re.compile(r"\b((?i:basic|bearer)\s{1,3})(?=[^\s\"']{0,200}[0-9A-Z=+/])[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(://[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)"),
    re.compile(
        r"((?i:password|passwd|passphrase|secret|token|api_?key|private_?key)\w{0,20}[\"']?\s{0,3}[=:]\s{0,3})"
        r"(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}\])]+)",
    ),
)
_secrets: list[str] = []


def register_secret(secret: str) -> None:
    """Hide `secret` wherever it occurs from now on. The last 64 are kept; those under 4 characters are ignored."""
    if len(secret) < _MIN_SECRET_CHARS or secret in _secrets:
        return
    _secrets.append(secret)
    del _secrets[:-_MAX_SECRETS]


def redact(text: str) -> str:
    """Return `text`, of a message or of whole log lines, without its secrets; also for reports and diagnostics."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _PRIVATE_KEY.sub(_HIDDEN, text)
    text = _HEADER.sub(lambda found: found["line_start"] or found["header"] + _HIDDEN, text)
    for pattern in _NAMED:
        text = pattern.sub(r"\1" + _HIDDEN, text)
    return text


def fields(
    *,
    evse: int | None = None,
    transaction: str | None = None,
    device: str | None = None,
    message_id: MessageId | None = None,
) -> dict[str, dict[str, object]]:
    """The `extra` of a log call, or of a `LoggerAdapter`: what the journal's record can be found by."""
    given = {
        "EVSE": evse,
        "TRANSACTION": transaction,
        "DEVICE": device,
        "MESSAGE_ID": None if message_id is None else message_id.value,
    }
    return {"fields": {name: value for name, value in given.items() if value is not None}}


class _Formatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = record.message
        if len(message) > MAX_LINE_CHARS:
            message = f"{message[:MAX_LINE_CHARS]}... ({len(message)} characters)"
        record.message = redact(message).translate(_CONTROL)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return redact(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return redact(super().formatStack(stack_info))


class _FileHandler(logging.Handler):
    """Writes to a bounded file; the lines that it has no room for are counted."""

    def __init__(self, file: BoundedFile) -> None:
        super().__init__()
        self._file = file
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:
            line = f"a log line of {record.name} can't be formatted: {error!r}"
        try:
            if self._lost:
                line = f"({self._lost} lines lost before this)\n{line}"
            self._file.append(f"{line}\n".encode(errors="backslashreplace"))
            self._lost = 0
        except OSError:
            self._lost += 1

    def close(self) -> None:
        self.acquire()
        try:
            self._file.close()
        finally:
            self.release()
        super().close()


def setup(
    level: str = "INFO",
    file: Path | None = None,
    *,
    identifier: str = "baywatt",
    max_bytes: int = MAX_FILE_BYTES,
    journal: Send | None = None,
) -> None:
    """Send all log records of `level` and above to `file`, or to standard error; replaces an earlier set-up.

    `file` and `file.1` together take at most twice `max_bytes`. A process that runs under systemd logs to the journal,
    as `identifier`, instead of standard error, and also when it has a file. `journal` takes the place of systemd's.
    """
    logging.raiseExceptions = False
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in _handlers(file, identifier, max_bytes, journal or find_journal()):
        root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))


def _handlers(file: Path | None, identifier: str, max_bytes: int, journal: Send | None) -> Iterator[logging.Handler]:
    if file is not None:
        lines = _FileHandler(BoundedFile(file, max_bytes))
        lines.setFormatter(_Formatter(_FORMAT))
        yield lines
    if journal is not None:
        records = JournalHandler(journal, identifier, clean=redact)
        records.setFormatter(_Formatter(_JOURNAL_FORMAT))
        yield records
    elif file is None:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(_Formatter(_FORMAT))
        yield stream
