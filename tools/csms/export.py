# SPDX-License-Identifier: Apache-2.0
"""Messages and transactions as files.

GET    /api/export/messages            ?station= &format=json|csv -> every message that is held, the oldest first
GET    /api/export/transactions        ?station= &format=json|csv -> every transaction that is held, the newest first

A file is sent in blocks while it is read, so a log of any length costs the memory of one block. A text that a
spreadsheet would take for a formula (it begins with = + - @ or a control character) gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from tools.csms.api import BACK_OFFICE, ApiError
from tools.csms.back_office import BackOffice
from tools.csms.store import MessageRow
from tools.csms.transaction_audit import TransactionSummary

__all__ = ["ROUTES", "csv_lines"]

_BLOCK = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TYPES = {"json": "application/json", "csv": "text/csv"}


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Lines of RFC 4180. Numbers stay numbers; None is empty; a list is joined by semicolons."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _blocks(rows: Sequence[Struct]) -> Iterator[Sequence[Struct]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


async def _messages_of(office: BackOffice, station: str | None) -> AsyncIterator[Sequence[Struct]]:
    """Up to the newest message of the moment when it begins."""
    newest = office.messages(station, None, limit=1)
    after = 0
    while newest and after < newest[0].id:
        block = office.messages(station, after, before=newest[0].id + 1, limit=_BLOCK)
        if not block:
            return  # deleted meanwhile, as the oldest are
        after = block[-1].id
        yield block


async def _transactions_of(office: BackOffice, station: str | None) -> AsyncIterator[Sequence[Struct]]:
    rows = [summary for summary in office.transactions() if station in (None, summary.station)]
    for block in _blocks(rows):
        yield block


async def _send(
    request: web.Request, name: str, kind: type[Struct], blocks: AsyncIterator[Sequence[Struct]]
) -> web.StreamResponse:
    form = request.query.get("format", "json")
    if form not in _TYPES:
        raise ApiError(400, "malformed", f"format must be json or csv, not {form[:40]!r}")
    head = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    response = web.StreamResponse(headers=head)
    response.content_type, response.charset = _TYPES[form], "utf-8"
    await response.prepare(request)
    names = [field.name for field in msgspec.structs.fields(kind)]
    await response.write(csv_lines([names]).encode() if form == "csv" else b"[")
    first = True
    async for block in blocks:
        if form == "csv":
            await response.write(csv_lines(msgspec.structs.astuple(row) for row in block).encode())
        else:
            text = b",\n".join(msgspec.json.encode(row) for row in block)
            await response.write(text if first else b",\n" + text)
        first = False
    if form == "json":
        await response.write(b"]\n")
    return response


def _station_of(request: web.Request) -> str | None:
    return request.query.get("station") or None


async def _messages(request: web.Request) -> web.StreamResponse:
    blocks = _messages_of(request.app[BACK_OFFICE], _station_of(request))
    return await _send(request, "messages", MessageRow, blocks)


async def _transactions(request: web.Request) -> web.StreamResponse:
    blocks = _transactions_of(request.app[BACK_OFFICE], _station_of(request))
    return await _send(request, "transactions", TransactionSummary, blocks)


ROUTES: list[Any] = [
    web.get("/api/export/messages", _messages),
    web.get("/api/export/transactions", _transactions),
]
