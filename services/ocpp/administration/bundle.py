# SPDX-License-Identifier: Apache-2.0
"""The diagnostics archive as a download over the administration socket.

One at a time; its file lies in a folder of its own until it has been read, or its client has left.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from firmware.contract.administration import Bundle, Chunk, CommandRefused, Problem
from services.ocpp.device_model import keys
from services.ocpp.diagnostics.documents import documents, secrets

if TYPE_CHECKING:
    from services.ocpp.administration.server import Client
    from services.ocpp.context import Context

__all__ = ["CHUNK_BYTES", "Bundles", "Content", "content_of"]

CHUNK_BYTES: Final = 32 * 1024
_log = logging.getLogger(__name__)


class Content(Struct, frozen=True):
    """What an archive holds besides the logs, under a name for its file."""

    name: str
    documents: dict[str, Any]
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Content({self.name!r})"


class Bundles:
    """`pack` writes documents and logs, without the secrets, to a path; it raises `OSError`."""

    def __init__(self, folder: Path, pack: Callable[[Path, dict[str, Any], tuple[str, ...]], Awaitable[None]]) -> None:
        self._path = folder / "bundle.tar.gz"
        self._pack = pack
        self._owner: Client | None = None
        self._ready = False

    async def make(self, client: Client, content: Content) -> Bundle:
        """Call only after `take`."""
        try:
            await self._pack(self._path, content.documents, content.secrets)
            size = self._path.stat().st_size
        except OSError as error:
            self._release(client)
            raise CommandRefused(Problem.STORAGE, f"the bundle can't be written: {error.strerror}") from error
        except BaseException:
            self._release(client)
            raise
        self._ready = True
        return Bundle(content.name, size)

    def take(self, client: Client) -> None:
        """The bundle is this client's from now on; raises `CommandRefused` while it is another's."""
        if self._owner is not None and (self._owner is not client or not self._ready):
            raise CommandRefused(Problem.BUSY, "another bundle is being made or read")
        if self._owner is None:
            client.closed.append(lambda: self._release(client))
        self._owner, self._ready = client, False

    def read(self, client: Client, offset: int) -> Chunk:
        if self._owner is not client or not self._ready:
            raise CommandRefused(Problem.NOT_FOUND, "no bundle was made over this connection")
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if not 0 <= offset <= size:
                    raise CommandRefused(Problem.BAD_REQUEST, f"`offset` is a number from 0 to {size}")
                file.seek(offset)
                data = file.read(CHUNK_BYTES)
        except OSError as error:
            raise CommandRefused(Problem.STORAGE, f"the bundle can't be read: {error.strerror}") from error
        last = offset + len(data) >= size
        if last:
            self._release(client)
        return Chunk(data, last=last)

    def _release(self, client: Client) -> None:
        if self._owner is not client:
            return
        self._owner, self._ready = None, False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def content_of(context: Context, now: float) -> Content:
    """The state of the station at this moment."""
    return Content(_name(context, now), documents(context, now), secrets(context.model))


def _name(context: Context, now: float) -> str:
    identity = re.sub(r"[^A-Za-z0-9.-]", "_", context.model.get(keys.IDENTITY))[:48]
    stamp = re.sub(r"[-:]|\.\d+", "", context.time.text(now))
    return f"diagnostics-{identity}-{stamp}.tar.gz"
