# SPDX-License-Identifier: Apache-2.0
"""The image in an emulated board beside the bench CSMS: from the first start to updates and the ways back.

The tests use one disk and depend on their order: each continues where the one before has left the board
(`make image-test`). The consoles of all boots are in build/image-test/.
"""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.version import VERSION
from tests.support.board_image import NEXT, Bench, Disk, next_slot, station_settings
from tools.disk_image.boards import BOARDS
from tools.disk_image.disk import bundle
from tools.disk_image.host import need
from tools.disk_image.machine import DOOR, EMULATORS, Machine, Wiring
from tools.disk_image.root import SETTINGS, compatible
from tools.disk_image.signing import Signer, development_signer

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "image" / "pc"
GIB = 1 << 30
CSMS_PORT, FILE_PORT = 9000, 9443
PAGES, CLOSED = 8080, 9464
"""A port that the firewall opens, and one that it does not."""
COMPATIBLE = compatible(BOARDS["pc"], "c7am-400-cc")
EMULATOR = EMULATORS["pc"]
VISIT = """
[[bus.world.visit]]
evse = 1
charge_s = 20
end = "button"
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def bench(image_folder: Path) -> Iterator[Bench]:
    with Bench(image_folder, DOOR).running() as bench:
        yield bench


@pytest.fixture(scope="module")
def slot() -> Path:
    """What `make image` has put into slot A."""
    return WORK / "slot.ext4"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return development_signer(ROOT / "build" / "image-key")


@pytest.fixture(scope="module")
def next_version(slot: Path, image_folder: Path, bench: Bench, signer: Signer) -> Path:
    """A slot of the next version, and its bundle next.raucb at the file server."""
    changed = next_slot(slot, image_folder)
    bundle(changed, bench.files / "next.raucb", image_folder, compatible=COMPATIBLE, version=NEXT, signer=signer)
    return changed


@pytest.fixture(scope="module")
def disk(image_folder: Path, bench: Bench) -> Disk:
    """A disk larger than the image, with the station's settings on its small partition."""
    need(EMULATOR.needs, what="booting an image")
    disk = Disk(ROOT / "build" / f"baywatt_{VERSION}_pc.img", image_folder / "disk.img", grown_by=GIB)
    hal = (ROOT / "packaging/etc/hal.toml").read_text().replace("\n[shelf]", f"{VISIT}\n[shelf]")
    for packaged, own in SETTINGS["hal.toml"].items():
        hal = hal.replace(packaged, own)
    disk.put_on_small_partition(
        {
            "grub/board.cfg": f'set arguments="{EMULATOR.arguments}"\n',
            "baywatt/hal.toml": hal,
            **station_settings(bench, DOOR, CSMS_PORT),
        }
    )
    return disk


@pytest.fixture(scope="module")
def board(image_folder: Path, bench: Bench, disk: Disk) -> Iterator[Machine]:
    """Started in 1970, as a board without a battery."""
    wiring = Wiring(
        doors={CSMS_PORT: bench.csms_port, FILE_PORT: bench.file_port},
        into={PAGES: free_port(), CLOSED: free_port()},
        clock="1970-01-01T00:01:00",
        can=True,
    )
    with Machine(disk.path, image_folder, wiring) as machine:
        yield machine


def environment(board: Machine) -> dict[str, str]:
    """GRUB's."""
    lines = board.run("grub-editenv /efi/grub/grubenv list").splitlines()
    return dict(line.split("=", 1) for line in lines)


def until_kept(board: Machine, slot: str) -> None:
    board.until(lambda: environment(board)[f"{slot}_TRY"] == "0", f"slot {slot} kept", limit_s=180.0)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5.0):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_first_start_reaches_the_csms(board: Machine, bench: Bench) -> None:
    board.log_in()
    board.until(bench.registered(VERSION), "a BootNotification that is accepted")
    board.run("systemctl is-system-running --wait")
    assert not board.run("systemctl --failed --quiet --no-legend --plain")
    until_kept(board, "A")


def test_state_is_on_the_data_partition_and_the_root_is_read_only(board: Machine) -> None:
    for path in ("/etc/x", "/usr/x", "/opt/baywatt/x", "/x"):
        assert "Read-only" in board.run(f"touch {path}", check=False)
    assert len(board.run("cat /etc/machine-id").strip()) == 32
    assert int(board.run("df --output=size -B1 /data | tail -1")) > GIB, "it has grown to the end of the disk"
    assert board.run("ls /efi/baywatt; cmp /etc/machine-id /data/machine-id") == ""
    assert board.run("stat -c '%U:%G %a' /etc/baywatt/station.toml").strip() == "root:baywatt 640"


def test_clock_is_not_before_the_image(board: Machine) -> None:
    assert int(board.run("date +%s")) >= int(board.run("stat -c %Y /usr/lib/clock-epoch")) > 1_700_000_000


def test_image_says_what_it_is_made_of(board: Machine) -> None:
    assert "bookworm" in board.run("cat /usr/share/baywatt/image.cdx.json")
    assert board.run("grep ^rauc /usr/share/baywatt/debian-packages.txt")
    assert VERSION in board.run("dpkg-query -W baywatt")


