# SPDX-License-Identifier: Apache-2.0
"""One attempt to connect to a CSMS: the contents of the handshake, and the cause of each failure."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.utils import accept_key

from firmware.errors import StorageError
from firmware.factory_settings import NetworkProfile
from services.ocpp.csms.diagnosis import DialError
from services.ocpp.csms.dial import LinkSettings, connection_url, dial
from services.ocpp.csms.wire import Wire
from services.ocpp.no_connection import Cause
from tests.support.csms import Fault, ScriptedCsms
from tests.support.tls import SUITES, contexts, make_files, server_context

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


async def _dial(url: str, *, security_profile: int = 1, **fields: Any) -> Wire:
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
        assert connection.protocol.subprotocol == "ocpp2.0.1"
        await connection.close()
        (handshake,) = csms.handshakes
        assert handshake.path == "/ocpp/CP001"
        assert handshake.headers["sec-websocket-protocol"] == "ocpp2.0.1"
        assert "sec-websocket-extensions" not in handshake.headers
        scheme, _, token = handshake.headers["authorization"].partition(" ")  # A00.FR.202
        # A00.FR.203, A00.FR.204, A00.FR.205
        assert (scheme, base64.b64decode(token)) == ("Basic", f"CP001:{PASSWORD}".encode())


async def test_credentials_that_a_server_repeats_are_not_shown() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = head.split("Authorization: Basic ")[1].split("\r\n")[0]
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\nConnection: {token}\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", 0) as server:
        error = await _failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp")
    token = base64.b64encode(f"CP001:{PASSWORD}".encode()).decode()
    assert error.cause is Cause.NOT_WEBSOCKET
    assert token not in error.detail


async def test_profile_0_sends_no_credentials() -> None:
    async with ScriptedCsms() as csms:
        connection = await _dial(csms.url.replace("ws://", "ws://user:secret@"), security_profile=0)
        await connection.close()
        assert "authorization" not in csms.handshakes[0].headers


async def test_profile_1_without_a_password_is_not_dialled() -> None:
    async with ScriptedCsms() as csms:
        error = await _failure(csms.url, basic_auth_password=None)
        assert error.cause is Cause.NO_PASSWORD
        assert csms.attempts == 0


@pytest.mark.parametrize(("scheme", "security_profile"), [("ws", 2), ("ws", 3), ("wss", 0), ("wss", 1)])
async def test_a_scheme_of_another_profile_is_not_dialled(scheme: str, security_profile: int) -> None:
    """A00.FR.001: no unencrypted password."""
    async with ScriptedCsms() as csms:
        error = await _failure(csms.url.replace("ws:", f"{scheme}:"), security_profile=security_profile)
        assert error.cause is Cause.SCHEME
        assert csms.attempts == 0


@pytest.mark.parametrize(
    ("fault", "cause", "detail"),
    [
        (Fault.REFUSE_401, Cause.CREDENTIALS, "HTTP 401 Unauthorized"),
        (Fault.REFUSE_404, Cause.HTTP_STATUS, "HTTP 404 Not Found"),
        (Fault.REFUSE_503, Cause.HTTP_STATUS, "HTTP 503 Service Unavailable"),
        (Fault.REDIRECT, Cause.REDIRECT, "HTTP 302 Found, to ws://127.0.0.1:"),
        (Fault.CLOSE_IN_HANDSHAKE, Cause.CLOSED_IN_HANDSHAKE, ""),
        (Fault.NONSENSE_IN_HANDSHAKE, Cause.NOT_WEBSOCKET, ""),
        (Fault.NO_SUBPROTOCOL, Cause.SUBPROTOCOL, "it selected none"),
        (Fault.WRONG_SUBPROTOCOL, Cause.SUBPROTOCOL, "ocpp1.6"),
    ],
)
async def test_the_cause_of_a_failure_at_a_rude_csms(fault: Fault, cause: Cause, detail: str) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        error = await _failure(csms.url)
        assert error.cause is cause
        assert detail in error.detail
        assert csms.attempts == 1


@contextlib.asynccontextmanager
async def _answering(head: bytes) -> AsyncIterator[str]:
    """A server that answers every request with this; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"Location: wss://user:secret@new.example/ocpp?token=abc\r\n", "to wss://new.example/ocpp"),
        (b"Location: /elsewhere\r\nLocation: /twice\r\n", "to /elsewhere"),
        (b"Location: http://[\r\n", "to an address that is not valid"),
        (b"", "to no address"),
    ],
)
async def test_a_redirect_names_the_address_without_secrets(location: bytes, shown: str) -> None:
    async with _answering(b"HTTP/1.1 301 Moved\r\n" + location + b"Content-Length: 0") as url:
        error = await _failure(url)
    assert (error.cause, error.detail) == (Cause.REDIRECT, f"HTTP 301 Moved Permanently, {shown}")


