# SPDX-License-Identifier: Apache-2.0
"""Log records as records of systemd's journal, with fields to search by, when the process runs under systemd.

systemd sets JOURNAL_STREAM to device and inode of the socket from standard error to the journal: if standard error is
that socket, nobody else reads it, and a record with fields is worth more than a line. A service whose standard error is
/dev/null has no other log. Anything else (a terminal, a file, a rig's pipe) is somebody's choice and stays as it is.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["JournalHandler", "Send", "find_journal"]

Send = Callable[..., Any]
"""`systemd.journal.send`: the message, then fields by name."""

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG = 7


def find_journal(environment: Mapping[str, str] = os.environ, *, stderr: int = 2) -> Send | None:
    """What sends a record to the journal; None if this process does not log to it, or systemd-python is not there."""
    if not _logs_to_journal(environment, stderr):
        return None
    try:
        from systemd import journal
    except ImportError:
        return None
    send: Send = journal.send
    return send


def _logs_to_journal(environment: Mapping[str, str], stderr: int) -> bool:
    try:
        status = os.fstat(stderr)
        if environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
            return True
        return "INVOCATION_ID" in environment and status.st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return False


class JournalHandler(logging.Handler):
    """Sends each record with `send`; one that can't be sent goes to standard error, as a line.

    systemd's library loses records silently while there is no journald. One that reads nothing blocks the caller when
    its socket is full (net.unix.max_dgram_qlen, 512 records under systemd), as standard error would.
    `identifier` is the SYSLOG_IDENTIFIER: `journalctl -t baywatt-hal`. The fields of a record are those of
    `firmware.log.fields`.
    """

    def __init__(self, send: Send, identifier: str, *, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._send = send
        self._identifier = identifier
        self._clean = clean
        self._otherwise = logging.StreamHandler(sys.stderr)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        super().setFormatter(fmt)
        self._otherwise.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(self._text(self.format(record)), **self._fields(record))
        except Exception:  # whatever the library raises: a log call never fails
            self._otherwise.handle(record)

    def _fields(self, record: logging.LogRecord) -> dict[str, str | int]:
        given: Mapping[str, object] = getattr(record, "fields", {})
        return {
            **{name: self._text(self._clean(str(value))) for name, value in given.items()},
            "PRIORITY": str(next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": record.lineno,
            "CODE_FUNC": record.funcName or "",
        }

    @staticmethod
    def _text(text: str) -> str:
        """Without what UTF-8 can't express."""
        return text.encode(errors="backslashreplace").decode()
