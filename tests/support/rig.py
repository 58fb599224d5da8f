# SPDX-License-Identifier: Apache-2.0
"""A rig for one scenario test: a station in processes of its own, controlled through its control socket.

    async with Rig(tmp_path, station=FILE) as rig:
        await rig.op("plug_in", evse=1)
        await rig.wait("phase", evse=1, phase="charging")
        assert (await rig.state())["evses"][0]["current_a"] > 0

Without a `station` file it starts with the rig's defaults. `stand_in=True` runs `permit_all` in place of the OCPP
service, for tests that need cars to charge and no CSMS. The commissioning page takes as much time to start as the
other processes: it runs only with `page=True`. At the end everything is stopped, and a rig that did not exit
with 0 fails the test.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.rig.client import RigClient

__all__ = ["ROOT", "Rig", "is_alive"]

ROOT = Path(__file__).resolve().parents[2]
START_S = 20.0
STOP_S = 15.0
_STAND_IN = "import sys; from tests.support.rig import main; sys.exit(main())"


class Rig:
    """The process and its client; `client` has what is not passed through here."""

    client: RigClient

    def __init__(
        self,
        directory: Path,
        *,
        station: Path | None = None,
        control: Path | None = None,
        off: bool = False,
        stand_in: bool = False,
        page: bool = False,
        log_level: str = "INFO",
    ) -> None:
        self.directory = directory
        self.control = control or directory / "control.sock"
        self.ready = b""
        """The line that the rig printed when it was ready."""
        self.process: asyncio.subprocess.Process | None = None
        self._arguments = ["up", "--state", str(directory), "--log-level", log_level]
        self._arguments += [] if station is None else ["--station", str(station)]
        self._arguments += [] if control is None else ["--control", str(control)]
        self._arguments += ["--off"] if off else []
        self._arguments += [] if page or stand_in else ["--without", "commissioning"]
        self.program = ["-c", _STAND_IN] if stand_in else ["-m", "tools.rig"]
        """The arguments of Python that start the rig."""

    @property
    def errors(self) -> Path:
        """Where the rig and its processes write standard error."""
        return self.directory.parent / f"{self.directory.name}.err"

    async def start(self) -> None:
        """Start the rig; returns when its control socket accepts and events are coming."""
        with self.errors.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM"),  # a worker that is killed leaves no station behind
                sys.executable,
                *self.program,
                *self._arguments,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            line = await self.process.stdout.readline()
        if not line:
            code = await self.process.wait()
            raise AssertionError(f"the rig ended with {code}: {self.errors.read_text()}")
        self.ready = line
        self.client = await RigClient.connect(self.control)
        await self.client.subscribe()

    async def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        await self.client.close()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            return await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL to the rig itself."""
        assert self.process is not None
        await self.client.close()
        self.process.kill()
        await self.process.wait()

    async def __aenter__(self) -> Rig:
        try:
            await self.start()
        except BaseException:
            self._end_at_once()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            code = await self.stop()
        except BaseException:
            self._end_at_once()
            raise
        if error is None:
            assert code == 0, f"the rig ended with {code}: {self.errors.read_text()}"

    def _end_at_once(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    # --- the client's own, passed through ------------------------------------------------------------------

    async def op(self, name: str, **fields: Any) -> dict[str, Any]:
        return await self.client.op(name, **fields)

    async def wait(self, event: str, *, since: int = 0, timeout_s: float = 20.0, **fields: Any) -> dict[str, Any]:
        return await self.client.wait(event, since=since, timeout_s=timeout_s, **fields)

    async def state(self) -> dict[str, Any]:
        return await self.client.state()

    async def evse(self, evse: int) -> dict[str, Any]:
        return await self.client.evse(evse)

    @property
    def mark(self) -> int:
        return self.client.mark


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def main() -> int:
    """A rig whose OCPP service is the stand-in."""
    from tools.rig.cli import main as rig_main

    python = [sys.executable, "-P", "-m"]
    commands = {
        "hal": [*python, "hal", "--config", "etc/hal.toml"],
        "ocpp": [*python, "tests.support.permit_all", "--config", "etc/ocpp.toml"],
    }
    return rig_main(sys.argv[1:], commands=commands)
