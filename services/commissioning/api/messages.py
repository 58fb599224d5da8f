# SPDX-License-Identifier: Apache-2.0
"""The messages between station and CSMS, live: each request with its answer.

The OCPP service makes these lines (`docs/ocpp-log.md`), without secrets and card numbers, only while somebody reads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from firmware.contract.administration import FollowMessages, VariablesChanged
from services.commissioning.api_error import ApiError
from services.commissioning.events import KEEP_ALIVE_S, RETRY, Event
from services.commissioning.http.messages import Answer
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "Exchange", "MessagesQuery", "Pairing"]

MOST_WAITING = 1024
MOST_OPEN = 128


class MessagesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which exchanges are sent; those without a message, such as CONNECTED, have no direction and no action."""

    direction: Literal["out", "in"] | None = None
    """`out`: requested by the station."""
    action: str | None = None
    """The beginning of its name, in any case."""
    trouble: bool = False
    """Only what has ended otherwise than with a valid answer."""


class Exchange(Struct, frozen=True, omit_defaults=True):
    """A request and what came of it; sent at the request, and once more with its answer, with the same `number`.

    Or a line of another type, such as `CONNECTED` (docs/ocpp-log.md).
    """

    number: int
    time: str
    type: str
    direction: str | None = None
    action: str | None = None
    id: str | None = None
    request: Any = None
    answered: bool = False
    outcome: str | None = None
    ms: float | None = None
    answer: Any = None
    text: str | None = None
    """What else there is to say, such as what is wrong."""
    count: int | None = None


class Pairing:
    """Puts the lines of the message log together."""

    def __init__(self) -> None:
        self._last = 0
        self._open: OrderedDict[tuple[str, str], Exchange] = OrderedDict()

    def exchange(self, raw: bytes) -> Exchange | None:
        """What a line makes of its exchange; None for one that can't be read."""
        try:
            line = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            return None
        kind, own = str(line.get("type", "")), line.get("direction")
        if kind == "CALL" and own is not None:
            return self._begun(line, str(own))
        asked = {"out": "in", "in": "out"}.get(str(own), "out")
        begun = self._open.pop((asked, str(line.get("id"))), None)
        if begun is None or kind not in ("CALLRESULT", "CALLERROR", "NO ANSWER", "UNREADABLE"):
            return self._alone(line, kind)
        return msgspec.structs.replace(
            begun,
            answered=True,
            outcome=line.get("outcome", kind),
            ms=line.get("ms"),
            answer=line.get("payload"),
            text=line.get("text") or begun.text,
        )

    def _begun(self, line: dict[str, Any], direction: str) -> Exchange:
        exchange = msgspec.structs.replace(
            self._alone(line, "CALL"), direction=direction, request=line.get("payload"), answer=None
        )
        self._open[direction, str(line.get("id"))] = exchange
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return exchange

    def _alone(self, line: dict[str, Any], kind: str) -> Exchange:
        self._last += 1
        return Exchange(
            self._last,
            str(line.get("time", "")),
            kind,
            direction=line.get("direction"),
            action=line.get("action"),
            id=line.get("id"),
            outcome=line.get("outcome"),
            ms=line.get("ms"),
            answer=line.get("payload"),
            text=line.get("text"),
            count=line.get("count"),
        )


def fits(exchange: Exchange, query: MessagesQuery) -> bool:
    if query.direction is not None and exchange.direction != query.direction:
        return False
    if query.action is not None and not (exchange.action or "").lower().startswith(query.action.lower()):
        return False
    return not query.trouble or exchange.outcome not in (None, "result")


class _Lines:
    """The watcher of the connection: lines wait until the browser has taken those before them."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING + 1)

    def on_administration_up(self) -> None: ...

    def on_variables_changed(self, changed: VariablesChanged) -> None: ...

    def on_message_line(self, line: bytes) -> None:
        """A browser that is too slow connects again, and gets what is still in memory."""
        if self.waiting.qsize() < MOST_WAITING:
            self.waiting.put_nowait(line)
        else:
            self.on_administration_down("too slow")

    def on_administration_down(self, reason: str) -> None:
        if not self.waiting.full():
            self.waiting.put_nowait(None)


async def _events(call: Call) -> Answer:
    call.site.hub.require_room()
    return Answer(content_type="text/event-stream", stream=_stream(call, call.asked(MessagesQuery)))


async def _stream(call: Call, query: MessagesQuery) -> AsyncGenerator[bytes]:
    site, lines, pairing = call.site, _Lines(), Pairing()
    yield RETRY
    with site.hub.guest():
        try:
            async with site.administration.dedicated(lines) as connection:
                await connection.ask(FollowMessages())
                while site.may_still_read(call.who):
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_S):
                            line = await lines.waiting.get()
                    except TimeoutError:
                        yield b":\n\n"
                        continue
                    if line is None:
                        return
                    exchange = pairing.exchange(line)
                    if exchange is not None and fits(exchange, query):
                        yield Event.of("exchange", exchange).text
                yield Event.of("end", {}).text
        except ApiError as error:
            yield Event.of("problem", {"error": error.error, "detail": error.detail}).text


ROUTES = [
    Route(
        method="GET",
        path="/api/messages/events",
        access=Access.VIEWER,
        summary="Server-sent events: exchange (of messages with the CSMS: those in memory, then live), problem, end",
        handler=_events,
        query=MessagesQuery,
        stream="text/event-stream",
        events=(Exchange,),
    ),
]
