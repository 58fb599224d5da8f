# SPDX-License-Identifier: Apache-2.0
"""The image of a Compute Module 4 is looked into: nothing here starts it, and it was never booted on hardware.

It shares kernel, GRUB and root with the image for arm64.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from firmware.version import VERSION
from tools.disk_image.boards import BOARDS
from tools.disk_image.disk import DATA, EFI, SLOT, Span
from tools.disk_image.host import need, run

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[3]
IMAGE = ROOT / "build" / f"baywatt_{VERSION}_cm4.img"
BOARD = BOARDS["cm4"]


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    need(
        {"sfdisk": "fdisk", "mdir": "mtools", "debugfs": "e2fsprogs", "lsinitramfs": "initramfs-tools-core"}, what="it"
    )


def on_small_partition(name: str) -> str:
    return run(["mtype", "-i", f"{IMAGE}@@{EFI.start}M", f"::{name}"])


def in_slot(command: str, span: Span = SLOT["A"]) -> str:
    """What debugfs answers about a file system in the image."""
    return run(["debugfs", "-R", command, f"{IMAGE}?offset={span.bytes[0]}"])


def test_partitions() -> None:
    table = json.loads(run(["sfdisk", "--json", IMAGE]))["partitiontable"]
    assert table["label"] == "gpt"
    rows = [(each["name"], each["start"] * 512, each["size"] * 512) for each in table["partitions"]]
    spans = {"efi": EFI, "rootfs-a": SLOT["A"], "rootfs-b": SLOT["B"], "data": DATA}
    assert rows == [(name, *span.bytes) for name, span in spans.items()]
    assert [each["type"] for each in table["partitions"][1:3]] == [BOARD.root_type] * 2


def test_what_the_gpu_reads_is_on_the_small_partition() -> None:
    settings = on_small_partition("config.txt")
    named = re.findall(r"^(?:kernel|device_tree)=(.+)$", settings, re.MULTILINE)
    assert len(named) == 2
    listed = run(["mdir", "-b", "-i", f"{IMAGE}@@{EFI.start}M", "::"]).splitlines()
    assert {f"::/{name}" for name in ("start4.elf", "fixup4.dat", "licence.txt", *named)} <= set(listed)
    assert "arm_64bit=1" in settings.splitlines()
    assert "FAT32" in run(["sh", "-c", 'dd if="$1" bs=1M skip="$2" count=1 status=none | head -c 90', "sh", IMAGE, "1"])


def test_u_boot_finds_grub_and_grub_its_settings() -> None:
    assert "PE32+" in run(
        ["sh", "-c", 'mtype -i "$1" ::EFI/BOOT/BOOTAA64.EFI | file -', "sh", f"{IMAGE}@@{EFI.start}M"]
    )
    assert "console=ttyS1,115200" in on_small_partition("grub/grub.cfg")
    assert on_small_partition("grub/grubenv").startswith("# GRUB Environment Block\nORDER=A B\nA_OK=1\n")


def test_slot_a_has_the_root_and_slot_b_is_empty(tmp_path: Path) -> None:
    assert "compatible=OCPP_C7_STA@cm4\n" in in_slot("cat /etc/rauc/system.conf")
    assert "NEVER BOOTED ON HARDWARE" in in_slot("cat /usr/share/baywatt/board.txt")
    assert re.findall(r"^PARTLABEL=efi +/efi ", in_slot("cat /etc/fstab"), re.MULTILINE)
    bill = in_slot("cat /usr/share/baywatt/debian-packages.txt")
    assert {"baywatt", "linux-image-arm64", "raspi-firmware", "u-boot-rpi"} <= {
        line.split()[0] for line in bill.splitlines()
    }
    for link in ("/vmlinuz", "/initrd.img"):
        assert "Type: symlink" in in_slot(f"stat {link}")
    start, size = SLOT["B"].bytes
    assert run(["cmp", "--ignore-initial", f"{start}:0", "--bytes", str(size), IMAGE, "/dev/zero"]) == ""


def test_initramfs_has_what_its_flash_needs(tmp_path: Path) -> None:
    """What else it takes is built into Debian's kernel."""
    kernel = re.findall(r"\(\d+\) \S+ +(initrd\.img-\S+)|(initrd\.img-\S+)", in_slot("ls /boot"))
    name = next(filter(None, kernel[0]))
    in_slot(f"dump /boot/{name} {tmp_path}/initrd")
    listed = run(["lsinitramfs", tmp_path / "initrd"])
    for module in ("sdhci-iproc", "fixed", "gpio-regulator", "reset-raspberrypi", "ext4"):
        assert re.search(rf"/{module}\.ko", listed), module
    assert "scripts/local-bottom/baywatt" in listed
