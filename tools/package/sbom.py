# SPDX-License-Identifier: Apache-2.0
"""`make sbom`: what a station's program is made of, as a CycloneDX 1.6 document.

Names, versions and hashes are those of `packaging/locks/device.txt`, licences what the installed libraries say of
themselves. Debian's own packages (Python, libc, D-Bus) are not in it: dpkg knows them. The same lock makes the same
bytes, so there is no time in it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from firmware.version import VERSION

__all__ = ["bill", "main"]

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n .*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER = "License :: OSI Approved :: "
_NOT_ON_A_STATION = ("setuptools",)
_MAX_LICENCE_NAME = 60
"""Longer ones are the licence's text."""


def bill(lock: str) -> dict[str, Any]:
    """The document for a lock; its serial number is made of its content."""
    pinned = sorted(_PINNED.findall(lock))
    libraries = [_library(name, version, rest) for name, version, rest in pinned if name not in _NOT_ON_A_STATION]
    station = {
        "type": "firmware",
        "bom-ref": "baywatt",
        "name": "baywatt",
        "version": VERSION,
        "licenses": [{"expression": "Apache-2.0"}],
    }
    content: dict[str, Any] = {
        "metadata": {"component": station},
        "components": libraries,
        "dependencies": [{"ref": "baywatt", "dependsOn": [each["bom-ref"] for each in libraries]}],
    }
    number = uuid5(NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{number}", "version": 1}
    return head | content


def _library(name: str, version: str, rest: str) -> dict[str, Any]:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    page = f"https://pypi.org/project/{normal}/{version}/"
    hashes = [{"alg": "SHA-256", "content": each} for each in sorted(_HASH.findall(rest))]
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{normal}@{version}",
        "name": normal,
        "version": version,
        "purl": f"pkg:pypi/{normal}@{version}",
        **_licences(normal, version),
        "externalReferences": [{"type": "distribution", "url": page, "hashes": hashes}],
    }


def _licences(name: str, version: str) -> dict[str, Any]:
    """As the installed library states it; nothing if it states none, or another version is installed."""
    try:
        stated = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return {}
    if stated["Version"] != version:
        return {}
    if "License-Expression" in stated:
        return {"licenses": [{"expression": stated["License-Expression"]}]}
    names = [each.removeprefix(_CLASSIFIER) for each in stated.get_all("Classifier") or () if _CLASSIFIER in each]
    text = next(iter(stated.get_all("License") or ()), "")
    if text and len(text) <= _MAX_LICENCE_NAME and "\n" not in text:
        names = [text]
    return {"licenses": [{"license": {"name": each}} for each in names]} if names else {}


def main() -> int:
    document = bill((ROOT / "packaging" / "locks" / "device.txt").read_text(encoding="utf-8"))
    target = ROOT / "build" / f"baywatt_{VERSION}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unknown = [each["name"] for each in document["components"] if "licenses" not in each]
    print(f"{target.relative_to(ROOT)}: {len(document['components'])} libraries")
    if unknown:
        print(f"  no licence stated by {', '.join(unknown)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
