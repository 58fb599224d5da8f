# SPDX-License-Identifier: Apache-2.0
"""What the tests of a board's image share: its files, the bench, one board at a time, and a disk after its first start.

Everything is in build/image-test/BOARD, which is emptied at the start and stays: the consoles of all boots are there.
"""

from __future__ import annotations

import functools
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.version import VERSION
from tests.support.board_image import NEXT, Bench, Changes, Disk, changed_module, next_slot, station_settings
from tools.disk_image.boards import BOARDS
from tools.disk_image.disk import bundle
from tools.disk_image.host import need
from tools.disk_image.machine import DOOR, EMULATORS, Machine, Wiring
from tools.disk_image.root import SETTINGS, compatible
from tools.disk_image.signing import Signer, development_signer

__all__ = ["CLOSED", "FILE_PORT", "GOOD", "OF_1970", "PAGES", "EmulatedBoard", "Lab", "Started"]

ROOT = Path(__file__).parents[2]
GIB = 1 << 30
CSMS_PORT, FILE_PORT = 9000, 9443
PAGES, CLOSED = 8080, 9464
"""A port that the firewall opens, and one that it does not."""
OF_1970 = "1970-01-01T00:01:00"
"""What a board without a battery has for the time."""
GOOD = "ORDER={0}\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n"
"""GRUB's environment when both slots are good."""
IMPATIENT = {"\nTRIAL_S = 900.0\n": "\nTRIAL_S = 40.0\n", "\nSTEADY_S = 300.0\n": "\nSTEADY_S = 20.0\n"}
"""Of services/ocpp/firmware_update/trial.py: the same rule, with seconds for minutes."""
VISIT = """
[[bus.world.visit]]
evse = 1
charge_s = 20
end = "button"
"""


class EmulatedBoard(Machine):
    """A board with what the tests ask it."""

    def __init__(self, flash: Disk, folder: Path, wiring: Wiring, *, kind: str, bench: Bench) -> None:
        super().__init__(flash.path, folder, wiring, EMULATORS[kind])
        self.flash = flash
        self._bench = bench

    def power_on(self) -> None:
        self._bench.mark_start()
        super().power_on()

    def until_registered(self, version: str = VERSION, *, limit_s: float = 600.0) -> None:
        """At the CSMS, since the board was switched on."""
        self.until(self._bench.registered(version), f"{version} accepted by the CSMS", limit_s=limit_s)

    def environment(self) -> dict[str, str]:
        """GRUB's."""
        lines = self.run("grub-editenv /efi/grub/grubenv list").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def until_kept(self, slot: str) -> None:
        self.until(lambda: self.environment()[f"{slot}_TRY"] == "0", f"slot {slot} kept", limit_s=300.0)

    def journal(self, *units: str) -> str:
        """Of this boot."""
        return self.run(f"journalctl -b --no-pager -o cat {' '.join(f'-u {unit}' for unit in units)}")


@dataclass(frozen=True)
class Started:
    """A disk after its first start, and what was seen at it."""

    disk: Path
    password: str
    machine_id: str
    clock: int
    """Seconds since 1970."""
    floor: int
    """Before this time no clock of this image can be right."""
    console: Path


class Lab:
    """`with Lab("pc").running() as lab:`"""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.folder = ROOT / "build" / "image-test" / kind
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.image = ROOT / "build" / f"baywatt_{VERSION}_{kind}.img"
        self.slot = ROOT / "build" / "image" / kind / "slot.ext4"
        self.signer = development_signer(ROOT / "build" / "image-key")
        self.compatible = compatible(BOARDS[kind], "c7am-400-cc")
        self.bench = Bench(self.folder, DOOR)
        self._on: EmulatedBoard | None = None

    @contextmanager
    def running(self) -> Iterator[Lab]:
        need(EMULATORS[self.kind].needs, what="booting an image")
        with self.bench.running():
            try:
                yield self
            finally:
                self._switch_off()

    def board(
        self, name: str, disk: Path, *, clock: str = "utc", csms: bool = True, password: str = ""
    ) -> EmulatedBoard:
        """A board with a copy of this disk, switched off; any other is switched off. `name` is that of its folder."""
        self._switch_off()
        folder = self.folder / name
        folder.mkdir()
        doors = {FILE_PORT: self.bench.file_port} | ({CSMS_PORT: self.bench.csms_port} if csms else {})
        into = {PAGES: _free_port(), CLOSED: _free_port()}
        wiring = Wiring(doors=doors, into=into, clock=clock, can=self.kind == "pc")
        self._on = EmulatedBoard(Disk(disk, folder / "disk.img"), folder, wiring, kind=self.kind, bench=self.bench)
        self._on.password = password
        return self._on

    def second_start(self, name: str, started: Started, *, clock: str = "utc") -> EmulatedBoard:
        """A board that has been started once, on."""
        board = self.board(name, started.disk, clock=clock, password=started.password)
        board.start()
        board.log_in()
        board.until_registered()
        return board

    @functools.cached_property
    def flashed(self) -> Path:
        """A disk larger than the image, with the station's settings on its small partition."""
        disk = Disk(self.image, self.folder / "flashed.img", grown_by=GIB)
        hal = (ROOT / "packaging/etc/hal.toml").read_text().replace("\n[shelf]", f"{VISIT}\n[shelf]")
        for packaged, own in SETTINGS["hal.toml"].items():
            hal = hal.replace(packaged, own)
        settings = station_settings(self.bench, DOOR, CSMS_PORT)
        arguments = f'set arguments="{EMULATORS[self.kind].arguments}"\n'
        disk.put_on_small_partition({"grub/board.cfg": arguments, "baywatt/hal.toml": hal, **settings})
        return disk.path

    def first_start(self) -> Started:
        """The first start of a board without a battery, until it is registered; it ends with a power cut."""
        board = self.board("first-start", self.flashed, clock=OF_1970)
        board.start()
        board.log_in()
        board.until_registered()
        board.until_kept("A")
        board.run("touch /data/clock; sync")
        clock, machine_id = int(board.run("date +%s")), board.run("cat /etc/machine-id").strip()
        floor = int(board.run("stat -c %Y /usr/lib/clock-epoch"))
        password, console = board.password, board.console
        board.power_cut()
        disk = Disk(board.disk, self.folder / "started.img").path
        return Started(disk, password, machine_id, clock, floor, console)

    def next_slot(self, name: str = "next", *, impatient: bool = False) -> Path:
        """A slot of the next version; an impatient one ends its trial within seconds."""
        folder = self.folder / f"slot-{name}"
        if not folder.exists():
            folder.mkdir()
            trial = "services/ocpp/firmware_update/trial.py"
            changes: Changes = changed_module(trial, IMPATIENT, folder) if impatient else {}
            next_slot(self.slot, folder, changes)
        return folder / "next.ext4"

    def offer(self, name: str, slot: Path, *, board: str = "", by: Signer | None = None) -> Path:
        """A bundle with this slot at the file server, for this board and by its signer if nothing else is said."""
        file = self.bench.files / f"{name}.raucb"
        signer = by or self.signer
        bundle(slot, file, self.folder, compatible=board or self.compatible, version=NEXT, signer=signer)
        return file

    def _switch_off(self) -> None:
        if self._on is not None:
            self._on.power_cut()
            self._on.disk.unlink()
            self._on = None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
