# SPDX-License-Identifier: Apache-2.0
"""What a station's program is made of, as a CycloneDX 1.6 document: `make sbom`, and in the package (`deb.py`).

Names, versions and hashes are those of `packaging/locks/device.txt`, licences what the installed libraries say of
themselves. Debian's own packages (Python, libc, D-Bus) are not in it: dpkg knows them. The same lock makes the same
bytes, so there is no time in it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from firmware.version import VERSION

__all__ = ["bill", "main", "write"]

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n .*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER = "License :: OSI Approved :: "
_NOT_ON_A_STATION = ("setuptools",)
_MAX_LICENCE_NAME = 60
"""Longer ones are the licence's text."""


def bill(lock: str, site: Path | None = None) -> dict[str, Any]:
    """The document for a lock; its serial number is made of its content.

    With `site`, a package's site-packages, only the libraries that are in it, with the licences that they state there.
    """
    installed = _installed(sys.path if site is None else [str(site)])
    libraries = [
        _library(name, version, rest, installed)
        for name, version, rest in sorted(_PINNED.findall(lock))
        if name not in _NOT_ON_A_STATION and (site is None or (_normal(name), version) in installed)
    ]
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


def write(document: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(path: list[str]) -> dict[tuple[str, str], PackageMetadata]:
    """By normal name and version; of two of one name, the first on the path counts, as for an import."""
    found = {
        _normal(each.metadata["Name"]): each.metadata for each in reversed(list(metadata.distributions(path=path)))
    }
    return {(name, stated["Version"]): stated for name, stated in found.items()}


def _library(name: str, version: str, rest: str, installed: dict[tuple[str, str], PackageMetadata]) -> dict[str, Any]:
    normal = _normal(name)
    page = f"https://pypi.org/project/{normal}/{version}/"
    hashes = [{"alg": "SHA-256", "content": each} for each in sorted(_HASH.findall(rest))]
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{normal}@{version}",
        "name": normal,
        "version": version,
        "purl": f"pkg:pypi/{normal}@{version}",
        **_licences(installed.get((normal, version))),
        "externalReferences": [{"type": "distribution", "url": page, "hashes": hashes}],
    }


def _licences(stated: PackageMetadata | None) -> dict[str, Any]:
    """As the installed library states it; nothing if it states none, or is not installed in this version."""
    if stated is None:
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
    write(document, target)
    unknown = [each["name"] for each in document["components"] if "licenses" not in each]
    print(f"{target.relative_to(ROOT)}: {len(document['components'])} libraries")
    if unknown:
        print(f"  no licence stated by {', '.join(unknown)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
