# SPDX-License-Identifier: Apache-2.0
"""Lines of the processes' logs as they are written: from files (`firmware/log.py`), or from systemd's journal."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct

from firmware.clock import format_utc

__all__ = ["LEVELS", "LogLine", "Logs", "open_logs"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FIRST_LINES = 200
"""Of each process, before what is written from now on."""
_FIRST_BYTES = 64 * 1024
_MOST_BYTES = 256 * 1024
"""At once; what more was written is left out."""
_LINE = re.compile(r"(\S{20,30}Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\S{1,80}): (.*)")
_UNITS = ("hal", "ocpp", "commissioning")
_BY_PRIORITY = {7: "DEBUG", 4: "WARNING", 3: "ERROR", 2: "CRITICAL", 1: "CRITICAL", 0: "CRITICAL"}


class LogLine(Struct, frozen=True):
    """One line; the further lines of a traceback have the time and level of the one before them."""

    process: str
    time: str
    level: str
    logger: str
    text: str


class Logs(Protocol):
    def new(self) -> list[LogLine]:
        """What was written since the last call; at the first the last ones before it."""


@contextlib.contextmanager
def open_logs(files: Mapping[str, str]) -> Iterator[Logs]:
    """Of these files, by the name of the process; without any, the journal's."""
    if files:
        logs = _Files({name: Path(path) for name, path in files.items()})
        try:
            yield logs
        finally:
            logs.close()
        return
    try:
        from systemd.journal import Reader
    except ImportError:
        yield _Nothing()
        return
    with Reader() as reader:
        yield _Journal(reader)


class _Nothing:
    def new(self) -> list[LogLine]:
        return []


class _Files:
    def __init__(self, files: Mapping[str, Path]) -> None:
        self._tails = {name: _Tail(path) for name, path in files.items()}
        self._last = {name: LogLine(name, "", "INFO", "", "") for name in files}

    def new(self) -> list[LogLine]:
        lines = [self._line(name, text) for name, tail in self._tails.items() for text in tail.new()]
        return sorted(lines, key=lambda line: line.time)

    def _line(self, process: str, text: str) -> LogLine:
        found = _LINE.fullmatch(text)
        last = self._last[process]
        line = (
            LogLine(process, *found.groups()) if found else LogLine(process, last.time, last.level, last.logger, text)
        )
        self._last[process] = line
        return line

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()


class _Tail:
    """A file that grows, and is replaced when it has grown too long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._begun = False
        self._rest = b""

    def new(self) -> list[str]:
        data = self._rest + self._read()
        *whole, self._rest = data.split(b"\n")
        self._rest = self._rest[-_MOST_BYTES:]
        if not self._begun:
            self._begun = True
            whole = whole[-FIRST_LINES:]
        return [line.decode(errors="replace") for line in whole if line]

    def _read(self) -> bytes:
        data = b""
        try:
            if self._file is not None:
                data = self._file.read(_MOST_BYTES)
                if os.fstat(self._file.fileno()).st_ino == self._path.stat().st_ino:
                    return data
                self.close()
            self._file = self._path.open("rb")
            size = os.fstat(self._file.fileno()).st_size
            if not self._begun and size > _FIRST_BYTES:
                self._file.seek(size - _FIRST_BYTES)
                self._file.readline()
            return data + self._file.read(_MOST_BYTES)
        except OSError:
            return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Reader(Protocol):
    """What counts here of `systemd.journal.Reader`."""

    def add_match(self, **match: str) -> None: ...
    def add_disjunction(self) -> None: ...
    def seek_tail(self) -> None: ...
    def get_previous(self, skip: int) -> dict[str, object]: ...
    def process(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, object]]: ...


class _Journal:
    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        for unit in _UNITS:
            reader.add_match(_SYSTEMD_UNIT=f"baywatt-{unit}.service")
            reader.add_disjunction()
        reader.seek_tail()
        reader.get_previous(FIRST_LINES * len(_UNITS))

    def new(self) -> list[LogLine]:
        self._reader.process()
        return [_of_entry(entry) for entry in self._reader]


def _of_entry(entry: dict[str, object]) -> LogLine:
    unit, when, priority = str(entry.get("_SYSTEMD_UNIT", "")), entry.get("__REALTIME_TIMESTAMP"), entry.get("PRIORITY")
    return LogLine(
        unit.removeprefix("baywatt-").removesuffix(".service"),
        format_utc(when.timestamp()) if isinstance(when, datetime) else "",
        _BY_PRIORITY.get(priority, "INFO") if isinstance(priority, int) else "INFO",
        str(entry.get("LOGGER", "")),
        str(entry.get("MESSAGE", "")),
    )
