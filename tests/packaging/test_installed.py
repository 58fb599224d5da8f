# SPDX-License-Identifier: Apache-2.0
"""The package in a booted Debian beside the bench CSMS: one machine, from installation to purge (`make test-deb`).

The tests use one container and depend on their order: each continues where the one before has left the machine.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from firmware.version import VERSION
from tests.support.installed_station import ETC, HAL, NEXT, OCPP, PACKAGE, PAGE, Station
from tools.package.deb import BILL, SITE

pytestmark = [pytest.mark.container, pytest.mark.timeout(240)]

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


def test_a_fresh_installation_runs_the_demonstration_and_says_so(station: Station) -> None:
    station.install(PACKAGE)
    station.wait_active(HAL)
    assert "ALL HARDWARE IS SIMULATED" in station.show(HAL, "StatusText")
    for unit in (OCPP, PAGE):
        station.until_status(unit, f"{ETC}/station.toml: No such file")
    for unit in (HAL, OCPP, PAGE, "baywatt.target"):
        assert station.run("systemctl", "is-enabled", unit).strip() == "enabled"


def test_it_registers_and_charges_once_it_has_its_settings(station: Station) -> None:
    station.edit("hal.toml", "\n[shelf]", f"{VISITS}\n[shelf]")
    station.edit("hal.toml", "speed = 60.0", "speed = 1.0")
    station.give_settings()
    station.run("systemctl", "restart", HAL)
    station.wait_active(HAL, OCPP)
    station.machine.until(station.connected, "the station at the CSMS")
    station.machine.until(
        lambda: any(each["ended"] for each in station.transactions(1)), "a whole session", limit_s=90.0
    )
    session = next(each for each in station.transactions(1) if each["ended"])
    assert session["energy_wh"] > 0
    assert session["seq_ok"]
    assert session["stopped_reason"] == "Local"


def test_the_commissioning_page_answers_and_comes_back(station: Station) -> None:
    station.wait_active(PAGE)
    assert (station.page("/"), station.page("/api/status")) == (200, 401)
    before = station.pids(PAGE, HAL, OCPP)
    station.signal("KILL", PAGE)
    station.wait_active(PAGE, other_than={PAGE: before[PAGE]})
    assert station.page("/") == 200
    assert station.pids(HAL, OCPP) == {unit: before[unit] for unit in (HAL, OCPP)}
    said = station.run("journalctl", "-u", PAGE, "-u", OCPP, "-u", HAL, "--no-pager", "-o", "cat")
    for trouble in ("can't be given to group", "is not allowed", "Permission denied"):
        assert trouble not in said


def test_secrets_are_in_files_for_their_owner_alone_and_in_no_log(station: Station) -> None:
    others = station.run("find", "/var/lib/baywatt", "-type", "f", "-perm", "/077")
    assert not others
    said = station.run("journalctl", "--no-pager", "-o", "export", limit_s=60.0)
    assert "0123456789abcdef" not in said


def test_the_version_is_the_same_wherever_it_is_said(station: Station) -> None:
    assert station.versions() == {VERSION}


def test_the_bill_of_materials_names_what_is_installed(station: Station) -> None:
    listed = json.loads((station.machine.root / BILL).read_text())["components"]
    folders = station.run("sh", "-c", f"cd /{SITE} && ls -d *.dist-info").split()
    installed = {folder.removesuffix(".dist-info").lower().replace("_", "-") for folder in folders}
    assert installed - {f"baywatt-{VERSION}"} == {f"{each['name']}-{each['version']}" for each in listed}
    assert len(listed) > 20


def test_users_sandbox_and_doors(station: Station) -> None:
    for unit, user in ((HAL, "baywatt-hal"), (OCPP, "baywatt-ocpp"), (PAGE, "baywatt-commissioning")):
        process = station.process(unit)
        uid = station.run("id", "-u", user).strip()
        assert process["Uid"].split() == [uid] * 4
        assert int(uid) != 0
        assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
        assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")
        inside = ["nsenter", "-t", station.show(unit, "MainPID"), "-m", "--"]
        for path in ("/opt/baywatt/x", "/etc/baywatt/x", "/usr/x", "/var/lib/x"):
            assert "Read-only" in station.run(*inside, "sh", "-c", f"touch {path} 2>&1", check=False), path
    modes = station.run("stat", "-c", "%U:%G %a", ETC, "/run/baywatt", "/run/baywatt/hal.sock", "/var/lib/baywatt/ocpp")
    assert modes.splitlines() == [
        "root:baywatt 750", "baywatt-hal:baywatt 750", "baywatt-hal:baywatt 660", "baywatt-ocpp:baywatt-ocpp 700",
    ]  # fmt: skip
    for user in ("nobody", "baywatt-hal"):
        tried = station.run("setpriv", f"--reuid={user}", "--clear-groups", "ls", "/var/lib/baywatt/ocpp", check=False)
        assert not tried
    for unit, answer in ((HAL, "0"), (OCPP, "2"), (PAGE, "2")):  # the rule of polkit; 2: only with a person's password
        asked = f"pkcheck --action-id org.freedesktop.login1.reboot --process {station.show(unit, 'MainPID')}"
        assert station.run("sh", "-c", f"{asked} >/dev/null 2>&1; echo $?").strip() == answer, unit
    listening = [line for line in station.run("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines() if " 0A " in line]
    ports = {int(line.split()[1].rpartition(":")[2], 16) for line in listening}
    assert ports == {8080, 9000}, "the page and the CSMS"


def test_what_a_service_that_was_taken_over_can_do(station: Station) -> None:
    """Each attempt is made in the unit's own sandbox; outside of it, an unprivileged user succeeds with several."""
    probe, state = Path(__file__).with_name("sandbox_probe.py"), "/var/lib/baywatt"
    folders = {PAGE: f"{state}/commissioning", OCPP: f"{state}/ocpp", HAL: f"{state}/hal"}
    command = f"/usr/bin/python3.11 -I /usr/local/lib/{probe.name} {' '.join(folders.values())}"
    shutil.copy(probe, station.machine.root / "usr/local/lib")
    outside = f"{state}/outside"
    station.run("install", "-d", "-o", "nobody", outside)
    station.run("setpriv", "--reuid=nobody", "--clear-groups", "env", f"STATE_DIRECTORY={outside}", *command.split())
    free = json.loads(station.run("cat", f"{outside}/probe.json"))
    station.run("rm", "-r", outside)
    assert {"write code and run it", "another personality", "processes of others"} <= set(free["allowed"])
    for unit, folder in folders.items():
        before = station.pids(unit)
        station.machine.until(station.connected, "the station at the CSMS, before cars come to a new HAL")
        station.drop_in(unit, f"[Service]\nExecStartPre={command}\n")
        station.run("systemctl", "restart", unit)
        station.wait_active(unit, other_than=before)
        found = json.loads(station.run("cat", f"{folder}/probe.json"))
        assert found == {"tried": free["tried"] - 1, "allowed": []}, unit
        station.run("rm", f"{folder}/probe.json")
        station.run("systemctl", "revert", unit)


