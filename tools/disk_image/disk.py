# SPDX-License-Identifier: Apache-2.0
"""File systems, partitions, bundles: made in files, without loop devices or mounts.

1  efi       GRUB, its settings and its environment, which RAUC writes, too
2  rootfs-a  a slot; the image's own
3  rootfs-b  the other slot; empty in an image
4  data      what lasts; it grows to the end of the disk at the first start
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from tools.disk_image.boards import Board
from tools.disk_image.host import run
from tools.disk_image.root import PARTS
from tools.disk_image.signing import Signer

__all__ = ["DATA", "EFI", "SLOT", "Span", "bundle", "disk", "slot_file_system"]

MIB = 1 << 20
_EFI_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_DATA_TYPE = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_GRUB_MODULES = (
    "configfile", "echo", "ext2", "fat", "linux", "loadenv", "normal", "part_gpt", "reboot", "regexp", "sleep", "test",
)  # fmt: skip
_GOOD = "ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\n"
"""GRUB's environment as it is flashed."""
_ENVIRONMENT_BYTES = 1024


class Span:
    """A partition's place on the disk, in MiB."""

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.size = size

    @property
    def bytes(self) -> tuple[int, int]:
        return self.start * MIB, self.size * MIB


EFI = Span(1, 64)
SLOT = {"A": Span(65, 1024), "B": Span(1089, 1024)}
DATA = Span(2113, 512)
_DISK_MIB = DATA.start + DATA.size + 1


def environment_block(text: str = _GOOD) -> bytes:
    """GRUB's environment: exactly 1024 bytes."""
    return ("# GRUB Environment Block\n" + text).encode().ljust(_ENVIRONMENT_BYTES, b"#")


def slot_file_system(root: Path, target: Path, epoch: int) -> None:
    """An ext4 of a slot's size with the files of `root`."""
    target.unlink(missing_ok=True)
    name = _uuid(f"slot {epoch}")
    command = ["mkfs.ext4", "-q", "-F", "-L", "rootfs", "-m", "0", "-U", str(name), "-E", f"hash_seed={name}"]
    run([*command, "-d", root, target, f"{SLOT['A'].size}M"], E2FSPROGS_FAKE_TIME=str(epoch))


def disk(board: Board, slot: Path, target: Path, work: Path, *, epoch: int, firmware: Mapping[str, Path]) -> None:
    """The disk image with `slot` in slot A and GRUB of the root in `work`. Raises `ImageError`.

    `firmware`: what the board reads before GRUB, by its name on the small partition.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with part.open("wb") as file:
        file.truncate(_DISK_MIB * MIB)
    _partition(board, part, work)
    for image, span in ((_efi(board, work, epoch, firmware), EFI), (slot, SLOT["A"]), (_data(work, epoch), DATA)):
        put(image, part, span)
    part.rename(target)


def put(image: Path, disk_image: Path, span: Span) -> None:
    """Write a partition's content; what was there before is gone."""
    start, size = span.bytes
    run(["fallocate", "--punch-hole", "--offset", str(start), "--length", str(size), disk_image])
    seek = f"seek={span.start}"
    run(["dd", f"if={image}", f"of={disk_image}", "bs=1M", seek, "conv=notrunc,sparse", "status=none"])


def bundle(slot: Path, target: Path, work: Path, *, compatible: str, version: str, signer: Signer) -> None:
    """A RAUC bundle with the slot's content. Raises `ImageError`."""
    folder = work / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.link(slot, folder / "rootfs.ext4")
    lines = ["[update]", f"compatible={compatible}", f"version={version}", "[bundle]", "format=verity"]
    (folder / "manifest.raucm").write_text("\n".join([*lines, "[image.rootfs]", "filename=rootfs.ext4", ""]))
    target.unlink(missing_ok=True)
    keys = [f"--cert={signer.certificate}", f"--key={signer.key}"]
    run(["rauc", "bundle", *keys, "--mksquashfs-args=-comp zstd -Xcompression-level 6 -quiet", folder, target])
    shutil.rmtree(folder)


def _partition(board: Board, target: Path, work: Path) -> None:
    rows = (
        ("efi", EFI, _EFI_TYPE),
        ("rootfs-a", SLOT["A"], board.root_type),
        ("rootfs-b", SLOT["B"], board.root_type),
        ("data", DATA, _DATA_TYPE),
    )
    lines = [
        f'start={span.start}MiB, size={span.size}MiB, type={kind}, name="{name}", uuid={_uuid(board.name + name)}'
        for name, span, kind in rows
    ]
    script = work / "partitions"
    script.write_text("\n".join(["label: gpt", f"label-id: {_uuid(board.name)}", *lines, ""]))
    run(["sh", "-c", 'sfdisk --quiet --no-reread --no-tell-kernel "$1" <"$2"', "sh", target, script])


def _efi(board: Board, work: Path, epoch: int, firmware: Mapping[str, Path]) -> Path:
    program = work / board.efi_program
    modules = work / "root/usr/lib/grub" / board.grub
    run(["grub-mkimage", "-O", board.grub, "-d", modules, "-p", "/grub", "-o", program, *_GRUB_MODULES])
    settings = work / "grub.cfg"
    settings.write_text((PARTS / "grub.cfg").read_text().replace("@console@", board.console))
    (work / "grubenv").write_bytes(environment_block())
    image = work / "efi.img"
    image.unlink(missing_ok=True)
    number = f"{epoch & 0xFFFFFFFF:08x}"
    run(["mkfs.vfat", "-F", "32", "-n", "BAYWATT", "-i", number, "-C", image, str(EFI.size * 1024)])
    run(["mmd", "-i", image, "::EFI", "::EFI/BOOT", "::grub", "::baywatt"])
    for source, place in ((program, "EFI/BOOT"), (settings, "grub"), (work / "grubenv", "grub")):
        run(["mcopy", "-i", image, source, f"::{place}/{source.name}"])
    for name, source in firmware.items():
        run(["mcopy", "-i", image, source, f"::{name}"])
    return image


def _data(work: Path, epoch: int) -> Path:
    """An empty file system; what belongs there is made at the first start."""
    image = work / "data.img"
    image.unlink(missing_ok=True)
    run(["mkfs.ext4", "-q", "-F", "-L", "data", image, f"{DATA.size}M"], E2FSPROGS_FAKE_TIME=str(epoch))
    return image


def _uuid(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"baywatt {name}")
