# SPDX-License-Identifier: Apache-2.0
"""Client of the rig's control socket: newline-delimited JSON, one answer for each operation."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

__all__ = ["Control", "ControlError"]


class ControlError(Exception):
    """The rig refused an operation; `code` is one of its error words."""

    def __init__(self, op: str, code: str, detail: str) -> None:
        super().__init__(f"{op}: {code}: {detail}")
        self.code = code


class Control:
    """One connection; the rig answers operations in the order in which they are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()
        self._count = 0

    @classmethod
    async def connect(cls, path: Path) -> Control:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
        return cls(reader, writer)

    async def op(self, name: str, **fields: Any) -> dict[str, Any]:
        """Executes the operation `name`. Raises `ControlError` if the rig refuses, `ConnectionError` if it is gone."""
        async with self._lock:
            self._count += 1
            line = json.dumps({"id": self._count, "op": name, **fields})
            self._writer.write(line.encode() + b"\n")
            await self._writer.drain()
            while answer := await self._reader.readline():
                reply: dict[str, Any] = json.loads(answer)
                if reply.get("id") == self._count:
                    break
            else:
                raise ConnectionError("the rig closed its control socket")
        if not reply.get("ok"):
            raise ControlError(name, str(reply.get("error")), str(reply.get("detail", "")))
        return reply

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
