# SPDX-License-Identifier: Apache-2.0
"""HTTPS transfers with servers that stall, cut, lie and redirect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.ocpp.transfer import Remote, Rules, TransferError, Transfers
from services.ocpp.transfer.part import PartFile
from services.ocpp.transfer.trust import Trust
from tests.support.file_servers import Answer, RawServer, raw_server, trusting
from tests.support.tls import make_files, server_context

CONTENT = bytes(range(256)) * 800  # 200 KiB
QUICK = Rules(stall_s=0.3, intervals_s=(0.0, 60.0))
PLAIN = Rules(schemes=frozenset({"http", "https"}), stall_s=0.3)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def ok(body: bytes, *more: str, length: int | None = None) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def status(code: int, *more: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {code} X", "Content-Length: 0", "Connection: close", *more, "", ""]).encode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(certificates: Path) -> AsyncIterator[RawServer]:
    async with raw_server(server_context(certificates)) as raw:
        yield raw


@pytest.fixture
def trust(certificates: Path) -> Trust:
    return trusting(certificates / "root.pem")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.tar.gz"
    file.write_bytes(CONTENT)
    return file


async def get(
    url: str, target: Path, trust: Trust, *, limit_bytes: int = 1_000_000, retries: int = 0, rules: Rules = QUICK
) -> None:
    await Transfers(trust, lambda: rules).download(Remote(url, retries, 0.01), target, limit_bytes=limit_bytes)


async def put(
    url: str, source: Path, trust: Trust, *, name: str = "log.tar.gz", retries: int = 0, rules: Rules = QUICK
) -> None:
    await Transfers(trust, lambda: rules).upload(source, Remote(url, retries, 0.01), name=name)


async def failing(transfer: Any) -> TransferError:
    with pytest.raises(TransferError) as caught:
        await transfer
    return caught.value


def stop_after(size: int, *more: str) -> Answer:
    """The rest is never sent. (If the connection were closed, unread data would be lost.)"""

    async def answer(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(CONTENT[:size], *more, length=len(CONTENT)))
        await reader.read()

    return answer


async def stall(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(CONTENT[:1000], length=len(CONTENT)))
    await writer.drain()
    await asyncio.sleep(30)


async def say_nothing(_head: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def never_end(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await writer.drain()


async def test_a_file_comes_whole(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [ok(CONTENT)]
    attempts: list[bool] = []
    target = tmp_path / "image"
    transfers = Transfers(trust, Rules)
    await transfers.download(
        Remote(f"{server.base}/image", 0, 1),
        target,
        limit_bytes=len(CONTENT),
        on_attempt=lambda: attempts.append(target.exists()),
    )
    assert target.read_bytes() == CONTENT
    assert attempts == [False]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["image"]


async def test_a_chunked_body_comes_whole(
    server: RawServer, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to a slow disk, from a server that closes the connection at once if it is asked to."""
    body = 3 * CONTENT  # more than the library buffers

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        await writer.drain()
        if b"connection: close" not in head.lower():
            await reader.read()

    def slow_write(part: PartFile, block: bytes) -> None:
        time.sleep(0.01)
        write(part, block)

    write = PartFile.write
    monkeypatch.setattr(PartFile, "write", slow_write)
    server.answers = [answer]
    await get(f"{server.base}/image", tmp_path / "image", trust, limit_bytes=len(body), rules=Rules())
    assert (tmp_path / "image").read_bytes() == body


