# SPDX-License-Identifier: Apache-2.0
"""What a board's processor reads before GRUB, where that is not UEFI in its own flash: files on the small partition.

A Compute Module 4: the GPU's firmware reads config.txt and starts U-Boot, which is UEFI enough to start GRUB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.disk_image.bill import DebianPackage
from tools.disk_image.boards import Board
from tools.disk_image.host import ImageError, run
from tools.package import apt
from tools.package.commands import PackageError

__all__ = ["Firmware", "firmware_of"]


@dataclass(frozen=True)
class Firmware:
    files: dict[str, Path]
    """Name on the small partition -> where it is."""
    packages: tuple[DebianPackage, ...]
    """What it is of, for the bill of materials."""


def firmware_of(board: Board, settings: Path, work: Path) -> Firmware:
    """Fetched into `work`; `settings` is a folder with the board's own files. Raises `ImageError`."""
    if not board.firmware_packages:
        return Firmware({}, ())
    folder = work / "firmware"
    try:
        root = apt.unpack(board.firmware_packages, board.architecture, folder, components="main non-free-firmware")
    except PackageError as error:
        raise ImageError(str(error)) from error
    files = {path.name: path for path in settings.iterdir()}
    for name, pattern in board.firmware_files.items():
        found = sorted(root.glob(pattern)) or sorted((work / "root").glob(pattern))
        if not found:
            raise ImageError(f"{' '.join(board.firmware_packages)}: there is no {pattern}")
        files[name] = found[-1]
    return Firmware(files, tuple(_about(deb) for deb in sorted((folder / "debs").glob("*.deb"))))


def _about(deb: Path) -> DebianPackage:
    return DebianPackage(
        *(run(["dpkg-deb", "-f", deb, field]).strip() for field in ("Package", "Version", "Architecture"))
    )
