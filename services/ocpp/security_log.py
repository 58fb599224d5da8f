# SPDX-License-Identifier: Apache-2.0
"""The security log (A04.FR.04): every security event, critical or not, in files that show it when somebody edits them.

One line of JSON an event. Each line carries the SHA-256 of the line before it (`before`), across rotations, so that
nothing in the middle can be changed, taken out or put in. The number and hash of the newest line are kept in the
database as well (`head`), so that the end can't be cut off or written anew, either. Who owns the device can still
rewrite both; what is critical was sent to the CSMS by then.

`security.log` is the newest file, `security.log.1` the one before it, and so on; together they take at most `FILES`
times `FILE_BYTES`. A line is on the disk when `record` returns. On a full disk lines wait in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import msgspec

from firmware.log import redact

__all__ = [
    "CRITICAL",
    "FILES",
    "FILE_BYTES",
    "NOT_CRITICAL",
    "SecurityLog",
    "SecurityRecord",
    "Throttle",
    "Verdict",
    "is_critical",
]

_log = logging.getLogger(__name__)

FILE_BYTES: Final = 128 * 1024
FILES: Final = 4
_MAX_INFO_CHARS: Final = 1000
_MAX_WAITING: Final = 200
_MOST_OF_A_LINE: Final = 64 * 1024

NOT_CRITICAL: Final = frozenset(
    {
        "FailedToAuthenticateAtCsms",
        "CsmsFailedToAuthenticate",
        "ReconfigurationOfSecurityParameters",
        "InvalidMessages",
        "AttemptedReplayAttacks",
    }
)
CRITICAL: Final = frozenset(
    {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidCsmsCertificate",
        "InvalidChargingStationCertificate",
        "InvalidTLSVersion",
        "InvalidTLSCipherSuite",
        "MaintenanceLoginAccepted",
        "MaintenanceLoginFailed",
    }
)


def is_critical(kind: str) -> bool:
    """By the appendix of part 2; an event of our own (`DatabaseReplaced`, `SecurityLogBroken`) is critical."""
    return kind not in NOT_CRITICAL


class Verdict(msgspec.Struct, frozen=True):
    """What is wrong with the log: the event to raise, and the words for it."""

    event: str
    text: str


class SecurityRecord(Protocol):
    """The log as the security block sees it."""

    def check(self, head: str | None) -> Verdict | None:
        """At the start, with the head that was kept; None when all is well. After a verdict a new chain begins."""

    def record(self, kind: str, *, time: str, tech_info: str) -> str:
        """Adds an event; returns the new head."""

    def begins(self) -> str | None:
        """The recorded time of the oldest event that is kept; None when there is none, or nobody can tell."""


class _Line(msgspec.Struct):
    seq: int
    time: str
    type: str
    critical: bool
    info: str
    before: str
    """Hash of the line before; empty at the start of a chain."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class SecurityLog:
    """`SecurityRecord` in files. Blocks for one fsync an event."""

    def __init__(self, path: Path, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._files = files
        self._seq = 0
        self._hash = ""
        self._descriptor = -1
        self._size = 0
        self._waiting: deque[bytes] = deque()

    def files(self) -> list[Path]:
        """The files that there are, oldest first."""
        names = [self._older(number) for number in range(self._files - 1, 0, -1)]
        return [path for path in (*names, self._path) if path.is_file() and not path.is_symlink()]

    # --- SecurityRecord ------------------------------------------------------------------------------------

    def check(self, head: str | None) -> Verdict | None:
        try:
            self._cut_torn_line()
            verdict = self._verify(head)
        except OSError as error:
            verdict = Verdict("SecurityLogBroken", f"can't be read: {error.strerror}")
        if verdict is not None:
            _log.error("security log: %s", verdict.text)
            self._hash = ""  # what comes now is a chain of its own, whatever was done to the one before
            self._seq = max(self._seq, _parse_head(head)[0])
        return verdict

    def record(self, kind: str, *, time: str, tech_info: str) -> str:
        if len(self._waiting) < _MAX_WAITING:
            self._seq += 1
            info = redact(tech_info[:_MAX_INFO_CHARS])
            line = _encode(_Line(self._seq, time, kind, is_critical(kind), info, self._hash))
            self._hash = _hash(line)
            self._waiting.append(line + b"\n")
        self._flush()
        return f"{self._seq}:{self._hash}"

    def begins(self) -> str | None:
        for path in self.files():
            try:
                with path.open("rb") as file:
                    return _decode(file.readline(_MOST_OF_A_LINE)).time
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("security log: %s does not begin with an event: %s", path.name, type(error).__name__)
        return None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # --- writing -------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        try:
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting.popleft()
            os.fdatasync(self._descriptor)
        except OSError as error:
            self.close()
            _log.warning("security log: %d lines wait: %s", len(self._waiting), error.strerror)

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(line) > self._file_bytes:
            self._rotate()
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(0, "the disk took a part only")
        self._size += written

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        os.fdatasync(self._descriptor)
        self.close()
        for number in range(self._files - 1, 0, -1):
            newer = self._older(number - 1)
            if newer.exists():
                os.replace(newer, self._older(number))
        self._open()

    def _older(self, number: int) -> Path:
        return self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")

    # --- checking ------------------------------------------------------------------------------------------

    def _cut_torn_line(self) -> None:
        """A power cut may have left half a line; it was never reported as written."""
        if not self._path.is_file():
            return
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)

    def _verify(self, head: str | None) -> Verdict | None:
        """Only the newest chain counts: what ended an older one was reported then, and the next one begins with it."""
        kept_seq, kept_hash = _parse_head(head)
        broken, found, before = 0, not kept_seq, None
        for raw in self._lines():
            try:
                line = _decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                broken, before = broken or self._seq + 1, _hash(raw)
                continue
            if line.before == "":
                broken = 0
            elif before is not None and (line.before != before or line.seq != self._seq + 1):
                broken = broken or line.seq
            before, self._seq = _hash(raw), line.seq
            found = found or (line.seq == kept_seq and before == kept_hash)
        self._hash = before or ""
        if broken:
            return Verdict("SecurityLogBroken", f"line {broken} does not follow from the one before")
        if not found:
            missing = self._seq < kept_seq
            text = f"{kept_seq - self._seq} lines are missing at its end" if missing else f"line {kept_seq} was changed"
            return Verdict("SecurityLogWasCleared" if missing else "SecurityLogBroken", text)
        return None

    def _lines(self) -> Iterator[bytes]:
        for path in self.files():
            yield from path.read_bytes().rstrip(b"\n").split(b"\n") if path.stat().st_size else ()


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _parse_head(head: str | None) -> tuple[int, str]:
    seq, _, line_hash = (head or "").partition(":")
    return (int(seq), line_hash) if seq.isdecimal() else (0, "")


