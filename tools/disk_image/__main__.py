# SPDX-License-Identifier: Apache-2.0
"""`make image`: a board's disk image, the bundle that updates one, and what both are made of."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from firmware.version import VERSION
from tools.disk_image.boards import BOARDS, Board
from tools.disk_image.debian import debian_tar
from tools.disk_image.disk import bundle, disk, slot_file_system
from tools.disk_image.firmware import firmware_of
from tools.disk_image.host import ImageError, need, need_root, run
from tools.disk_image.root import CHECKOUT, PARTS, compatible, describe, root_folder
from tools.disk_image.signing import Signer, development_signer
from tools.package import deb
from tools.package.commands import PackageError

BUILD = CHECKOUT / "build" / "image"
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mksquashfs": "squashfs-tools",
    "rauc": "rauc",
    "grub-mkimage": "grub-common",
    "systemctl": "systemd",
}


def build(board: Board, *, signer: Signer, product_name: str, output: Path) -> tuple[Path, Path]:
    """Make image and bundle; returns their paths. Raises `ImageError`."""
    need_root("making an image")
    need(PROGRAMS, what="an image")
    signer.check()
    work = BUILD / board.name
    work.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or run(["git", "-C", CHECKOUT, "log", "-1", "--format=%ct"]))
    try:
        package = deb.build(board.architecture, output=work, compression="none")
    except PackageError as error:
        raise ImageError(str(error)) from error
    root, slot = work / "root", work / "slot.ext4"
    tar = debian_tar(board, PARTS / "initramfs")
    root_folder(board, tar=tar, package=package, keyring=signer.keyring, product_name=product_name, folder=root)
    firmware = firmware_of(board, PARTS / board.name, work)
    describe(board, root, firmware=firmware.packages, epoch=epoch)
    slot_file_system(root, slot, epoch)
    name = f"baywatt_{VERSION}_{board.name}"
    image, update = output / f"{name}.img", output / f"{name}.raucb"
    disk(board, slot, image, work, epoch=epoch, firmware=firmware.files)
    bundle(slot, update, work, compatible=compatible(board, product_name), version=VERSION, signer=signer)
    for about in ("debian-packages.txt", "image.cdx.json"):
        (output / f"{name}.{about}").write_bytes((root / "usr/share/baywatt" / about).read_bytes())
    return image, update


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.disk_image", description=__doc__)
    parser.add_argument("board", nargs="?", choices=sorted(BOARDS), default="pc", help="default: pc (x86-64, UEFI)")
    parser.add_argument("--key", type=Path, help="private key (PEM) that signs the bundle")
    parser.add_argument("--certificate", type=Path, help="its certificate, made for signing code")
    parser.add_argument("--keyring", type=Path, help="roots that the board trusts (PEM)")
    parser.add_argument("--product", default="c7am-400-cc")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build")
    options = parser.parse_args(argv)
    given = (options.key, options.certificate, options.keyring)
    if any(given) and not all(given):
        parser.error("--key, --certificate and --keyring belong together")
    board = BOARDS[options.board]
    try:
        signer = Signer(*given) if all(given) else development_signer(CHECKOUT / "build" / "image-key")
        image, update = build(board, signer=signer, product_name=options.product, output=options.output)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    print(f"{image} {image.stat().st_blocks * 512 / 1e6:.0f} MB on disk: {board.tried}")
    print(f"{update} {update.stat().st_size / 1e6:.0f} MB")
    if not all(given):
        print(f"  signed with a development key ({signer.key.relative_to(CHECKOUT)}): not for the field")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
