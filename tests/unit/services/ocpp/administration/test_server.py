# SPDX-License-Identifier: Apache-2.0
"""A client of the administration socket that errs or is hostile: the service keeps serving the others."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.contract.administration import Command, FollowMessages, GetVariables
from firmware.ipc.administration import AdministrationLink, ServiceDown
from firmware.ipc.framing import MAX_LINE_BYTES
from services.ocpp.administration.server import MAX_CLIENTS, MAX_UNANSWERED, AdministrationServer, Answer, Client
from tests.support.administration import GREETING, Site
from tests.support.sockets import RawPeer, ScriptedServer, eventually
from tests.support.timer import ManualTimer

GET = {"kind": "get_variables"}


async def check_serving(site: Site) -> None:
    """The well-behaved client beside is served."""
    assert await site.link.variables()


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\n",
        b"[]\n",
        b"{}\n",
        b"[" * 60_000 + b"\n",
        b'{"kind":"request","id":1,"command":{"kind":"open_sesame"}}\n',
        b'{"kind":"request","id":1,"command":{"kind":"get_variables","start":1e400}}\n',
        b'{"kind":"request","id":-1,"command":{"kind":"get_variables"}}\n',
        b'{"kind":"request","id":1,"command":{"kind":"get_variables","more":1}}\n',
        b'{"kind":"done","id":1}\n',
        b'{"kind":"greeting","version":1}\n',
        b'{"kind":"request"' + b" " * MAX_LINE_BYTES,
    ],
)
async def test_what_is_no_message_ends_the_connection(site: Site, line: bytes) -> None:
    peer = await site.raw()
    peer.send(line)
    await peer.closed()
    await check_serving(site)


async def test_a_request_before_the_greeting_ends_the_connection(site: Site) -> None:
    peer = await site.raw(greet=False)
    peer.say(kind="request", id=1, command=GET)
    await peer.closed()


async def test_a_client_of_another_version_is_closed(site: Site) -> None:
    peer = await site.raw(greet=False)
    peer.say(kind="greeting", version=2)
    await peer.closed()


async def test_a_client_that_does_not_greet_is_closed(site: Site) -> None:
    timer = ManualTimer()
    server = AdministrationServer(site.path.with_name("b"), lambda _client, _command: None, software="", timer=timer)
    await server.start()
    peer = await site.raw(site.path.with_name("b"), greet=False)
    timer.advance(3.0)
    await peer.closed()
    await server.close()


async def test_a_client_in_the_middle_of_a_line_delays_nobody(site: Site) -> None:
    slow = await site.raw()
    slow.send(b'{"kind":"request","id":1,')
    await check_serving(site)
    slow.send(b'"command":{"kind":"get_variables","start":1000000}}\n')
    assert await slow.hear() == {"kind": "done", "id": 1, "result": {"kind": "variables", "variables": []}}


async def test_a_client_that_reads_nothing_is_cut(site: Site) -> None:
    greedy = await site.raw()
    for number in range(200):
        greedy.say(kind="request", id=number, command=GET)
    await eventually(lambda: site.server.clients == 1)
    await check_serving(site)


async def test_one_user_can_not_take_every_connection(site: Site) -> None:
    for _ in range(MAX_CLIENTS):
        await site.raw(greet=False)
    assert site.server.clients == MAX_CLIENTS // 2
    await check_serving(site)


class Slow:
    """Commands that take long, and one that is broken."""

    def __init__(self) -> None:
        self.cancelled = 0

    def execute(self, client: Client, command: Command) -> Answer:
        if isinstance(command, FollowMessages):
            raise ZeroDivisionError
        return self._forever()

    async def _forever(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled += 1


async def test_unanswered_requests_are_bounded_and_end_with_the_connection(site: Site) -> None:
    slow = Slow()
    server = AdministrationServer(site.path.with_name("b"), slow.execute, software="")
    await server.start()
    peer = await site.raw(site.path.with_name("b"))
    for number in range(MAX_UNANSWERED + 1):
        peer.say(kind="request", id=number, command=GET)
    await peer.closed()
    await eventually(lambda: slow.cancelled == MAX_UNANSWERED)
    await server.close()


async def test_an_id_that_is_still_unanswered_ends_the_connection(site: Site) -> None:
    server = AdministrationServer(site.path.with_name("b"), Slow().execute, software="")
    await server.start()
    peer = await site.raw(site.path.with_name("b"))
    peer.say(kind="request", id=1, command=GET)
    peer.say(kind="request", id=1, command=GET)
    await peer.closed()
    await server.close()


async def test_an_error_in_a_command_is_an_answer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = AdministrationServer(site.path.with_name("b"), Slow().execute, software="")
    await server.start()
    peer = await site.raw(site.path.with_name("b"))
    peer.say(kind="request", id=1, command={"kind": "follow_messages"})
    answer = await peer.hear()
    assert (answer["kind"], answer["id"], answer["problem"]) == ("refused", 1, "failed")
    assert "ZeroDivisionError" in caplog.text
    await server.close()


NUMBERS = st.sampled_from([0, 1, -1, 2**53, 2**70, 0.5, None, "1"])
TEXTS = st.sampled_from(["", "a", "TimeZone", "x" * 3000, "\x00", "é\u2028😀", "true"])
VALUES = st.fixed_dictionaries(
    {"component": TEXTS, "variable": TEXTS, "value": TEXTS}, optional={"evse": NUMBERS, "attribute": TEXTS}
)
COMMANDS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("get_variables")}, optional={"start": NUMBERS}),
    st.fixed_dictionaries({"kind": st.just("set_variables"), "values": st.lists(VALUES, max_size=3)}),
    st.fixed_dictionaries({"kind": st.sampled_from(["subscribe", "get_station", "list_profiles", "read_bundle"])}),
)
REQUESTS = st.fixed_dictionaries({"kind": st.just("request"), "id": NUMBERS, "command": COMMANDS}).map(
    msgspec.json.encode
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(REQUESTS, REQUESTS, st.binary(max_size=60)), max_size=8))
async def test_whatever_a_client_sends_the_others_are_served(site: Site, lines: list[bytes]) -> None:
    peer = await site.raw()
    peer.send(b"\n".join([*lines, b""]))
    peer.writer.write_eof()
    answers: list[Any] = []
    while line := await peer.line():
        assert len(line) <= MAX_LINE_BYTES
        answers.append(msgspec.json.decode(line))
    assert sum(answer["kind"] in ("done", "refused") for answer in answers) <= len(lines)
    await check_serving(site)


async def test_a_client_is_told_that_the_service_has_gone(site: Site) -> None:
    closing = asyncio.create_task(site.server.close())
    await eventually(lambda: site.heard.down)
    await closing
    with pytest.raises(ServiceDown):
        await site.link.ask(GetVariables())


async def test_who_waits_for_an_answer_is_told_that_there_is_none(site: Site) -> None:
    async def script(peer: RawPeer) -> None:
        peer.say(**GREETING)
        await peer.line()
        await peer.line()

    async with ScriptedServer(site.path.with_name("b"), script):
        link = AdministrationLink(site.path.with_name("b"))
        task = asyncio.create_task(link.run())
        await eventually(lambda: link.up)
        with pytest.raises(ServiceDown):
            await link.ask(GetVariables())
        task.cancel()
        await asyncio.wait([task])
