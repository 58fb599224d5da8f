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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from firmware.clock import format_utc
from firmware.version import VERSION
from tools.csms.client import Client
from tools.disk_image.disk import DATA, EFI, SLOT, environment_block, put
from tools.disk_image.host import run
from tools.image.build import next_version, request_fields
from tools.pki import Authority, server_context, write_pair

__all__ = ["NEXT", "Bench", "Changes", "Disk", "changed_module", "edit_slot", "next_slot", "station_settings"]

ROOT = Path(__file__).parents[2]
NEXT = next_version(VERSION)
SITE = "/opt/baywatt/lib/python3.11/site-packages"
Changes = Mapping[str, str | bytes | None]
"""Path in a slot -> its new content, or None: removed."""
NONE: Changes = {}
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


def edit_slot(slot: Path | str, folder: Path, changes: Changes) -> None:
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


def changed_module(path: str, texts: Mapping[str, str], folder: Path) -> Changes:
    """A module of the firmware with some texts replaced, and its byte code, which is never compared with it."""
    text = (ROOT / path).read_text()
    for old, new in texts.items():
        assert text.count(old) == 1, (path, old)
        text = text.replace(old, new)
    module = folder / Path(path).name
    module.write_text(text)
    run([sys.executable, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", module])
    compiled = f"__pycache__/{module.stem}.cpython-311.pyc"
    return {
        f"{SITE}/{path}": module.read_bytes(),
        f"{SITE}/{Path(path).parent}/{compiled}": (folder / compiled).read_bytes(),
    }


def next_slot(slot: Path, folder: Path, changes: Changes = NONE) -> Path:
    """A slot like this one whose firmware says that it is the next version, with more changes."""
    target = folder / "next.ext4"
    run(["cp", "--sparse=always", slot, target])
    version = changed_module("firmware/version.py", {f'"{VERSION}"': f'"{NEXT}"'}, folder)
    edit_slot(target, folder, {**version, "/usr/lib/baywatt/build": f"{NEXT} next\n", **changes})
    return target


class Disk:
    """A board's disk, as a file."""

    def __init__(self, image: Path, path: Path, *, grown_by: int = 0) -> None:
        run(["cp", "--sparse=always", image, path])
        self.path = path
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + grown_by)

    def put_on_small_partition(self, files: Mapping[str, str | bytes]) -> None:
        source = self.path.with_name("small-partition-file")
        for name, content in files.items():
            source.write_bytes(content.encode() if isinstance(content, str) else content)
            run(["mcopy", "-o", "-i", f"{self.path}@@{EFI.start}M", source, f"::{name}"])

    def remove_from_small_partition(self, name: str) -> None:
        run(["mdel", "-i", f"{self.path}@@{EFI.start}M", f"::{name}"])

    def set_boot_environment(self, text: str) -> None:
        self.put_on_small_partition({"grub/grubenv": environment_block(text)})

    def fill_data(self) -> None:
        """Leave only some ten blocks of the data partition, of those for root, too."""
        data, filling = self.path.with_name("data.ext4"), self.path.with_name("filling")
        at = str(DATA.start)
        run(["dd", f"if={self.path}", f"of={data}", "bs=1M", f"skip={at}", "conv=sparse", "status=none"])
        run(["sh", "-c", 'e2fsck -f -p "$1" || [ $? = 1 ]', "sh", data])
        for number, left in enumerate((500, 10)):
            shown = run(["debugfs", "-R", "stats -h", data])
            free = int(shown.partition("\nFree blocks:")[2].split()[0])
            run(["sh", "-c", 'yes | head -c "$1" >"$2"', "sh", str(4096 * (free - left)), filling])
            run(["debugfs", "-w", "-R", f"write {filling} fill-{number}", data])
        run(["dd", f"if={data}", f"of={self.path}", "bs=1M", f"seek={at}", "conv=notrunc", "status=none"])
        data.unlink()
        filling.unlink()

    def wipe_data(self) -> None:
        """As a data partition that nothing can repair."""
        start, size = DATA.bytes
        run(["fallocate", "--punch-hole", "--offset", str(start), "--length", str(size), self.path])

    def fill_slot(self, name: str, slot: Path) -> None:
        put(slot, self.path, SLOT[name])

    def edit_slot(self, name: str, changes: Changes) -> None:
        edit_slot(f"{self.path}?offset={SLOT[name].bytes[0]}", self.path.parent, changes)

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
        self._mark = self._start = 0
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

    def mark_start(self) -> None:
        """What the station has said before does not count for `registered`."""
        self._start = self._last_message()

    def registered(self, version: str) -> Callable[[], bool]:
        """Whether this version has been accepted since the last start."""

        def accepted() -> bool:
            known = self.station["connected"] and self.station["registration"] == "Accepted"
            boots = self._sent("BootNotification", self._start)
            return known and any(each["chargingStation"]["firmwareVersion"] == version for each in boots)

        return accepted

    def answer_boot(self, status: str) -> None:
        self.client.put_behaviour({"boot_status": status})

    def update(self, image: str, port: int, *, served: bytes = b"") -> None:
        """UpdateFirmware with one of the files, which must be accepted; `served`: other bytes than were signed."""
        certificate, key = self._signer_files
        signed = request_fields(self.files / image, certificate=certificate, key=key)
        if served:
            (self.files / image).write_bytes(served)
        firmware = {"location": f"https://{self._door}:{port}/{image}", "retrieveDateTime": PAST, **signed}
        self._requests += 1
        self._mark = self._last_message()
        answer = self.client.call("CP001", "UpdateFirmware", {"requestId": self._requests, "firmware": firmware})
        assert answer["result"]["status"] == "Accepted", answer

    def statuses(self) -> list[str]:
        """What the station has notified of the last update."""
        sent = self._sent("FirmwareStatusNotification", self._mark)
        return [each["status"] for each in sent if each.get("requestId") == self._requests]

    def _sent(self, action: str, after: int) -> list[dict[str, Any]]:
        """The payloads of the station's own calls of this kind."""
        rows = self.client.get("/api/messages", station="CP001", after=after, limit=1000)
        calls = [row for row in rows if row["action"] == action and row["kind"] == "call"]
        return [json.loads(row["text"])[3] for row in calls]

    def _last_message(self) -> int:
        rows = self.client.get("/api/messages", station="CP001", limit=1)
        return int(rows[-1]["id"]) if rows else 0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Not into the test's output."""
