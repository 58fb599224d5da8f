# SPDX-License-Identifier: Apache-2.0
"""What of the image can be checked without making one; `make image-test` boots it."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tools.disk_image.bill import DebianPackage, image_bill
from tools.disk_image.boards import BOARDS
from tools.disk_image.disk import DATA, EFI, SLOT, environment_block
from tools.disk_image.host import ImageError, need
from tools.disk_image.root import PARTS, SETTINGS, compatible
from tools.disk_image.signing import Signer, development_signer
from tools.package.sbom import bill

ROOT = Path(__file__).parents[4]
SCRIPTS = [path for path in PARTS.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")]
FAMILY = "OCPP_C7_STA"


def test_partitions_follow_one_another() -> None:
    spans = [EFI, SLOT["A"], SLOT["B"], DATA]
    for span, after in pairwise(spans):
        assert span.start + span.size == after.start
    assert SLOT["A"].size == SLOT["B"].size


def test_boot_environment_is_one_that_grub_takes() -> None:
    """Exactly 1024 bytes, or GRUB could not write to it."""
    block = environment_block("ORDER=A B\n")
    assert len(block) == 1024
    assert block.startswith(b"# GRUB Environment Block\nORDER=A B\n#")


def test_a_bundle_is_for_one_product_and_one_board() -> None:
    every = [compatible(each, "c7am-400-cc") for each in BOARDS.values()]
    assert len(set(every)) == len(every)
    assert all(each.startswith(f"{FAMILY}@") for each in every)


def test_bill_has_libraries_and_debian_packages() -> None:
    package = bill((ROOT / "packaging/locks/device.txt").read_text())
    packages = [DebianPackage("baywatt", "1.0.0", "amd64"), DebianPackage("chrony", "1:4.3+x", "amd64")]
    document = image_bill(package, packages, "amd64")
    names = [each["name"] for each in document["components"]]
    assert "aiohttp" in names
    assert names[-1] == "chrony"
    assert "baywatt" not in names, "it is what the document is about"
    assert document["components"][-1]["purl"].startswith("pkg:deb/debian/chrony@1%3A4.3%2Bx?arch=amd64")
    assert document["serialNumber"] != image_bill(package, packages[:1], "amd64")["serialNumber"]


def test_settings_of_the_package_can_be_made_those_of_a_board() -> None:
    for name, changes in SETTINGS.items():
        text = (ROOT / "packaging/etc" / name).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        table = tomllib.loads(text)
        if name == "ocpp.toml":
            assert table["slots"] == {"driver": "rauc"}
        else:
            assert table["board"] == {"driver": "linux", "watchdog": ""}


def test_every_user_of_the_package_has_an_id_of_its_own_in_all_images() -> None:
    """Files on the data partition have these ids, whichever slot runs."""
    pattern = re.compile(r"^([ug])\s+(\S+)\s+(\S+)", re.MULTILINE)
    fixed = {name: number for _kind, name, number in pattern.findall((PARTS / "sysusers.conf").read_text())}
    wanted = {name for _kind, name, _ in pattern.findall((ROOT / "systemd/sysusers.d/baywatt.conf").read_text())}
    assert wanted <= set(fixed), "give the new one an id in packaging/image/sysusers.conf"
    assert len(set(fixed.values())) == len(fixed)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(PARTS)))
def test_scripts_can_be_read_by_a_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_development_key_is_made_once(tmp_path: Path) -> None:
    first = development_signer(tmp_path / "key")
    first.check()
    kept = first.key.read_bytes(), first.keyring.read_bytes()
    again = development_signer(tmp_path / "key")
    assert (again.key.read_bytes(), again.keyring.read_bytes()) == kept
    assert again.key.stat().st_mode & 0o777 == 0o600


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"key\.pem: no such file"):
        Signer(tmp_path / "key.pem", tmp_path / "c.pem", tmp_path / "r.pem").check()


def test_what_a_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ImageError, match=r"an image needs these packages of Debian 12.*apt-get install qemu-of-my-own"):
        need({"no-such-program": "qemu-of-my-own", "sh": "dash"}, what="an image")


FLOOR, YEAR_2070 = 1_800_000_000, 3_155_760_130


@pytest.mark.parametrize(
    ("now", "noted", "becomes"),
    [
        pytest.param(60, None, FLOOR, id="without a battery"),
        pytest.param(YEAR_2070, None, FLOOR, id="without a battery, on firmware with two digits for the year"),
        pytest.param(60, FLOOR + 5000, FLOOR + 5000, id="without a battery, after an hour of work"),
        pytest.param(YEAR_2070, FLOOR + 5000, FLOOR + 5000, id="the same with two digits"),
        pytest.param(FLOOR + 1000, FLOOR + 5000, FLOOR + 5000, id="a clock that is late"),
        pytest.param(FLOOR + 9000, FLOOR + 5000, None, id="a clock with a battery"),
        pytest.param(60, YEAR_2070, FLOOR, id="what was noted can't be right"),
    ],
)
def test_the_clock_goes_on_from_the_last_time_that_was_known(
    tmp_path: Path, now: int, noted: int | None, becomes: int | None
) -> None:
    text = (PARTS / "initramfs/scripts/local-bottom/baywatt").read_text()
    function = text[text.index("set_clock() {") : text.index("complain() {")]
    (tmp_path / "usr/lib").mkdir(parents=True)
    for path, moment in (("usr/lib/clock-epoch", FLOOR), ("clock", noted)):
        if moment is not None:
            (tmp_path / path).touch()
            os.utime(tmp_path / path, (moment, moment))
    date = f'date() {{ if [ "$1" = -s ]; then echo "$2" >"$data/set"; else echo {now}; fi; }}'
    subprocess.run(["sh", "-c", f"rootmnt={tmp_path} data={tmp_path}\n{date}\n{function}\nset_clock"], check=True)
    done = tmp_path / "set"
    assert (done.read_text() if done.exists() else None) == (f"@{becomes}\n" if becomes else None)
