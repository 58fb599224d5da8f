# SPDX-License-Identifier: Apache-2.0
"""A message bus of its own, in place of the machine's system bus: for fakes of ModemManager, NetworkManager, logind.

    bus = BusDaemon(directory)
    await bus.start()
    ...  # clients and services connect to `bus.address`
    await bus.close()

It is Debian's dbus-daemon with a policy that allows everything to root and to the user who started it. `close` and
`start` again are the loss and the return of the bus: the address stays, everyone who was connected has to reconnect.
It dies with the process that started it, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from firmware.errors import ConfigError

__all__ = ["BusDaemon"]

START_S = 10.0
_SUN_PATH_BYTES = 107
_COMMAND = ("setpriv", "--pdeathsig", "KILL", "dbus-daemon", "--nofork", "--nopidfile", "--print-address")
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class BusDaemon:
    """One dbus-daemon with its socket in `directory`; raises `ConfigError` if the path is too long for a socket."""

    def __init__(self, directory: Path) -> None:
        path = directory.absolute() / "bus"
        if len(bytes(path)) > _SUN_PATH_BYTES:
            raise ConfigError(f"{path}: too long for a socket, at most {_SUN_PATH_BYTES} bytes")
        self.address = f"unix:path={quote(str(path))}"
        self._config = directory.absolute() / "bus.conf"
        self._log = directory.absolute() / "bus.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when clients can connect; raises `ConfigError` if there is no dbus-daemon or it does not start."""
        if self._process is not None:
            return
        for program in ("setpriv", "dbus-daemon"):
            if shutil.which(program) is None:
                raise ConfigError(f"the simulated system bus needs the program {program}: `make hardware`")
        self._config.write_text(_CONFIG.format(address=escape(self.address)), encoding="utf-8")
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND, f"--config-file={self._config}", stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                printed = await self._process.stdout.readline()
        except TimeoutError:
            printed = b""
        if not printed:
            await self.close()
            raise ConfigError(f"dbus-daemon does not serve {self.address}: see {self._log}")

    async def close(self) -> None:
        """End it at once, as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
