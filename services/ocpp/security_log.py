# SPDX-License-Identifier: Apache-2.0
"""The security log (A04.FR.04): every security event, critical or not, in files whose changes can be detected.

One line of JSON per event. Each line carries the SHA-256 of the line before it (`before`), across rotations, so that
no line in the middle can be changed, removed or inserted. The number and hash of the newest line are stored in the
database as well (`head`), so that the end can't be cut off or rewritten, either. The owner of the device can still
rewrite both; critical events have been sent to the CSMS by then.

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
    "Defect",
    "SecurityLog",
    "SecurityRecord",
    "Throttle",
    "is_critical",
]

_log = logging.getLogger(__name__)

FILE_BYTES: Final = 128 * 1024
FILES: Final = 4
_MAX_INFO_CHARS: Final = 1000
_MAX_WAITING: Final = 200
_MAX_LINE_BYTES: Final = 64 * 1024

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
    """By the appendix of part 2; events beyond it (`DatabaseReplaced`, `SecurityLogBroken`) are critical."""
    return kind not in NOT_CRITICAL


class Defect(msgspec.Struct, frozen=True):
    """What is wrong with the log: the event to raise, and its text."""

    event: str
    text: str


class SecurityRecord(Protocol):
    """The log as the security block sees it."""

    def check(self, head: str | None) -> Defect | None:
        """Check the log against the stored head, at the start; None if it is intact. A defect begins a new chain."""

    def record(self, kind: str, *, time: str, tech_info: str) -> str:
        """Add an event; returns the new head."""

    def begins(self) -> str | None:
        """The time of the oldest event in the log; None if there is none, or if it can't be read."""


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
    """`SecurityRecord` in files. Blocks for one fsync per event."""

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
        """The existing files, oldest first."""
        names = [self._older(number) for number in range(self._files - 1, 0, -1)]
        return [path for path in (*names, self._path) if path.is_file() and not path.is_symlink()]

    # --- SecurityRecord ------------------------------------------------------------------------------------

    def check(self, head: str | None) -> Defect | None:
        try:
            self._cut_torn_line()
            defect = self._verify(head)
        except OSError as error:
            defect = Defect("SecurityLogBroken", f"can't be read: {error.strerror}")
        if defect is not None:
            _log.error("security log: %s", defect.text)
            self._hash = ""  # a new chain, whatever happened to the one before
            self._seq = max(self._seq, _parse_head(head)[0])
        return defect

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
                    return _decode(file.readline(_MAX_LINE_BYTES)).time
            except (OSError, msgspec.DecodeError) as error:
                problem = getattr(error, "strerror", None) or "damaged"
                _log.warning("security log: the first line of %s can't be read: %s", path.name, problem)
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
            _log.warning("security log: %d lines wait for the disk: %s", len(self._waiting), error.strerror)

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(line) > self._file_bytes:
            self._rotate()
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(0, "only a part was written")
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
        """Remove half a line that a power cut left; it was never reported as written."""
        if not self._path.is_file():
            return
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)

    def _verify(self, head: str | None) -> Defect | None:
        """Check the newest chain. The end of an older one was reported then, in the first line of the next one."""
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
            return Defect("SecurityLogBroken", f"line {broken} does not follow from the one before")
        if not found:
            missing = self._seq < kept_seq
            text = f"{kept_seq - self._seq} lines are missing at the end" if missing else f"line {kept_seq} was changed"
            return Defect("SecurityLogWasCleared" if missing else "SecurityLogBroken", text)
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
    """Limits the events of each kind: in `quiet_s` seconds `critical` of a critical kind, one of any other kind.

    The count of suppressed events is reported afterwards. A peer that causes a flood of events must not push others out
    of the log, wear the disk, or fill the queue to the CSMS.
    """

    def __init__(self, quiet_s: float = 60.0, *, critical: int = 10) -> None:
        self._quiet_s = quiet_s
        self._critical = critical
        self._since: dict[str, float] = {}
        self._admitted: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def admits(self, kind: str, now: float) -> bool:
        """Whether to write this event; if not, it is counted."""
        if now - self._since.get(kind, -self._quiet_s) >= self._quiet_s and kind not in self._held:
            self._since[kind], self._admitted[kind] = now, 0
        if self._admitted[kind] < (self._critical if is_critical(kind) else 1):
            self._admitted[kind] += 1
            return True
        self._held[kind] = self._held.get(kind, 0) + 1
        return False

    @property
    def held(self) -> list[str]:
        """The kinds with suppressed events that `due` has not returned yet."""
        return sorted(self._held)

    def next_deadline(self) -> float | None:
        return min((self._since[kind] + self._quiet_s for kind in self._held), default=None)

    def due(self, now: float) -> list[tuple[str, int]]:
        """Kind and count of the events whose minute is over."""
        over = [(kind, count) for kind, count in self._held.items() if now >= self._since[kind] + self._quiet_s]
        for kind, _count in over:
            del self._held[kind]
            self._since[kind], self._admitted[kind] = now, 1
        return over
