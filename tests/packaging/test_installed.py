# SPDX-License-Identifier: Apache-2.0
"""The package in a booted Debian beside the bench CSMS: one machine, from installation to purge (`make test-deb`).

The tests use one container and depend on their order: each continues where the one before has left the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware.version import VERSION
from tools.package.container import Container, ContainerError, debian_root
from tools.package.libraries import native

pytestmark = [pytest.mark.container, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
NEXT = f"{VERSION}+next"
HAL, OCPP = "baywatt-hal.service", "baywatt-ocpp.service"
ETC = "/etc/baywatt"
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
VISITS = """
[[bus.world.visit]]
evse = 1
charge_s = 5
end = "button"

[[bus.world.visit]]
evse = 2
first = "plug"
card = "04D5E6F7081928"
charge_s = 3600
car = { soc_percent = 5, capacity_kwh = 2000, max_kw = 60 }
"""
"""A short session at one outlet, and one at the other that lasts as long as the HAL does."""
SHOWN = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


class Station:
    """The container with the CSMS beside it."""

    def __init__(self, machine: Container) -> None:
        self.machine = machine
        self.run = machine.run

    def csms(self, path: str) -> Any:
        url = f"http://127.0.0.1:9000/api/{path}"
        command = [*self.machine.beside, sys.executable, "-c", SHOWN, url]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

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


@pytest.fixture(scope="module")
def package() -> Path:
    """What `make test-deb` has made."""
    return ROOT / "build" / "test-deb" / f"baywatt_{VERSION}_{native()}.deb"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("machine")
    with Container(debian_root(), folder, f"baywatt-{os.getpid()}") as machine:
        command = [*machine.beside, sys.executable, "-m", "tools.csms", "up"]
        command += ["--accept-unknown", "--state", str(folder / "csms")]
        with (folder / "csms.log").open("wb") as log:
            csms = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            yield Station(machine)
        finally:
            csms.terminate()
            csms.wait(30)


@pytest.fixture(scope="module")
def next_version(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package with a higher number."""
    stage = tmp_path_factory.mktemp("next") / "stage"
    subprocess.run(["dpkg-deb", "-R", str(package), str(stage)], check=True)
    control = stage / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}\n", f"Version: {NEXT}\n"))
    path = stage.with_name("next.deb")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(stage), str(path)], check=True, capture_output=True
    )
    shutil.rmtree(stage)
    return path


def install(station: Station, package: Path) -> str:
    shutil.copy(package, station.machine.root / "var/tmp/new.deb")
    return station.run("dpkg", "--force-unsafe-io", "-i", "/var/tmp/new.deb")


def test_an_installation_on_a_full_disk_fails_and_can_be_repeated(station: Station, package: Path) -> None:
    station.run("mount", "-t", "tmpfs", "-o", "size=20M", "tmpfs", "/opt")
    with pytest.raises(ContainerError, match="No space left on device"):
        install(station, package)
    station.run("umount", "/opt")
    assert not station.run("dpkg", "--audit")
    assert not station.run("find", "/etc/baywatt", "/usr/lib/systemd/system/baywatt.target", check=False)


def test_a_fresh_installation_runs_the_demonstration_and_says_so(station: Station, package: Path) -> None:
    install(station, package)
    station.wait_active(HAL)
    assert "ALL HARDWARE IS SIMULATED" in station.show(HAL, "StatusText")
    station.machine.until(
        lambda: f"{ETC}/station.toml: No such file" in station.show(OCPP, "StatusText"),
        "the cause in the unit's status",
    )
    for unit in (HAL, OCPP, "baywatt.target"):
        assert station.run("systemctl", "is-enabled", unit).strip() == "enabled"


def test_it_registers_and_charges_once_it_has_its_settings(station: Station) -> None:
    station.edit("hal.toml", "\n[shelf]", f"{VISITS}\n[shelf]")
    station.edit("hal.toml", "speed = 60.0", "speed = 1.0")
    path = station.machine.root / "etc/baywatt/station.toml"
    path.write_text(STATION)
    path.chmod(0o640)
    station.run("chgrp", "baywatt", f"{ETC}/station.toml")
    station.run("systemctl", "restart", HAL)  # the OCPP service is started by itself, until it can start
    station.wait_active(HAL, OCPP)
    station.machine.until(station.connected, "the station at the CSMS")
    station.machine.until(
        lambda: any(each["ended"] for each in station.transactions(1)), "a whole session", limit_s=90.0
    )
    session = next(each for each in station.transactions(1) if each["ended"])
    assert session["energy_wh"] > 0
    assert session["seq_ok"]
    assert session["stopped_reason"] == "Local"


