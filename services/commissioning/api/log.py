# SPDX-License-Identifier: Apache-2.0
"""The logs of all processes, live, and everything in one archive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Literal

from msgspec import Struct

from firmware.contract.administration import Bundle, Chunk, MakeBundle, ReadBundle
from services.commissioning.events import KEEP_ALIVE_S, RETRY, Event
from services.commissioning.http.messages import Answer
from services.commissioning.logs import LEVELS, LogLine, open_logs
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "LogQuery"]

POLL_S = 0.5
_NAME = re.compile(r"[^A-Za-z0-9._-]")


class LogQuery(Struct, frozen=True, forbid_unknown_fields=True):
    process: str | None = None
    """`hal`, `ocpp` or `commissioning`."""
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The least."""


async def _events(call: Call) -> Answer:
    call.site.hub.require_room()
    return Answer(content_type="text/event-stream", stream=_stream(call, call.asked(LogQuery)))


async def _stream(call: Call, query: LogQuery) -> AsyncGenerator[bytes]:
    least = LEVELS.index(query.level)
    silent_s = 0.0
    yield RETRY
    with call.site.hub.guest(), open_logs(call.site.config.logs) as logs:
        while call.site.may_still_read(call.who):
            lines = [each for each in logs.new() if _fits(each, query, least)]
            if lines:
                yield b"".join(Event.of("line", each).text for each in lines)
            silent_s = 0.0 if lines else silent_s + POLL_S
            if silent_s >= KEEP_ALIVE_S:
                silent_s = 0.0
                yield b":\n\n"
            await asyncio.sleep(POLL_S)
        yield Event.of("end", {}).text


def _fits(line: LogLine, query: LogQuery, least: int) -> bool:
    return LEVELS.index(line.level) >= least and query.process in (None, line.process)


async def _bundle(call: Call) -> Answer:
    pieces = _read_bundle(call)
    first = await anext(pieces)
    disposition = f'attachment; filename="{_NAME.sub("_", first.decode())}"'
    return Answer(content_type="application/gzip", headers=(("Content-Disposition", disposition),), stream=pieces)


async def _read_bundle(call: Call) -> AsyncGenerator[bytes]:
    """Its name, then what is in it."""
    async with call.site.administration.dedicated() as connection:
        bundle = await connection.ask_for(MakeBundle(), Bundle)
        yield bundle.name.encode()
        offset = 0
        while True:
            chunk = await connection.ask_for(ReadBundle(offset), Chunk)
            offset += len(chunk.data)
            yield chunk.data
            if chunk.last:
                return


ROUTES = [
    Route(
        method="GET",
        path="/api/log/events",
        access=Access.VIEWER,
        summary="Server-sent events: line (of the logs: the last ones, then live), end",
        handler=_events,
        query=LogQuery,
        stream="text/event-stream",
        events=(LogLine,),
    ),
    Route(
        method="GET",
        path="/api/log/bundle",
        access=Access.VIEWER,
        summary="Logs, messages and the state of the station in one archive, as for a diagnostics upload",
        handler=_bundle,
        stream="application/gzip",
    ),
]
