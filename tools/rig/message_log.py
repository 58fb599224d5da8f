# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig log --ocpp`: the station's message log, as it is written."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from firmware.message_log import ONLY_TROUBLE, MessageLogReader, print_new
from tools.rig.client import RigClient

__all__ = ["show"]

_LOOK_S = 0.2


async def show(control: Path, file: Path | None, *, follow: bool, as_json: bool) -> None:
    """Print the log of the rig at `control`, or `file`; with `follow`, until the rig ends.

    Raises `RigGone`, and `FileNotFoundError` without such a file.
    """
    if file is not None:
        file.stat()
        await _print(MessageLogReader(file), None, as_json=as_json)
        return
    async with await RigClient.connect(control) as rig:
        path = Path((await rig.state())["message_log"])
        await _print(MessageLogReader(path), rig if follow else None, as_json=as_json)


async def _print(reader: MessageLogReader, rig: RigClient | None, *, as_json: bool) -> None:
    """Print what there is, and with `rig` what follows until the rig ends."""
    ended = None if rig is None else asyncio.ensure_future(rig.ended())
    try:
        if not print_new(reader, as_json=as_json):
            print(ONLY_TROUBLE, file=sys.stderr)
        while ended is not None and not ended.done():
            await asyncio.wait({ended}, timeout=_LOOK_S)
            print_new(reader, as_json=as_json)
    finally:
        reader.close()
        if ended is not None:
            ended.cancel()
