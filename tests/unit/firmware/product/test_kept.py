# SPDX-License-Identifier: Apache-2.0
"""The kept product is the product, or it is read anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware import product
from firmware.config import read_toml
from firmware.errors import ConfigError
from firmware.product import kept

NAME = "c7am-400-cc"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "product.json"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The product files that are parsed."""
    parsed: list[Path] = []

    def read(path: Path) -> dict[str, Any]:
        parsed.append(path)
        return read_toml(path)

    monkeypatch.setattr("firmware.product.loader.read_toml", read)
    return parsed


@pytest.mark.parametrize("name", product.names())
def test_what_is_kept_is_what_was_read(name: str, place: Path, reads: list[Path]) -> None:
    first = kept.load(name, place)
    reads.clear()
    assert kept.load(name, place) == first == product.load(name)
    assert len(reads) in (1, 2), "those of `product.load` alone"


def test_a_changed_file_is_read_again(tmp_path: Path, place: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'extends = "{NAME}"\nidentity = {{ model = "First" }}\n')
    assert kept.load(str(file), place).identity.model == "First"
    file.write_text(f'extends = "{NAME}"\nidentity = {{ model = "Second" }}\n')
    assert kept.load(str(file), place).identity.model == "Second"
    file.write_text("identity = 7\n")
    with pytest.raises(ConfigError):
        kept.load(str(file), place)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"firmware":"1.0.0"}', b"\0" * 40_000])
def test_a_damaged_file_does_not_count(content: bytes, place: Path, reads: list[Path]) -> None:
    place.write_bytes(content)
    assert kept.load(NAME, place) == product.load(NAME)
    reads.clear()
    kept.load(NAME, place)
    assert not reads, "it was replaced"


def test_another_product_or_firmware_reads_its_own(
    place: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.load(NAME, place)
    assert kept.load("full", place) == product.load("full")
    reads.clear()
    monkeypatch.setattr(kept, "VERSION", "9.9.9")
    kept.load("full", place)
    assert reads


def test_a_place_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    assert kept.load(NAME, tmp_path / "missing" / "product.json") == product.load(NAME)
