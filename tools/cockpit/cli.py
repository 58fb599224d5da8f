# SPDX-License-Identifier: Apache-2.0
"""`baywatt cockpit`: serves the page of a running rig."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from firmware.errors import BaywattError, ConfigError
from tools import interrupt
from tools.arguments import Parser, whole
from tools.rig.cli import usual_control
from tools.running import is_free

__all__ = ["main", "parser"]

_HOST = "127.0.0.1"


def parser() -> Parser:
    top = Parser(
        prog="baywatt cockpit", description="A page of a running rig: displays, cars, cards, faults, charts, log."
    )
    top.add_argument("--control", type=Path, metavar="PATH", help="the rig's control socket (as for `baywatt rig`)")
    top.add_argument("--port", type=whole, default=0, metavar="PORT", help="of the page; 0: any free one (default)")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a bad argument or without a rig."""
    arguments = parser().parse_args(argv)
    control = usual_control(arguments.control)
    try:
        if not 0 <= arguments.port <= 65535:
            raise ConfigError(f"--port must be 0 to 65535, not {arguments.port}")
        if arguments.port and not is_free(_HOST, arguments.port):
            raise ConfigError(f"--port {arguments.port}: another program listens there; 0 is any free one")
        interrupt.run(_serve(control, arguments.port))
    except KeyboardInterrupt:
        return 0
    except BaywattError as error:
        print(f"baywatt cockpit: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(control: Path, port: int) -> None:
    # Imported here: the help and a mistake need no server.
    from tools.cockpit.server import Cockpit

    async with Cockpit(control, _HOST, port) as cockpit:
        ready = {"cockpit": "ready", "url": cockpit.url, "pid": os.getpid()}
        print(msgspec.json.encode(ready).decode(), flush=True)
        await cockpit.ended()
