# SPDX-License-Identifier: Apache-2.0
"""The station under test: a rig for each case, a rig that is already running, or a real station.

All three do the *manual actions* of the test cases (`manual("plug_in", evse=1)`): through the control socket, or by
asking the person at the terminal to do it and to press Enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from tools.conformance.bench.control import Control
from tools.conformance.checks.expected import CaseFailed, CaseSkipped, Failure

__all__ = ["AttachedRig", "NobodyAnswers", "OwnRig", "RealStation", "Station"]

_START_S = 30.0
_STOP_S = 15.0


class NobodyAnswers(ConnectionError):
    """No person is at the terminal for the manual actions."""


class Station(Protocol):
    """What the tool does with the station other than by OCPP."""

    own: bool
    """The case may write its factory settings: every case begins with a new station."""

    async def start(self, factory: str | None, *, power: bool) -> None:
        """Starts it; `factory` is the text of a factory file (only if `own`)."""

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        """Does one operation of the rig's control socket. Raises `ControlError` if it is refused."""

    async def stop(self) -> None:
        """Ends what `start` started."""


class OwnRig:
    """A rig process in `folder`, with every file of its state below it."""

    own = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._control: Control | None = None
        self.log_path = folder / "rig.log"

    async def start(self, factory: str | None, *, power: bool) -> None:
        """Starts the rig with `factory` and waits until its control socket answers."""
        settings = self._folder / "station.toml"
        settings.write_text(factory or "")
        command = [sys.executable, "-m", "tools.cli", "rig", "up", "--state", str(self._folder / "state")]
        command += ["--without", "commissioning"]  # no case is about it
        command += ["--station", str(settings), "--control", str(self._folder / "control.sock")]
        command += [] if power else ["--off"]
        with self.log_path.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._control = await Control.connect(Path(await self._ready()))

    async def _ready(self) -> str:
        """The path in the line that the rig prints when it is ready."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_S)
            ready: dict[str, Any] = json.loads(line)
            return str(ready["control"])
        except (TimeoutError, ValueError, KeyError) as error:
            tail = self.log_path.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise CaseFailed(Failure("0", "rig", f"the rig did not start: {tail[0]}")) from error

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        if self._control is None:
            raise ConnectionError("the rig is not running")
        return await self._control.op(op, **fields)

    async def stop(self) -> None:
        """Sends SIGTERM, and after `_STOP_S` SIGKILL to the rest of its process group."""
        if self._control is not None:
            await self._control.close()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class AttachedRig:
    """A rig that is already running; it keeps its settings."""

    own = False

    def __init__(self, control: Path) -> None:
        self._path = control
        self._control: Control | None = None

    async def start(self, factory: str | None, *, power: bool) -> None:
        self._control = await Control.connect(self._path)

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        if self._control is None:
            raise ConnectionError("not attached")
        return await self._control.op(op, **fields)

    async def stop(self) -> None:
        if self._control is not None:
            await self._control.close()


_REQUESTS = {
    "plug_in": "Plug the cable of EVSE {evse} into the car.",
    "plug_out": "Take the cable of EVSE {evse} out of the car.",
    "present_card": "Hold the card {uid} to the reader (EVSE {evse}).",
    "press_stop": "Press the stop button of EVSE {evse}.",
    "select_evse": "Touch the display of EVSE {evse}.",
    "power_cycle": "Switch the station off and on again.",
    "power_off": "Switch the station off.",
    "power_on": "Switch the station on.",
    "reboot": "Press the station's reset button.",
}
_ON_REAL_STATIONS = frozenset(_REQUESTS) | {"car", "network", "fault", "clear_fault"}


async def _ask_at_terminal(question: str) -> str:
    """The line that is typed; unlike `input` in a thread it can be interrupted. Raises `NobodyAnswers` at its end."""
    print(question, end="", flush=True)
    fd, loop, readable = sys.stdin.fileno(), asyncio.get_running_loop(), asyncio.Event()
    line = b""
    with contextlib.suppress(PermissionError):  # a file, which is always readable
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)  # no more than this line: the rest answers the next questions
        if not byte:
            raise NobodyAnswers("standard input has ended: no person is at the terminal")
        line += byte
    return line.decode(errors="replace")


class RealStation:
    """A real station with a person in front of it; `ask` asks that person and returns the answer."""

    own = False

    def __init__(self, ask: Callable[[str], Awaitable[str]] | None = None) -> None:
        self._ask = ask or _ask_at_terminal

    async def start(self, factory: str | None, *, power: bool) -> None:
        """Nothing to start: the station is running."""

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        """Asks for it and waits for Enter; an answer of `n` skips the case."""
        if op not in _ON_REAL_STATIONS:
            raise CaseSkipped(f"{op} can only be done on a rig")
        text = _REQUESTS.get(op, f"Please do: {op} {{fields}}.")
        known = {"evse": "any", "uid": "", **fields, "fields": json.dumps(fields)}
        answer = await self._ask(f"  >> {text.format(**known)} Then press Enter (n: not possible) ")
        if answer.strip().casefold() == "n":
            raise CaseSkipped(f"{op} is not possible on this station")
        return {"ok": True}

    async def stop(self) -> None:
        """Nothing to stop."""
