# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        request = json.loads(line)
        writer.write(b'{"event": "booted", "t": 1.0}\n')
        answer: dict[str, Any] = {"id": request["id"], "ok": request["op"] != "plug_in"}
        if not answer["ok"]:
            answer |= {"error": "refused", "detail": "EVSE 1 already has a car"}
        writer.write(json.dumps(answer).encode() + b"\n")
    writer.close()


@pytest.fixture
async def control_socket(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A control socket that sends an event before each answer, and refuses `plug_in`."""
    path = tmp_path_factory.mktemp("c") / "c.sock"
    async with await asyncio.start_unix_server(_answer, str(path)):
        yield path
