# SPDX-License-Identifier: Apache-2.0
"""The id of the boot, with and without a unit that names it."""

from __future__ import annotations

from pathlib import Path

from firmware.boot_id import VARIABLE, boot_id

ID = "0b6e6f3e-0c51-4c86-9bd4-5d6f8ab1e0c1"


def test_units_id_is_written_as_the_kernels(tmp_path: Path) -> None:
    assert boot_id({VARIABLE: ID.replace("-", "")}, kernel=tmp_path / "hidden") == ID


def test_kernels_id(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text(f"{ID}\n")
    assert boot_id({}, kernel=tmp_path / "boot_id") == ID


def test_neither(tmp_path: Path) -> None:
    assert boot_id({}, kernel=tmp_path / "hidden") == ""
    assert boot_id({VARIABLE: "%b"}, kernel=tmp_path / "hidden") == ""
