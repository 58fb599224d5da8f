# SPDX-License-Identifier: Apache-2.0
"""The bill of materials: everything of the lock, in the shape of CycloneDX, the same twice."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from firmware.version import VERSION
from tools.package.sbom import bill

LOCK = Path("packaging/locks/device.txt").read_text(encoding="utf-8")
PURL = re.compile(r"pkg:pypi/[a-z0-9]+(?:-[a-z0-9]+)*@[0-9A-Za-z.+!-]+")
SERIAL = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
INSTALLED = version("aiohttp")
ONE = f"aiohttp=={INSTALLED} \\\n    --hash=sha256:" + "1d" * 32 + "\n"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return bill(LOCK)


def test_it_is_about_this_version(document: dict[str, Any]) -> None:
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert SERIAL.fullmatch(document["serialNumber"])
    station = document["metadata"]["component"]
    assert (station["type"], station["name"], station["version"]) == ("firmware", "baywatt", VERSION)


def test_every_library_of_the_lock_is_in_it_with_its_hashes(document: dict[str, Any]) -> None:
    libraries = document["components"]
    listed = {(each["name"], each["version"]) for each in libraries}
    pinned = set(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))
    assert pinned - listed <= {each for each in pinned if each[0] == "setuptools"}
    assert listed <= pinned
    hashes = [each["content"] for library in libraries for each in library["externalReferences"][0]["hashes"]]
    assert set(hashes) <= set(re.findall(r"sha256:(\w{64})", LOCK))
    for library in libraries:
        assert library["type"] == "library"
        assert PURL.fullmatch(library["purl"])
        assert library["externalReferences"][0]["hashes"]


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    references = [each["bom-ref"] for each in (document["metadata"]["component"], *document["components"])]
    assert len(set(references)) == len(references)
    assert {document["dependencies"][0]["ref"], *document["dependencies"][0]["dependsOn"]} == set(references)


def test_licences_are_an_expression_alone_or_names(document: dict[str, Any]) -> None:
    stated = {each["name"]: each["licenses"] for each in document["components"] if "licenses" in each}
    for licences in stated.values():
        kinds = [next(iter(each)) for each in licences]
        assert kinds == ["expression"] or set(kinds) == {"license"}
    assert len(stated) >= 0.9 * len(document["components"])


def test_the_same_twice_and_another_number_for_other_content(document: dict[str, Any]) -> None:
    assert json.dumps(bill(LOCK)) == json.dumps(document)
    assert bill(ONE)["serialNumber"] != document["serialNumber"]


def test_a_version_that_is_not_installed_has_no_licence() -> None:
    assert "licenses" in bill(ONE)["components"][0]
    assert "licenses" not in bill(ONE.replace(INSTALLED, "0.0.1"))["components"][0]
    assert "licenses" not in bill(ONE.replace("aiohttp", "no-such-library"))["components"][0]


def test_that_of_a_package_has_what_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    for name, number, licence in (("aiohttp", INSTALLED, "Its-Own"), ("Not_In.Lock", "1.0", "MIT")):
        about = tmp_path / f"{name}-{number}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: {name}\nVersion: {number}\nLicense-Expression: {licence}\n")
    (library,) = bill(LOCK, tmp_path)["components"]
    assert (library["name"], library["version"]) == ("aiohttp", INSTALLED)
    assert library["licenses"] == [{"expression": "Its-Own"}]
    assert bill(ONE.replace(INSTALLED, "0.0.1"), tmp_path)["components"] == [], "another version than that of the lock"
