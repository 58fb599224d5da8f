# SPDX-License-Identifier: Apache-2.0
"""A station of installed files alone, without tools/ and tests/, runs with the shipped settings on its own world."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.csms import ScriptedCsms
from tests.support.received_transactions import ReceivedTransaction, received_transactions
from tests.support.scenario import factory

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ("firmware", "hal", "drivers", "services")
PATIENCE_S = 60.0
VISITS = """
[[bus.world.visit]]
evse = 1
card = "04A1B2C3D4E580"
car = { soc_percent = 75, target_soc_percent = 77 }

[[bus.world.visit]]
evse = 2
first = "plug"
card = "0466778899AABB"
charge_s = 4
end = "button"
"""


class Installed:
    """A copy of what a package installs, with its settings; each process is started again when it ends with 0."""

    def __init__(self, path: Path, csms_url: str) -> None:
        self.path = path
        for name in INSTALLED:
            shutil.copytree(ROOT / name, path / "lib" / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("etc/baywatt", "run/baywatt", "run/baywatt-ocpp", "var/lib/baywatt/ocpp", "var/lib/baywatt/hal"):
            (path / name).mkdir(parents=True)
        for name in ("hal.toml", "ocpp.toml"):
            self._install(name)
        (path / "etc/baywatt/station.toml").write_text(factory(csms_url))
        libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path / "lib"), *sorted(libraries)])}

    def _install(self, name: str) -> None:
        """The shipped file, with its paths below our own root."""
        text = (ROOT / "packaging" / "etc" / name).read_text()
        for folder in ("/etc/", "/run/", "/var/"):
            text = text.replace(f'"{folder}', f'"{self.path}{folder}')
        text = text.replace('allowed_users = ["baywatt-ocpp"]\n', "")  # both processes are ours
        if name == "hal.toml":
            text = text.replace("\n[shelf]", f"{VISITS}\n[shelf]")
        (self.path / "etc/baywatt" / name).write_text(text)

    def python(self, *arguments: str) -> list[str]:
        """`-S`: the checkout is not in the import path, although it is installed in this environment."""
        return [sys.executable, "-S", *arguments]

    def log(self, name: str) -> str:
        return (self.path / f"{name}.log").read_text()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Both processes, supervised."""
        tasks = [
            asyncio.create_task(self._supervise("hal", "-m", "hal", "--config")),
            asyncio.create_task(self._supervise("ocpp", "-m", "services.ocpp", "--config")),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervise(self, name: str, *arguments: str) -> None:
        config = str(self.path / "etc/baywatt" / f"{name}.toml")
        while True:
            with (self.path / f"{name}.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *self.python(*arguments, config), cwd=self.path, env=self.environment, stdout=log, stderr=log
                )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.send_signal(signal.SIGTERM)
                await process.wait()
                raise
            assert code == 0, self.log(name)


@pytest.fixture
async def csms() -> AsyncIterator[ScriptedCsms]:
    async with ScriptedCsms() as csms:
        yield csms


@pytest.fixture
def installed(csms: ScriptedCsms) -> Iterator[Installed]:
    """In a folder with a short name: the path of a socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        yield Installed(Path(folder), csms.url)


def transactions(csms: ScriptedCsms) -> list[ReceivedTransaction]:
    return list(received_transactions(csms.received).values())


def test_the_copy_is_complete_without_tools(tmp_path: Path) -> None:
    installed = Installed(tmp_path, "ws://127.0.0.1:9000")
    for name in ("tools", "tests"):
        command = installed.python("-c", f"import {name}")
        found = subprocess.run(command, cwd=tmp_path, env=installed.environment, capture_output=True, check=False)
        assert found.returncode == 1, f"{name} can be imported"


async def test_scripted_sessions_reach_the_csms_whole(csms: ScriptedCsms, installed: Installed) -> None:
    async with installed.running():
        await csms.until(
            lambda: sum(each.ended for each in transactions(csms)) >= 2, "the end of two sessions", timeout=PATIENCE_S
        )
    by_evse = {each.evse: each for each in transactions(csms)[:2]}
    assert set(by_evse) == {1, 2}
    for transaction in by_evse.values():
        transaction.check()
        assert "Charging" in transaction.states
        assert transaction.energy_wh > 0
    assert (by_evse[1].reason, by_evse[2].reason) == ("StoppedByEV", "Local")
    assert by_evse[1].events[0]["idToken"]["idToken"] == "04A1B2C3D4E580"
    assert "ALL HARDWARE IS SIMULATED" in installed.log("hal")
    assert "Traceback" not in installed.log("hal") + installed.log("ocpp")


async def test_reset_restarts_the_simulated_board_and_both_processes(csms: ScriptedCsms, installed: Installed) -> None:
    async with installed.running():
        await csms.expect("BootNotification", timeout=PATIENCE_S)
        await csms.until(lambda: len(transactions(csms)) >= 1, "a session", timeout=PATIENCE_S)
        assert (await csms.call("Reset", {"type": "Immediate"}))["status"] in ("Accepted", "Scheduled")
        await csms.until(lambda: len(boots(csms)) >= 2, "a second boot", timeout=PATIENCE_S)
    assert boots(csms)[:2] == ["PowerUp", "RemoteReset"]
    ended = [each for each in transactions(csms) if each.ended]
    assert ended[0].reason == "ImmediateReset"


def boots(csms: ScriptedCsms) -> list[str]:
    return [call.payload["reason"] for call in csms.received if call.action == "BootNotification"]
