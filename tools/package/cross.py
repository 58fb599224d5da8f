# SPDX-License-Identifier: Apache-2.0
"""Builds Python extensions for the other architecture: Debian's cross compiler, and headers of the target's packages.

Nothing of the target runs. The headers and libraries are unpacked into a folder, from the package sources of this
machine; only the compiler is installed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools.package import apt
from tools.package.commands import PackageError, run

__all__ = ["environment"]

TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
HEADERS = (
    "libpcsclite-dev",
    "libpcsclite1",
    "libpython3.11-dev",
    "libpython3.11-minimal",
    "libsystemd-dev",
    "libsystemd0",
)


def environment(architecture: str, folder: Path) -> dict[str, str]:
    """What a build of extensions needs in its environment; `folder` gets the target's files. Raises `PackageError`."""
    triplet = TRIPLETS[architecture]
    _install_compiler(architecture, triplet)
    folder = folder.absolute()
    root, python = apt.unpack(HEADERS, architecture, folder), folder / "python"
    name = f"_sysconfigdata__{triplet}"
    python.mkdir(exist_ok=True)
    shutil.copy(root / f"usr/lib/python3.11/{name}.py", python)
    include = root / "usr/include"
    return {
        "CC": f"{triplet}-gcc",
        "LDSHARED": f"{triplet}-gcc -shared",
        "CPPFLAGS": f"-I{include}/python3.11 -I{include} -I{include}/PCSC -ffile-prefix-map={root}=",
        "LDFLAGS": f"-L{root}/usr/lib/{triplet}",
        "PYTHONPATH": str(python),
        "_PYTHON_SYSCONFIGDATA_NAME": name,
        "_PYTHON_HOST_PLATFORM": f"linux-{triplet.partition('-')[0]}",
        "PKG_CONFIG_LIBDIR": f"{root}/usr/lib/{triplet}/pkgconfig",
        "PKG_CONFIG_SYSROOT_DIR": str(root),
    }


def _install_compiler(architecture: str, triplet: str) -> None:
    if shutil.which(f"{triplet}-gcc") is not None:
        return
    packages = [f"gcc-{triplet.replace('_', '-')}", f"libc6-dev-{architecture}-cross"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PackageError(f"libraries for {architecture} need these packages of Debian 12: {' '.join(packages)}")
    options = ["-o", "DPkg::Lock::Timeout=300"]
    run(["apt-get", *options, "update"])
    install = ["apt-get", *options, "install", "-y", "--no-install-recommends", *packages]
    run(install, environment={"DEBIAN_FRONTEND": "noninteractive"})
