# SPDX-License-Identifier: Apache-2.0
"""Where log lines go and what may not be in them.

One line a record, stamped in UTC, to standard error or to a file of bounded size (`FILE` and `FILE.1`). Logging never
raises into the caller: on a full disk, lines are lost and counted, and the count is written once there is room again.

Secrets are removed from the formatted message, tracebacks included, so that no argument of a log call can leak one:
HTTP authorization, passwords in URLs, private keys in PEM, `password=`/`token=`-like pairs, and every secret passed to
`register_secret`. Control characters are shown as escapes: a remote text can't forge a line.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

from firmware.bounded_file import BoundedFile

__all__ = ["MAX_FILE_BYTES", "MAX_LINE_CHARS", "redact", "register_secret", "setup"]

MAX_FILE_BYTES = 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
_MIN_SECRET_CHARS = 4
_MAX_SECRETS = 64
_HIDDEN = "***"
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
        r"((?:password|passwd|passphrase|secret|token|api_?key|private_?key)\w{0,20}[\"']?\s{0,3}[=:]\s{0,3})"
        r"(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}\])]+)",
        re.I,
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


def setup(level: str = "INFO", file: Path | None = None, *, max_bytes: int = MAX_FILE_BYTES) -> None:
    """Send all log records of `level` and above to `file`, or to standard error; replaces an earlier set-up.

    `file` and `file.1` together take at most twice `max_bytes`.
    """
    logging.raiseExceptions = False
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        handler = _FileHandler(BoundedFile(file, max_bytes))
    handler.setFormatter(_Formatter(_FORMAT))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