def test_firewall_opens_the_pages_alone(board: Machine) -> None:
    wiring = board.wiring.into
    for port in (PAGES, CLOSED):
        board.run(f"cd /tmp; nohup python3.11 -m http.server {port} >/dev/null 2>&1 & echo $! >>/run/servers")
    board.until(lambda: answers(wiring[PAGES]), "port 8080 answers", limit_s=60.0)
    board.run(f"python3.11 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:{CLOSED}/\")'")
    assert not answers(wiring[CLOSED])
    board.run("kill $(cat /run/servers)")


def test_can_buses_have_their_bit_rates_and_carry_frames(board: Machine) -> None:
    for name, rate in (("can0", "125000"), ("can1", "500000")):
        shown = board.run(f"ip -details link show {name}")
        assert f"bitrate {rate}" in shown
        assert "state UP" in shown
    send = "while kill -0 $! 2>/dev/null; do cansend can0 123#DEADBEEF; sleep 0.2; done"
    board.run(f"timeout 60 candump -n 1 can1 >/run/frame & {send}")
    assert "DE AD BE EF" in board.run("cat /run/frame")


def test_a_session_is_charged_and_billed(board: Machine, bench: Bench) -> None:
    def ended() -> bool:
        return any(each["ended"] and each["energy_wh"] for each in bench.client.get("/api/transactions"))

    board.until(ended, "a session with energy", limit_s=600.0)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("other-board", "InstallVerificationFailed"),
        ("wrong-signer", "InstallationFailed"),
        ("cut", "InstallationFailed"),
    ],
)
def test_bundles_that_are_not_for_this_board_are_refused(
    board: Machine, bench: Bench, signer: Signer, image_folder: Path, name: str, ends: str
) -> None:
    """Signed as OCPP wants it, each of them: it is RAUC that refuses."""
    small = image_folder / "small.ext4"
    small.write_bytes(os.urandom(1 << 20))
    file = bench.files / f"{name}.raucb"
    by = development_signer(image_folder / "stranger") if name == "wrong-signer" else signer
    board_name = "OCPP_C7_STA@arm64" if name == "other-board" else COMPATIBLE
    bundle(small, file, image_folder, compatible=board_name, version=NEXT, signer=by)
    if name == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    bench.update(file.name, FILE_PORT)
    board.until(lambda: ends in bench.statuses(), ends, limit_s=180.0)
    assert "Installing" in bench.statuses()
    assert environment(board)["ORDER"] == "A B"


def test_power_cut_during_an_installation(board: Machine, bench: Bench, disk: Disk, next_version: Path) -> None:
    """The old version starts again, and installs again."""
    bench.update("next.raucb", FILE_PORT)
    board.until(lambda: disk.written("B", 64), "the other slot is being written", limit_s=900.0)
    assert "InstallRebooting" not in bench.statuses()
    board.power_cut()
    board.start("slot A, attempt 1")


def test_update_is_on_trial_until_the_csms_accepts_the_station(board: Machine, bench: Bench) -> None:
    board.until(lambda: "InstallRebooting" in bench.statuses(), "the new slot is to be started", limit_s=1200.0)
    bench.answer_boot("Rejected")
    board.until_shown("slot B, attempt 1")
    board.until_started()
    board.log_in()
    board.until(lambda: bench.version == NEXT, "a BootNotification of the next version")
    assert environment(board)["B_TRY"] != "0"
    assert "is on trial" in board.run("journalctl -b -u baywatt-trial --no-pager")
    bench.answer_boot("Accepted")
    board.until(lambda: "Installed" in bench.statuses(), "Installed", limit_s=300.0)
    until_kept(board, "B")
    kept = environment(board)
    assert (kept["ORDER"], kept["A_OK"]) == ("B A", "1")


def test_identity_and_password_outlive_the_update(board: Machine) -> None:
    """The login of the test before has shown it of the password."""
    assert board.run("journalctl --list-boots --no-pager").count("\n") >= 3, "one machine id, so one journal"


# --- the ways back: slot A is made ill, and shall be started; B is good

GOOD_AGAIN = "ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n"


@pytest.fixture
def start_ill(board: Machine, disk: Disk, slot: Path) -> Callable[..., None]:
    """Switch the board off, make a slot A with these changes the first in order, and start it."""

    def start(changes: dict[str, str | bytes | None], expected: str) -> None:
        def prepare() -> None:
            disk.break_slot("A", slot, changes)
            disk.set_boot_environment(GOOD_AGAIN)

        board.power_cut()
        board.start(expected, prepare=prepare)

    return start


def comes_back(board: Machine, bench: Bench) -> None:
    board.until_started()
    board.until(bench.registered(NEXT), "the good version at the CSMS")


def test_a_slot_without_a_kernel_is_left_at_once(board: Machine, bench: Bench, start_ill: Callable[..., None]) -> None:
    start_ill({"/vmlinuz": None}, "slot A, attempt 1[^#]*slot B, attempt 1")
    comes_back(board, bench)
