# SPDX-License-Identifier: Apache-2.0
"""A board that QEMU emulates (TCG, never KVM): its disk image boots, with its console in a file.

The guest's network has nothing but the addresses in `doors`: a connection to `DOOR:PORT` becomes one to that port of
this machine's loopback. Commands run in a login on a console of their own (hvc0).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tools.disk_image.host import ImageError

__all__ = ["DOOR", "EMULATORS", "Emulator", "Machine", "Wiring"]

DOOR = "10.0.2.100"
BOOT_S = 600.0
"""Limit of one boot, on a loaded machine; 30 s when it is idle."""
_POLL_S = 0.2
LOGIN = r"login: "
_END = re.compile(r"@@(\d+)@@\r?\n")


@dataclass(frozen=True)
class Emulator:
    """How QEMU makes such a board; `code` and `variables` are its UEFI."""

    program: str
    package: str
    machine: tuple[str, ...]
    code: str
    variables: str
    uefi_package: str
    arguments: str
    """Of the guest's kernel, for an emulator: without what is slow there and protects nobody."""

    @property
    def needs(self) -> dict[str, str]:
        """Programs and files -> their Debian packages."""
        tools = {"socat": "socat", "mcopy": "mtools", "debugfs": "e2fsprogs"}
        return {self.program: self.package, self.code: self.uefi_package} | tools


_PATIENT = (
    "mitigations=off init_on_alloc=0 udev.event_timeout=600 systemd.default_timeout_start_sec=600"
    " systemd.default_device_timeout_sec=600 systemd.watchdog_sec=600"
)

EMULATORS = {
    "arm64": Emulator(
        "qemu-system-aarch64",
        "qemu-system-arm",
        ("-machine", "virt,gic-version=3", "-cpu", "cortex-a72"),
        "/usr/share/AAVMF/AAVMF_CODE.fd",
        "/usr/share/AAVMF/AAVMF_VARS.fd",
        "qemu-efi-aarch64",
        f"console=ttyAMA0,115200 {_PATIENT}",
    ),
    "pc": Emulator(
        "qemu-system-x86_64",
        "qemu-system-x86",
        # la57: slow page tables; erms, fsrm: the kernel would clear pages byte by byte, 4096 steps each.
        ("-machine", "q35", "-cpu", "max,la57=off,erms=off,fsrm=off"),
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
        "ovmf",
        f"console=ttyS0,115200 no_timer_check {_PATIENT}",
    ),
}
"""By the board's name."""


@dataclass(frozen=True)
class Wiring:
    """What the machine is connected to. `doors`: port in the guest's network -> port here; `into`: the reverse.

    `clock`: what the RTC shows at the start, as QEMU's `-rtc base` takes it. `read_only`: the disk takes no writes, as
    a flash at the end of its life.
    """

    doors: Mapping[int, int] = field(default_factory=dict)
    into: Mapping[int, int] = field(default_factory=dict)
    clock: str = "utc"
    can: bool = False
    read_only: bool = False


