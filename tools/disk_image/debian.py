# SPDX-License-Identifier: Apache-2.0
"""The Debian part of a root: made by mmdebstrap once and kept as a tar file, named by what it is made of."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from tools.disk_image.boards import Board
from tools.disk_image.foreign import foreign_programs
from tools.disk_image.host import CACHE, run

__all__ = ["debian_tar"]

RELEASE = "bookworm"
PACKAGES = (
    # the system
    "busybox", "ca-certificates", "chrony", "dbus", "dosfstools", "e2fsprogs", "init-system-helpers", "initramfs-tools",
    "iproute2", "kmod", "nftables", "polkitd", "procps", "systemd", "systemd-sysv", "udev", "zstd",
    # ours
    "libccid", "libpcsclite1", "libsystemd0", "modemmanager", "network-manager", "pcscd", "python3.11",
    # updates: RAUC writes GRUB's environment
    "grub-common", "rauc", "rauc-service",
    # for whoever stands before the board
    "can-utils", "iputils-ping", "less", "nano",
)  # fmt: skip
LEFT_OUT = (
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
    "/lib/modules/*/kernel/sound/*", "/lib/modules/*/kernel/drivers/media/*",
    "/lib/modules/*/kernel/drivers/infiniband/*",
    "/lib/modules/*/kernel/drivers/gpu/drm/amd/*", "/lib/modules/*/kernel/drivers/gpu/drm/nouveau/*",
    "/lib/modules/*/kernel/drivers/gpu/drm/radeon/*", "/lib/modules/*/kernel/drivers/net/wireless/*",
    "/lib/modules/*/kernel/drivers/isdn/*", "/lib/modules/*/kernel/drivers/staging/*",
    "/lib/modules/*/kernel/fs/ocfs2/*", "/lib/modules/*/kernel/fs/xfs/*", "/lib/modules/*/kernel/fs/btrfs/*",
    "/lib/modules/*/kernel/fs/gfs2/*", "/lib/modules/*/kernel/fs/ceph/*", "/lib/modules/*/kernel/fs/cifs/*",
)  # fmt: skip
KEPT = ("/usr/share/doc/*/copyright",)


def debian_tar(board: Board, initramfs: Path) -> Path:
    """The tar file; `initramfs` is a folder of what its initramfs is made with. Raises `ImageError`."""
    tar = CACHE / f"image-{board.architecture}-{_key(board, initramfs)}.tar"
    if tar.exists():
        return tar
    options = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    options += [f"--dpkgopt=path-include={path}" for path in KEPT]
    options += [f"--include={','.join((*PACKAGES, *_own(board)))}", f"--architectures={board.architecture}"]
    place = "usr/share/initramfs-tools"
    options += [f'--setup-hook=mkdir -p "$1/usr/share" && cp -r --preserve=mode {initramfs} "$1/{place}"']
    CACHE.mkdir(parents=True, exist_ok=True)
    part = tar.with_name(f"{tar.name}.{os.getpid()}.part.tar")
    try:
        with foreign_programs(board.architecture):
            run(
                ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *options, RELEASE, part],
                limit_s=4 * 3600.0,
            )
        part.rename(tar)
    finally:
        part.unlink(missing_ok=True)
    return tar


def _own(board: Board) -> tuple[str, str]:
    """What the board's own processor starts: the kernel, and GRUB's modules."""
    return board.kernel, board.grub_package


def _key(board: Board, initramfs: Path) -> str:
    digest = sha256(" ".join((RELEASE, *PACKAGES, *LEFT_OUT, *KEPT, *_own(board))).encode())
    for path in sorted(initramfs.rglob("*")):
        if path.is_file():
            digest.update(f"\n{path.relative_to(initramfs)} {path.stat().st_mode:o}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
