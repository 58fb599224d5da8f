# SPDX-License-Identifier: Apache-2.0
"""What an installed station makes of disks, power cuts, files and clocks that are not as they should be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.version import VERSION
from tests.support.installed_station import ETC, HAL, NEXT, OCPP, PACKAGE, STATION, Station, booted
from tools.package.container import ContainerError
from tools.package.deb import SITE

pytestmark = [pytest.mark.container, pytest.mark.timeout(240)]

WITH_TLS = STATION.replace("ws://127.0.0.1:9000", "wss://127.0.0.1:9443").replace("_profile = 1", "_profile = 2")
WITH_TLS += f"""
[certificates]
csms_root = ["{ETC}/csms-root.pem"]
"""
IN_1970 = """[Service]
Environment=LD_PRELOAD={library} FAKETIME_DISABLE_SHM=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "FAKETIME=@1970-01-01 00:00:20"
"""
CUT = """
rm -f /run/progress && mkfifo /run/progress
setsid dpkg --force-unsafe-io --status-fd 3 -i /var/tmp/new.deb 3>/run/progress & dpkg=$!
exec 4</run/progress
for word in $1; do
    until case "$line" in *"$word"*) true ;; *) false ;; esac; do read -r line <&4 || exit 1; done
    line=
done
until [ -z "$2" ] || [ -e "$2" ]; do :; done
kill -9 -$dpkg
wait $dpkg
echo $?
"""
"""Start dpkg and kill it, with all that it has started, once it has said these words, and a file is there."""
LAST = "/usr/share/polkit-1/rules.d/50-baywatt.rules.dpkg-new"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def station(folder: Path) -> Iterator[Station]:
    with booted(folder, "--tls-port", "9443") as station:
        yield station


def state(station: Station) -> str:
    """What dpkg says of the package, such as `ok installed 1.0.0`."""
    asked = ("dpkg-query", "-W", "-f", "${db:Status-Eflag} ${db:Status-Status} ${Version}", "baywatt")
    return station.run(*asked, check=False)


@pytest.mark.parametrize(
    ("disk", "cause"),
    [
        ("-t tmpfs -o size=20M tmpfs /opt", "No space left on device"),
        ("-t tmpfs -o ro tmpfs /opt", "Read-only file system"),
    ],
)
def test_an_installation_on_such_a_disk_leaves_nothing(station: Station, disk: str, cause: str) -> None:
    station.run("mount", *disk.split())
    with pytest.raises(ContainerError, match=cause):
        station.install(PACKAGE)
    station.run("umount", "/opt")
    assert not station.run("dpkg", "--audit")
    assert not station.run("find", ETC, "/usr/lib/systemd/system/baywatt.target", check=False)


def cut_and_repair(station: Station, words: str, file: str, *, version: str) -> str:
    """Kill dpkg there, then do what install.md says; returns the state in which the cut has left the package."""
    assert station.run("sh", "-c", CUT, "sh", words, file).split()[-1] == "137", "killed before its end"
    left = state(station)
    station.run("dpkg", "--configure", "-a", check=False)
    if state(station) != f"ok installed {version}":
        station.run("dpkg", "--force-unsafe-io", "-i", "/var/tmp/new.deb")
    assert state(station) == f"ok installed {version}"
    differing = station.run("dpkg", "--verify", "baywatt", check=False).splitlines()
    assert not [line for line in differing if " c " not in line and "/usr/share/doc/" not in line], "settings, left out"
    assert not station.run("find", "/opt", "/usr", "/etc", "-xdev", "-name", "*.dpkg-*")
    return left


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("half-installed", LAST),
        ("configure:", ""),
    ],
)
def test_an_installation_that_is_cut_can_be_completed(station: Station, words: str, file: str) -> None:
    station.copy(PACKAGE)
    cut_and_repair(station, words, file, version=VERSION)
    station.wait_active(HAL)
    station.run("dpkg", "-P", "baywatt")


def test_a_clock_in_1970_at_the_first_start_stops_nothing(station: Station, folder: Path) -> None:
    library = next((station.machine.root / "usr/lib").glob("*/faketime/libfaketime.so.1"))
    for unit in (HAL, OCPP):
        station.drop_in(unit, IN_1970.format(library=f"/{library.relative_to(station.machine.root)}"))
    station.install(PACKAGE)
    shutil.copy(next((folder / "csms").rglob("csms-root.pem")), station.machine.root / ETC.lstrip("/"))
    (station.machine.root / ETC.lstrip("/") / "csms-root.pem").chmod(0o644)
    station.give_settings(WITH_TLS)
    station.wait_active(HAL, OCPP)
    assert "FAKETIME" in station.run("cat", f"/proc/{station.show(OCPP, 'MainPID')}/environ")
    station.machine.until(station.connected, "the station at the CSMS, over TLS")
    (record,) = station.csms("stations")
    assert (record["security_profile"], record["registration"]) == (2, "Accepted")
    for unit in (HAL, OCPP):
        station.run("systemctl", "revert", unit)
    station.run("systemctl", "restart", HAL, OCPP)
    station.wait_active(HAL, OCPP)


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("half-installed", f"/{SITE}/firmware/version.py.dpkg-new"),
        ("half-installed", LAST),
        ("configure: half-configured", ""),
    ],
)
def test_an_upgrade_that_is_cut_can_be_completed(station: Station, next_version: Path, words: str, file: str) -> None:
    to_next = state(station).endswith(VERSION)
    package, version = (next_version, NEXT) if to_next else (PACKAGE, VERSION)
    station.edit("hal.toml", "[shelf]", "# mine\n[shelf]")
    before = station.pids(HAL, OCPP)
    station.copy(package)
    cut_and_repair(station, words, file, version=version)
    station.wait_active(HAL, OCPP, other_than=before)
    station.machine.until(lambda: station.versions() == {version}, f"{version} at the CSMS")
    assert "# mine" in (station.machine.root / ETC.lstrip("/") / "hal.toml").read_text()


@pytest.mark.parametrize(
    ("unit", "name", "old", "new", "cause"),
    [
        (
            HAL,
            "hal.toml",
            "max_power_w = 400000.0            #",
            "max_power_kw = 400.0            #",
            "unknown key max_power_kw",
        ),
        (HAL, "hal.toml", "[shelf]", "[shelf", "not TOML: expected ']' at the end of a table declaration (at line "),
        (OCPP, "ocpp.toml", "", "metrics_port = 'x'\n", "metrics_port"),
        (
            OCPP,
            "station.toml",
            "security_profile = 2",
            "security_profile = 7",
            "network_profile 1, security_profile: expected",
        ),
        (OCPP, "station.toml", "[certificates]", "[certificate]", "unknown key certificate"),
    ],
)
def test_a_mistake_in_the_settings_is_named(
    station: Station, unit: str, name: str, old: str, new: str, cause: str
) -> None:
    """File, key and cause, where people look; and it is started again by itself once that is corrected."""
    path = station.machine.root / ETC.lstrip("/") / name
    good = path.read_text()
    assert old in good
    path.write_text(good.replace(old, new, 1) if old else new + good)
    try:
        station.run("systemctl", "restart", "--no-block", unit)
        station.until_status(unit, f"{ETC}/{name}")
        said = station.show(unit, "StatusText").removeprefix("can't start: ")
        assert cause in said
        assert said in station.run("journalctl", "-u", unit, "--no-pager", "-n", "50", "-o", "cat")
    finally:
        path.write_text(good)
    station.wait_active(unit)


def test_settings_that_may_not_be_read_are_named(station: Station) -> None:
    path = station.machine.root / ETC.lstrip("/") / "station.toml"
    os.chown(path, 0, 0)
    station.run("systemctl", "restart", "--no-block", OCPP)
    station.until_status(OCPP, f"{ETC}/station.toml: Permission denied")
    station.run("chgrp", "baywatt", f"{ETC}/station.toml")
    station.wait_active(OCPP)