def test_users_sandbox_and_doors(station: Station) -> None:
    for unit, user in ((HAL, "baywatt-hal"), (OCPP, "baywatt-ocpp")):
        process = station.process(unit)
        uid = station.run("id", "-u", user).strip()
        assert process["Uid"].split() == [uid] * 4
        assert int(uid) != 0
        assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
        assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")
        inside = ["nsenter", "-t", station.show(unit, "MainPID"), "-m", "--"]
        for path in ("/opt/baywatt/x", "/etc/baywatt/x", "/usr/x", "/var/lib/x"):
            assert "Read-only" in station.run(*inside, "sh", "-c", f"touch {path} 2>&1", check=False), path
        assert "sys" not in station.run(*inside, "ls", "/proc").split()
    modes = station.run("stat", "-c", "%U:%G %a", ETC, "/run/baywatt", "/run/baywatt/hal.sock", "/var/lib/baywatt/ocpp")
    assert modes.splitlines() == [
        "root:baywatt 750", "baywatt-hal:baywatt 750", "baywatt-hal:baywatt 660", "baywatt-ocpp:baywatt-ocpp 700",
    ]  # fmt: skip
    for user in ("nobody", "baywatt-hal"):
        tried = station.run("setpriv", f"--reuid={user}", "--clear-groups", "ls", "/var/lib/baywatt/ocpp", check=False)
        assert not tried
    for unit, answer in ((HAL, "0"), (OCPP, "2")):  # the rule of polkit; 2: only with a person's password
        asked = f"pkcheck --action-id org.freedesktop.login1.reboot --process {station.show(unit, 'MainPID')}"
        assert station.run("sh", "-c", f"{asked} >/dev/null 2>&1; echo $?").strip() == answer, unit
    listening = [line for line in station.run("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines() if " 0A " in line]
    assert all(line.split()[1].endswith(":2328") for line in listening), "only the CSMS, port 9000"


def test_a_mistake_in_the_settings_is_named_and_recovers(station: Station) -> None:
    session = station.running(2)
    station.edit("hal.toml", "max_power_w = 400000.0            #", "max_power_kw = 400.0            #")
    station.run("systemctl", "restart", "--no-block", HAL)
    station.machine.until(
        lambda: f"{ETC}/hal.toml: unknown key max_power_kw" in station.show(HAL, "StatusText"), "file, key and cause"
    )
    assert "max_power_kw" in station.run("journalctl", "-u", HAL, "--no-pager", "-n", "50")
    station.edit("hal.toml", "max_power_kw = 400.0            #", "max_power_w = 400000.0            #")
    station.wait_active(HAL)
    station.until_ended(session)


def test_a_killed_ocpp_service_continues_the_session(station: Station) -> None:
    session = station.running(2)
    before = station.pids(OCPP, HAL)
    station.signal("KILL", OCPP)
    station.wait_active(OCPP, other_than=before)
    station.machine.until(station.connected, "the station at the CSMS")
    energy = station.of(session["id"])["energy_wh"]
    station.machine.until(lambda: station.of(session["id"])["energy_wh"] > energy, "more energy in the same session")
    assert not station.of(session["id"])["ended"]
    assert station.show(HAL, "MainPID") == before[HAL]


def test_a_killed_hal_makes_the_outputs_safe_and_comes_back(station: Station) -> None:
    session = station.running(2)
    before = station.pids(HAL, OCPP)
    station.signal("KILL", HAL)
    station.wait_active(HAL, other_than=before)
    assert "status=0" in station.show(HAL, "ExecStopPost")
    assert station.until_ended(session)["seq_ok"]
    assert station.show(OCPP, "MainPID") == before[OCPP]


def test_what_hangs_is_found_by_the_watchdog(station: Station) -> None:
    before = station.pids(HAL, OCPP)
    station.signal("STOP", HAL, OCPP)
    station.wait_active(HAL, OCPP, other_than=before)
    journal = station.run("journalctl", "--no-pager", "-u", HAL, "-u", OCPP)
    assert journal.count("Watchdog timeout") >= 2


def test_an_upgrade_during_a_session_keeps_settings_and_data(station: Station, next_version: Path) -> None:
    session = station.running(2)
    sessions = {each["id"] for each in station.csms("transactions?station=CP001")}
    before = station.pids(HAL, OCPP)
    install(station, next_version)
    station.wait_active(HAL, OCPP, other_than=before)
    assert NEXT in station.run("dpkg-query", "-W", "baywatt")
    assert "charge_s = 3600" in (station.machine.root / "etc/baywatt/hal.toml").read_text()
    ended = station.until_ended(session)
    assert ended["seq_ok"]
    assert ended["energy_wh"] >= session["energy_wh"]
    assert sessions <= {each["id"] for each in station.csms("transactions?station=CP001")}
    station.running(2)


def test_a_downgrade_is_possible(station: Station, package: Path) -> None:
    before = station.pids(HAL, OCPP)
    install(station, package)
    station.wait_active(HAL, OCPP, other_than=before)
    assert station.run("dpkg-query", "-W", "baywatt").split()[1] == VERSION
    station.machine.until(station.connected, "the station at the CSMS")


def test_removal_keeps_settings_and_data(station: Station) -> None:
    station.run("dpkg", "-r", "baywatt")
    station.machine.until(lambda: not station.connected(), "the end of the connection")
    for unit in (HAL, OCPP):
        assert not station.is_active(unit)
    assert (station.machine.root / "var/lib/baywatt/ocpp/station.db").exists()
    assert (station.machine.root / "etc/baywatt/hal.toml").exists()
    assert not (station.machine.root / "opt/baywatt").exists()


def test_a_purge_leaves_nothing(station: Station) -> None:
    station.run("dpkg", "-P", "baywatt")
    search = "find /etc /run /usr /var/lib -xdev -name '*baywatt*' -not -path '/usr/share/doc/*'"
    left = station.run("sh", "-c", search)
    assert not left
    assert not (station.machine.root / "opt/baywatt").exists()
