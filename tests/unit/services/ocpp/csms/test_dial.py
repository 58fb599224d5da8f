# SPDX-License-Identifier: Apache-2.0
"""One attempt to connect to a CSMS: the contents of the handshake, and the kind of each failure."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from firmware.errors import StorageError
from firmware.factory_settings import NetworkProfile
from firmware.log import redact
from services.ocpp.csms.dial import DialError, LinkSettings, connection_url, dial, security_event
from tests.support.csms import Fault, ScriptedCsms
from tests.support.tls import contexts, make_files, server_context

PASSWORD = "0123456789abcdef"


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


def _settings(**fields: Any) -> LinkSettings:
    return LinkSettings(
        identity="CP001", profiles=(), **{"basic_auth_password": PASSWORD, "open_timeout_s": 2.0, **fields}
    )


async def _failure(url: str, *, security_profile: int = 1, **fields: Any) -> DialError:
    with pytest.raises(DialError) as caught:
        await _dial(url, security_profile=security_profile, **fields)
    return caught.value


async def _dial(url: str, *, security_profile: int = 1, **fields: Any) -> ClientConnection:
    return await dial(_settings(**fields), NetworkProfile(slot=1, url=url, security_profile=security_profile))


@pytest.mark.parametrize(
    ("url", "identity", "expected"),
    [
        ("ws://csms.example.com/ocpp", "CS001", "ws://csms.example.com/ocpp/CS001"),
        ("wss://csms.example.com/ocppj", "RDAM 123", "wss://csms.example.com/ocppj/RDAM%20123"),
        ("ws://csms.example.com", "CS001", "ws://csms.example.com/CS001"),
        ("ws://csms.example.com/ocpp/", "CS001", "ws://csms.example.com/ocpp/CS001"),
        ("ws://[::1]:9000/a", "a/b?c#d%é", "ws://[::1]:9000/a/a%2Fb%3Fc%23d%25%C3%A9"),
        ("ws://csms/ocpp", "A*B-C_D=E+F|G@H.I", "ws://csms/ocpp/A*B-C_D=E%2BF%7CG@H.I"),
        ("wss://csms/ocpp?tenant=7", "CS001", "wss://csms/ocpp/CS001?tenant=7"),
        ("ws://user:secret@csms/ocpp", "CS001", "ws://csms/ocpp/CS001"),
    ],
)
def test_the_connection_url(url: str, identity: str, expected: str) -> None:
    assert connection_url(url, identity) == expected


async def test_the_handshake_of_profile_1() -> None:
    async with ScriptedCsms() as csms:
        connection = await _dial(csms.url)
        assert connection.subprotocol == "ocpp2.0.1"
        await connection.close()
        (handshake,) = csms.handshakes
        assert handshake.path == "/ocpp/CP001"
        assert handshake.headers["sec-websocket-protocol"] == "ocpp2.0.1"
        assert "sec-websocket-extensions" not in handshake.headers
        scheme, _, token = handshake.headers["authorization"].partition(" ")  # A00.FR.202
        # A00.FR.203, A00.FR.204, A00.FR.205
        assert (scheme, base64.b64decode(token)) == ("Basic", f"CP001:{PASSWORD}".encode())


async def test_credentials_that_a_server_repeats_are_not_logged() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = head.split("Authorization: Basic ")[1].split("\r\n")[0]
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\nConnection: {token}\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", 0) as server:
        error = await _failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp")
    token = base64.b64encode(f"CP001:{PASSWORD}".encode()).decode()
    assert token in error.reason
    assert token not in redact(error.reason)


async def test_profile_0_sends_no_credentials() -> None:
    async with ScriptedCsms() as csms:
        connection = await _dial(csms.url.replace("ws://", "ws://user:secret@"), security_profile=0)
        await connection.close()
        assert "authorization" not in csms.handshakes[0].headers


async def test_profile_1_without_a_password_is_not_dialled() -> None:
    async with ScriptedCsms() as csms:
        error = await _failure(csms.url, basic_auth_password=None)
        assert error.kind == "unauthorised"
        assert csms.attempts == 0


@pytest.mark.parametrize(("scheme", "security_profile"), [("ws", 2), ("ws", 3), ("wss", 0), ("wss", 1)])
async def test_a_scheme_of_another_profile_is_not_dialled(scheme: str, security_profile: int) -> None:
    """A00.FR.001: no unencrypted password."""
    async with ScriptedCsms() as csms:
        error = await _failure(csms.url.replace("ws:", f"{scheme}:"), security_profile=security_profile)
        assert error.kind == "tls"
        assert csms.attempts == 0


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (Fault.REFUSE_401, "unauthorised", "HTTP 401"),
        (Fault.REFUSE_404, "refused", "HTTP 404"),
        (Fault.REFUSE_503, "refused", "HTTP 503"),
        (Fault.REDIRECT, "refused", "HTTP 302"),
        (Fault.CLOSE_IN_HANDSHAKE, "refused", "closed during the handshake"),
        (Fault.NONSENSE_IN_HANDSHAKE, "protocol", ""),
        (Fault.NO_SUBPROTOCOL, "protocol", "the CSMS did not agree on ocpp2.0.1"),
        (Fault.WRONG_SUBPROTOCOL, "protocol", ""),
    ],
)
async def test_the_kind_of_failure_of_a_rude_csms(fault: Fault, kind: str, reason: str) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        error = await _failure(csms.url)
        assert error.kind == kind
        assert reason in error.reason
        assert csms.attempts == 1


@pytest.mark.parametrize("fault", [Fault.STALL_HANDSHAKE, Fault.DRIBBLE_HEADERS])
async def test_a_slow_handshake_ends_in_time(fault: Fault) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        async with asyncio.timeout(2.0):
            error = await _failure(csms.url, open_timeout_s=0.1)
        assert (error.kind, error.reason) == ("timeout", "no connection within 0.1 s")


async def test_no_server_listens() -> None:
    async with ScriptedCsms() as csms:
        url = csms.url
    assert (await _failure(url)).kind == "unreachable"


async def test_a_name_that_is_not_found() -> None:
    assert (await _failure("ws://csms.invalid:9000/ocpp", open_timeout_s=20.0)).kind == "dns"


@pytest.mark.parametrize("url", ["ws://csms:99999/ocpp", "ws://:9000/ocpp", "ws://[::1/ocpp"])
async def test_an_invalid_url(url: str) -> None:
    assert (await _failure(url)).kind == "protocol"


async def test_profile_2(tls_files: Path, tmp_path: Path) -> None:
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        connection = await _dial(csms.url, security_profile=2, tls=contexts(tls_files, tmp_path))
        assert connection.subprotocol == "ocpp2.0.1"
        assert connection.transport.get_extra_info("ssl_object") is not None  # A00.FR.312
        assert "authorization" in csms.handshakes[0].headers  # A00.FR.302
        await connection.close()


async def test_a_reconnection_resumes_the_session(tls_files: Path, tmp_path: Path) -> None:
    """For that it is enough to read the answer to the WebSocket handshake."""
    resumed, tls = [], contexts(tls_files, tmp_path)
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        for _ in range(3):
            connection = await _dial(csms.url, security_profile=2, tls=tls)
            resumed.append(connection.transport.get_extra_info("ssl_object").session_reused)
            connection.transport.abort()
    assert resumed == [False, True, True]


async def test_profile_3(tls_files: Path, tmp_path: Path) -> None:
    context = server_context(tls_files, client_certificates=True)
    async with ScriptedCsms(tls=context, host="localhost") as csms:
        connection = await _dial(csms.url, security_profile=3, tls=contexts(tls_files, tmp_path))
        assert "authorization" not in csms.handshakes[0].headers
        await connection.close()


@pytest.mark.parametrize(("certificate", "ca"), [("elsewhere", "root"), ("expired", "root"), ("csms", "other-root")])
async def test_a_certificate_that_does_not_prove_the_csms(
    tls_files: Path, tmp_path: Path, certificate: str, ca: str
) -> None:
    """A00.FR.308 to .311: wrong name, expired, unknown root."""
    async with ScriptedCsms(tls=server_context(tls_files, certificate), host="localhost") as csms:
        error = await _failure(csms.url, security_profile=2, tls=contexts(tls_files, tmp_path, ca=ca))
        assert error.kind == "tls"
        assert security_event(error.reason) == "InvalidCsmsCertificate"
        assert csms.handshakes == []


@contextlib.contextmanager
def _blocking_tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """asyncio's server closes without the alert that gives the reason, so this one sends it itself."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            visitor, _ = listener.accept()
            with visitor, context.wrap_socket(visitor, server_side=True) as secured:
                secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"wss://localhost:{listener.getsockname()[1]}/ocpp"
    finally:
        listener.close()
        thread.join(5.0)


