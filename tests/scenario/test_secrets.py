# SPDX-License-Identifier: Apache-2.0
"""A station's secrets are only in its stores.

A different secret is planted at each input: factory file, SetVariables, network profile, URLs of file servers, keys,
malformed frames. Then everything that might repeat them is provoked, at log level DEBUG, and every place that others
can read is searched: logs, standard error, uploads, all frames to the CSMS, the control socket, command lines and
environments of the processes. Only their owner can read the stores.

Card numbers are personal data: they go to the CSMS and the displays, and to no log or diagnostics archive.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import stat
import tarfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from firmware.clock import SystemClock, format_utc
from tests.support.csms import CallFailed, Fault, ScriptedCsms
from tests.support.file_servers import ftp_server
from tests.support.firmware import image, signature
from tests.support.rig import Rig
from tests.support.scenario import CARD, PASSWORD, Site, factory
from tests.support.station_bench import set_variables
from tests.support.tls import make_files
from tools.pki import Authority
from tools.rig.factory_file import Variables

pytestmark = pytest.mark.slow

NEW_PASSWORD = "Pl4nted-by-SetVariables"
PLANTED = {
    "BasicAuthPassword of the factory": PASSWORD,
    "BasicAuthPassword set": NEW_PASSWORD,
    "BasicAuthPassword that is refused": "Pl4nted-t00-long-" + "x" * 60,
    "password in the CSMS URL": "Pl4nted-in-csms-url",
    "password in a URL that is refused": "Pl4nted-in-bad-url",
    "VPN password": "Pl4nted-vpn-password",
    "VPN key": "Pl4nted-vpn-key",
    "APN password": "Pl4nted-apn-password",
    "password of the log server": "Pl4nted-in-log-url",
    "signature in a log URL": "Pl4nted-query-sig",
    "password of the image server": "Pl4nted-in-image-url",
    "password in half a frame": "Pl4nted-in-half-a-frame",
    "password of the wrong type": "Pl4nted-as-a-key",
}
KNOW_THE_CARD = ("frame/Authorize", "frame/TransactionEvent", "control/state", "control/events")
STORES = ("data", "station.toml")
"""The places that may hold secrets; only their owner can read them."""
MASTER_GROUP = "Pl4nted-master-group"
VARIABLES: Variables = {
    ("AuthCtrlr", "MasterPassGroupId"): MASTER_GROUP,
    ("MessageLogCtrlr", "Enabled"): "true",  # every message is in a log
}
CERTIFICATES = """
[certificates]
csms_root = ["root.pem"]
manufacturer_root = ["manufacturer.pem"]
station_chain = "station.pem"
station_key = "station.key"
"""


class EchoingFtpServer:
    """An FTP server that refuses every user, and repeats all of the client's commands in its answers."""

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = ""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.write(b"220 welcome\r\n")
            while line := (await reader.readline()).decode(errors="replace").strip():
                commands += f" {line}"
                code = 331 if line.startswith("USER") else 530
                writer.write(f"{code} refused after{commands}\r\n".encode())
        writer.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    make_files(tmp_path)
    manufacturer = Authority("manufacturer")
    (tmp_path / "manufacturer.pem").write_text(manufacturer.pem)
    async with ScriptedCsms() as csms:
        csms.fail(Fault.REFUSE_401, times=1)
        file = tmp_path / "cp.toml"
        file.write_text(factory(csms.url, identity="CP001", variables=VARIABLES) + CERTIFICATES)
        async with Rig(tmp_path / "cp", station=file, page=True, log_level="DEBUG") as rig:
            here = Site(rig, csms)
            await here.settled()
            await _provoke(here, manufacturer, tmp_path)
            yield here
        here.check_logs()


