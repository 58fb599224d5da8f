# SPDX-License-Identifier: Apache-2.0
"""What docs/security.md claims of users, sandboxes and doors, on a board. What a container can't show is here, too:
limits of memory, devices and addresses."""

from __future__ import annotations

import json
import shlex
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.image_lab import CLOSED, CSMS_PORT, PAGES, EmulatedBoard
from tools.disk_image.machine import DOOR

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]

SERVICES = {"hal": "baywatt-hal", "ocpp": "baywatt-ocpp", "commissioning": "baywatt-commissioning"}
"""Name of the state folder -> unit and user."""
SANDBOX_PROBE = Path(__file__).parents[2] / "packaging" / "sandbox_probe.py"
LIMITS_PROBE = f"""
import json, socket

def tried(attempt):
    try:
        attempt()
    except OSError:
        return "refused"
    return "allowed"

def connect():
    socket.create_connection(("{DOOR}", {CSMS_PORT}), 10.0).close()

def read_disk():
    with open("/dev/vda", "rb") as disk:
        disk.read(1)

print(json.dumps({{"network": tried(connect), "disk": tried(read_disk)}}))
"""
"""Run as root, whom nothing but the limits of the unit's control group hinders."""


def restart_with(board: EmulatedBoard, unit: str, line: str) -> None:
    """The unit's process is another one afterwards; what was added to the unit is gone."""
    before = board.run(f"systemctl show -P MainPID {unit}").strip()
    folder = f"/run/systemd/system/{unit}.service.d"
    board.run(f"mkdir -p {folder}")
    board.write(f"{folder}/probe.conf", f"[Service]\nTimeoutStartSec=600\n{line}\n")
    board.run(f"systemctl daemon-reload; systemctl restart --no-block {unit}")

    def is_another() -> bool:
        shown = board.run(f"systemctl show -p ActiveState -p MainPID {unit}").split()
        return "ActiveState=active" in shown and not {f"MainPID={before}", "MainPID=0"} & set(shown)

    board.until(is_another, f"another {unit}")
    board.run(f"rm -r {folder}; systemctl daemon-reload")


def answers(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=10.0, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_each_service_has_a_user_and_no_capability(board: EmulatedBoard) -> None:
    for unit in SERVICES.values():
        status = board.run(f"cat /proc/$(systemctl show -P MainPID {unit})/status")
        process = dict(line.split(":\t", 1) for line in status.splitlines())
        uid = board.run(f"id -u {unit}").strip()
        assert process["Uid"].split() == [uid] * 4
        assert int(uid) != 0
        assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
        assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")


def test_secrets_are_for_their_owners_alone(board: EmulatedBoard) -> None:
    assert board.run("find /var/lib/baywatt /data/secrets -type f -perm /077") == ""
    assert board.run("stat -c '%U %a' /data/secrets").strip() == "root 700"
    for user in ("nobody", "baywatt-hal"):
        tried = f"setpriv --reuid={user} --clear-groups ls /var/lib/baywatt/ocpp /data/secrets 2>/dev/null"
        assert board.run(tried, check=False) == ""


def test_what_a_service_that_was_taken_over_can_do(board: EmulatedBoard) -> None:
    """Each attempt is made in the unit's own sandbox, as in the container of `make test-deb`."""
    board.write("/run/sandbox_probe.py", SANDBOX_PROBE.read_text())
    folders = {unit: f"/var/lib/baywatt/{name}" for name, unit in SERVICES.items()}
    command = f"/usr/bin/python3.11 -I /run/sandbox_probe.py {' '.join(folders.values())}"
    for unit, folder in folders.items():
        restart_with(board, unit, f"ExecStartPre={command}")
        found = json.loads(board.run(f"cat {folder}/probe.json"))
        assert found["allowed"] == [], unit
        assert found["tried"] > 20
        board.run(f"rm {folder}/probe.json")


def test_a_service_reaches_no_other_device_and_the_hal_no_network(board: EmulatedBoard) -> None:
    board.write("/run/limits_probe.py", LIMITS_PROBE)
    free = json.loads(board.run("python3.11 -I /run/limits_probe.py"))
    assert free == {"network": "allowed", "disk": "allowed"}
    expected = {"baywatt-hal": "refused", "baywatt-ocpp": "allowed", "baywatt-commissioning": "allowed"}
    for unit, network in expected.items():
        command = f"python3.11 -I /run/limits_probe.py >/run/limits-{unit}.json"
        restart_with(board, unit, f"ExecStartPre=+/bin/sh -c {shlex.quote(command)}")
        found = json.loads(board.run(f"cat /run/limits-{unit}.json"))
        assert found == {"network": network, "disk": "refused"}, unit


def test_a_service_that_takes_all_memory_is_ended_alone(board: EmulatedBoard) -> None:
    """It begins to allocate before the service, without end; the kernel ends it at the unit's limit."""
    others = board.run("systemctl show -P MainPID baywatt-ocpp baywatt-commissioning")
    greedy = "exec /usr/bin/python3.11 -I -c 'x=[]\nwhile True: x.append(bytes(1) * (1 << 20))'"
    board.write("/run/greedy.sh", f"[ -e /run/greedy.done ] && exit 0\ntouch /run/greedy.done\n{greedy}\n")
    restart_with(board, "baywatt-hal", "ExecStartPre=+/bin/sh /run/greedy.sh")
    assert "killed by the OOM killer" in board.journal("baywatt-hal")
    assert board.run("systemctl show -P MainPID baywatt-ocpp baywatt-commissioning") == others


def test_the_hal_may_restart_the_machine_and_nobody_else(board: EmulatedBoard) -> None:
    for unit, answer in (("baywatt-hal", "0"), ("baywatt-ocpp", "2"), ("baywatt-commissioning", "2")):
        process = board.run(f"systemctl show -P MainPID {unit}").strip()
        asked = f"pkcheck --action-id org.freedesktop.login1.reboot --process {process}"
        assert board.run(f"{asked} >/dev/null 2>&1; echo $?").strip() == answer, unit


def test_the_page_alone_listens_and_the_firewall_opens_it_alone(board: EmulatedBoard) -> None:
    listening = [line.split()[3] for line in board.run("ss -Hltn").splitlines()]
    assert {each.rpartition(":")[2] for each in listening if not each.startswith(("127.", "[::1]"))} == {str(PAGES)}
    board.run(f"cd /tmp; nohup python3.11 -m http.server {CLOSED} >/dev/null 2>&1 & echo $! >/run/server")
    inside = f"python3.11 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:{CLOSED}/\")'"
    board.until(lambda: "Error" not in board.run(inside, check=False), "a server on another port")
    wiring = board.wiring.into
    board.until(lambda: answers(f"https://127.0.0.1:{wiring[PAGES]}/"), "the page on 8080", limit_s=120.0)
    assert not answers(f"http://127.0.0.1:{wiring[CLOSED]}/")
    board.run("kill $(cat /run/server)")
