# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 client for devices, on the event loop: one request at a time over one connection that stays open.

It costs the HAL under 1 MB, where aiohttp costs 12 MB and half a second of its start. Headers are parsed by the
standard library. Nothing is redirected, unpacked or authenticated: devices do not ask for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import ssl
from pathlib import Path

from msgspec import Struct

from firmware.errors import ConfigError, DeviceLost, DeviceRefused

__all__ = ["HttpClient", "HttpResponse", "PinnedCertificate"]

MAX_BYTES = 256 * 1024


class PinnedCertificate:
    """TLS with a device whose certificate is known: accepted is this one and no other, whatever its fields say.

    A self-signed certificate of a device has no name that could be checked, may begin or end at any time, and may have
    a key of 1024 bits, which the library refuses by default. That is allowed here, for this connection only.

    Raises:
        ConfigError: the file can't be read or is no certificate.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._expected = ssl.PEM_cert_to_DER_cert(file.read_text("ascii").strip())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file}: a certificate in PEM form is expected: {error}") from error
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.set_ciphers("DEFAULT:@SECLEVEL=1")

    def check(self, writer: asyncio.StreamWriter) -> None:
        """Before anything is sent; raises `DeviceRefused` for another certificate."""
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        found = connection.getpeercert(binary_form=True) or b""
        if found != self._expected:
            digest = hashlib.sha256(found).hexdigest()[:16]
            raise DeviceRefused(f"its certificate is another one than the stored one (SHA-256 {digest}…)")


class HttpResponse(Struct, frozen=True):
    status: int
    body: bytes


class HttpClient:
    """A connection to one device; a request over one that has ended meanwhile, or failed before, opens another.

    Args:
        host: name or address.
        port: TCP port.
        timeout_s: for a request as a whole, connecting included.
        pin: for HTTPS.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float, pin: PinnedCertificate | None = None) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._pin = pin
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes | None = None) -> HttpResponse:
        """Send a request, with a JSON body if there is one, and wait for its answer.

        Raises:
            DeviceLost: no connection, no answer in time, an answer that is cut off.
            DeviceRefused: what answers is not HTTP, or not the device with the pinned certificate.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._streams is not None:
                    try:
                        return await self._exchange(method, path, body)
                    except (OSError, EOFError):
                        self.close()  # the device has ended the connection since its last answer
                return await self._exchange(method, path, body)
        except TimeoutError:
            self.close()
            raise DeviceLost(f"no answer within {self._timeout_s:g} s") from None
        except ssl.SSLError as error:
            self.close()
            raise DeviceRefused(f"no TLS connection: {error.reason or error}") from error
        except (OSError, EOFError) as error:
            self.close()
            raise DeviceLost(_reason(error)) from error
        except (http.client.HTTPException, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise DeviceRefused(f"the answer is not valid HTTP: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, path: str, body: bytes | None) -> HttpResponse:
        reader, writer = await self._connected()
        head = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", "Accept: */*"]
        if body is not None:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([*head, "", ""]).encode("ascii") + (body or b""))
        await writer.drain()
        status, headers = await _read_head(reader)
        while status == http.HTTPStatus.CONTINUE:
            status, headers = await _read_head(reader)
        response = HttpResponse(status, await _read_body(reader, status, headers))
        if headers.get("Connection", "").lower() == "close" or not _is_framed(status, headers):
            self.close()
        return response

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            context = self._pin.context if self._pin is not None else None
            self._streams = await asyncio.open_connection(self._host, self._port, ssl=context, limit=MAX_BYTES)
            if self._pin is not None:
                self._pin.check(self._streams[1])
        return self._streams


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, http.client.HTTPMessage]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    version, _, status = first.decode("latin-1").partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"it begins with {version[:20]!r}")
    return int(status[:3]), http.client.parse_headers(io.BytesIO(rest))


def _is_chunked(headers: http.client.HTTPMessage) -> bool:
    return "chunked" in headers.get("Transfer-Encoding", "").lower()


def _is_framed(status: int, headers: http.client.HTTPMessage) -> bool:
    """Whether the end of the body is known before the connection ends."""
    return status in (204, 304) or _is_chunked(headers) or "Content-Length" in headers


async def _read_body(reader: asyncio.StreamReader, status: int, headers: http.client.HTTPMessage) -> bytes:
    if status in (204, 304):
        return b""
    if _is_chunked(headers):
        return await _read_chunks(reader)
    if "Content-Length" in headers:
        return await reader.readexactly(_size(headers["Content-Length"], 10))
    body = await reader.read(MAX_BYTES + 1)
    while chunk := await reader.read(MAX_BYTES + 1):
        body += chunk
        _size(str(len(body)), 10)
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _size(line.partition(b";")[0].decode("latin-1"), 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return body
        body += (await reader.readexactly(size + 2))[:-2]
        _size(str(len(body)), 10)


def _size(text: str, base: int) -> int:
    size = int(text.strip(), base)
    if not 0 <= size <= MAX_BYTES:
        raise ValueError(f"a body of {size} bytes")
    return size


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "it refuses the connection: it is starting, or another device"
    if isinstance(error, EOFError | ConnectionError):
        return "it closed the connection before its answer was complete"
    return getattr(error, "strerror", None) or str(error)
