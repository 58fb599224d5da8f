# SPDX-License-Identifier: Apache-2.0
"""A hostile local process that may connect to the HAL's socket: the HAL keeps serving the others."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.contract.messages import CONTRACT_VERSION, Done, FromClient, FromHal, Greeting, Refused, Snapshot
from firmware.ipc.connection import Connection, Credentials
from firmware.ipc.framing import MAX_LINE_BYTES, Decoder
from hal.server import HalServer
from tests.support.hardware import CabinetDouble

GREETING = {"kind": "greeting", "version": CONTRACT_VERSION, "role": "service", "software": "bad"}
_decode: Decoder[FromHal] = Decoder(FromHal)
_decode_client: Decoder[FromClient] = Decoder(FromClient)

NUMBERS = st.sampled_from([0, 1, 2, -1, 9, 2**53, 2**63, 10**40, 0.5, -0.0, 1e308, 60.0, None])
TEXTS = st.sampled_from(["", "a", "idle", "s" * 64, "s" * 65, "x" * 2000, "x" * 30_000, "\x00", "é\u2028😀" * 500])
MODELS = st.fixed_dictionaries(
    {"page": st.sampled_from(["idle", "charging", "nonsense"])},
    optional={"evse": NUMBERS, "connector": TEXTS, "power_kw": NUMBERS, "history_kw": st.lists(NUMBERS)},
)
COMMANDS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("permit"), "evse": NUMBERS, "session": TEXTS, "lease_s": NUMBERS}),
    st.fixed_dictionaries({"kind": st.just("withdraw"), "evse": NUMBERS}),
    st.fixed_dictionaries({"kind": st.just("set_limit"), "evse": NUMBERS, "power_w": NUMBERS}),
    st.fixed_dictionaries(
        {"kind": st.just("show"), "screen": NUMBERS, "model": st.one_of(MODELS, st.dictionaries(TEXTS, TEXTS))}
    ),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["reboot", "power_off", "list_devices", "get_site_limit", "open_door"])}
    ),
    st.fixed_dictionaries({"kind": st.just("self_test"), "test": TEXTS, "evse": NUMBERS}),
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"kind": st.just("request"), "id": st.integers(0, 3), "command": COMMANDS}),
    st.fixed_dictionaries({"kind": st.just("acknowledge"), "seq": NUMBERS}),
    st.just(GREETING),
).map(msgspec.json.encode)
LINES = st.one_of(MESSAGES, MESSAGES, MESSAGES, st.binary(max_size=60), st.just(b"[" * 70_000), st.just(b'{"kind":1}'))


class _Wire(asyncio.Transport):
    """Collects what is written; never full."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close

    @property
    def received(self) -> list[Any]:
        """The messages that the HAL has sent; each line keeps the contract."""
        lines = self.written.splitlines(keepends=True)
        assert all(len(line) <= MAX_LINE_BYTES for line in lines)
        return [_decode(line[:-1]) for line in lines]


class ServedCabinet:
    """The real cabinet on doubles, behind the real server, without a socket."""

    def __init__(self) -> None:
        self.fake = CabinetDouble()
        clock = self.fake.clock
        own = Credentials(1, os.geteuid(), 1)
        self.server = HalServer(
            self.fake.cabinet, path=Path("unused"), clock=clock, utc=clock.utc, credentials=lambda _: own
        )
        self.fake.cabinet.start()

    def connect(self) -> tuple[Connection[FromClient], _Wire]:
        connection, wire = Connection(_decode_client, self.server), _Wire()
        connection.connection_made(wire)
        return connection, wire

    def leave(self, connection: Connection[FromClient]) -> None:
        connection.connection_lost(None)

    def check_alive(self) -> None:
        """Check that the next service is served and that no contactor was closed."""
        connection, wire = self.connect()
        connection.data_received(msgspec.json.encode(GREETING) + b"\n")
        assert [type(message) for message in wire.received[:2]] == [Greeting, Snapshot]
        self.leave(connection)
        assert not any(contactor.coil for contactor in self.fake.contactors.values())


async def _play(lines: list[bytes], cut: int) -> None:
    hal = ServedCabinet()
    connection, wire = hal.connect()
    stream = b"\n".join([msgspec.json.encode(GREETING), *lines, b""])
    for at in range(0, len(stream), cut):
        if not wire.closed:
            connection.data_received(stream[at : at + cut])
    answers = [message for message in wire.received if isinstance(message, Done | Refused)]
    assert len(answers) <= len(lines)
    hal.leave(connection)
    hal.fake.run(0.2)
    hal.check_alive()


@settings(max_examples=150)
@given(lines=st.lists(LINES, max_size=12), cut=st.sampled_from([1000, 65_536, 10**6]))
@example(lines=[b'{"kind":"request","id":1,"command":{"kind":"withdraw","evse":1.0}}'], cut=1000)
def test_whatever_a_peer_sends_the_next_one_is_served(lines: list[bytes], cut: int) -> None:
    asyncio.run(_play(lines, cut))


@pytest.mark.parametrize(
    "command",
    [
        {"kind": "permit", "session": "s" * 30_000, "lease_s": 60.0},
        {"kind": "show", "model": {"page": "idle", "connector": "x" * 40_000}},
        {"kind": "show", "model": {"page": "charging", "history_kw": [1.5] * 10_000}},
        {"kind": "show", "model": {"page": "idle", "others": [{"evse": 2, "state": "free"}] * 1000}},
        {"kind": "show", "model": {"page": "faulted", "faults": ["meter"] * 1000}},
    ],
)
def test_what_would_make_the_snapshot_too_long_is_refused(command: dict[str, Any]) -> None:
    """Otherwise no client could connect any more until the HAL is restarted."""

    async def play() -> None:
        hal = ServedCabinet()
        connection, wire = hal.connect()
        connection.data_received(msgspec.json.encode(GREETING) + b"\n")
        for number in (1, 2):
            place = {"screen": number} if command["kind"] == "show" else {"evse": number}
            request = {"kind": "request", "id": number, "command": {**command, **place}}
            connection.data_received(msgspec.json.encode(request) + b"\n")
        answers = [message for message in wire.received if isinstance(message, Done | Refused)]
        assert [type(answer) for answer in answers] == [Refused, Refused]
        hal.leave(connection)
        hal.check_alive()

    asyncio.run(play())