class Machine:
    """`with Machine(disk, folder, wiring) as machine:` starts it; at the end it is killed, as by a power cut."""

    def __init__(self, disk: Path, folder: Path, wiring: Wiring, emulator: Emulator = EMULATORS["pc"]) -> None:
        self.disk = disk
        self._emulator = emulator
        self.console = folder / "console.log"
        self.password = ""
        self._folder = folder
        self.wiring = wiring
        self._qemu: subprocess.Popen[bytes] | None = None
        self._login: socket.socket | None = None
        self._seen = 0
        """How much of the console belongs to earlier boots."""

    def __enter__(self) -> Machine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.power_cut()

    def start(self, expected: str = LOGIN, *, prepare: Callable[[], object] | None = None) -> None:
        """Switch on, after `prepare`, and wait for a text on the console; once again if it does not come.

        An emulator on a loaded machine hangs now and then. Raises `ImageError`.
        """
        for attempt in (1, 2):
            if prepare is not None:
                prepare()
            self.power_on()
            try:
                self.until_shown(expected)
            except ImageError:
                self.power_cut()
                if attempt == 2:
                    raise
            else:
                return

    def until_started(self) -> None:
        """After a restart that the machine has begun: as `start`, with a reset in between."""
        try:
            self.until_shown(LOGIN)
        except ImageError:
            self.reset()
            self.until_shown(LOGIN)

    def power_on(self) -> None:
        """Switch on; the console is appended to what earlier starts have written."""
        shutil.copyfile(self._emulator.variables, self._folder / "vars.fd")
        self.mark()
        with (self._folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def power_cut(self) -> None:
        self._drop_login()
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def reset(self) -> None:
        """As the reset button, or a watchdog."""
        self._drop_login()
        self.mark()
        self._monitor("system_reset")

    def mark(self) -> None:
        """From here on `shown` begins."""
        self._seen = self.console.stat().st_size if self.console.exists() else 0

    @property
    def shown(self) -> str:
        """What the console has shown since the last start, or since what was waited for."""
        if not self.console.exists():
            return ""
        with self.console.open("rb") as file:
            file.seek(self._seen)
            return file.read().decode("latin-1")

    def until_shown(self, pattern: str, *, limit_s: float = BOOT_S) -> str:
        """Wait for a text on the console, and go on behind it; returns its last group, or all of it.

        Raises `ImageError`.
        """
        found: list[re.Match[str]] = []

        def matches() -> bool:
            found[:] = re.finditer(pattern, self.shown)
            return bool(found)

        self.until(matches, f"{pattern!r} on the console", limit_s=limit_s)
        self._seen += found[0].end()
        return str(found[0][found[0].lastindex or 0])

    def until(self, condition: Callable[[], bool], what: str, *, limit_s: float = BOOT_S) -> None:
        """Wait for a condition; raises `ImageError` with the end of the console."""
        until = time.monotonic() + limit_s
        while not condition():
            if self._qemu is None or self._qemu.poll() is not None:
                raise ImageError(f"QEMU has ended:\n{(self._folder / 'qemu.log').read_text()[-2000:]}")
            if time.monotonic() > until:
                raise ImageError(f"not within {limit_s:g} s: {what}\n{self.shown[-3000:]}")
            time.sleep(_POLL_S)

    # --- the login ----------------------------------------------------------------------------------------------------

    def log_in(self) -> None:
        """As root, with the password that the first start has shown. Once a boot."""
        if not self.password:
            self.until(self._find_password, "the password of root on the console")
        self.until(self._has_login, "a login on hvc0")
        self._send(f"{self.password}\n")
        self._expect(re.compile(r"[#$] "), 60.0)
        self._send("exec sh\n")
        self._send("stty -echo cols 4000; TERM=dumb; PS1=; PS2=; dmesg -n 1; printf '@@%d@@\\n' 0\n")
        self._expect(_END, 60.0)

    def run(self, command: str, *, check: bool = True, limit_s: float = 120.0) -> str:
        """The output of a shell command; raises `ImageError` if it fails."""
        self._send(f"{{ {command}\n}} 2>&1; printf '@@%d@@\\n' $?\n")
        output, code = self._expect(_END, limit_s)
        output = output.replace("\r\n", "\n")
        if check and code != "0":
            raise ImageError(f"{command}: status {code}: {output[-2000:]}")
        return output

    def write(self, path: str, text: str) -> None:
        """Write a file on the machine."""
        encoded = b64encode(text.encode()).decode()
        chunks = [encoded[start : start + 2000] for start in range(0, len(encoded), 2000)]
        self.run("rm -f /run/written")
        for chunk in chunks:
            self.run(f"printf %s {chunk} >>/run/written")
        self.run(f"base64 -d </run/written >{shlex.quote(path)}")

    def _find_password(self) -> bool:
        match = re.search(r"the password of root at the console is (\S+) \*", self.console.read_text("latin-1"))
        self.password = match[1] if match else ""
        return bool(self.password)

    def _has_login(self) -> bool:
        """A login may have been shown before anybody looked: an empty line brings another."""
        self._drop_login()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._folder / "hvc0"))
        except OSError:
            connection.close()
            return False
        self._login = connection
        self._send("\n")
        try:
            self._expect(re.compile(LOGIN), 3.0)
            self._send("root\n")
            self._expect(re.compile("Password: "), 20.0)
        except ImageError:
            return False
        return True

    def _drop_login(self) -> None:
        if self._login is not None:
            self._login.close()
            self._login = None

    def _send(self, text: str) -> None:
        if self._login is None:
            raise ImageError("nobody is logged in")
        self._login.sendall(text.encode())

    def _expect(self, pattern: re.Pattern[str], limit_s: float) -> tuple[str, str]:
        """What comes before the pattern, and its group."""
        assert self._login is not None
        until = time.monotonic() + limit_s
        text = ""
        while not (match := pattern.search(text)):
            self._login.settimeout(max(0.01, until - time.monotonic()))
            try:
                more = self._login.recv(65536)
            except TimeoutError:
                more = b""
            if not more:
                raise ImageError(f"no {pattern.pattern!r} within {limit_s:g} s, but {text[-500:]!r}")
            text += more.decode(errors="replace")
        return text[: match.start()], match[match.lastindex or 0]

    # --- QEMU -----------------------------------------------------------------------------------------------------

    def _monitor(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30.0)
            connection.connect(str(self._folder / "monitor"))
            with connection.makefile("rw") as stream:
                stream.readline()
                for execute in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": execute}))
                    stream.flush()
                    while "return" not in json.loads(stream.readline()):
                        pass

    def _command(self) -> list[str]:
        flash = "if=pflash,format=raw"
        return [
            *(self._emulator.program, *self._emulator.machine, "-accel", "tcg,thread=multi"),
            *("-smp", "2", "-m", "512"),
            *("-nodefaults", "-display", "none", "-rtc", f"base={self.wiring.clock}"),
            *("-drive", f"{flash},readonly=on,file={self._emulator.code}"),
            *("-drive", f"{flash},file={self._folder}/vars.fd"),
            *(
                "-drive",
                f"file={self.disk},format=raw,if=none,id=d0,readonly={'on' if self.wiring.read_only else 'off'}",
            ),
            *("-device", "virtio-blk-pci,drive=d0,bootindex=0", "-device", "virtio-rng-pci"),
            *("-chardev", f"file,id=s0,path={self.console},append=on", "-serial", "chardev:s0"),
            *("-device", "virtio-serial-pci", "-device", "virtconsole,chardev=h0"),
            *("-chardev", f"socket,id=h0,path={self._folder}/hvc0,server=on,wait=off"),
            *("-qmp", f"unix:{self._folder}/monitor,server=on,wait=off"),
            *("-netdev", self._network(), "-device", "virtio-net-pci,netdev=n0,romfile="),
            *(("-object", "can-bus,id=c0", *("-device", "kvaser_pci,canbus=c0") * 2) if self.wiring.can else ()),
        ]

    def _network(self) -> str:
        doors = [
            f"guestfwd=tcp:{DOOR}:{port}-cmd:socat - TCP:127.0.0.1:{here}" for port, here in self.wiring.doors.items()
        ]
        into = [f"hostfwd=tcp:127.0.0.1:{here}-:{port}" for port, here in self.wiring.into.items()]
        return ",".join(["user,id=n0,restrict=on", *doors, *into])
