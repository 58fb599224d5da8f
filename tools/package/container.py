# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 that boots in systemd-nspawn, in a network of its own where there is nothing but the loopback.

The root is made once and kept as a tar file under `$XDG_CACHE_HOME/baywatt` (else ~/.cache/baywatt), outside the
checkout, so that a fresh one finds it; its name depends on what is in it. What the machine lacks (root's rights,
namespaces, a program) is a `ContainerError` with the reason. `python -m tools.package.container` makes it, or says why
there can be none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType

__all__ = ["Container", "ContainerError", "debian_root", "main"]

RELEASE = "bookworm"
PACKAGES = (
    "dbus",
    "init-system-helpers",
    "libfaketime",
    "libpcsclite1",
    "libsystemd0",
    "polkitd",
    "python3.11",
    "systemd",
    "systemd-sysv",
    "udev",
)
"""With all that our package depends on: it is installed without a network. libfaketime gives it a wrong clock."""
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "ip": "iproute2", "nsenter": "util-linux"}
"""Program -> its Debian package."""
BOOT_S = 60.0
_POLL_S = 0.2


class ContainerError(Exception):
    """Why there is no container, in a sentence."""


def debian_root(cache: Path | None = None) -> Path:
    """The tar file of a Debian root, made if there is none yet; raises `ContainerError`."""
    _check_machine()
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "baywatt"
    name = sha256(" ".join((RELEASE, *PACKAGES, *LEFT_OUT)).encode()).hexdigest()[:12]
    tar = cache / f"debian-{name}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = cache / f"{tar.name}.part.tar"
        excludes = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
        include = f"--include={','.join(PACKAGES)}"
        _run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", include, *excludes, RELEASE, str(part)])
        part.rename(tar)
    return tar


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise ContainerError("booting a container needs root")
    missing = sorted(package for program, package in TOOLS.items() if shutil.which(program) is None)
    if missing:
        if shutil.which("apt-get") is None:
            raise ContainerError(f"these packages are not installed: {' '.join(missing)}")
        install = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *missing]
        _run(["apt-get", "update"])
        _run(install)
    try:
        _run(["unshare", "--mount", "--pid", "--net", "--fork", "true"])
    except ContainerError as error:
        raise ContainerError(f"this machine makes no namespaces, which a container needs: {error}") from error


class Container:
    """`with Container(tar, folder, name) as machine:` boots it; it is cut off at the end."""

    def __init__(self, tar: Path, folder: Path, name: str) -> None:
        self.root = folder / "root"
        self.console = folder / "console.log"
        self._tar = tar
        self._name = name
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = ""

    def __enter__(self) -> Container:
        self.root.mkdir()
        _run(["tar", "-C", str(self.root), "-xf", str(self._tar)])
        (self.root / "etc/machine-id").write_text("")
        _run(["ip", "netns", "add", self._name])
        try:
            _run([*self.beside, "ip", "link", "set", "lo", "up"])
            self._boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nspawn is not None:
            if self._leader:
                os.kill(int(self._leader), signal.SIGKILL)  # its PID 1, and with it all of its processes
            try:
                self._nspawn.wait(30.0)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        subprocess.run(["ip", "netns", "delete", self._name], capture_output=True, check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def beside(self) -> list[str]:
        """What a command begins with that runs on this machine, in the container's network."""
        return ["ip", "netns", "exec", self._name]

    def run(self, *command: str, check: bool = True, limit_s: float = 90.0) -> str:
        """Run a command in the container; returns its output. Raises `ContainerError` if it fails."""
        enter = ["nsenter", "--target", self._leader, "--all", "--wd"]
        return _run([*enter, *command], check=check, limit_s=limit_s)

    def until(self, condition: Callable[[], bool], what: str, *, limit_s: float = 60.0) -> None:
        """Wait for a condition; raises `ContainerError` with what the journal says."""
        until = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > until:
                journal = self.run("journalctl", "--no-pager", "-n", "60", check=False)
                raise ContainerError(f"not within {limit_s:g} s: {what}\n{journal}")
            time.sleep(_POLL_S)

    def _boot(self) -> None:
        command = ["systemd-nspawn", "--directory", str(self.root), "--boot", "--register=no", "--keep-unit"]
        command += [f"--network-namespace-path=/run/netns/{self._name}", f"--machine={self._name}", "--quiet"]
        with self.console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        until = time.monotonic() + BOOT_S
        while not self._has_booted():
            if self._nspawn.poll() is not None or time.monotonic() > until:
                shown = self.console.read_text(errors="replace")[-4000:]
                raise ContainerError(f"the container has not booted:\n{shown}")
            time.sleep(_POLL_S)

    def _has_booted(self) -> bool:
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        found = children.read_text().split() if children.exists() else []
        if not found:
            return False
        self._leader = found[0]
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def _run(command: Sequence[str], *, check: bool = True, limit_s: float = 900.0) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except FileNotFoundError as error:
        raise ContainerError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ContainerError(f"{' '.join(command)}: not done in {limit_s:g} s") from error
    if check and done.returncode != 0:
        raise ContainerError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def main() -> int:
    started = time.monotonic()
    try:
        tar = debian_root()
    except ContainerError as error:
        print(f"container: {error}", file=sys.stderr)
        return 1
    print(f"{tar} {tar.stat().st_size / 1e6:.0f} MB, in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
