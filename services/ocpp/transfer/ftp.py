# SPDX-License-Identifier: Apache-2.0
"""One attempt over FTP: passive mode only, and resuming in both directions.

The data connection always goes to the server that the control connection reached; another host in a PASV answer is
ignored. FTP is not encrypted: an eavesdropper reads the file and the password. It is here because the product lists
it; images are signed all the same, and logs hold no secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from services.ocpp.transfer.attempts import Watch
from services.ocpp.transfer.part import PartFile
from services.ocpp.transfer.rules import Kind, Place, Reach, Rules, TransferError
from services.ocpp.transfer.threads import in_thread

if TYPE_CHECKING:
    import aioftp

__all__ = ["fetch", "put"]

_BLOCK: Final = 64 * 1024
_MAX_LINES: Final = 200
"""Of all answers in one session: endless answers would fill the memory."""
_KINDS: Final[dict[str, Kind]] = {
    "500": "bad_message",
    "501": "bad_message",
    "502": "unsupported",
    "504": "unsupported",
    "530": "permission",
    "532": "permission",
    "550": "not_found",
    "553": "permission",
    "552": "too_large",
    "421": "refused",
    "426": "broken",
    "451": "broken",
    "452": "too_large",
}


async def fetch(place: Place, part: PartFile, rules: Rules) -> None:
    """RETR into `part`, continuing at its end; raises `TransferError`."""
    await in_thread(part.find)
    try:
        async with _session(place, rules) as (client, watch):
            await _fetch(client, watch, _path(place), part)
    finally:
        part.close()


async def _fetch(client: aioftp.Client, watch: Watch, path: str, part: PartFile) -> None:
    size = await _size(client, path)
    if size is not None:
        part.expect(size)
    version = "" if size is None else f"{size} {await _modified(client, path)}"
    start = part.size if version and part.version == version and size is not None and part.size <= size else 0
    await in_thread(part.begin, version, at=start)
    async with client.download_stream(path, offset=start) as stream:
        async for block in stream.iter_by_block(_BLOCK):
            watch.moved(len(block))
            await in_thread(part.write, block)
    if size is not None and part.size != size:
        raise TransferError("broken", f"{part.size} of {size} bytes arrived")
    await in_thread(part.finish)


async def put(place: Place, source: Path, name: str, rules: Rules, *, again: bool) -> None:
    """STOR `source`; a repeated attempt (`again`) continues after the bytes that the server has."""
    async with _session(place, rules) as (client, watch):
        name = await _enter(client, _path(place), name)
        total = source.stat().st_size
        there = await _size(client, name) if again else None
        start = there if there is not None and 0 < there <= total else 0
        with await asyncio.to_thread(source.open, "rb") as file:
            file.seek(start)
            async with client.upload_stream(name, offset=start) as stream:
                while block := await asyncio.to_thread(file.read, _BLOCK):
                    await stream.write(block)
                    watch.moved(len(block))
        arrived = await _size(client, name)
        if arrived is not None and arrived != total:
            raise TransferError("broken", f"{arrived} of {total} bytes arrived")


async def _enter(client: aioftp.Client, path: str, name: str) -> str:
    """Change to the directory that the URL names; returns the name to store under, which the URL may give, too."""
    import aioftp

    if path in ("", "/"):
        return name
    try:
        await client.change_directory(path)
    except aioftp.StatusCodeError:
        folder, _, last = path.rpartition("/")
        if "." not in last:
            raise
        if folder:
            await client.change_directory(folder)
        return last
    return name


async def _size(client: aioftp.Client, path: str) -> int | None:
    """None: no such file, or the server does not support SIZE."""
    text = await _ask(client, f"SIZE {path}")
    return int(text) if text.isdecimal() and len(text) < 16 else None


async def _modified(client: aioftp.Client, path: str) -> str:
    return (await _ask(client, f"MDTM {path}"))[:40]


async def _ask(client: aioftp.Client, command: str) -> str:
    import aioftp

    try:
        await client.command("TYPE I", "200")  # SIZE depends on it
        _code, lines = await client.command(command, "213")
    except aioftp.StatusCodeError:
        return ""
    return lines[-1].strip() if lines else ""


def _path(place: Place) -> str:
    """Relative to the directory that the login leads to (RFC 1738, 3.2.2)."""
    return str(PurePosixPath(unquote(place.path).lstrip("/") or "/"))


@contextlib.asynccontextmanager
async def _session(place: Place, rules: Rules) -> AsyncIterator[tuple[aioftp.Client, Watch]]:
    aioftp = await asyncio.to_thread(_load)
    try:
        async with Watch(rules) as watch:
            client = _client(rules)
            try:
                await client.connect(await _address(place, Reach(rules)), place.port)
                await client.login(place.user or "anonymous", place.password or "anonymous@")
                watch.moved(0)
                yield client, watch
                await client.quit()
            finally:
                client.close()
    except TransferError:
        raise
    except aioftp.StatusCodeError as error:
        code = str(error.received_codes[-1])[:3]
        raise TransferError(_KINDS.get(code, "refused"), f"FTP {code}") from error
    except (ConnectionRefusedError, socket.gaierror) as error:
        raise TransferError("refused", f"no connection: {error.strerror}") from error
    except TimeoutError:
        raise TransferError("stalled", f"nothing was transferred for {rules.stall_s:g} s") from None
    except (aioftp.AIOFTPException, OSError, EOFError, ValueError, IndexError, OverflowError) as error:
        # The last three: the library does not check answers to EPSV and PASV, and connects to any port in them.
        raise TransferError("broken", "the server broke off, or did not answer in FTP") from error


async def _address(place: Place, reach: Reach) -> str:
    """Resolve the name once, here, so that the address that was checked is the one that is connected to."""
    found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if reach.allows(str(address[0])):
            return str(address[0])
    raise TransferError("scheme", f"{place.host} is at an address that is not allowed")


def _load() -> Any:
    import aioftp

    return aioftp


def _client(rules: Rules) -> aioftp.Client:
    import aioftp

    class Client(aioftp.Client):
        def __init__(self) -> None:
            super().__init__(socket_timeout=rules.stall_s, connection_timeout=rules.stall_s)
            self.lines = 0
            self.data: list[asyncio.StreamWriter] = []

        async def parse_line(self) -> Any:
            self.lines += 1
            if self.lines > _MAX_LINES:
                raise TransferError("broken", "the FTP server's answers do not end")
            return await super().parse_line()

        async def get_passive_connection(self, *arguments: Any) -> Any:
            reader, writer = await super().get_passive_connection(*arguments)
            self.data.append(writer)  # the library loses it when its command is refused
            return reader, writer

        def close(self) -> None:
            for writer in self.data:
                writer.close()
            super().close()

    return Client()
