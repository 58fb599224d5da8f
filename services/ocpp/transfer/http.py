# SPDX-License-Identifier: Apache-2.0
"""One attempt over HTTPS (N01.FR.14; or HTTP, where a product allows it).

Redirects are followed here and not by the library: a few only, by `rules.py`. Bodies are not decompressed; there are
no proxies and no cookies. Every address is checked after its name was resolved, so that a name can't be pointed at the
station between the check and the connection.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from services.ocpp.transfer.attempts import Watch
from services.ocpp.transfer.part import PartFile
from services.ocpp.transfer.rules import Kind, Place, Reach, Rules, TransferError, redirected
from services.ocpp.transfer.threads import in_thread

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

__all__ = ["fetch", "put"]

_BLOCK: Final = 64 * 1024
_MAX_REDIRECTS: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD: Final = frozenset({307, 308})
_METHOD_NOT_ALLOWED: Final = frozenset({405, 501})
_KINDS: Final[dict[int, Kind]] = {
    400: "bad_message",
    401: "permission",
    403: "permission",
    404: "not_found",
    407: "permission",
    410: "not_found",
    413: "too_large",
}
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


async def fetch(place: Place, part: PartFile, tls: ssl.SSLContext, rules: Rules) -> None:
    """GET into `part`, continuing at its end; raises `TransferError`."""
    await in_thread(part.find)
    try:
        async with _translated(), _open(tls, rules) as exchange:
            await exchange.get(place, part)
    finally:
        part.close()


async def put(place: Place, source: Path, name: str, tls: ssl.SSLContext, rules: Rules) -> None:
    """PUT `source`, or POST it as a form where PUT is not allowed; raises `TransferError`."""
    async with _translated(), _open(tls, rules, force_close=True) as exchange:
        if await exchange.put(place, source, name):
            return
    async with _translated(), _open(tls, rules, force_close=True) as exchange:
        await exchange.post(place, source, name)


class _Exchange:
    """One session with its watch and the addresses that it may reach."""

    def __init__(self, session: aiohttp.ClientSession, reach: Reach, rules: Rules, watch: Watch) -> None:
        self._session = session
        self._reach = reach
        self._rules = rules
        self._watch = watch

    async def get(self, place: Place, part: PartFile) -> None:
        headers = {"Accept-Encoding": "identity"}
        if part.size and part.version:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.version}
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._request("GET", place, headers) as response:
                if response.status not in _REDIRECTS:
                    await self._save(response, part)
                    return
                place = self._follow(place, response)
        raise TransferError("broken", f"more than {_MAX_REDIRECTS} redirects")

    async def put(self, place: Place, source: Path, name: str) -> bool:
        """Returns False if the server does not allow PUT there."""
        if place.path.endswith("/") and not place.query:
            place = Place(place.scheme, place.host, place.port, place.path + name, "", place.user, place.password)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(source.stat().st_size),
        }
        status = await self._send("PUT", place, source, headers)
        return status not in _METHOD_NOT_ALLOWED

    async def post(self, place: Place, source: Path, name: str) -> None:
        """N01.FR.19."""
        import aiohttp

        def form(file: BinaryIO) -> aiohttp.FormData:
            data = aiohttp.FormData()
            blocks = self._blocks(file)
            data.add_field("uploadfile", blocks, filename=name, content_type="application/octet-stream")
            return data

        status = await self._send("POST", place, source, {}, form)
        if status in _METHOD_NOT_ALLOWED:
            raise TransferError("unsupported", f"the server allows neither PUT nor POST (HTTP {status})")

    async def _send(self, method: str, place: Place, source: Path, headers: dict[str, str], form: Any = None) -> int:
        for _ in range(_MAX_REDIRECTS + 1):
            with await asyncio.to_thread(source.open, "rb") as file:
                body = self._blocks(file) if form is None else form(file)
                async with self._request(method, place, headers, body) as response:
                    if response.status in _SAME_METHOD:
                        place = self._follow(place, response)
                        continue
                    if response.status not in _METHOD_NOT_ALLOWED:
                        _check(response.status)
                    return response.status
        raise TransferError("broken", f"more than {_MAX_REDIRECTS} redirects")

    async def _blocks(self, file: BinaryIO) -> AsyncIterator[bytes]:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            self._watch.moved(len(block))
            yield block

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, place: Place, headers: dict[str, str], data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        from yarl import URL

        _check_literal(place.host, self._reach)
        headers = {**headers, **_authorization(place)}
        url = URL(place.url, encoded=True)
        async with self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
            self._watch.moved(0)
            yield response

    def _follow(self, place: Place, response: aiohttp.ClientResponse) -> Place:
        self._reach.redirect()
        return redirected(place, response.headers.get("Location", ""), self._rules)

    async def _save(self, response: aiohttp.ClientResponse, part: PartFile) -> None:
        if response.status == 416:  # the part is longer than the whole file now is
            await in_thread(part.discard)
            raise TransferError("broken", "the file has changed")
        _check(response.status)
        total = await self._begin(response, part)
        async for block in response.content.iter_chunked(_BLOCK):
            self._watch.moved(len(block))
            await in_thread(part.write, block)
        if total is not None and part.size != total:
            raise TransferError("broken", f"{part.size} of {total} bytes arrived")
        await in_thread(part.finish)

    async def _begin(self, response: aiohttp.ClientResponse, part: PartFile) -> int | None:
        """Open `part` where the body belongs; returns the size of the whole file, None if unknown."""
        start, total = 0, response.content_length
        if response.status == 206:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != part.size or not part.size:
                await in_thread(part.discard)
                raise TransferError("broken", "not the range that was requested")
            start, total = part.size, None if match[3] == "*" else int(match[3])
        if total is not None:
            part.expect(total)
        await in_thread(part.begin, _version(response), at=start)
        return total


@contextlib.asynccontextmanager
async def _open(tls: ssl.SSLContext, rules: Rules, *, force_close: bool = False) -> AsyncIterator[_Exchange]:
    """A download must not ask the server to close: the library loses the unread rest of a chunked body when the
    connection ends. An upload may: its body could not be sent again over a connection that turns out to be dead."""
    aiohttp = await asyncio.to_thread(_load)
    reach = Reach(rules)
    connector = aiohttp.TCPConnector(ssl=tls, resolver=_resolver(reach), use_dns_cache=False, force_close=force_close)
    async with (
        Watch(rules) as watch,
        aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": "baywatt"},
        ) as session,
    ):
        yield _Exchange(session, reach, rules, watch)


def _load() -> Any:
    """Takes a quarter of a second on a board: not on the loop."""
    import aiohttp

    return aiohttp


def _resolver(reach: Reach) -> AbstractResolver:
    from aiohttp import ThreadedResolver

    class Checked(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            found = await super().resolve(host, port, family)
            allowed = [result for result in found if reach.allows(result["host"])]
            if not allowed:
                raise TransferError("scheme", f"{host} is at an address that is not allowed")
            return allowed

    return Checked()


def _check_literal(host: str, reach: Reach) -> None:
    """The resolver does not see an address in the URL."""
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not reach.allows(host):
        raise TransferError("scheme", f"{host} is an address that is not allowed")


def _authorization(place: Place) -> dict[str, str]:
    if place.user is None:
        return {}
    pair = f"{place.user}:{place.password or ''}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _check(status: int) -> None:
    if 200 <= status < 300:
        return
    raise TransferError(_KINDS.get(status, "refused"), f"HTTP {status}")


def _version(response: aiohttp.ClientResponse) -> str:
    """For If-Range: a strong ETag, or the time of the last change."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag[:200]
    return response.headers.get("Last-Modified", "")[:100]


@contextlib.asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Raises `TransferError` alone, without the library's texts, which may repeat what a server sent."""
    aiohttp = await asyncio.to_thread(_load)
    try:
        yield
    except TransferError:
        raise
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLError) as error:
        raise TransferError("tls", _tls_text(error)) from error
    except aiohttp.ClientConnectorSSLError as error:
        raise TransferError("tls", _tls_text(error)) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, TransferError):
            raise error.os_error from None
        raise TransferError("refused", f"no connection: {error.os_error.strerror or 'unknown host'}"[:120]) from error
    except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
        raise TransferError("broken", "the server broke off, or did not answer in HTTP") from error


def _tls_text(error: Any) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "the TLS handshake failed")[:120]