async def test_an_older_file_is_deleted_first(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    target = tmp_path / "image"
    target.write_bytes(b"the last one")
    server.answers = [status(404)]
    await failing(get(f"{server.base}/image", target, trust))
    assert not target.exists()


async def test_trouble_with_the_disk(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder should be")
    assert (await failing(get(f"{server.base}/image", tmp_path / "images" / "image", trust))).kind == "broken"
    assert (await failing(put(f"{server.base}/logs", tmp_path / "nothing", trust))).kind == "broken"
    assert server.heads == []


async def test_a_cut_download_is_continued(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    rest = CONTENT[70_000:]
    partial = [
        "HTTP/1.1 206 Partial Content",
        f"Content-Range: bytes 70000-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"Content-Length: {len(rest)}",
        'ETag: "v1"',
        "",
        "",
    ]
    server.answers = [stop_after(70_000, 'ETag: "v1"'), "\r\n".join(partial).encode() + rest]
    await get(f"{server.base}/image", tmp_path / "image", trust, retries=1)
    assert (tmp_path / "image").read_bytes() == CONTENT
    assert server.header("Range") == "bytes=70000-"
    assert server.header("If-Range") == '"v1"'


async def test_it_is_continued_after_a_restart_unless_the_file_has_changed(
    server: RawServer, trust: Trust, tmp_path: Path
) -> None:
    server.answers = [stop_after(70_000, 'ETag: "v1"'), ok(b"new version", 'ETag: "v2"')]
    error = await failing(get(f"{server.base}/image", tmp_path / "image", trust))
    assert error.kind == "stalled"
    await get(f"{server.base}/image", tmp_path / "image", trust)
    assert server.header("Range") == "bytes=70000-"
    assert (tmp_path / "image").read_bytes() == b"new version"


async def test_a_part_of_another_url_is_not_continued(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [stop_after(70_000, 'ETag: "v1"'), ok(CONTENT)]
    await failing(get(f"{server.base}/one", tmp_path / "image", trust))
    await get(f"{server.base}/two", tmp_path / "image", trust)
    assert server.header("Range") is None


async def test_a_part_without_a_version_is_not_continued(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [stop_after(70_000), ok(CONTENT)]
    await get(f"{server.base}/image", tmp_path / "image", trust, retries=1)
    assert server.header("Range") is None
    assert (tmp_path / "image").read_bytes() == CONTENT


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 5-1/3", "nonsense", ""])
async def test_another_range_than_the_one_requested(
    server: RawServer, trust: Trust, tmp_path: Path, content_range: str
) -> None:
    wrong = f"HTTP/1.1 206 P\r\nContent-Range: {content_range}\r\nContent-Length: 4\r\n\r\nEVIL".encode()
    server.answers = [stop_after(70_000, 'ETag: "v1"'), wrong, ok(CONTENT)]
    await get(f"{server.base}/image", tmp_path / "image", trust, retries=2)
    assert (tmp_path / "image").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(404), "not_found"),
        (status(401), "permission"),
        (status(403), "permission"),
        (status(500), "refused"),
        (b"nonsense\r\n\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "broken"),
        (b"", "broken"),
        (ok(b"short", length=500), "broken"),
        (ok(b"", length=2_000_000), "too_large"),
        (never_end, "too_large"),
        (stall, "stalled"),
        (say_nothing, "stalled"),
    ],
)
async def test_what_can_go_wrong(
    server: RawServer, trust: Trust, tmp_path: Path, answer: Answer | bytes, kind: str
) -> None:
    server.answers = [answer]
    error = await failing(get(f"{server.base}/image", tmp_path / "image", trust))
    assert error.kind == kind
    assert not (tmp_path / "image").exists()


async def test_a_server_that_stalls_at_any_byte(tmp_path: Path) -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: 1\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n"

    async def stalling_at(size: int) -> str:
        async def answer(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(whole[:size])
            await reader.read()

        async with raw_server() as raw:
            raw.answers = [answer]
            target = tmp_path / str(size)
            return (await failing(get(f"{raw.base}/image", target, trusting(), rules=PLAIN))).kind

    kinds = await asyncio.gather(*map(stalling_at, range(0, len(whole), 3)))
    assert set(kinds) == {"stalled"}
    assert not [path for path in tmp_path.iterdir() if not path.name.partition(".part")[1]]


async def test_too_large_leaves_nothing_and_is_not_repeated(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [never_end]
    await failing(get(f"{server.base}/image", tmp_path / "image", trust, retries=3))
    assert list(tmp_path.iterdir()) == []
    assert len(server.heads) == 1


async def test_a_trickle_is_a_stall(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    async def trickle(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"", length=len(CONTENT)))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.answers = [trickle]
    rules = Rules(stall_s=5, slowest=(4096, 0.3))
    error = await failing(get(f"{server.base}/image", tmp_path / "image", trust, rules=rules))
    assert error.kind == "stalled"


async def test_no_server(tmp_path: Path, trust: Trust) -> None:
    async with raw_server() as gone:
        port = gone.base.rpartition(":")[2]
    assert (await failing(get(f"https://localhost:{port}/image", tmp_path / "i", trust))).kind == "refused"


@pytest.mark.parametrize("name", ["elsewhere", "expired"])
async def test_certificates_are_checked(certificates: Path, trust: Trust, tmp_path: Path, name: str) -> None:
    async with raw_server(server_context(certificates, name)) as raw:
        raw.answers = [ok(b"x")]
        assert (await failing(get(f"{raw.base}/image", tmp_path / "image", trust))).kind == "tls"
        assert raw.heads == []


async def test_an_unknown_root(server: RawServer, certificates: Path, tmp_path: Path) -> None:
    other = trusting(certificates / "other-root.pem")
    server.answers = [ok(b"x")]
    assert (await failing(get(f"{server.base}/image", tmp_path / "image", other))).kind == "tls"
    assert (await failing(get(f"{server.base}/image", tmp_path / "image", trusting()))).kind == "tls"


async def test_a_redirect_within_the_rules(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [status(302, "Location: /there"), ok(b"here")]
    await get(f"{server.base.replace('//', '//me:pw@')}/image", tmp_path / "image", trust)
    assert (tmp_path / "image").read_bytes() == b"here"
    assert server.heads[1].startswith(b"GET /there ")
    assert server.header("Authorization") is not None


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://localhost:1/x", "ftp://localhost/x", "", "https://"]
)
async def test_a_redirect_out_of_the_rules(server: RawServer, trust: Trust, tmp_path: Path, location: str) -> None:
    server.answers = [status(302, f"Location: {location}")]
    error = await failing(get(f"{server.base}/image", tmp_path / "image", trust))
    assert error.kind in ("scheme", "broken")
    assert list(tmp_path.iterdir()) == []


async def test_a_redirect_to_another_origin_gets_no_credentials(
    server: RawServer, certificates: Path, trust: Trust, tmp_path: Path
) -> None:
    async with raw_server(server_context(certificates)) as other:
        server.answers = [status(307, f"Location: {other.base}/x")]
        other.answers = [ok(b"x")]
        await get(f"{server.base.replace('//', '//me:pw@')}/image", tmp_path / "image", trust)
        assert server.header("Authorization") is not None
        assert other.header("Authorization") is None


async def test_endless_redirects(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [status(302, "Location: /again")]
    assert (await failing(get(f"{server.base}/image", tmp_path / "image", trust))).kind == "broken"
    assert len(server.heads) == 5


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:7f00:1]", "0"])
async def test_not_to_the_station_itself(server: RawServer, trust: Trust, tmp_path: Path, host: str) -> None:
    rules = Rules(loopback=False, stall_s=1)
    url = server.base.replace("localhost", host)
    error = await failing(get(f"{url}/image", tmp_path / "image", trust, rules=rules))
    assert error.kind in ("scheme", "broken")  # some are not host names to the library
    assert server.heads == []


async def test_a_compressed_body_is_not_unpacked(server: RawServer, trust: Trust, tmp_path: Path) -> None:
    server.answers = [ok(b"\x1f\x8b bomb", "Content-Encoding: gzip")]
    await get(f"{server.base}/image", tmp_path / "image", trust)
    assert (tmp_path / "image").read_bytes() == b"\x1f\x8b bomb"


async def test_a_link_in_the_place_of_the_part_is_not_written_through(
    server: RawServer, trust: Trust, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "image.part").symlink_to(victim)
    server.answers = [ok(CONTENT)]
    assert (await failing(get(f"{server.base}/image", tmp_path / "image", trust))).kind == "broken"
    assert victim.read_text() == "precious"


# --- upload -------------------------------------------------------------------------------------------------------


async def test_a_file_is_put(server: RawServer, trust: Trust, source: Path) -> None:
    """N01.FR.14"""
    server.answers = [OK]
    await put(f"{server.base.replace('//', '//me:pw@')}/logs/", source, trust)
    assert server.heads[0].startswith(b"PUT /logs/log.tar.gz ")
    assert server.bodies == [CONTENT]
    assert server.header("Content-Type") == "application/octet-stream"
    assert server.header("Authorization") == "Basic bWU6cHc="


async def test_a_signed_url_is_used_as_it_is(server: RawServer, trust: Trust, source: Path) -> None:
    server.answers = [OK]
    await put(f"{server.base}/bucket/key?X-Sig=a%2Fb&x=1", source, trust)
    assert server.heads[0].startswith(b"PUT /bucket/key?X-Sig=a%2Fb&x=1 ")


async def test_posted_where_put_is_not_allowed(server: RawServer, trust: Trust, source: Path) -> None:
    server.answers = [status(405), OK]
    await put(f"{server.base}/logs", source, trust)
    assert server.heads[1].startswith(b"POST /logs ")
    assert b'form-data; name="uploadfile"; filename="log.tar.gz"' in server.bodies[1]  # N01.FR.19
    assert b"Content-Type: application/octet-stream" in server.bodies[1]
    assert CONTENT in server.bodies[1]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(405), "unsupported"),
        (status(501), "unsupported"),
        (status(400), "bad_message"),
        (status(403), "permission"),
        (status(404), "not_found"),
        (status(413), "too_large"),
        (status(503), "refused"),
        (status(302, "Location: /x"), "refused"),
        (say_nothing, "stalled"),
        (b"", "broken"),
    ],
)
async def test_what_can_go_wrong_with_an_upload(
    server: RawServer, trust: Trust, source: Path, answer: Answer | bytes, kind: str
) -> None:
    server.answers = [answer]
    assert (await failing(put(f"{server.base}/logs", source, trust))).kind == kind


async def test_an_upload_follows_a_redirect_that_keeps_the_method(
    server: RawServer, trust: Trust, source: Path
) -> None:
    server.answers = [status(307, "Location: /there"), OK]
    await put(f"{server.base}/logs", source, trust)
    assert server.heads[1].startswith(b"PUT /there ")
    assert server.bodies == [CONTENT, CONTENT]


async def test_each_attempt_at_its_time(server: RawServer, trust: Trust, source: Path) -> None:
    server.answers = [status(404)]
    starts: list[float] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TransferError):
        await Transfers(trust, lambda: QUICK).upload(
            source,
            Remote(f"{server.base}/logs", 3, 0.2),
            name="log.tar.gz",
            on_attempt=lambda: starts.append(loop.time() - began),
        )
    assert len(starts) == len(server.heads) == 4
    assert all(later - earlier > 0.19 for earlier, later in pairwise(starts))


async def test_http_where_the_rules_allow_it(source: Path) -> None:
    async with raw_server() as raw:
        raw.answers = [OK]
        await put(f"{raw.base}/logs", source, trusting(), rules=PLAIN)
        assert raw.bodies == [CONTENT]
        assert (await failing(put(f"{raw.base}/logs", source, trusting()))).kind == "scheme"


async def test_no_path_tricks_in_the_name(source: Path) -> None:
    with pytest.raises(ValueError):
        await put("https://localhost/logs/", source, trusting(), name="../../etc/passwd")


async def test_nothing_secret_is_logged(
    server: RawServer, trust: Trust, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [status(500)]
    url = f"{server.base.replace('//', '//me:Pl4nted@')}/logs?signature=Pl4ntedToo"
    with caplog.at_level(logging.DEBUG):
        error = await failing(put(url, source, trust, retries=1))
        failed = await failing(get(url, source.with_name("i"), trust, retries=1))
    assert "Pl4nted" not in caplog.text + str(error) + str(failed)
    assert "bWU6UGw0bnRlZA" not in caplog.text


def test_importing_it_loads_no_http_library() -> None:
    import subprocess
    import sys

    code = "import sys, services.ocpp.transfer; sys.exit('aiohttp' in sys.modules or 'aioftp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
