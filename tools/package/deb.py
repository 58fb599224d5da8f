# SPDX-License-Identifier: Apache-2.0
"""`make deb`: the Debian package, for amd64 and arm64, on either.

    /opt/baywatt                      a venv that is put together of the lock's wheels and our packages, without a
                                      program of the target running: byte code is the same for all architectures
    /opt/baywatt/baywatt.cdx.json     what it is made of (CycloneDX)
    /etc/baywatt/*.toml               conffiles
    /usr/lib/{systemd,sysusers.d,...} units, users, rules: the folder systemd/
    /usr/bin/baywatt-hal              for `baywatt-hal probe`
    /usr/bin/baywattctl               what the station is doing

The same sources and SOURCE_DATE_EPOCH (else the time of the last commit) make the same bytes. It needs
dpkg-deb, and for the other architecture a cross compiler (`cross.py`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

from firmware.version import VERSION
from tools.package import sbom
from tools.package.commands import PackageError, run
from tools.package.libraries import MACHINES, PYTHON, fetch, native, unpack

__all__ = ["BILL", "build", "main"]

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "deb"
LOCK = ROOT / "packaging" / "locks" / "device.txt"
OURS = ("firmware", "hal", "drivers", "services")
HOME = "opt/baywatt"
BILL = f"{HOME}/baywatt.cdx.json"
SITE = f"{HOME}/lib/python{PYTHON[0]}.{PYTHON[1]}/site-packages"
LIBRARY = "usr/lib"
UNITS = f"{LIBRARY}/systemd/system"
PLACES = {
    "systemd/*.service": UNITS,
    "systemd/*.target": UNITS,
    "systemd/sysusers.d/*": f"{LIBRARY}/sysusers.d",
    "systemd/tmpfiles.d/*": f"{LIBRARY}/tmpfiles.d",
    "systemd/modprobe.d/*": f"{LIBRARY}/modprobe.d",
    "systemd/udev/*": f"{LIBRARY}/udev/rules.d",
    "systemd/network/*": f"{LIBRARY}/systemd/network",
    "systemd/journald.conf.d/*": f"{LIBRARY}/systemd/journald.conf.d",
    "systemd/polkit/*": "usr/share/polkit-1/rules.d",
    "packaging/etc/*.toml": "etc/baywatt",
    "packaging/examples/*": "usr/share/doc/baywatt/examples",
    "docs/install.md": "usr/share/doc/baywatt",
    "docs/operations.md": "usr/share/doc/baywatt",
    "docs/demonstration.md": "usr/share/doc/baywatt",
    "docs/commissioning.md": "usr/share/doc/baywatt",
    "docs/station-file.md": "usr/share/doc/baywatt",
    "CHANGELOG.md": "usr/share/doc/baywatt",
    "packaging/deb/copyright": "usr/share/doc/baywatt",
    "packaging/deb/baywatt-hal": "usr/bin",
    "packaging/deb/baywattctl": "usr/bin",
    "packaging/deb/postinst": "DEBIAN",
    "packaging/deb/prerm": "DEBIAN",
    "packaging/deb/postrm": "DEBIAN",
}
"""Files of the checkout -> their folder in the package."""
PROGRAMS = ("usr/bin", "DEBIAN/p")
"""What is executable begins with one of these."""


def build(architecture: str, *, output: Path, compression: str = "xz") -> Path:
    """Make the package; returns its path. Raises `PackageError`."""
    version, epoch = VERSION, _epoch()
    stage = BUILD / f"stage-{architecture}"
    shutil.rmtree(stage, ignore_errors=True)
    _python(stage, architecture, version)
    for pattern, place in PLACES.items():
        found = sorted(ROOT.glob(pattern))
        if not found:
            raise PackageError(f"{pattern} is missing")
        for source in found:
            _copy(source, stage / place / source.name)
    sbom.write(sbom.bill(LOCK.read_text(encoding="utf-8"), stage / SITE), stage / BILL)
    _compile(stage)
    _describe(stage, architecture, version)
    _normalise(stage, epoch)
    output.mkdir(parents=True, exist_ok=True)
    package = output / f"baywatt_{version}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", str(stage), str(package)]
    run(command, environment={"SOURCE_DATE_EPOCH": str(epoch)})
    return package


def _python(stage: Path, architecture: str, version: str) -> None:
    """The venv: nothing in it depends on where or by which interpreter it was made."""
    home = stage / HOME
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").symlink_to(f"/usr/bin/python{PYTHON[0]}.{PYTHON[1]}")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n")
    site = stage / SITE
    for wheel in fetch(LOCK, architecture, BUILD / "wheels"):
        unpack(wheel, site)
    for name in OURS:
        for source in _files(ROOT / name):
            if "__pycache__" not in source.parts:
                _copy(source, site / source.relative_to(ROOT))
    about = site / f"baywatt-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: baywatt\nVersion: {version}\nLicense: Apache-2.0\n")


def _compile(stage: Path) -> None:
    """Byte code that is never compared with its source: files of a package are not edited in place."""
    python = sys.executable if sys.version_info[:2] == PYTHON else shutil.which("python3.11")
    if python is None:
        raise PackageError("byte code needs python3.11 (apt-get install python3.11)")
    arguments = ["-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "-s", str(stage), "-p", "/"]
    run([python, *arguments, str(stage / SITE)], environment={"PYTHONHASHSEED": "0"})


def _describe(stage: Path, architecture: str, version: str) -> None:
    size = sum(path.lstat().st_size for path in _files(stage)) // 1024
    control = (
        (ROOT / "packaging" / "deb" / "control")
        .read_text()
        .format(version=version, architecture=architecture, size=size)
    )
    control_folder = stage / "DEBIAN"
    (control_folder / "control").write_text(control)
    conffiles = [path.relative_to(stage) for path in _files(stage / "etc")]
    (control_folder / "conffiles").write_text("".join(f"/{path}\n" for path in conffiles))
    sums = [(path, path.relative_to(stage)) for path in _files(stage) if path.is_file() and not path.is_symlink()]
    (control_folder / "md5sums").write_text(
        "".join(
            f"{md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n"
            for path, name in sums
            if name.parts[0] not in ("DEBIAN", "etc")
        )
    )


def _normalise(stage: Path, epoch: int) -> None:
    """Modes and times that depend neither on the umask nor on now."""
    for path in [stage, *sorted(stage.rglob("*"))]:
        if not path.is_symlink():
            program = path.is_dir() or str(path.relative_to(stage)).startswith(PROGRAMS)
            path.chmod(0o755 if program else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def _epoch() -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.package.deb", description="Make the Debian package.")
    kinds = sorted(MACHINES)
    parser.add_argument("architecture", nargs="*", default=kinds, help=f"{' or '.join(kinds)}, or native; default: all")
    parser.add_argument("--output", type=Path, default=ROOT / "build")
    parser.add_argument("--compression", choices=("xz", "zstd", "none"), default="xz", help="xz: smallest and slowest")
    options = parser.parse_args(argv)
    try:
        for name in options.architecture:
            architecture = native() if name == "native" else name
            if architecture not in MACHINES:
                raise PackageError(f"no architecture {architecture}, expected one of {', '.join(MACHINES)}")
            package = build(architecture, output=options.output, compression=options.compression)
            print(f"{package} {package.stat().st_size / 1e6:.1f} MB")
    except PackageError as error:
        print(f"deb: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