@pytest.mark.parametrize("fault", [Fault.STALL_HANDSHAKE, Fault.DRIBBLE_HEADERS])
async def test_a_slow_handshake_ends_in_time(fault: Fault) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        async with asyncio.timeout(2.0):
            error = await _failure(csms.url, open_timeout_s=0.1)
        assert (error.cause, error.detail) == (Cause.NO_ANSWER, "0.1 s")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_closed_port(host: str) -> None:
    """A name may have several addresses, each of which refuses."""
    async with ScriptedCsms() as csms:
        url = csms.url
    assert (await _failure(url.replace("127.0.0.1", host))).cause is Cause.PORT_CLOSED


async def test_no_route() -> None:
    error = await _failure("ws://255.255.255.255:9/ocpp")  # no TCP to a broadcast address
    assert error.cause is Cause.NO_ROUTE
    assert error.detail


async def test_an_attempt_that_is_given_up_at_any_moment_leaves_no_socket() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/ocpp"
        for rounds in range(30):
            attempt = asyncio.create_task(_dial(url))
            for _ in range(rounds):
                await asyncio.sleep(0)
            attempt.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await attempt
            del attempt
            await asyncio.sleep(0)
            gc.collect()
    assert [str(each.message) for each in caught if "unclosed" in str(each.message)] == []


async def test_a_name_that_is_not_found() -> None:
    assert (await _failure("ws://csms.invalid:9000/ocpp", open_timeout_s=20.0)).cause is Cause.NAME


@pytest.mark.parametrize("url", ["ws://csms:99999/ocpp", "ws://:9000/ocpp", "ws://[::1/ocpp"])
async def test_an_invalid_url(url: str) -> None:
    error = await _failure(url)
    assert error.cause is Cause.BAD_URL
    assert "ocpp" not in error.detail  # a path or query may hold a secret


async def test_profile_2(tls_files: Path, tmp_path: Path) -> None:
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        connection = await _dial(csms.url, security_profile=2, tls=contexts(tls_files, tmp_path))
        assert connection.protocol.subprotocol == "ocpp2.0.1"
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
            connection.abort()
    assert resumed == [False, True, True]


async def test_profile_3(tls_files: Path, tmp_path: Path) -> None:
    context = server_context(tls_files, client_certificates=True)
    async with ScriptedCsms(tls=context, host="localhost") as csms:
        connection = await _dial(csms.url, security_profile=3, tls=contexts(tls_files, tmp_path))
        assert "authorization" not in csms.handshakes[0].headers
        await connection.close()


@pytest.mark.parametrize(
    ("certificate", "ca", "detail"),
    [
        (
            "elsewhere",
            "root",
            'it is for another host name (certificate of "csms.example", issued by "Test Root", valid from ',
        ),
        ("expired", "root", 'it has expired (certificate of "localhost", issued by "Test Root", valid from '),
        (
            "csms",
            "other-root",
            'no installed CSMS root has signed it (certificate of "localhost", issued by "Test Root"',
        ),
    ],
)
async def test_a_certificate_that_does_not_prove_the_csms(
    tls_files: Path, tmp_path: Path, certificate: str, ca: str, detail: str
) -> None:
    """A00.FR.308 to .311: wrong name, expired, unknown root."""
    async with ScriptedCsms(tls=server_context(tls_files, certificate), host="localhost") as csms:
        error = await _failure(csms.url, security_profile=2, tls=contexts(tls_files, tmp_path, ca=ca))
        assert error.cause is Cause.CSMS_CERTIFICATE
        assert detail in error.detail
        assert csms.handshakes == []


