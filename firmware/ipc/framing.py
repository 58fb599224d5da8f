# SPDX-License-Identifier: Apache-2.0
"""Lines of typed JSON, without I/O: bytes to lines, lines to messages, messages to bytes.

A line is at most 64 KiB, including its newline. An error of the peer is a `ContractError`; an attempt to send
something invalid is a `ValueError`, because that is a bug. Error texts quote only a little of the peer's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from firmware.errors import ContractError
from firmware.type_words import json_problem

__all__ = ["MAX_LINE_BYTES", "Decoder", "LineSplitter", "encode"]

MAX_LINE_BYTES = 64 * 1024
_MAX_REASON_CHARS = 200

_T = TypeVar("_T")
_encoder = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """The line for `message`; raises `ValueError` if it can't be sent (too long, not UTF-8)."""
    line = _encoder.encode(message) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a {type(message).__name__} of {len(line)} bytes is over {MAX_LINE_BYTES}")
    return line


class Decoder(Generic[_T]):
    """Decodes lines to messages of one union, passed as `kind` (mypy can't express the type of a union).

    Made with the first line: of many sockets that a process may serve, few are used at the start.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @cached_property
    def _decode(self) -> Callable[[bytes], _T]:
        return msgspec.json.Decoder(self._kind).decode

    def __call__(self, line: bytes) -> _T:
        """The message in `line`; raises `ContractError` with the problem and its place in the line."""
        try:
            return self._decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            problem = json_problem(error, self._kind, line)
            raise ContractError(f"not a message of the contract: {problem[:_MAX_REASON_CHARS]}") from error


class LineSplitter:
    """Cuts a stream into lines and keeps the rest, which is never longer than one line."""

    def __init__(self) -> None:
        self._tail = b""

    @property
    def pending(self) -> bool:
        """Whether the stream has stopped in the middle of a line."""
        return bool(self._tail)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes; raises `ContractError` at the first that is too long."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            _check_length(line)
            yield line
        _check_length(self._tail)


def _check_length(line: bytes) -> None:
    if len(line) >= MAX_LINE_BYTES:
        raise ContractError(f"a line of more than {MAX_LINE_BYTES} bytes")
