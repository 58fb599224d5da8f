# SPDX-License-Identifier: Apache-2.0
"""The boards that images are made for, and what of an image depends on them."""

from __future__ import annotations

from dataclasses import dataclass

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


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="pc",
            architecture="amd64",
            kernel="linux-image-amd64",
            root_type="4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
            console="ttyS0,115200",
            grub="x86_64-efi",
            grub_package="grub-efi-amd64-bin",
            efi_program="BOOTX64.EFI",
            tried="booted in an emulator, never on hardware",
        ),
    )
}