@contextlib.contextmanager
def _blocking_tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """asyncio's server closes without the alert that gives the reason, so this one sends it itself."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            visitor, _ = listener.accept()
            with visitor, context.wrap_socket(visitor, server_side=True, do_handshake_on_connect=False) as secured:
                with contextlib.suppress(ssl.SSLError):
                    secured.do_handshake()
                while socket.socket.recv(
                    secured, 4096
                ):  # a close before that would be a reset and could lose the alert
                    pass

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
        assert error.cause is Cause.TLS_SUITES
        for suite in (*SUITES, "TLS_AES_256_GCM_SHA384"):
            assert suite in error.detail


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
        assert error.cause is Cause.TLS_VERSION


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_csms_that_refuses_the_stations_certificate(
    tls_files: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 the alert comes after the handshake."""
    context = server_context(tls_files, client_certificates=True, client_ca="other-root")
    context.minimum_version = context.maximum_version = version
    with _blocking_tls_server(context) as url:
        error = await _failure(url, security_profile=3, tls=contexts(tls_files, tmp_path))
    assert error.cause is Cause.TLS_ALERT
    assert error.detail == 'alert "unknown ca"; it is about this station\'s certificate'


async def test_a_csms_that_refuses_tls_without_an_alert(tls_files: Path, tmp_path: Path) -> None:
    """As asyncio's server does: it can't be known whether it refuses or fails."""
    context = server_context(tls_files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    async with ScriptedCsms(tls=context, host="localhost") as csms:
        error = await _failure(csms.url, security_profile=2, tls=contexts(tls_files, tmp_path))
    assert error.cause in (Cause.TLS_CLOSED, Cause.TLS_SUITES)


async def test_a_connection_that_ends_within_the_tls_handshake(tls_files: Path, tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/ocpp"
        error = await _failure(url, security_profile=2, tls=contexts(tls_files, tmp_path))
    assert error.cause is Cause.TLS_CLOSED


async def test_a_csms_without_tls(tls_files: Path, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/ocpp"
        error = await _failure(url, security_profile=2, tls=contexts(tls_files, tmp_path))
    assert error.cause is Cause.TLS_FAILED
    assert "does not answer in TLS" in error.detail


@pytest.mark.parametrize("security_profile", [2, 3])
async def test_without_certificates_no_csms_is_dialled(security_profile: int) -> None:
    error = await _failure("wss://localhost:9/ocpp", security_profile=security_profile)
    assert error.cause is Cause.NO_CERTIFICATE


async def test_a_store_of_certificates_that_fails() -> None:
    def broken(profile: NetworkProfile) -> ssl.SSLContext:
        raise StorageError("gone")

    error = await _failure("wss://localhost:9/ocpp", security_profile=2, tls=broken)
    assert (error.cause, error.detail) == (Cause.NO_CERTIFICATE, "gone")


_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_HEADS = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda at, junk: _ANSWER[:at] + junk + _ANSWER[at:], st.integers(0, len(_ANSWER)), st.binary(max_size=6)),
    st.sampled_from([b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 500, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n"]),
    st.sampled_from([b"HTTP/1.1 302 x\r\nLocation: file:///etc/shadow\r\n", b"HTTP/1.1 101 " + b"x" * 100_000]),
)


@given(head=_HEADS)
def test_whatever_a_server_answers_is_a_failure_of_a_known_kind(head: bytes) -> None:
    async def play() -> None:
        async with _answering(head) as url:
            error = await _failure(url)
        assert error.cause.kind in ("http", "closed", "subprotocol")
        assert error.detail.isprintable()

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
        async with asyncio.timeout(20):
            await connection.closed
        await asyncio.wait(floods)
