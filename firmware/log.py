# SPDX-License-Identifier: Apache-2.0
"""Where log lines go and what may not be in them.

One line a record, stamped in UTC, to standard error or to a file of bounded size (`FILE` and `FILE.1`). Writing a log
never raises into the caller: on a full disk lines are lost, counted, and the count is written when there is room again.

Secrets are taken out of the finished line, tracebacks included, so that no argument of a log call can carry one past
us: HTTP authorization, passwords in URLs, private keys in PEM, `password=`/`token=`-like pairs, and whatever
`register_secret` was told. Control characters are shown as escapes: a remote text can't forge a line.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["MAX_FILE_BYTES", "MAX_LINE_CHARS", "redact", "register_secret", "setup"]

MAX_FILE_BYTES = 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
_MIN_SECRET_CHARS = 4
_MAX_SECRETS = 64
_HIDDEN = "***"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {9: "\t", 10: "\\n", 13: "\\r"}
_QUIET_LIBRARIES = ("aioftp", "aiohttp", "asyncio", "websockets")
"""Their DEBUG lines hold whole frames, headers and answers; ours say what is needed."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)", re.S), ""),
    # The header, and not the name of a logger.
    (
        re.compile(
            r"(?<!ocpp\.blocks\.)(authorization[\"']?\s{0,3}[:=,]\s{0,3})"
            r"(?:\"[^\"\r\n]*|'[^'\r\n]*|[^\"'\s][^\r\n]*)",
            re.I,
        ),
        r"\1",
    ),
    (re.compile(r"\b((?i:basic|bearer)\s{1,3})(?=[^\s\"']{0,200}[0-9A-Z=+/])[A-Za-z0-9+/=._~-]{8,}"), r"\1"),
    (re.compile(r"(://[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)"), r"\1"),
    (
        re.compile(
            r"((?:password|passwd|passphrase|secret|token|api_?key|private_?key)\w{0,20}[\"']?\s{0,3}[=:]\s{0,3})"
            r"(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}\])]+)",
            re.I,
        ),
        r"\1",
    ),
)
_secrets: list[str] = []


def register_secret(secret: str) -> None:
    """From now on `secret` is hidden wherever it stands; the last 64 are known, those under 4 characters are not."""
    if len(secret) < _MIN_SECRET_CHARS or secret in _secrets:
        return
    _secrets.append(secret)
    del _secrets[:-_MAX_SECRETS]


def redact(text: str) -> str:
    """`text` without what must not be in a log; also for reports and diagnostics."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    for pattern, kept in _PATTERNS:
        text = pattern.sub(kept + _HIDDEN, text)
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


class _BoundedFile(logging.Handler):
    """Appends to `path` up to `max_bytes`, then makes it `path.1` and starts anew."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._fd = -1
        self._size = 0
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:
            line = f"a log line of {record.name} can't be formatted: {error!r}"
        try:
            if self._lost:
                line = f"({self._lost} lines lost before this)\n{line}"
            self._write(f"{line}\n".encode(errors="backslashreplace"))
            self._lost = 0
        except OSError:
            self._lost += 1

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        written = os.write(self._fd, data)
        self._size += written
        if written < len(data):
            raise OSError("the disk took a part only")

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        self._close_fd()
        os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        self._open()

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        self.acquire()
        try:
            self._close_fd()
        finally:
            self.release()
        super().close()


def setup(level: str = "INFO", file: Path | None = None, *, max_bytes: int = MAX_FILE_BYTES) -> None:
    """Send all log lines of `level` and above to `file`, or to standard error; replaces an earlier set-up.

    `file` and `file.1` together take at most twice `max_bytes`.
    """
    logging.raiseExceptions = False
    handler = _BoundedFile(file, max_bytes) if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(_FORMAT))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
