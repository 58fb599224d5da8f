# SPDX-License-Identifier: Apache-2.0
"""A request and the answer to it, without I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

__all__ = ["Answer", "BadRequest", "Handler", "Headers", "Request", "as_json", "problem"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
_MAX_QUERY_FIELDS = 16
_encode = msgspec.json.Encoder().encode


class BadRequest(Exception):
    """A request that can't be read: the status of the answer, and a sentence for a person."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request.

    `read(limit)` gets its body, once; it raises `BadRequest` for one that is larger or too slow.
    """

    method: str
    target: str
    headers: Headers
    """Names in lower case."""
    address: str
    """Of the client, without its port."""
    read: Callable[[int], Awaitable[bytes]]

    @property
    def path(self) -> tuple[str, ...]:
        """Its segments, decoded; a slash within a segment does not divide it. Raises `BadRequest`."""
        try:
            return tuple(unquote(each, errors="strict") for each in self.target.partition("?")[0].split("/")[1:])
        except UnicodeDecodeError:
            raise BadRequest(400, "the path is not in UTF-8") from None

    @property
    def query(self) -> dict[str, str]:
        """Raises `BadRequest`."""
        try:
            pairs = parse_qsl(
                self.target.partition("?")[2], True, True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
            )
        except ValueError:
            raise BadRequest(400, "the query can't be read") from None
        query = dict(pairs)
        if len(query) < len(pairs):
            raise BadRequest(400, "the query has a name twice")
        return query

    def header(self, name: str) -> str | None:
        """The one value of a header; raises `BadRequest` if there are several: which one counts is not defined."""
        found = [value for each, value in self.headers if each == name]
        if len(found) > 1:
            raise BadRequest(400, f"the header {name} is given {len(found)} times")
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` as a whole, or `stream` piece by piece for as long as the client stays."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()
    stream: AsyncGenerator[bytes] | None = field(default=None, repr=False)


Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]
"""Answers a request. It may raise `BadRequest`; anything else that it raises is a bug, and answered with 500."""


def as_json(content: object, status: int = 200, headers: Headers = ()) -> Answer:
    return Answer(status, _encode(content), headers=headers)


def problem(status: int, detail: str, *, error: str = "", headers: Headers = (), **more: object) -> Answer:
    """The one shape of every error: `error` is a word for programs, by default that of the status."""
    word = error or HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    return as_json({"error": word, "detail": detail, **more}, status, headers)
