# SPDX-License-Identifier: Apache-2.0
"""Listener and connection over real sockets, with peers that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from firmware.contract.messages import Acknowledge, Done, FromClient
from firmware.errors import ConfigError, ContractError
from firmware.ipc.connection import MAX_UNSENT_BYTES, Connection, Credentials, peer_credentials
from firmware.ipc.framing import MAX_LINE_BYTES, Decoder, encode
from firmware.ipc.listener import UnixListener
from tests.support.sockets import RawPeer, eventually

decode: Decoder[FromClient] = Decoder(FromClient)


class Recorder:
    """A handler that records each call."""

    def __init__(self) -> None:
        self.open: list[Connection[FromClient]] = []
        self.messages: list[FromClient] = []
        self.reasons: list[str] = []
        self.refuse = False
        self.hang_up = False

    def on_open(self, connection: Connection[FromClient]) -> None:
        self.open.append(connection)

    def on_message(self, connection: Connection[FromClient], message: FromClient) -> None:
        if self.refuse:
            raise ContractError("not now")
        self.messages.append(message)
        if self.hang_up:
            connection.close("enough")

    def on_closed(self, connection: Connection[FromClient], reason: str) -> None:
        self.open.remove(connection)
        self.reasons.append(reason)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def handler() -> Recorder:
    return Recorder()


@pytest.fixture
async def listener(path: Path, handler: Recorder) -> AsyncIterator[UnixListener[FromClient]]:
    serving = UnixListener(path, decode, handler)
    await serving.start()
    yield serving
    await serving.close()


async def connected(path: Path, handler: Recorder) -> tuple[RawPeer, Connection[FromClient]]:
    before = len(handler.open)
    peer = await RawPeer.connect(path)
    await eventually(lambda: len(handler.open) == before + 1)
    return peer, handler.open[-1]


# --- the socket file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("uids", "mode"), [(frozenset(), 0o600), (frozenset({0, 54321}), 0o660)])
async def test_mode_of_the_file_whatever_the_umask(
    path: Path, handler: Recorder, uids: frozenset[int], mode: int
) -> None:
    old = os.umask(0o077)
    try:
        serving = UnixListener(path, decode, handler, allowed_uids=uids)
        await serving.start()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    await serving.close()


async def test_close_removes_the_file_and_ends_the_clients(path: Path, handler: Recorder) -> None:
    serving = UnixListener(path, decode, handler)
    await serving.start()
    peer, connection = await connected(path, handler)
    connection.send(b"last words\n")
    await serving.close()
    assert await peer.line() == b"last words\n"
    assert await peer.line() == b""
    assert handler.reasons == ["we are stopping"]
    assert not path.exists()
    await serving.close()
    await peer.close()


async def test_a_dead_process_file_is_replaced(path: Path, handler: Recorder) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    serving = UnixListener(path, decode, handler)
    await serving.start()
    peer, _ = await connected(path, handler)
    await peer.close()
    await serving.close()


async def test_a_live_one_is_not_taken_over(path: Path, handler: Recorder, listener: UnixListener[FromClient]) -> None:
    with pytest.raises(ConfigError, match="another process serves there"):
        await UnixListener(path, decode, Recorder()).start()
    peer, _ = await connected(path, handler)
    await peer.close()


async def test_it_starts_again_after_close(path: Path, handler: Recorder) -> None:
    for _ in range(2):
        serving = UnixListener(path, decode, handler)
        await serving.start()
        await serving.close()


async def test_a_file_that_is_not_a_socket_stays(path: Path, handler: Recorder) -> None:
    path.write_text("precious")
    with pytest.raises(ConfigError, match="not a socket"):
        await UnixListener(path, decode, handler).start()
    assert path.read_text() == "precious"
    path.unlink()
    serving = UnixListener(path, decode, handler)
    await serving.start()  # the failed start has released the lock
    await serving.close()


async def test_impossible_paths_are_reported(tmp_path: Path, handler: Recorder) -> None:
    with pytest.raises(ConfigError, match="107 bytes"):
        await UnixListener(tmp_path / ("x" * 110), decode, handler).start()
    with pytest.raises(ConfigError, match="No such file"):
        await UnixListener(tmp_path / "no" / "s", decode, handler).start()


# --- who may connect ----------------------------------------------------------------------------------


async def test_the_peer_uid_decides(path: Path, handler: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    uids = [1002, 1001, 0, os.geteuid()]
    serving = UnixListener(
        path, decode, handler, allowed_uids=frozenset({1001}), credentials=lambda _: Credentials(77, uids.pop(), 0)
    )
    await serving.start()
    allowed = [(await connected(path, handler))[0] for _ in range(3)]
    stranger = await RawPeer.connect(path)
    assert await stranger.line() == b""
    assert len(handler.open) == serving.clients == 3
    assert "uid 1002 (pid 77) is not allowed" in caplog.text
    await serving.close()
    for peer in (*allowed, stranger):
        await peer.close()


async def test_the_kernel_names_the_peer(path: Path, handler: Recorder, listener: UnixListener[FromClient]) -> None:
    peer, connection = await connected(path, handler)
    groups = frozenset(os.getgroups())
    assert peer_credentials(connection.transport) == Credentials(os.getpid(), os.geteuid(), os.getegid(), groups)
    await peer.close()


async def test_the_kernel_names_the_groups_of_the_peer(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    """Root has none of its own as a rule: its child is given some."""
    groups = [54321, 54322] if os.geteuid() == 0 else os.getgroups()
    script = f"import socket; it = socket.socket(socket.AF_UNIX); it.connect({str(path)!r}); it.recv(1)"
    extra = groups if os.geteuid() == 0 else None
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, extra_groups=extra)
    await eventually(lambda: handler.open)
    peer = peer_credentials(handler.open[0].transport)
    assert peer.groups == frozenset(groups)
    assert all(peer.is_member(group) for group in groups)
    handler.open[0].close("seen")
    assert await child.wait() == 0


async def test_the_members_of_a_group_may_connect(path: Path, handler: Recorder) -> None:
    peers = [Credentials(3, 1003, 50), Credentials(2, 1002, 1, frozenset({2, 50})), Credentials(1, 1001, 1)]
    asked = iter(peers)
    serving = UnixListener(path, decode, handler, allowed_gid=50, credentials=lambda _: next(asked))
    await serving.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    members = [(await connected(path, handler))[0] for _ in range(2)]
    stranger = await RawPeer.connect(path)
    assert await stranger.line() == b""
    await serving.close()
    for peer in (*members, stranger):
        await peer.close()


async def test_the_socket_belongs_to_the_group(path: Path, handler: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(os, "chown", lambda _path, _uid, gid: given.append(gid))
    serving = UnixListener(path, decode, handler, allowed_gid=50, file_gid=50)
    await serving.start()
    assert given == [50]
    await serving.close()


async def test_a_group_that_we_are_not_in_is_a_warning(
    path: Path, handler: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    serving = UnixListener(path, decode, handler, allowed_gid=50, file_gid=50)
    await serving.start()
    assert "can't be given to group 50" in caplog.text
    peer, _ = await connected(path, handler)
    await peer.close()
    await serving.close()


async def test_the_number_of_clients_is_limited(path: Path, handler: Recorder) -> None:
    serving = UnixListener(path, decode, handler, max_clients=1)
    await serving.start()
    first, _ = await connected(path, handler)
    second = await RawPeer.connect(path)
    await second.closed()
    await first.close()
    await eventually(lambda: serving.clients == 0)
    third, _ = await connected(path, handler)
    await serving.close()
    await second.close()
    await third.close()


async def test_one_uid_does_not_use_all_connections(path: Path, handler: Recorder) -> None:
    uids = [1002, 1001, 1001, 1001, 1001]
    serving = UnixListener(
        path,
        decode,
        handler,
        allowed_uids=frozenset({1001, 1002}),
        credentials=lambda _: Credentials(77, uids.pop(), 0),
        max_clients=6,
    )
    await serving.start()
    greedy = [(await connected(path, handler))[0] for _ in range(3)]
    refused = await RawPeer.connect(path)
    await refused.closed()
    other, _ = await connected(path, handler)
    assert serving.clients == 4
    await serving.close()
    for peer in (*greedy, refused, other):
        await peer.close()


# --- peers that misbehave -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"x" * (65 * 1024), f"a line of more than {MAX_LINE_BYTES} bytes"),
        (b"x" * (65 * 1024) + b"\n", f"a line of more than {MAX_LINE_BYTES} bytes"),
        (b"hello\n", "not a message of the contract"),
        (b'{"kind":"acknowledge","seq":1,"x":1}\n', "unknown key x, expected seq"),
    ],
)
async def test_a_broken_line_ends_the_connection(
    path: Path, handler: Recorder, listener: UnixListener[FromClient], sent: bytes, reason: str
) -> None:
    peer, _ = await connected(path, handler)
    peer.send(sent + b'{"kind":"acknowledge","seq":1}\n')
    await peer.closed()
    await eventually(lambda: handler.reasons)
    assert reason in handler.reasons[0]
    assert handler.messages == []
    await peer.close()


async def test_nothing_is_received_after_a_refused_message(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    handler.refuse = True
    peer, _ = await connected(path, handler)
    peer.send(b'{"kind":"acknowledge","seq":1}\n' * 3)
    await peer.closed()
    await eventually(lambda: handler.reasons == ["not now"])
    await peer.close()


async def test_nothing_is_received_after_closing(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    handler.hang_up = True
    peer, _ = await connected(path, handler)
    peer.send(b'{"kind":"acknowledge","seq":1}\n' * 3)
    await peer.closed()
    await eventually(lambda: handler.reasons == ["enough"])
    assert len(handler.messages) == 1
    await peer.close()


async def test_half_a_line_before_the_end(path: Path, handler: Recorder, listener: UnixListener[FromClient]) -> None:
    peer, _ = await connected(path, handler)
    peer.send(b'{"kind":"acknowledge","seq":1}\n{"kind":"ackn')
    await peer.close()
    await eventually(lambda: handler.reasons == ["the peer closed in the middle of a line"])
    assert handler.messages == [Acknowledge(seq=1)]


async def test_a_byte_at_a_time(path: Path, handler: Recorder, listener: UnixListener[FromClient]) -> None:
    peer, _ = await connected(path, handler)
    for byte in b'{"kind":"acknowledge","seq":1}\n':
        peer.send(bytes([byte]))
        await asyncio.sleep(0)
    await eventually(lambda: handler.messages == [Acknowledge(seq=1)])
    await peer.close()


async def test_a_peer_that_does_not_read_is_cut_and_delays_no_other(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    lazy, lazy_end = await connected(path, handler)
    lazy.writer.transport.pause_reading()  # type: ignore[attr-defined]
    good, good_end = await connected(path, handler)
    line = b"x" * 9_999 + b"\n"
    sent = 0
    while not lazy_end.closing:
        lazy_end.send(line)
        good_end.send(line)
        sent += 1
        assert await good.line() == line
        assert sent * len(line) < MAX_UNSENT_BYTES * 4, "the bound does not hold"
    assert sent * len(line) > MAX_UNSENT_BYTES
    await eventually(lambda: handler.reasons)
    assert "bytes unread" in handler.reasons[0]
    assert handler.open == [good_end]
    lazy_end.send(line)
    await lazy.close()
    await good.close()


async def test_close_does_not_wait_for_a_reader_without_end(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    lazy, end = await connected(path, handler)
    lazy.writer.transport.pause_reading()  # type: ignore[attr-defined]
    end.send(b"x" * (MAX_UNSENT_BYTES // 2))
    end.close("enough")
    await eventually(lambda: handler.reasons == ["enough"])
    await lazy.close()


# --- a backlog ----------------------------------------------------------------------------------------


async def test_a_backlog_may_be_longer_than_the_bound_and_comes_first(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    peer, connection = await connected(path, handler)
    padding = "x" * 200
    count = 3 * MAX_UNSENT_BYTES // len(padding)
    connection.send_backlog(b"%d %s\n" % (number, padding.encode()) for number in range(count))
    connection.send(b"live\n")
    for number in range(count):
        assert (await peer.line()).startswith(b"%d " % number)
    assert await peer.line() == b"live\n"
    connection.send(encode(Done(id=1)))
    assert await peer.line() == encode(Done(id=1))
    assert not connection.closing
    await peer.close()


async def test_what_waits_behind_a_backlog_is_bounded(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    peer, connection = await connected(path, handler)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    connection.send_backlog(b"x" * 1000 + b"\n" for _ in range(10_000))
    for _ in range(MAX_UNSENT_BYTES // 10_000 + 1):
        assert not connection.closing
        connection.send(b"x" * 9_999 + b"\n")
    assert connection.closing
    await peer.close()


async def test_a_backlog_does_not_hold_up_the_loop(
    path: Path, handler: Recorder, listener: UnixListener[FromClient]
) -> None:
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(5_000):
            taken += 1
            yield b"x\n"

    peer, connection = await connected(path, handler)
    connection.send_backlog(lines())
    assert taken < 500
    await eventually(lambda: taken == 5_000)
    await peer.close()
