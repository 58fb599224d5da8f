# SPDX-License-Identifier: Apache-2.0
"""Delays the start of a station's process, for tests of the start order.

`python -m tests.support.late NAME MODULE ARGUMENTS...` waits in the station's directory for a file `NAME.go`, then
replaces itself by `MODULE`. If there is a file `NAME.alien`, it serves the HAL's socket until then as a HAL of another
contract version does: it sends its greeting and closes the connection.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

from firmware.contract import CONTRACT_VERSION

ALIEN_VERSION = CONTRACT_VERSION + 1
POLL_S = 0.02
"""Time between two checks for the file."""


def rig() -> int:
    """Run `baywatt rig` with processes that wait for their files; takes its arguments from the command line."""
    from tools.rig.cli import main as rig_main

    late = [sys.executable, "-P", "-m", "tests.support.late"]
    commands = {
        "hal": [*late, "hal", "hal", "--config", "etc/hal.toml"],
        "ocpp": [*late, "ocpp", "services.ocpp", "--config", "etc/ocpp.toml"],
    }
    return rig_main(sys.argv[1:], commands=commands)


def main(arguments: list[str]) -> None:
    name, module, *rest = arguments
    go, alien = Path(f"{name}.go"), Path(f"{name}.alien")
    if alien.exists():
        _greet_until(go)
    while not go.exists():
        time.sleep(POLL_S)
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *rest])


def _greet_until(go: Path) -> None:
    path = Path("run/hal.sock")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(POLL_S)
        while not go.exists():
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            with client:
                client.sendall(json.dumps({"kind": "greeting", "version": ALIEN_VERSION}).encode() + b"\n")
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
