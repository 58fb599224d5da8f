# SPDX-License-Identifier: Apache-2.0
"""Debian packages of any architecture, unpacked into a folder and not installed.

They come from this machine's own archive of Debian 12, by an apt that knows nothing else of this machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.package.commands import PackageError, run

__all__ = ["unpack"]

_RELEASE = "bookworm"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def unpack(packages: Sequence[str], architecture: str, folder: Path, *, components: str = "main") -> Path:
    """`folder`/root with their files, made if it is not there yet. Raises `PackageError`."""
    root = folder / "root"
    if root.exists():
        return root
    state, parts = folder / "apt", folder / "debs"
    for each in (state / "lists/partial", state / "cache/archives/partial", parts):
        each.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    sources = state / "sources.list"
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    sources.write_text("".join(f"deb {signed}{site} {release} {components}\n" for site, release in _sites()))
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    run([*apt, "update"])
    run([*apt, "download", *packages], folder=parts)
    making = folder / "root.part"
    shutil.rmtree(making, ignore_errors=True)
    for package in sorted(parts.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(making)])
    making.rename(root)
    return root


def _sites() -> list[tuple[str, str]]:
    """Address and suite of each archive of Debian 12 that this machine uses: releases, updates and security."""
    listed = run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]).splitlines()
    pairs = sorted({(site, release) for site, release in map(str.split, listed) if release.startswith(_RELEASE)})
    if not pairs:
        raise PackageError(f"this machine's apt has no archive of Debian {_RELEASE}")
    return pairs
