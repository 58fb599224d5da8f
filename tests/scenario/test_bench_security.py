# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS with certificates: TLS, signing requests, and procedures with scripted and real stations."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from cryptography import x509
from websockets.exceptions import InvalidMessage, InvalidStatus

from firmware.version import VERSION
from services.ocpp.certificates.requests import new_key, signing_request
from tests.support.rig import ROOT, Rig
from tests.support.scripted_station import ScriptedStation, connected
from tests.support.sockets import eventually
from tools.csms.client import Client
from tools.csms.procedures import ProcedureFailed, raise_security, update_firmware
from tools.csms.server import Running, running
from tools.csms.settings import Settings
from tools.image.build import next_version
from tools.pki import Authority, Issued
from tools.rig.factory_file import factory_file

SERIAL = "BW-0001"
TRIGGER = {"requestedMessage": "SignChargingStationCertificate"}


class SecureCsmsBench:
    """A running bench CSMS, a client of its API, and connections of stations."""

    def __init__(self, running_bench: Running, folder: Path) -> None:
        self.running = running_bench
        self.client = Client(running_bench.url)
        self._folder = folder
        self.authority = Authority.from_pem((folder / "pki" / "csms-root.key").read_text())

    async def get(self, path: str) -> Any:
        return await asyncio.to_thread(self.client.get, path)

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self.client.call, "CP001", action, payload)

    async def behave(self, **behaviour: Any) -> None:
        url = f"{self.running.url}api/behaviour"
        async with aiohttp.ClientSession() as http, http.put(url, json=behaviour) as response:
            assert response.status == 200

    async def notes(self) -> list[str]:
        return [row["text"] for row in await self.get("/api/messages") if row["kind"] == "link"]

    def tls(self, shown: Issued | None = None) -> ssl.SSLContext:
        """The TLS context of a station; `shown` is its certificate."""
        context = ssl.create_default_context(cadata=self.running.pki.root_pem)
        if shown is not None:
            file = self._folder / f"{id(shown)}.pem"
            file.write_text(shown.key_pem + shown.pem)
            context.load_cert_chain(file)
        return context

    def station(self, shown: Issued | None = None, **how: Any) -> Any:
        how.setdefault("tls", self.tls(shown))
        return connected(f"{self.running.ocpp_url}/CP001", **how)


@asynccontextmanager
async def bench(folder: Path, security_profile: int) -> AsyncIterator[SecureCsmsBench]:
    chosen = Settings(
        folder / "csms.sqlite3", port=0, tls_port=0, security_profile=security_profile, files=folder / "files"
    )
    async with running(chosen) as found:
        yield SecureCsmsBench(found, folder)