async def test_secrets_are_only_in_the_stores(here: Site, tmp_path: Path) -> None:
    planted = {name: list(_forms(secret)) for name, secret in PLANTED.items()}
    planted |= {f"private key {name}": lines for name, lines in _keys(here.rig.directory, tmp_path)}
    assert len(planted) == len(PLANTED) + 2
    places: defaultdict[str, str] = defaultdict(str)
    for place, text in await _places(here, tmp_path / "uploads"):
        places[place] += f"{text}\n"
    found = [
        f"{name} in {place}"
        for place, text in places.items()
        for name, forms in planted.items()
        if any(form in text for form in forms)
    ]
    assert found == []
    _check_that_they_were_planted(here)
    _check_that_the_places_are_searched(places)
    assert [place for place, text in places.items() if CARD in text and place not in KNOW_THE_CARD] == []
    assert {place for place, text in places.items() if MASTER_GROUP in text} == {"frame/NotifyReport"}


def test_a_secret_is_found_in_any_encoding() -> None:
    assert set(_forms("a+b/ü")) == {"a+b/ü", '"a+b/\\u00fc"'[1:-1], "a%2Bb/%C3%BC", "YStiL8O8", "Q1AwMDE6YStiL8O8"}


# --- provoking what might repeat a secret ---------------------------------------------------------------------------


async def _provoke(here: Site, manufacturer: Authority, folder: Path) -> None:
    await _set_passwords(here)
    await _set_profiles(here)
    await _send_malformed_frames(here)
    await _provoke_call_errors(here)
    async with EchoingFtpServer() as port:
        await _move_files(here, port, manufacturer)
    assert (await here.csms.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}))["status"]
    await here.csms.expect("SignCertificate")
    for trouble in ({"name": "process", "kill": "ocpp"}, {"name": "power_cycle", "off_s": 0.0}):
        mark = here.rig.mark
        await here.rig.op(**trouble)
        await here.rig.wait("registration", since=mark, status="Accepted")
        await here.settled()
    await _report(here)
    await _upload(here, folder / "uploads")


async def _set_passwords(here: Site) -> None:
    def password(value: str) -> Any:
        return set_variables("SecurityCtrlr", "BasicAuthPassword", value)

    refused = await here.csms.call("SetVariables", password(PLANTED["BasicAuthPassword that is refused"]))
    assert refused["setVariableResult"][0]["attributeStatus"] == "Rejected"
    count = here.csms.connections
    await here.csms.call("SetVariables", password(NEW_PASSWORD))
    await here.csms.until_connected(count + 1)
    variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    answer = await here.csms.call("GetVariables", {"getVariableData": [variable]})
    assert answer["getVariableResult"][0]["attributeStatus"] == "Rejected"
    count = here.csms.connections
    here.csms.fail(Fault.REFUSE_401, times=2)
    here.csms.cut()
    await here.csms.until_connected(count + 1)
    await here.settled()