class Throttle:
    """Of each kind of event so many a minute are written, and then how many more there were: a flood of what a peer can
    cause at will must not push the rest out of the log, nor wear the disk, nor fill the queue to the CSMS."""

    def __init__(self, quiet_s: float = 60.0, *, critical: int = 10) -> None:
        self._quiet_s = quiet_s
        self._critical = critical
        self._since: dict[str, float] = {}
        self._admitted: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def admits(self, kind: str, now: float) -> bool:
        """Write this one? If not, it is counted."""
        if now - self._since.get(kind, -self._quiet_s) >= self._quiet_s and kind not in self._held:
            self._since[kind], self._admitted[kind] = now, 0
        if self._admitted[kind] < (self._critical if is_critical(kind) else 1):
            self._admitted[kind] += 1
            return True
        self._held[kind] = self._held.get(kind, 0) + 1
        return False

    @property
    def held(self) -> list[str]:
        """The kinds of which some were held back, and not yet given out by `due`."""
        return sorted(self._held)

    def next_deadline(self) -> float | None:
        return min((self._since[kind] + self._quiet_s for kind in self._held), default=None)

    def due(self, now: float) -> list[tuple[str, int]]:
        """What was held back long enough: kind and number."""
        over = [(kind, count) for kind, count in self._held.items() if now >= self._since[kind] + self._quiet_s]
        for kind, _count in over:
            del self._held[kind]
            self._since[kind], self._admitted[kind] = now, 1
        return over