async def _refused(status: int, attempt: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with attempt:
            pass
    assert refused.value.response.status_code == status


async def _no_handshake(attempt: Any) -> None:
    """TLS itself refuses; with TLS 1.3 a client notices only after its own part of the handshake."""
    with pytest.raises((OSError, EOFError, InvalidMessage)):
        async with attempt:
            pass


# TLS


@pytest.mark.parametrize(
    ("version", "cipher"),
    [(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"), (ssl.TLSVersion.TLSv1_3, "TLS_AES_256_GCM_SHA384")],
)
async def test_security_profile_2(tmp_path: Path, version: ssl.TLSVersion, cipher: str) -> None:
    async with bench(tmp_path, 2) as here:
        tls = here.tls()
        tls.maximum_version = version
        async with here.station(password="0123456789abcdef", tls=tls) as station:
            assert (await station.boot())["status"] == "Accepted"
            seen = await here.get("/api/stations/CP001")
        assert seen["security_profile"] == 2
        assert seen["tls"] == {"version": version.name.replace("_", "."), "cipher": cipher, "certificate": None}
        await _refused(401, here.station())
        about = await here.get("/api")
        assert about["ocpp"] == about["ocpps"] == here.running.ocpp_url


async def test_connections_that_are_refused(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as here:
        plain = f"ws://{urlsplit(here.running.url).netloc}/ocpp/CP001"
        await _refused(403, connected(plain, password="0123456789abcdef"))
        weak = here.tls()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:AES128-GCM-SHA256")
        await _no_handshake(here.station(tls=weak, password="0123456789abcdef"))
        await _no_handshake(here.station(Authority("stranger").client(SERIAL, "Operator")))
        page = f"https://{urlsplit(here.running.ocpp_url).netloc}/"
        async with aiohttp.ClientSession() as http, http.get(page, ssl=here.tls()) as response:
            assert response.status == 404
        assert await here.get("/api/stations") == []


async def test_security_profile_3(tmp_path: Path) -> None:
    async with bench(tmp_path, 3) as here:
        await _no_handshake(here.station(password="0123456789abcdef"))
        own, other = here.authority.client(SERIAL, "Operator"), here.authority.client("BW-0002", "Operator")
        async with here.station(own) as station:
            assert await station.refused("Heartbeat", {}) == "SecurityError"  # it has not identified itself yet
            assert (await station.boot(SERIAL))["status"] == "Accepted"
            await station.ask("Heartbeat", {})
            seen = await here.get("/api/stations/CP001")
            shown = seen["tls"]["certificate"]
            assert (seen["security_profile"], shown["common_name"], shown["organization"]) == (3, SERIAL, "Operator")
        await _refused(403, here.station(other))  # A00.FR.405
        await _refused(403, here.station(here.authority.client(SERIAL, "")))  # A00.FR.404
        async with here.station(own) as station:
            await station.ask("Heartbeat", {})


async def test_the_certificate_of_another_station(tmp_path: Path) -> None:
    """B01.FR.11, B01.FR.12."""
    async with bench(tmp_path, 3) as here, here.station(here.authority.client("BW-0002", "Operator")) as station:
        boot = asyncio.create_task(station.boot(SERIAL))
        async with asyncio.timeout(5):
            await station.socket.wait_closed()
        boot.cancel()
        assert station.socket.close_code == 1008
        assert any("InvalidChargingStationCertificate" in note for note in await here.notes())
        assert (await here.get("/api/stations/CP001"))["boots"] == 0


async def test_a_station_that_never_sent_its_serial_number(tmp_path: Path) -> None:
    """It was accepted without one, so its certificate can't be checked before it sends one."""
    async with bench(tmp_path, 2) as here:
        boot = {"reason": "PowerUp", "chargingStation": {"model": "C7AM-400", "vendorName": "baywatt"}}
        async with here.station(password="0123456789abcdef") as station:
            assert (await station.ask("BootNotification", boot))["status"] == "Accepted"
            await station.ask("Heartbeat", {})
        async with here.station(here.authority.client(SERIAL, "Operator")) as station:
            assert await station.refused("Heartbeat", {}) == "SecurityError"
            await station.boot(SERIAL)
            await station.ask("Heartbeat", {})


async def test_a_lower_profile_than_before_is_shown(tmp_path: Path) -> None:
    async with bench(tmp_path, 0) as here:
        wss = f"{(await here.get('/api'))['ocpps']}/CP001"
        async with connected(wss, password="0123456789abcdef", tls=here.tls()) as station:
            await station.boot()
        async with here.station(tls=None, password="0123456789abcdef"):
            assert any("less than 2" in note for note in await here.notes())


# A02: signing requests


def _csr(common_name: str = SERIAL) -> dict[str, Any]:
    return {"csr": signing_request(new_key(), common_name, "Operator")}


async def test_a_valid_request_is_signed(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as here, here.station(password="0123456789abcdef") as station:
        await station.boot(SERIAL)
        station.answers["CertificateSigned"] = {"status": "Accepted"}
        kind = {"certificateType": "ChargingStationCertificate"}
        assert await station.ask("SignCertificate", _csr() | kind) == {"status": "Accepted"}
        await eventually(lambda: station.asked)
        ((action, payload),) = station.asked
        assert (action, payload["certificateType"]) == ("CertificateSigned", "ChargingStationCertificate")
        certificate = x509.load_pem_x509_certificate(payload["certificateChain"].encode())
        certificate.verify_directly_issued_by(here.authority.certificate)
        assert f"certificate for {SERIAL} signed" in await here.notes()


async def test_requests_that_are_not_signed(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as here, here.station(password="0123456789abcdef") as station:
        await station.boot(SERIAL)
        for request, why in (
            (_csr("BW-0002"), "common name"),
            ({"csr": "no request"}, "can't be read"),
            (_csr() | {"certificateType": "V2GCertificate"}, "V2GCertificate"),
        ):
            answer = await station.ask("SignCertificate", request)
            assert answer["status"] == "Rejected"
            assert why in answer["statusInfo"]["additionalInfo"]
            assert why in (await here.notes())[-1]
        await here.behave(sign_certificate="Rejected")
        assert (await station.ask("SignCertificate", _csr()))["status"] == "Rejected"
        await here.behave(sign_certificate="Silent")
        assert await station.ask("SignCertificate", _csr()) == {"status": "Accepted"}
        await here.behave(sign_certificate="Accepted")
        second = _csr()
        assert await station.ask("SignCertificate", second) == {"status": "Accepted"}
        await eventually(lambda: station.asked)
        ((_, payload),) = station.asked
        signed = x509.load_pem_x509_certificate(payload["certificateChain"].encode())
        assert signed.public_key() == x509.load_pem_x509_csr(second["csr"].encode()).public_key()


# Procedures, with stations that refuse


async def _fails(
    here: SecureCsmsBench, station: ScriptedStation, procedure: Callable[[], Awaitable[None]], why: str
) -> None:
    await station.boot(SERIAL)
    with pytest.raises(ProcedureFailed, match=why):
        await procedure()


@pytest.mark.parametrize(
    ("answer", "statuses", "why"),
    [
        ({"status": "InvalidCertificate"}, (), "UpdateFirmware with InvalidCertificate"),
        (["NotImplemented", "", {}], (), "UpdateFirmware with NotImplemented"),
        ({"status": "Accepted"}, ("Downloading", "InvalidSignature"), "ended with InvalidSignature"),
    ],
)
async def test_an_update_that_fails(tmp_path: Path, answer: Any, statuses: tuple[str, ...], why: str) -> None:
    async with bench(tmp_path, 2) as here, here.station(password="0123456789abcdef") as station:
        (tmp_path / "files" / "image").write_bytes(b"image")
        station.answers["UpdateFirmware"] = answer
        steps: list[str] = []
        task = asyncio.create_task(_fails(here, station, lambda: _update(here, steps.append, image="image"), why))
        if statuses:
            await eventually(lambda: steps)
        for status in statuses:
            await station.ask("FirmwareStatusNotification", {"status": status, "requestId": 1})
        await task
        assert steps[1:] == list(statuses)


async def test_a_station_that_does_not_accept_its_certificate(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as here, here.station(password="0123456789abcdef") as station:
        station.answers |= {"InstallCertificate": {"status": "Accepted"}, "TriggerMessage": {"status": "Accepted"}}
        station.answers["CertificateSigned"] = {"status": "Rejected"}
        steps: list[str] = []
        task = asyncio.create_task(_fails(here, station, lambda: _raise(here, steps.append), "rejects the certificate"))
        await eventually(lambda: len(steps) == 2)
        await station.ask("SignCertificate", _csr())
        await task


async def test_a_bench_that_signs_nothing_does_not_start(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as here, here.station(password="0123456789abcdef") as station:
        station.answers |= {"InstallCertificate": {"status": "Accepted"}, "TriggerMessage": {"status": "Accepted"}}
        await here.behave(sign_certificate="Silent")
        await _fails(here, station, lambda: _raise(here, lambda _step: None), "set to reject signing requests")
        assert [action for action, _ in station.asked] == ["InstallCertificate"]


async def _update(here: SecureCsmsBench, report: Callable[[str], object], **how: Any) -> None:
    chosen: dict[str, Any] = {"image": None, "checkout": ROOT, "product": "c7am-400-cc", "over": "https", **how}
    await asyncio.to_thread(update_firmware, here.client, "CP001", **chosen, report=report)


async def _raise(here: SecureCsmsBench, report: Callable[[str], object]) -> None:
    await asyncio.to_thread(raise_security, here.client, "CP001", 3, report=report)


# A whole station


@pytest.mark.slow
async def test_a_station_is_secured_renewed_and_updated(tmp_path: Path) -> None:
    """From profile 2 to 3, then a new certificate at the CSMS's request, which it keeps through a firmware update."""
    async with bench(tmp_path, 2) as here:
        roots = {"csms_root": ["pki/csms-root.pem"], "manufacturer_root": ["pki/manufacturer-root.pem"]}
        settings = factory_file(here.running.ocpp_url, profile={"security_profile": 2}, certificates=roots)
        (tmp_path / "station.toml").write_text(settings)
        async with Rig(tmp_path / "rig", station=tmp_path / "station.toml") as rig:
            await rig.wait("registration", status="Accepted")
            assert (await here.get("/api/stations/CP001"))["security_profile"] == 2
            steps: list[str] = []
            mark = rig.mark
            await _raise(here, steps.append)
            assert steps[-1] == "Reset: Accepted"
            await rig.wait("registration", since=mark, status="Accepted")
            await _renew(here, rig)
            mark = rig.mark
            steps.clear()
            await _update(here, steps.append)
            accepted, downloading, *between, installed = steps[1:]
            assert (accepted, downloading, installed) == ("UpdateFirmware Accepted", "Downloading", "Installed")
            assert between == ["Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
            await rig.wait("registration", since=mark, status="Accepted")
            seen = await here.get("/api/stations/CP001")
            assert (seen["boot"]["firmwareVersion"], seen["firmware_status"]) == (next_version(VERSION), "Installed")
            assert (seen["security_profile"], seen["boot_reason"]) == (3, "FirmwareUpdate")


async def _renew(here: SecureCsmsBench, rig: Rig) -> None:
    """A02 at the CSMS's request: the station reconnects with the new certificate."""
    before = await here.get("/api/stations/CP001")
    assert before["tls"]["certificate"]["common_name"] == (await rig.state())["label"]["serial_number"]
    answer = await here.call("TriggerMessage", TRIGGER)
    assert answer["result"] == {"status": "Accepted"}
    record = here.running.office.station("CP001")
    assert record is not None
    await eventually(lambda: record.connections > before["connections"])
    after = await here.get("/api/stations/CP001")
    numbers = [seen["tls"]["certificate"]["serial_number"] for seen in (before, after)]
    assert numbers[0] != numbers[1]
    assert after["tls"]["certificate"]["common_name"] == before["tls"]["certificate"]["common_name"]
    assert after["boots"] == before["boots"]
