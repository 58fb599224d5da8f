# SPDX-License-Identifier: Apache-2.0
"""What the tests of the image do to disks and slots while the board is off, and the bench beside a running one."""

from __future__ import annotations

import functools
import http.server
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from firmware.clock import format_utc
from firmware.version import VERSION
from tools.csms.client import Client
from tools.disk_image.disk import EFI, SLOT, environment_block, put
from tools.disk_image.host import run
from tools.image.build import next_version, request_fields
from tools.pki import Authority, server_context, write_pair

__all__ = ["NEXT", "Bench", "Disk", "edit_slot", "next_slot", "station_settings"]

ROOT = Path(__file__).parents[2]
NEXT = next_version(VERSION)
SITE = "/opt/baywatt/lib/python3.11/site-packages/firmware"
PAST = format_utc(0.0)


STATION = """
identity = "CP001"
basic_auth_password = "0123456789abcdef"
[[network_profile]]
slot = 1
url = "ws://{door}:{port}/ocpp"
security_profile = 1
[certificates]
csms_root = ["/etc/baywatt/web-root.pem"]
manufacturer_root = ["/etc/baywatt/maker-root.pem"]
"""


def station_settings(bench: Bench, door: str, port: int) -> dict[str, str | bytes]:
    """What whoever flashes a board lays onto its small partition, so that the station reaches the bench."""
    return {
        "baywatt/station.toml": STATION.format(door=door, port=port),
        "baywatt/web-root.pem": bench.web.pem,
        "baywatt/maker-root.pem": bench.maker.pem,
    }


def edit_slot(slot: Path, folder: Path, changes: dict[str, str | bytes | None]) -> None:
    """Replace files in a slot's file system by their text, or remove them (None)."""
    commands = []
    for number, (path, content) in enumerate(changes.items()):
        place, _, name = path.rpartition("/")
        commands += [f"cd {place or '/'}", f"rm {name}"]
        if content is not None:
            source = folder / f"edit-{number}"
            source.write_bytes(content.encode() if isinstance(content, str) else content)
            source.chmod(0o755)
            commands.append(f"write {source} {name}")
    script = folder / "edits"
    script.write_text("\n".join([*commands, ""]))
    said = run(["sh", "-c", 'debugfs -w -f "$1" "$2" 2>&1', "sh", script, slot])
    assert "not found" not in said, said


def next_slot(slot: Path, folder: Path) -> Path:
    """A slot like this one whose firmware says that it is the next version."""
    target = folder / "next.ext4"
    run(["cp", "--sparse=always", slot, target])
    module = folder / "version.py"
    module.write_text((ROOT / "firmware/version.py").read_text().replace(f'"{VERSION}"', f'"{NEXT}"'))
    compiled = ["-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", str(module)]
    run([sys.executable, *compiled])
    name = "__pycache__/version.cpython-311.pyc"
    changes: dict[str, str | bytes | None] = {
        f"{SITE}/version.py": module.read_bytes(),
        f"{SITE}/{name}": (folder / name).read_bytes(),
        "/usr/lib/baywatt/build": f"{NEXT} next\n",
    }
    edit_slot(target, folder, changes)
    return target


class Disk:
    """A board's disk, as a file."""

    def __init__(self, image: Path, path: Path, *, grown_by: int = 0) -> None:
        run(["cp", "--sparse=always", image, path])
        self.path = path
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + grown_by)

    def put_on_small_partition(self, files: dict[str, str | bytes]) -> None:
        source = self.path.with_name("small-partition-file")
        for name, content in files.items():
            source.write_bytes(content.encode() if isinstance(content, str) else content)
            run(["mcopy", "-o", "-i", f"{self.path}@@{EFI.start}M", source, f"::{name}"])

    def set_boot_environment(self, text: str) -> None:
        self.put_on_small_partition({"grub/grubenv": environment_block(text)})

    def break_slot(self, name: str, slot: Path, changes: dict[str, str | bytes | None]) -> None:
        """Fill a slot with `slot` and change files in it."""
        broken = self.path.with_name("broken.ext4")
        run(["cp", "--sparse=always", slot, broken])
        edit_slot(broken, self.path.parent, changes)
        put(broken, self.path, SLOT[name])
        broken.unlink()

    def written(self, slot: str, mib: int) -> bool:
        """Whether something has been written up to this place of a slot."""
        start, _size = SLOT[slot].bytes
        with self.path.open("rb") as file:
            file.seek(start + (mib << 20))
            return any(file.read(1 << 20))


class Bench:
    """The CSMS and a file server on the loopback; `door` is how the board reaches this machine."""

    def __init__(self, folder: Path, door: str) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self._door = door
        self.web = Authority("bench web root")
        self.maker = Authority("bench manufacturer root")
        self._signer = self.maker.firmware_signer()
        self._signer_files = write_pair(folder, "ocpp-signer", self._signer.pem, self._signer.key)
        self._folder = folder
        self._requests = 0
        self._mark = 0
        self.csms_port = self.file_port = 0
        self.client = Client("")

    @contextmanager
    def running(self) -> Iterator[Bench]:
        command = [sys.executable, "-m", "tools.csms", "up", "--accept-unknown", "--port", "0", "--interval", "5"]
        command += ["--state", str(self._folder / "csms")]
        with (self._folder / "csms.log").open("wb") as log:
            csms = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
        try:
            assert csms.stdout is not None
            url = json.loads(csms.stdout.readline())["url"]
            self.csms_port, self.client = urlsplit(url).port or 0, Client(url)
            with self._serve_files():
                yield self
        finally:
            csms.terminate()
            csms.communicate(timeout=30)

    @contextmanager
    def _serve_files(self) -> Iterator[None]:
        handler = functools.partial(_Quiet, directory=str(self.files))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context: ssl.SSLContext = server_context(self.web.server(self._door), self._folder)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.file_port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def station(self) -> dict[str, Any]:
        found = [each for each in self.client.get("/api/stations") if each["id"] == "CP001"]
        return found[0] if found else {"connected": False, "boot": {}, "registration": None}

    @property
    def version(self) -> str | None:
        """Of the last BootNotification."""
        return self.station["boot"].get("firmwareVersion") if self.station["boot"] else None

    def registered(self, version: str) -> Callable[[], bool]:
        return lambda: (
            self.station["connected"] and self.station["registration"] == "Accepted" and self.version == version
        )

    def answer_boot(self, status: str) -> None:
        self.client.put_behaviour({"boot_status": status})

    def update(self, image: str, port: int) -> None:
        """UpdateFirmware with one of the files; it must be accepted."""
        certificate, key = self._signer_files
        signed = request_fields(self.files / image, certificate=certificate, key=key)
        firmware = {"location": f"https://{self._door}:{port}/{image}", "retrieveDateTime": PAST, **signed}
        self._requests += 1
        self._mark = self._last_message()
        answer = self.client.call("CP001", "UpdateFirmware", {"requestId": self._requests, "firmware": firmware})
        assert answer["result"]["status"] == "Accepted", answer

    def statuses(self) -> list[str]:
        """What the station has notified of the last update."""
        rows = self.client.get("/api/messages", station="CP001", after=self._mark, limit=1000)
        sent = [row for row in rows if row["action"] == "FirmwareStatusNotification" and row["kind"] == "call"]
        frames = [json.loads(row["text"])[3] for row in sent]
        return [each["status"] for each in frames if each.get("requestId") == self._requests]

    def _last_message(self) -> int:
        rows = self.client.get("/api/messages", station="CP001", limit=1)
        return int(rows[-1]["id"]) if rows else 0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Not into the test's output."""
