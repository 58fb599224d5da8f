# SPDX-License-Identifier: Apache-2.0
"""The pages for readers name files and folders that there are."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from firmware.config import load
from firmware.factory_settings import (
    CertificateFiles,
    CommissioningSettings,
    FactorySettings,
    FactoryVariable,
    NetworkProfile,
    RigSettings,
)

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/bench-csms.md",
    "docs/benchmark.md",
    "docs/connection-failures.md",
    "docs/glossary.md",
    "docs/metrics.md",
    "docs/porting.md",
    "docs/station-file.md",
)
ROOMS = ("docs", "drivers", "firmware", "hal", "packaging", "services", "systemd", "tests", "tools")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_NAME = re.compile(r"`((?:\w[\w.-]*/)+|(?:\w[\w-]*/)*\w[\w-]*\.(?:py|md|toml|json))`")


def written() -> set[str]:
    """Files and folders (with a slash at the end), by any last part of their path."""
    found = {path.name for path in Path().iterdir()}
    for room in ROOMS:
        for path in (Path(room), *Path(room).rglob("*")):
            end = "/" if path.is_dir() else ""
            found |= {"/".join(path.parts[start:]) + end for start in range(len(path.parts))}
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    there = written()
    assert [name for name in _NAME.findall(Path(page).read_text(encoding="utf-8")) if name not in there] == []


@pytest.mark.parametrize("page", [*PAGES, "docs/security.md", "docs/conformance.md"])
def test_every_link_leads_to_a_file(page: str) -> None:
    links = set(_LINK.findall(Path(page).read_text(encoding="utf-8")))
    assert [link for link in links if not (Path(page).parent / link).exists()] == []


def test_names_are_found() -> None:
    text = "`a/b.py`, `b/`, `a.b()`, `a word`, [text](x/y.md), [web](https://example.com)"
    assert _NAME.findall(text) == ["a/b.py", "b/"]
    assert _LINK.findall(text) == ["x/y.md"]


def test_every_key_of_the_station_file_is_explained() -> None:
    page = Path("docs/station-file.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z_.]+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE))))
    inner = {
        "commissioning": CommissioningSettings,
        "rig": RigSettings,
    }
    assert explained == {
        *(set(FactorySettings.__struct_fields__) - {*inner, "network_profile", "certificates", "variable"}),
        *NetworkProfile.__struct_fields__,
        *CertificateFiles.__struct_fields__,
        *FactoryVariable.__struct_fields__,
        *(f"{table}.{key}" for table, struct in inner.items() for key in struct.__struct_fields__),
    }


@pytest.mark.parametrize("number", range(3))
def test_every_example_of_the_station_file_is_one(number: int, tmp_path: Path) -> None:
    blocks = re.findall(r"(?:^    .*\n)+", Path("docs/station-file.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(blocks) == 3
    file = tmp_path / "station.toml"
    file.write_text(textwrap.dedent(blocks[number]))
    assert load(file, FactorySettings).network_profile[0].security_profile == number + 1
