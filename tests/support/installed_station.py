# SPDX-License-Identifier: Apache-2.0
"""A station that is installed in a booted container, with the bench CSMS beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firmware.version import VERSION
from tools.package.container import Container, debian_root
from tools.package.deb import BILL, SITE
from tools.package.libraries import native

__all__ = ["ETC", "HAL", "NEXT", "OCPP", "PACKAGE", "PAGE", "ROOT", "STATION", "Station", "booted", "with_version"]

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "build" / "test-deb" / f"baywatt_{VERSION}_{native()}.deb"
"""What `make test-deb` has made."""
NEXT = f"{VERSION.rpartition('.')[0]}.{int(VERSION.rpartition('.')[2]) + 1}"
HAL, OCPP, PAGE = "baywatt-hal.service", "baywatt-ocpp.service", "baywatt-commissioning.service"
ETC = "/etc/baywatt"
CODE = f"{SITE}/firmware/version.py"
STATION = """
identity = "CP001"
basic_auth_password = "0123456789abcdef"
[[network_profile]]
slot = 1
url = "ws://127.0.0.1:9000/ocpp"
security_profile = 1
[[variable]]
component = "SampledDataCtrlr"
variable = "TxUpdatedInterval"
value = "2"
"""
SHOWN = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
ASKED = """
import http.client, ssl, sys
page = http.client.HTTPSConnection("127.0.0.1", 8080, context=ssl._create_unverified_context())
page.request("GET", sys.argv[1])
print(page.getresponse().status)
"""


class Station:
    """The container with the CSMS beside it."""

    def __init__(self, machine: Container) -> None:
        self.machine = machine
        self.run = machine.run

    def csms(self, path: str) -> Any:
        url = f"http://127.0.0.1:9000/api/{path}"
        command = [*self.machine.beside, sys.executable, "-c", SHOWN, url]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def page(self, path: str) -> int:
        """The status of the commissioning page's answer, over HTTPS; 0 if it does not listen."""
        command = [*self.machine.beside, sys.executable, "-c", ASKED, path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return int(done.stdout) if done.returncode == 0 else 0

    def transactions(self, evse: int) -> list[dict[str, Any]]:
        """The newest first."""
        return [each for each in self.csms("transactions?station=CP001") if each["evse"] == evse]

    def running(self, evse: int) -> dict[str, Any]:
        """The session at an outlet, once it has energy."""
        found: list[dict[str, Any]] = []

        def charges() -> bool:
            found[:] = [each for each in self.transactions(evse) if not each["ended"] and (each["energy_wh"] or 0) > 0]
            return bool(found)

        self.machine.until(charges, f"a session with energy at EVSE {evse}", limit_s=90.0)
        return found[0]

    def until_ended(self, session: dict[str, Any]) -> dict[str, Any]:
        self.machine.until(lambda: bool(self.of(session["id"])["ended"]), "the end of the session", limit_s=90.0)
        return self.of(session["id"])

    def of(self, transaction: str) -> dict[str, Any]:
        return next(each for each in self.csms("transactions?station=CP001") if each["id"] == transaction)

    def connected(self) -> bool:
        return any(each["id"] == "CP001" and each["connected"] for each in self.csms("stations"))

    def versions(self) -> set[str]:
        """What dpkg, the bill of materials and the last BootNotification say."""
        bill = json.loads((self.machine.root / BILL).read_text())["metadata"]["component"]["version"]
        boot = next(each["boot"]["firmwareVersion"] for each in self.csms("stations") if each["id"] == "CP001")
        return {self.run("dpkg-query", "-W", "-f", "${Version}", "baywatt"), bill, boot}

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def is_active(self, unit: str) -> bool:
        return self.show(unit, "ActiveState") == "active"

    def process(self, unit: str) -> dict[str, str]:
        """What the kernel says of a unit's main process."""
        lines = self.run("cat", f"/proc/{self.show(unit, 'MainPID')}/status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.machine.root / ETC.lstrip("/") / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def wait_active(self, *units: str, other_than: dict[str, str] | None = None) -> None:
        """Until the units are up, with other main processes than these."""
        for unit in units:
            self._wait_active(unit, (other_than or {}).get(unit))

    def _wait_active(self, unit: str, old: str | None) -> None:
        self.machine.until(lambda: self.is_active(unit) and self.show(unit, "MainPID") != old, f"{unit} runs again")

    def signal(self, name: str, *units: str) -> None:
        self.run("systemctl", "kill", "--kill-whom=main", f"--signal={name}", *units)

    def pids(self, *units: str) -> dict[str, str]:
        return {unit: self.show(unit, "MainPID") for unit in units}

    def drop_in(self, unit: str, text: str) -> None:
        """Add lines to a unit, until `systemctl revert`."""
        folder = self.machine.root / "etc/systemd/system" / f"{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(text)
        self.run("systemctl", "daemon-reload")

    def install(self, package: Path) -> str:
        self.copy(package)
        return self.run("dpkg", "--force-unsafe-io", "-i", "/var/tmp/new.deb")

    def copy(self, package: Path) -> None:
        shutil.copy(package, self.machine.root / "var/tmp/new.deb")

    def give_settings(self, text: str = STATION) -> None:
        """The factory settings; the OCPP service is started by itself, until it can start."""
        path = self.machine.root / "etc/baywatt/station.toml"
        path.write_text(text)
        path.chmod(0o640)
        self.run("chgrp", "baywatt", f"{ETC}/station.toml")

    def until_status(self, unit: str, text: str) -> None:
        """Until the unit says this in `systemctl status`."""
        self.machine.until(lambda: text in self.show(unit, "StatusText"), f"{text!r} in the status of {unit}")


@contextmanager
def booted(folder: Path, *csms: str) -> Iterator[Station]:
    """The container with nothing installed yet; `csms` are further options of the bench CSMS."""
    with Container(debian_root(), folder, f"baywatt-{os.getpid()}") as machine:
        command = [*machine.beside, sys.executable, "-m", "tools.csms", "up"]
        command += ["--accept-unknown", "--state", str(folder / "csms"), *csms]
        with (folder / "csms.log").open("wb") as log:
            bench = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            yield Station(machine)
        finally:
            bench.terminate()
            bench.wait(30)


def with_version(package: Path, version: str, folder: Path) -> Path:
    """The same program as another version: in the package, in its bill of materials, and in what it reports."""
    stage, made = folder / "stage", folder / f"{version}.deb"
    subprocess.run(["dpkg-deb", "-R", str(package), str(stage)], check=True)
    for name, kept in (
        ("DEBIAN/control", "Version: {}\n"),
        (BILL, '"version": "{}"'),
        (CODE, '"{}"'),
    ):
        text = (stage / name).read_text()
        assert text.count(kept.format(VERSION)) == 1, name
        (stage / name).write_text(text.replace(kept.format(VERSION), kept.format(version)))
    sums = (stage / "DEBIAN/md5sums").read_text().splitlines(keepends=True)
    (stage / "DEBIAN/md5sums").write_text("".join(line for line in sums if not line.rstrip().endswith((BILL, CODE))))
    for code in (stage / SITE / "firmware/__pycache__").glob("version.*"):
        code.unlink()
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(stage), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(stage)
    return made