async def test_a_csms_with_other_ciphers_only(tls_files: Path, tmp_path: Path) -> None:
    """A00.FR.323"""
    context = server_context(tls_files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    with _blocking_tls_server(context) as url:
        error = await _failure(url, security_profile=2, tls=contexts(tls_files, tmp_path))
        assert error.kind == "tls"
        assert security_event(error.reason) == "InvalidTLSCipherSuite"


async def test_a_csms_with_an_old_version_only(tls_files: Path) -> None:
    """A00.FR.316; 1.2 stands in for the old version, as OpenSSL may not support an older one."""

    def only_tls_1_3(profile: NetworkProfile) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(tls_files / "root.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    context = server_context(tls_files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with _blocking_tls_server(context) as url:
        error = await _failure(url, security_profile=2, tls=only_tls_1_3)
        assert error.kind == "tls"
        assert security_event(error.reason) == "InvalidTLSVersion"


async def test_a_csms_without_tls(tls_files: Path, tmp_path: Path) -> None:
    async with ScriptedCsms() as csms:
        url = csms.url.replace("ws://127.0.0.1", "wss://localhost")
        error = await _failure(url, security_profile=2, tls=contexts(tls_files, tmp_path))
        assert error.kind in ("tls", "refused")
        assert security_event(error.reason) is None
        assert csms.handshakes == []


@pytest.mark.parametrize("security_profile", [2, 3])
async def test_without_certificates_no_csms_is_dialled(security_profile: int) -> None:
    assert (await _failure("wss://localhost:9/ocpp", security_profile=security_profile)).kind == "tls"


async def test_a_store_of_certificates_that_fails() -> None:
    def broken(profile: NetworkProfile) -> ssl.SSLContext:
        raise StorageError("gone")

    assert (await _failure("wss://localhost:9/ocpp", security_profile=2, tls=broken)).kind == "tls"


_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_HEADS = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda at, junk: _ANSWER[:at] + junk + _ANSWER[at:], st.integers(0, len(_ANSWER)), st.binary(max_size=6)),
    st.sampled_from([b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 500, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n"]),
    st.sampled_from([b"HTTP/1.1 302 x\r\nLocation: file:///etc/shadow\r\n", b"HTTP/1.1 101 " + b"x" * 100_000]),
)


@given(head=_HEADS)
def test_whatever_a_server_answers_is_a_failure_of_a_known_kind(head: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            await writer.drain()
        writer.close()

    async def play() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            error = await _failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp")
        assert error.kind in ("refused", "unauthorised", "protocol")

    asyncio.run(play())


async def test_a_csms_that_pings_without_end_and_reads_no_pong_is_dropped() -> None:
    """Pongs are sent automatically, and wait in our memory until they are read."""
    floods: list[asyncio.Task[None]] = []

    async def flood(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"\x89\x7d" + bytes(125) + (b"\x89\x7d" + bytes(125)) * 100)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
        writer.write(_ANSWER + accept_key(key).encode() + b"\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n")
        floods.append(asyncio.create_task(flood(writer)))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        connection = await _dial(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp")
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(20):
                await connection.recv()
        await asyncio.wait(floods)
