# SPDX-License-Identifier: Apache-2.0
"""A bench CSMS and a rig as child processes, for the demonstration and the benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.errors import BaywattError
from tools.rig.client import RigClient

__all__ = ["Child", "DemoFailed", "start", "start_rig"]

_READY_S = 20.0
_STOP_S = 10.0


class DemoFailed(BaywattError):
    """A step of the demonstration failed; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that is ready, and the line in which it reported that."""

    name: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any]


@asynccontextmanager
async def start(name: str, *arguments: str, log: Path) -> AsyncIterator[Child]:
    """`baywatt ARGUMENTS` until the block ends; its standard error goes to `log`.

    Raises `DemoFailed` with the last line of the log if it does not become ready.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tools.cli",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            process_group=0,  # a Ctrl-C at the terminal is for the parent, which stops this process when it is done
        )
    try:
        yield Child(name, process, await _ready(name, process, log))
    finally:
        await _stop(process)


@asynccontextmanager
async def start_rig(folder: Path, factory: str, *options: str) -> AsyncIterator[tuple[Child, RigClient]]:
    """A station with the settings of a factory file, and the client that drives it. Its state is in `folder/rig`.

    `options` are further ones of `baywatt rig up`.
    """
    file = folder / "factory.toml"
    file.write_text(factory)
    arguments = ("rig", "up", "--state", str(folder / "rig"), "--station", str(file), *options)
    up = start("the rig", *arguments, log=folder / "rig.log")
    async with up as child, await RigClient.connect(Path(child.ready["control"])) as client:
        yield child, client


async def _ready(name: str, process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_READY_S):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise DemoFailed(f"{name} did not start: {lines[-1] if lines else 'there is no output'}")
    ready: dict[str, Any] = json.loads(line)
    return ready


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
