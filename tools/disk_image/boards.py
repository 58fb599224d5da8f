# SPDX-License-Identifier: Apache-2.0
"""The boards that images are made for, and what of an image depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["BOARDS", "Board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """`compatible` of a bundle is the product's firmware family, "@" and `name`: RAUC refuses any other."""

    name: str
    architecture: str
    kernel: str
    root_type: str
    """The type of its root partitions (Discoverable Partitions Specification)."""
    console: str
    grub: str
    """GRUB's name of the target."""
    grub_package: str
    efi_program: str
    tried: str
    """What the image says of itself."""
    firmware_packages: tuple[str, ...] = ()
    """Debian packages of what is read before GRUB from the small partition, where the board has no UEFI of its own."""
    firmware_files: Mapping[str, str] = field(default_factory=dict)
    """Name on the small partition -> pattern of its path in these packages, or in the root."""


_PC = Board(
    name="pc",
    architecture="amd64",
    kernel="linux-image-amd64",
    root_type="4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    console="ttyS0,115200",
    grub="x86_64-efi",
    grub_package="grub-efi-amd64-bin",
    efi_program="BOOTX64.EFI",
    tried="booted in an emulator, never on hardware",
)
_ARM64 = Board(
    name="arm64",
    architecture="arm64",
    kernel="linux-image-arm64",
    root_type="B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
    console="ttyAMA0,115200",
    grub="arm64-efi",
    grub_package="grub-efi-arm64-bin",
    efi_program="BOOTAA64.EFI",
    tried="built, NEVER BOOTED",
)
_CM4 = replace(
    _ARM64,
    name="cm4",
    console="ttyS1,115200",
    tried="built and inspected, NEVER BOOTED ON HARDWARE",
    firmware_packages=("raspi-firmware", "u-boot-rpi"),
    firmware_files={
        "start4.elf": "usr/lib/raspi-firmware/start4.elf",
        "fixup4.dat": "usr/lib/raspi-firmware/fixup4.dat",
        "licence.txt": "usr/share/doc/raspi-firmware/copyright",
        "u-boot.bin": "usr/lib/u-boot/rpi_arm64/u-boot.bin",
        "bcm2711-rpi-cm4-io.dtb": "usr/lib/linux-image-*/broadcom/bcm2711-rpi-cm4-io.dtb",
    },
)

BOARDS = {board.name: board for board in (_PC, _ARM64, _CM4)}
