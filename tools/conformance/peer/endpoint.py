# SPDX-License-Identifier: Apache-2.0
"""One URL of the scripted CSMS: the listening socket, the authentication, and how it treats new connections.

These are accepted (`ACCEPT`), refused with HTTP 503 (`REFUSE`), closed without an answer (`DROP`), or their handshake
is never answered (`HANG`). Every attempt is recorded with its time and its HTTP headers; one that ends in the TLS
handshake, or right after it, has the outcome `tls` and no headers.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

__all__ = ["Attempt", "Endpoint", "OnConnect"]

SUBPROTOCOL = Subprotocol("ocpp2.0.1")

# A refused or dropped handshake is what a case asked for, not an error of the tool.
_quiet = logging.getLogger("tools.conformance.websockets")
_quiet.setLevel(logging.CRITICAL)


class OnConnect(Enum):
    """What happens to a new connection."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DROP = "drop"
    HANG = "hang"


@dataclass(eq=False)
class Attempt:
    """One attempt of the station to connect; `at` is seconds since the case began."""

    endpoint: str
    path: str
    headers: dict[str, str]
    outcome: str
    problem: str = ""
    requirement: str = ""
    at: float = 0.0
    tls_version: str | None = None
    cipher: str | None = None
    client_certificate: bytes | None = field(default=None, repr=False)
    """DER, if the station presented one."""
    shared_ciphers: tuple[str, ...] = ()
    """The cipher suites that both sides have, by OpenSSL's names."""
    tls_failure: str = ""
    """What ended the TLS handshake, in OpenSSL's words."""


class Endpoint:
    """`attempted` is called with each attempt, `serve` with each accepted connection; `password` `None`: none."""

    def __init__(
        self,
        name: str,
        identity: str,
        password: str | None,
        *,
        tls: ssl.SSLContext | None,
        host: str,
        attempted: Callable[[Attempt], None],
        serve: Callable[[Endpoint, ServerConnection], Awaitable[None]],
    ) -> None:
        self.name = name
        self.identity = identity
        self.password = password
        self.tls = tls
        self.host = host
        self.port = 0
        self.on_connect = OnConnect.ACCEPT
        self._attempted = attempted
        self._serve = serve
        self._server: Server | None = None
        self._hanging: set[ServerConnection] = set()
        self._handshakes: set[asyncio.Future[None]] = set()

    @property
    def url(self) -> str:
        """The URL for a network connection profile; the station appends its identity."""
        scheme, host = ("wss", "localhost") if self.tls else ("ws", self.host)
        return f"{scheme}://{host}:{self.port}/ocpp"

    async def open(self, port: int = 0) -> None:
        """Listens; on a free port if `port` is 0."""
        self._server = await serve(
            self._handle,
            self.host,
            port,
            create_connection=self._connection_class(),
            subprotocols=[SUBPROTOCOL],
            process_request=self._process_request,
            compression=None,
            ping_interval=None,
            close_timeout=2,
            open_timeout=None,
            logger=_quiet,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Stops listening and ends every connection, the hanging ones too."""
        for connection in list(self._hanging):
            connection.transport.abort()
        for handshake in list(self._handshakes):
            handshake.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _connection_class(self) -> type[ServerConnection]:
        """A connection that does its own TLS handshake: asyncio's server does not report one that fails."""
        endpoint = self

        class _Connection(ServerConnection):
            asked = False
            secured = endpoint.tls is None

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                if endpoint.tls is None:
                    super().connection_made(transport)
                    return
                transport.pause_reading()  # the client's first bytes belong to TLS
                task = asyncio.ensure_future(self._start_tls(transport, endpoint.tls))
                endpoint._handshakes.add(task)
                task.add_done_callback(endpoint._handshakes.discard)

            async def _start_tls(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
                loop = asyncio.get_running_loop()
                try:
                    secured = await loop.start_tls(transport, self, context, server_side=True)
                except OSError as error:  # ssl.SSLError is one
                    endpoint._tls_failed(getattr(error, "reason", None) or "closed by the station")
                    transport.abort()
                    return
                if secured is not None:
                    self.secured = True
                    super().connection_made(secured)

            def connection_lost(self, exc: Exception | None) -> None:
                if not self.secured:
                    return  # `_start_tls` has reported it
                if endpoint.tls is not None and not self.asked:
                    endpoint._tls_failed("closed by the station")
                super().connection_lost(exc)

        return _Connection

    def _tls_failed(self, why: str) -> None:
        self._attempted(Attempt(self.name, "", {}, "tls", tls_failure=why))

    async def _handle(self, connection: ServerConnection) -> None:
        await self._serve(self, connection)

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        connection.asked = True  # type: ignore[attr-defined]
        attempt = self._describe(connection, request)
        self._attempted(attempt)
        if attempt.outcome == "drop":
            connection.transport.abort()
            await connection.wait_closed()
        elif attempt.outcome == "hang":
            self._hanging.add(connection)
            await connection.wait_closed()
            self._hanging.discard(connection)
        elif attempt.outcome == "refuse":
            return connection.respond(503, "not now\n")
        elif attempt.outcome != "accept":
            return connection.respond(int(attempt.outcome), attempt.problem + "\n")
        return None

    def _describe(self, connection: ServerConnection, request: Request) -> Attempt:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        attempt = Attempt(self.name, request.path, headers, self.on_connect.value)
        tls = connection.transport.get_extra_info("ssl_object")
        if tls is not None:
            attempt.tls_version = tls.version()
            attempt.cipher = (tls.cipher() or ("",))[0]
            attempt.shared_ciphers = tuple(name for name, _, _ in tls.shared_ciphers() or ())
            attempt.client_certificate = tls.getpeercert(binary_form=True)
        if self.on_connect is OnConnect.ACCEPT:
            self._authenticate(attempt)
        return attempt

    def _authenticate(self, attempt: Attempt) -> None:
        offered = [name.strip() for name in attempt.headers.get("sec-websocket-protocol", "").split(",")]
        if not attempt.path.endswith("/" + self.identity):
            attempt.outcome, attempt.requirement = "404", "OCPP-J 3.1.1"
            attempt.problem = f"the path {attempt.path!r} does not end with the station's identity, {self.identity}"
        elif self.password is not None and attempt.headers.get("authorization") != self._credentials():
            attempt.outcome, attempt.requirement = "401", "A00.FR.205"
            attempt.problem = f"{self._why_unauthorized(attempt)} (expected: Basic, {self.identity} and its password)"
        elif SUBPROTOCOL not in offered:
            attempt.outcome, attempt.requirement = "400", "OCPP-J 3.1.2"
            attempt.problem = f"it offers the sub-protocols {', '.join(filter(None, offered)) or 'none'}, not ocpp2.0.1"

    def _why_unauthorized(self, attempt: Attempt) -> str:
        """What is wrong with its Authorization header, without a password."""
        scheme, _, value = attempt.headers.get("authorization", "").partition(" ")
        if not scheme:
            return "there is no Authorization header"
        if scheme.casefold() != "basic":
            return f"the Authorization header has the scheme {scheme!r}"
        try:
            user, colon, _password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return "the Authorization header is not base64 of a text"
        if not colon or user != self.identity:
            return f"the Authorization header has the user {user!r}"
        return "the Authorization header has another password"

    def _credentials(self) -> str:
        pair = f"{self.identity}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()
