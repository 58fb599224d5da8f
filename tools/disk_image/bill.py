# SPDX-License-Identifier: Apache-2.0
"""What an image is made of: the package's bill of materials, and Debian's packages in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from tools.disk_image.host import run

__all__ = ["DebianPackage", "debian_packages", "image_bill"]

_OURS = "baywatt"


class DebianPackage(NamedTuple):
    name: str
    version: str
    architecture: str


def debian_packages(root: Path) -> list[DebianPackage]:
    """The packages that are installed in a root, sorted. Raises `ImageError`."""
    form = "-f=${Package} ${Version} ${Architecture}\n"
    text = run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", form])
    return sorted(DebianPackage(*line.split(" ")) for line in text.splitlines())


def image_bill(package: dict[str, Any], packages: list[DebianPackage], architecture: str) -> dict[str, Any]:
    """A CycloneDX document, from the package's own; its serial number is made of its content."""
    about = package["metadata"]["component"] | {"type": "operating-system", "name": f"baywatt-{architecture}"}
    components = package["components"] + [_component(each) for each in packages if each.name != _OURS]
    numbered = " ".join([package["serialNumber"], *(each["bom-ref"] for each in components)])
    number = f"urn:uuid:{uuid5(NAMESPACE_URL, numbered)}"
    return package | {"metadata": {"component": about}, "components": components, "serialNumber": number}


def _component(package: DebianPackage) -> dict[str, Any]:
    version = package.version.replace(":", "%3A").replace("+", "%2B")
    name = f"pkg:deb/debian/{package.name}@{version}?arch={package.architecture}&distro=bookworm"
    return {"type": "library", "bom-ref": name, "name": package.name, "version": package.version, "purl": name}