async def _set_profiles(here: Site) -> None:
    data: dict[str, Any] = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "messageTimeout": 30,
        "securityProfile": 1,
        "ocppInterface": "Wired0",
        "ocppCsmsUrl": f"ws://127.0.0.1:{here.csms.port}/ocpp",
    }
    for slot in (1, 2):
        answer = await here.csms.call("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data})
        assert answer["status"] == "Accepted"
    vpn = {"server": "vpn.example", "user": "me", "type": "IPSec"}
    vpn |= {"password": PLANTED["VPN password"], "key": PLANTED["VPN key"]}
    bad_url = f"ftp://me:{PLANTED['password in a URL that is refused']}@host/"
    url = f"ws://me:{PLANTED['password in the CSMS URL']}@127.0.0.1:{here.csms.port}/ocpp"
    apn = {"apn": "internet", "apnPassword": PLANTED["APN password"], "apnAuthentication": "CHAP"}
    for change in ({"vpn": vpn}, {"apn": apn}, {"ocppCsmsUrl": bad_url}, {"ocppCsmsUrl": url}):
        request = {"configurationSlot": 2, "connectionData": {**data, **change}}
        assert (await here.csms.call("SetNetworkProfile", request))["status"] == "Rejected"


async def _send_malformed_frames(here: Site) -> None:
    frame = json.dumps(
        [2, "half", "SetVariables", set_variables("SecurityCtrlr", "X", PLANTED["password in half a frame"])]
    )
    key = PLANTED["password of the wrong type"]
    for malformed in (
        frame[:-4],
        frame.replace('"X"', "X"),
        frame.replace('"attributeValue"', '"attributeStatus"'),
        frame.replace('[2, "half"', '["half"'),
        frame.replace("SetVariables", "SetEverything"),
        json.dumps([3, "no-such-call", {"password": key}]),
        json.dumps([2, "wrong", "SetVariables", {"setVariableData": [{"attributeValue": {"password": key}}]}]),
        json.dumps([2, "wrong", "Reset", {"type": key}]),
    ):
        await here.csms.send_raw(malformed)
        if not malformed.startswith("[3"):
            await here.csms.expect_error()


async def _provoke_call_errors(here: Site) -> None:
    """The CSMS repeats a card number and a password in its CALLERRORs."""
    repeated = CallFailed("InternalError", f"{CARD} or {NEW_PASSWORD}?", {"idToken": CARD})
    usual = dict(here.csms.answers)
    for action in ("Authorize", "TransactionEvent"):
        here.csms.answers[action] = repeated
    await here.card(1)
    await here.plug_in(1)
    await here.csms.expect("StatusNotification")
    here.csms.answers.update(usual, TransactionEvent={}, StatusNotification={})
    await here.plug_out(1)
    await here.charge(2)
    await here.stop_with_card(2)


async def _move_files(here: Site, port: int, manufacturer: Authority) -> None:
    log, query = PLANTED["password of the log server"], PLANTED["signature in a log URL"]
    places = (
        f"ftp://me:{log}@127.0.0.1:{port}/logs/",
        f"ftp://me:{log}@127.0.0.1:1/logs/",
        f"https://me:{log}@127.0.0.1:{port}/logs?sig={query}",
        f"https://me:{log}@no-such-host.invalid/logs?sig={query}",
        f"sftp://me:{log}@127.0.0.1/logs",
        f"https://me:{log}@[::1/logs",
    )
    for number, place in enumerate(places, start=1):
        request = {"logType": "DiagnosticsLog", "requestId": number, "retries": 0, "log": {"remoteLocation": place}}
        if (await here.csms.call("GetLog", request))["status"] == "Accepted":
            await here.csms.expect("LogStatusNotification", where=lambda it: it["status"] not in ("Uploading", "Idle"))
    await _update(here, f"sftp://me:{PLANTED['password of the image server']}@127.0.0.1/image", manufacturer)
    await _update(here, f"ftp://me:{PLANTED['password of the image server']}@127.0.0.1:{port}/image", manufacturer)
    await here.csms.expect("FirmwareStatusNotification", where=lambda it: it["status"] == "DownloadFailed")


async def _update(here: Site, location: str, manufacturer: Authority) -> None:
    signer = manufacturer.firmware_signer()
    firmware = {
        "location": location,
        "retrieveDateTime": format_utc(SystemClock().utc() - 7200),
        "signingCertificate": signer.pem,
        "signature": signature(image(), signer),
    }
    await here.csms.call("UpdateFirmware", {"requestId": 7, "retries": 0, "firmware": firmware})


async def _report(here: Site) -> None:
    for number, base in enumerate(("FullInventory", "ConfigurationInventory", "SummaryInventory")):
        await here.csms.call("GetBaseReport", {"requestId": number, "reportBase": base})
    named = [{"component": {"name": "SecurityCtrlr"}}]
    assert (await here.csms.call("GetReport", {"requestId": 9, "componentVariable": named}))["status"] == "Accepted"
    await here.csms.expect("NotifyReport", where=lambda it: it["requestId"] == 9 and not it.get("tbc"))


async def _upload(here: Site, folder: Path) -> None:
    folder.mkdir()
    with ftp_server(folder, password=PLANTED["password of the log server"]) as server:
        place = f"ftp://me:{PLANTED['password of the log server']}@127.0.0.1:{server.port}/"
        for number, kind in ((20, "DiagnosticsLog"), (21, "SecurityLog")):
            await here.csms.call("GetLog", {"logType": kind, "requestId": number, "log": {"remoteLocation": place}})
            await here.csms.expect("LogStatusNotification", where=lambda it: it["status"] == "Uploaded", timeout=20.0)


# --- the places that are searched -----------------------------------------------------------------------------------


async def _places(here: Site, uploads: Path) -> list[tuple[str, str]]:
    """Every place that others than the owner of the stores can read, and its content."""
    places = [(f"state/{path}", text) for path, text in _files(here.rig.directory)]
    places += [("standard error", here.rig.errors.read_text(errors="replace"))]
    places += [(f"upload/{name}", text) for name, text in _unpacked(uploads)]
    places += [(f"frame/{_kind_of(frame)}", str(frame)) for frame in here.csms.frames]
    state = await here.rig.state()
    places += [("control/state", json.dumps(state, ensure_ascii=False))]
    places += [("control/events", json.dumps(here.rig.client.events, ensure_ascii=False))]
    for name, pid in state["processes"].items():
        for what in ("cmdline", "environ") if pid else ():
            places.append((f"process/{name}/{what}", Path(f"/proc/{pid}/{what}").read_text(errors="replace")))
    return places


def _files(directory: Path) -> Iterator[tuple[str, str]]:
    """The files outside the stores; of those inside, the modes are checked."""
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        mode = path.lstat().st_mode
        if name.partition("/")[0] in STORES:
            assert mode & 0o077 == 0, f"{name} is open to others: {stat.filemode(mode)}"
        elif stat.S_ISREG(mode):
            assert mode & 0o022 == 0, f"{name} can be written by others: {stat.filemode(mode)}"
            yield name, path.read_text(errors="replace")


def _unpacked(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.iterdir():
        if path.suffix != ".gz":
            yield path.name, path.read_text()
            continue
        with tarfile.open(path) as archive:
            for entry in archive.getmembers():
                file = archive.extractfile(entry)
                assert file is not None
                yield entry.name, file.read().decode()


def _kind_of(frame: str | bytes) -> str:
    message = json.loads(frame)
    return str(message[2]) if message[0] == 2 else "answer" if message[0] == 3 else "error"


def _forms(secret: str) -> Iterator[str]:
    """The secret in plain text, in JSON, in a URL, in base64 and in HTTP Basic authentication."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret)
    for text in (secret, f"CP001:{secret}"):
        yield base64.b64encode(text.encode()).decode().rstrip("=")


def _keys(directory: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines of the private keys of the factory and of the signing request."""
    own = directory / "data" / "certificates" / "station" / "request.key"
    for path in (folder / "station.key", own):
        lines = path.read_text().splitlines()
        yield path.name, [line for line in lines if len(line) > 30 and "-----" not in line]


# --- checks of the test itself --------------------------------------------------------------------------------------


def _check_that_they_were_planted(here: Site) -> None:
    headers = [handshake.headers["authorization"].split()[1] for handshake in here.csms.handshakes]
    sent = {base64.b64decode(header).decode() for header in headers}
    assert sent == {f"CP001:{PASSWORD}", f"CP001:{NEW_PASSWORD}"}
    stored = b"".join(path.read_bytes() for path in (here.rig.directory / "data").glob("station.db*"))
    assert NEW_PASSWORD.encode() in stored
    assert PASSWORD in (here.rig.directory / "station.toml").read_text()
    assert any(transaction.ended for transaction in here.transactions)


def _check_that_the_places_are_searched(places: dict[str, str]) -> None:
    assert {"state/log/ocpp.log", "state/log/hal.log", "upload/log/ocpp.log", "upload/inventory.json"} <= set(places)
    assert all("SetVariables" in places[place] for place in ("state/log/messages.jsonl", "upload/log/messages.jsonl"))
    assert {"frame/NotifyReport", "frame/SecurityEventNotification", "frame/answer", "frame/error"} <= set(places)
    assert "not uploaded" in places["state/log/ocpp.log"]
    assert any(place.startswith("upload/security-") for place in places)
