# SPDX-License-Identifier: Apache-2.0
"""The root of a board: Debian, our package, and `packaging/image/` on top."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from firmware import product
from firmware.version import VERSION
from tools.disk_image.bill import DebianPackage, debian_packages, image_bill
from tools.disk_image.boards import Board
from tools.disk_image.foreign import foreign_programs
from tools.disk_image.host import ImageError, run
from tools.package import sbom
from tools.package.deb import BILL

__all__ = ["PARTS", "compatible", "describe", "root_folder"]

CHECKOUT = Path(__file__).parents[2]
PARTS = CHECKOUT / "packaging" / "image"
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "getty@tty1.service", "NetworkManager-wait-online.service", "systemd-firstboot.service",
    "systemd-networkd-wait-online.service",
)  # fmt: skip
"""Nobody sits before a charger, its root is read-only, and its services wait for no network."""
ENABLED = (
    "baywatt-board.service", "baywatt-clock.timer", "baywatt-trial.service",
    "nftables.service", "systemd-networkd.service",
)  # fmt: skip
EMPTY = ("data", "efi", "var/lib/private", "var/log/journal")
"""Folders that must be there to be mounted on, or copied to the data partition."""
SETTINGS = {
    "ocpp.toml": {'# [slots]\n# driver = "rauc"': '[slots]\ndriver = "rauc"'},
    "hal.toml": {
        'driver = "demonstration"\n': 'driver = "demonstration"\nreal_board = true\n',
        '[board]\ndriver = "simulated"\nbus = "world"': (
            '[board]\ndriver = "linux"\nwatchdog = ""                     # systemd feeds it (RuntimeWatchdogSec)'
        ),
    },
}
"""What a board has in any case: text of the package's file -> text in the image's."""


def compatible(board: Board, product_name: str) -> str:
    """What RAUC compares: bundles of other products and of other boards are refused."""
    return f"{product.load(product_name).identity.firmware_family}@{board.name}"


def root_folder(board: Board, *, tar: Path, package: Path, keyring: Path, product_name: str, folder: Path) -> None:
    """Make the root in `folder`, which is emptied first. `describe` is what is missing then. Raises `ImageError`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(["tar", "-C", folder, "-xf", tar])
    run(["systemd-sysusers", f"--root={folder}", PARTS / "sysusers.conf"])
    with foreign_programs(board.architecture):
        _install(folder, package)
    run(["cp", "-r", "--no-preserve=ownership", f"{PARTS}/root/.", folder])
    for path in (folder / "etc/NetworkManager/system-connections").iterdir():
        path.chmod(0o600)  # NetworkManager takes no others
    _adapt_settings(folder / "etc/baywatt")
    rauc = (PARTS / "system.conf").read_text().replace("@compatible@", compatible(board, product_name))
    (folder / "etc/rauc").mkdir()
    (folder / "etc/rauc/system.conf").write_text(rauc)
    shutil.copyfile(keyring, folder / "etc/rauc/keyring.pem")
    run(["systemctl", f"--root={folder}", "--quiet", "mask", *MASKED])
    run(["systemctl", f"--root={folder}", "--quiet", "enable", *ENABLED])
    _clean(folder)


def _install(folder: Path, package: Path) -> None:
    target = folder / "tmp" / package.name
    shutil.copyfile(package, target)
    with _mounted(folder):
        run(["chroot", folder, "dpkg", "--force-unsafe-io", "-i", f"/tmp/{package.name}"])
    target.unlink()


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """Maintainer scripts read /proc."""
    run(["mount", "-t", "proc", "proc", folder / "proc"])
    try:
        yield
    finally:
        run(["umount", folder / "proc"])


def _adapt_settings(etc: Path) -> None:
    for name, changes in SETTINGS.items():
        text = (etc / name).read_text()
        for old, new in changes.items():
            if old not in text:
                raise ImageError(f"packaging/etc/{name} no longer has the lines {old!r}")
            text = text.replace(old, new)
        (etc / name).write_text(text)


def _clean(folder: Path) -> None:
    for name in EMPTY:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "var/lib/private").chmod(0o700)
    (folder / "etc/machine-id").write_text("")
    (folder / "etc/resolv.conf").unlink(missing_ok=True)
    (folder / "etc/resolv.conf").symlink_to("/run/NetworkManager/resolv.conf")
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*", "var/log/*.log", "var/log/apt/*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def describe(board: Board, folder: Path, *, firmware: Sequence[DebianPackage], epoch: int) -> None:
    """Say in the root what it is made of, which build it is, and the time before which no clock can be right."""
    packages = sorted([*debian_packages(folder), *firmware])
    about = folder / "usr/share/baywatt"
    about.mkdir(parents=True, exist_ok=True)
    (about / "debian-packages.txt").write_text("".join(f"{each.name} {each.version}\n" for each in packages))
    bill = image_bill(json.loads((folder / BILL).read_text(encoding="utf-8")), packages, board.architecture)
    sbom.write(bill, about / "image.cdx.json")
    (about / "board.txt").write_text(f"baywatt {VERSION} for {board.name}: {board.tried}\n")
    (folder / "usr/lib/baywatt/build").write_text(f"{VERSION} {bill['serialNumber']} {os.urandom(4).hex()}\n")
    floor = folder / "usr/lib/clock-epoch"
    floor.touch()
    os.utime(floor, (epoch, epoch))
