# SPDX-License-Identifier: Apache-2.0
"""Reading the OCPP service's message log (`docs/ocpp-log.md`): as it is written, a readable line a message.

For `baywattctl log` on a station and `baywatt rig log --ocpp` on a laptop.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

__all__ = ["FILE_NAME", "ONLY_TROUBLE", "MessageLogReader", "print_new", "text_of"]

FILE_NAME = "messages.jsonl"
ONLY_TROUBLE = (
    "Only what led to trouble is written. For every message, set MessageLogCtrlr.Enabled to true (docs/ocpp-log.md)."
)
_MAX_PAYLOAD_CHARS = 600
_ARROWS = {"out": "->", "in": "<-"}


class MessageLogReader:
    """Reads the log at `path` and the part before it, and then what is appended, also when the file is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._begun = False

    def lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Each new line as it is written and decoded; damaged ones are skipped."""
        for raw in self._new():
            try:
                line = msgspec.json.decode(raw)
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue
            if isinstance(line, dict) and isinstance(line.get("time"), str) and isinstance(line.get("type"), str):
                yield raw, line

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _new(self) -> list[bytes]:
        data = b""
        if not self._begun:
            self._begun = True
            with contextlib.suppress(OSError):
                data = self._path.with_name(self._path.name + ".1").read_bytes() + b"\n"
        data = self._rest + data + self._read()
        *whole, self._rest = data.split(b"\n")
        return [line for line in whole if line]

    def _read(self) -> bytes:
        """What was appended since the last time; of a file that was replaced, first its end."""
        data = b""
        if self._file is not None:
            replaced = self._is_replaced(self._file)
            data = self._file.read()
            if not replaced:
                return data
            data += b"\n"
            self.close()
        with contextlib.suppress(OSError):
            self._file = self._path.open("rb")
        return data if self._file is None else data + self._file.read()

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
        except OSError:
            return False


def text_of(line: dict[str, Any]) -> str:
    """A line for people; control characters are shown as escapes, because the CSMS may have sent them."""
    words = [line["time"], _ARROWS.get(line.get("direction", ""), "--"), line["type"]]
    if "direction" in line:
        words.append(line.get("action") or "?")
    elif "action" in line:
        words.append(line["action"])
    words += [line["id"]] if "id" in line else []
    words += [f"{line['ms']:g} ms"] if "ms" in line else []
    words += [line["outcome"]] if line.get("outcome", "result") != "result" else []
    words += [f"{line['count']} messages"] if "count" in line else []
    words += [f"({line['text']})" if "direction" in line else line["text"]] if "text" in line else []
    words += [_payload(line["payload"])] if "payload" in line else []
    return "".join(each if each.isprintable() else _escaped(each) for each in " ".join(map(str, words)))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _payload(payload: Any) -> str:
    text = msgspec.json.encode(payload).decode()
    if len(text) <= _MAX_PAYLOAD_CHARS:
        return text
    return f"{text[:_MAX_PAYLOAD_CHARS]}… ({len(text)} characters; --json shows all)"


def print_new(reader: MessageLogReader, *, as_json: bool) -> bool:
    """Print the new lines; returns whether every message is written now, as far as they say."""
    recording = False
    for raw, line in reader.lines():
        print(raw.decode() if as_json else text_of(line))
        if line["type"] == "RECORDING":
            recording = line.get("text") == "on"
    sys.stdout.flush()
    return recording
