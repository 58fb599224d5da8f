# SPDX-License-Identifier: Apache-2.0
"""FTP transfers with a real server in a thread, and with a scripted one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.ocpp.transfer import Remote, Rules, TransferError, Transfers
from tests.support.file_servers import ftp_server, trusting
from tests.support.sockets import eventually

CONTENT = bytes(range(256)) * 4000  # 1 MB
QUICK = Rules(stall_s=1.0, intervals_s=(0.0, 60.0))


async def get(url: str, target: Path, *, limit_bytes: int = 2_000_000, retries: int = 0, rules: Rules = QUICK) -> None:
    await Transfers(trusting(), lambda: rules).download(Remote(url, retries, 0.05), target, limit_bytes=limit_bytes)


async def put(url: str, source: Path, *, name: str = "log.tar.gz", retries: int = 0, rules: Rules = QUICK) -> None:
    await Transfers(trusting(), lambda: rules).upload(source, Remote(url, retries, 0.05), name=name)


async def failing(transfer: Any) -> str:
    with pytest.raises(TransferError) as caught:
        await transfer
    return caught.value.kind


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote"
    (folder / "logs").mkdir(parents=True)
    (folder / "image").write_bytes(CONTENT)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(CONTENT)
    return file


async def test_a_file_comes(remote: Path, tmp_path: Path) -> None:
    with ftp_server(remote) as server:
        await get(f"ftp://me:p4ss@localhost:{server.port}/image", tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == CONTENT


async def test_a_cut_download_is_continued(remote: Path, tmp_path: Path) -> None:
    with ftp_server(remote) as server:
        server.drop_after = 300_000
        url = f"ftp://me:p4ss@localhost:{server.port}/image"
        assert await failing(get(url, tmp_path / "image")) == "broken"
        there = (tmp_path / "image.part").stat().st_size
        assert there > 0
        (tmp_path / "image.part").write_bytes(b"!" * there)  # differs from a second whole download
        await get(url, tmp_path / "image")
    got = (tmp_path / "image").read_bytes()
    assert got == b"!" * there + CONTENT[there:]


async def test_a_file_goes_into_a_directory(remote: Path, source: Path) -> None:
    with ftp_server(remote) as server:
        await put(f"ftp://me:p4ss@localhost:{server.port}/logs", source)
        await put(f"ftp://me:p4ss@localhost:{server.port}/logs/", source, name="second.tar.gz")
        await put(f"ftp://me:p4ss@localhost:{server.port}/logs/own-name.bin", source)
    assert (remote / "logs" / "log.tar.gz").read_bytes() == CONTENT
    assert (remote / "logs" / "second.tar.gz").read_bytes() == CONTENT
    assert (remote / "logs" / "own-name.bin").read_bytes() == CONTENT


async def test_a_cut_upload_is_continued(remote: Path, source: Path) -> None:
    with ftp_server(remote) as server:
        server.drop_after = 300_000
        await put(f"ftp://me:p4ss@localhost:{server.port}/logs", source, retries=1)
        assert sum(server.received) < 2 * len(CONTENT)
        assert len(server.received) == 2
    assert (remote / "logs" / "log.tar.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "kind"),
    [("me:p4ss@{}/nowhere", "not_found"), ("me:wrong@{}/logs", "permission"), ("{}/logs", "permission")],
)
async def test_what_can_go_wrong(remote: Path, source: Path, path: str, kind: str) -> None:
    with ftp_server(remote) as server:
        assert await failing(put("ftp://" + path.format(f"localhost:{server.port}"), source)) == kind


async def test_a_missing_file_and_one_that_is_too_large(remote: Path, tmp_path: Path) -> None:
    with ftp_server(remote) as server:
        base = f"ftp://me:p4ss@localhost:{server.port}"
        assert await failing(get(f"{base}/nothing", tmp_path / "image")) == "not_found"
        assert await failing(get(f"{base}/image", tmp_path / "image", limit_bytes=1000)) == "too_large"
    assert not (tmp_path / "image").exists()


async def test_no_server(remote: Path, tmp_path: Path) -> None:
    with ftp_server(remote) as server:
        port = server.port
    assert await failing(get(f"ftp://localhost:{port}/image", tmp_path / "image")) == "refused"


async def test_not_to_the_station_itself(remote: Path, tmp_path: Path) -> None:
    with ftp_server(remote) as server:
        rules = Rules(loopback=False, stall_s=1)
        for host in ("localhost", "127.0.0.1", "127.1"):
            url = f"ftp://me:p4ss@{host}:{server.port}/image"
            assert await failing(get(url, tmp_path / "image", rules=rules)) == "scheme"


# --- a scripted server --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def scripted(replies: dict[str, str], *, greeting: str = "220 hi") -> AsyncIterator[int]:
    """Answers each command with a line; `*` for all others."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.write(greeting.encode() + b"\r\n")
            while line := await reader.readline():
                word = line.split()[0].decode().upper()
                writer.write(replies.get(word, replies["*"]).encode() + b"\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


LOGIN = {"USER": "331 ok", "PASS": "230 ok", "TYPE": "200 ok", "EPSV": "500 no", "*": "502 no"}


async def test_the_data_connection_goes_where_the_control_connection_went(tmp_path: Path) -> None:
    """A PASV answer that names another host, as for a port scan through the station, is not followed."""
    asked: list[str] = []

    async def victim(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("connected")
        writer.close()

    with socket.socket() as refusing:  # no other server can listen on this port meanwhile
        refusing.bind(("127.0.0.1", 0))
        port = refusing.getsockname()[1]
        server = await asyncio.start_server(victim, "127.0.0.2", port)
        replies = {**LOGIN, "SIZE": "213 10", "PASV": f"227 ok (127,0,0,2,{port // 256},{port % 256})"}
        async with scripted(replies) as control:
            assert await failing(get(f"ftp://127.0.0.1:{control}/image", tmp_path / "image")) in ("refused", "broken")
        server.close()
    assert asked == []


async def test_endless_answers(tmp_path: Path) -> None:
    async with scripted({"*": "200 ok"}, greeting="220-hi\r\n" + "more\r\n" * 5000) as port:
        assert await failing(get(f"ftp://127.0.0.1:{port}/image", tmp_path / "image")) == "broken"


async def test_a_silent_server(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rules = Rules(stall_s=0.3)
    assert await failing(get(f"ftp://127.0.0.1:{port}/image", tmp_path / "image", rules=rules)) == "stalled"
    server.close()


@pytest.mark.parametrize("word", ["USER", "PASS", "TYPE", "SIZE", "MDTM", "PASV", "RETR"])
async def test_a_server_that_stalls_at_any_command(tmp_path: Path, word: str) -> None:
    """The attempt ends, and both connections are closed."""
    ended: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(b"220 hi\r\n")
            while (line := await reader.readline()) and line.split()[0].decode() != word:
                writer.write(replies.get(line.split()[0].decode(), "502 no").encode() + b"\r\n")
        await hold(reader, writer)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        ended.append("closed by the station")

    data = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = data.sockets[0].getsockname()[1]
    replies = {**LOGIN, "SIZE": "213 4", "MDTM": "213 2026", "PASV": f"227 ok (127,0,0,1,{port // 256},{port % 256})"}
    control = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ftp://127.0.0.1:{control.sockets[0].getsockname()[1]}/image"
    assert await failing(get(url, tmp_path / "image", rules=Rules(stall_s=0.2))) == "stalled"
    await eventually(lambda: len(ended) == (2 if word == "RETR" else 1))
    control.close()
    data.close()


@pytest.mark.parametrize("size", ["213 -5", "213 9999999999999999999", "213 abc", "213 ", "213 1_0"])
async def test_a_size_that_is_no_number(tmp_path: Path, size: str) -> None:
    async with scripted({**LOGIN, "SIZE": size}) as port:
        assert (
            await failing(get(f"ftp://127.0.0.1:{port}/image", tmp_path / "image")) == "unsupported"
        )  # for EPSV, PASV


@pytest.mark.parametrize(
    "place",
    [
        {"EPSV": "229 ok (|||99999|)"},
        {"EPSV": "229 ok (|||-1|)"},
        {"EPSV": "229 ok"},
        {"PASV": "227 ok"},
        {"PASV": "227 ok (1,2)"},
        {"PASV": "227 ok (127,0,0,1,999,999)"},
        {"PASV": "227 ok (127,0,0,1,0,0,0)"},
    ],
)
async def test_a_data_connection_to_nowhere(tmp_path: Path, place: dict[str, str]) -> None:
    async with scripted({**LOGIN, **place}) as port:
        assert await failing(get(f"ftp://127.0.0.1:{port}/image", tmp_path / "image")) in ("refused", "broken")


@pytest.mark.parametrize(
    ("reply", "kind"), [("502 no", "unsupported"), ("501 what", "bad_message"), ("553 no", "permission")]
)
async def test_refusals_by_their_code(source: Path, reply: str, kind: str) -> None:
    async with scripted({**LOGIN, "CWD": reply}) as port:
        assert await failing(put(f"ftp://127.0.0.1:{port}/logs", source)) == kind