def test_members_of_a_group_administer(station: Station) -> None:
    sockets = [f"/run/baywatt-ocpp/{name}.sock" for name in ("administration", "status")]
    assert station.run("stat", "-c", "%U:%G %a", *sockets).splitlines() == ["baywatt-ocpp:baywatt-admin 660"] * 2
    member = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=baywatt,baywatt-admin", "baywattctl"]
    assert "ClockCtrlr.TimeZone" in station.run(*member, "get", "ClockCtrlr")
    assert "evse 1, meter" in station.run(*member, "devices")
    assert "CSMS" in station.run(*member, "status")
    stranger = "setpriv --reuid=nobody --regid=nogroup --groups=baywatt baywattctl"
    for verb in ("get", "devices", "shutdown --yes", "factory-reset --yes"):
        assert "does not let user" in station.run("sh", "-c", f"{stranger} {verb} 2>&1", check=False), verb


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
    station.install(next_version)
    station.wait_active(HAL, OCPP, other_than=before)
    station.machine.until(lambda: station.versions() == {NEXT}, "the new version at the CSMS")
    assert "charge_s = 3600" in (station.machine.root / "etc/baywatt/hal.toml").read_text()
    ended = station.until_ended(session)
    assert ended["seq_ok"]
    assert ended["energy_wh"] >= session["energy_wh"]
    assert sessions <= {each["id"] for each in station.csms("transactions?station=CP001")}
    station.running(2)


def test_a_downgrade_is_possible(station: Station) -> None:
    before = station.pids(HAL, OCPP)
    station.install(PACKAGE)
    station.wait_active(HAL, OCPP, other_than=before)
    station.machine.until(lambda: station.versions() == {VERSION}, "the former version at the CSMS")


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
