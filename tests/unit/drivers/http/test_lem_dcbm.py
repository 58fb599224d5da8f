# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from drivers.http.lem_dcbm import CHORES_EVERY_S, SETTLE_S, SYNC_EVERY_S, LemDcbm, LemDcbmOptions
from firmware.errors import ConfigError, DeviceLost, DeviceRefused, DriverError
from tests.support.clock import ManualClock
from tests.support.sockets import eventually
from tools.rig.devices import lem_dcbm

SERIAL = "12024072805"


class Bench:
    """A meter, and its driver with a clock that the test moves."""

    def __init__(self) -> None:
        self.line = lem_dcbm.StillLine()
        self.device = lem_dcbm.LemDcbm(self.line, serial_number=SERIAL)
        self.device.power_on(seconds_ago=1000.0)
        self.clock = ManualClock()
        self.meter: LemDcbm | None = None

    async def start(self, **options: Any) -> LemDcbm:
        await self.device.start()
        given = {"evse": 1, "host": "127.0.0.1", "port": self.device.port, "poll_s": 0.1, **options}
        self.meter = LemDcbm(LemDcbmOptions(**given), self.clock)
        return self.meter

    async def reads(self, energy_wh: float) -> None:
        """Wait for a reading with this register."""
        self.line.energy_wh = energy_wh
        await eventually(lambda: not self.problem() and self.register() == energy_wh)

    def register(self) -> float:
        assert self.meter is not None
        return self.meter.sample().energy_wh

    def problem(self) -> str:
        """Why there is no reading; empty if there is one."""
        assert self.meter is not None
        try:
            self.meter.sample()
        except DriverError as error:
            return str(error)
        return ""

    async def rounds(self, requests: int = 4) -> None:
        until = self.device.requests + requests
        await eventually(lambda: self.device.requests >= until)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    if bench.meter is not None:
        bench.meter.close()
    await bench.device.close()
    assert bench.device.violations == []


async def test_a_reading(bench: Bench) -> None:
    bench.line.voltage_v, bench.line.current_a = 800.0, 500.0
    meter = await bench.start()
    assert bench.problem().endswith("at 127.0.0.1: no answer yet")
    await bench.reads(5000.0)
    sample = meter.sample()
    assert (sample.voltage_v, sample.current_a, sample.power_w) == (800.0, 500.0, 400_000.0)
    assert sample.serial_number == SERIAL
    (device,) = meter.devices()
    assert (device.serial_number, device.firmware, device.answers) == (SERIAL, "0.2.5.0", True)


async def test_the_older_interface(bench: Bench) -> None:
    bench.device.firmware = "0.1.7.0"
    await bench.start()
    await bench.reads(5000.0)


# --- trouble ------------------------------------------------------------------------------------------------------


def _server_error(device: lem_dcbm.LemDcbm) -> None:
    device.fails_with = 503


def _malformed(device: lem_dcbm.LemDcbm) -> None:
    device.malformed = True


def _cut(device: lem_dcbm.LemDcbm) -> None:
    device.cut = True


def _slow(device: lem_dcbm.LemDcbm) -> None:
    device.delay_s = 60.0


def _mend(device: lem_dcbm.LemDcbm) -> None:
    device.fails_with, device.malformed, device.cut, device.delay_s = None, False, False, 0.0


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (_server_error, "GET /v2/livemeasure: HTTP status 503"),
        (_malformed, "an answer that is not as the protocol has it"),
        (_cut, "it closed the connection before its answer was complete"),
        (_slow, "no answer within 0.5 s"),
    ],
)
async def test_trouble_is_named_and_passes(bench: Bench, harm: Callable[[lem_dcbm.LemDcbm], None], text: str) -> None:
    meter = await bench.start(timeout_s=0.5)
    await bench.reads(1000.0)
    harm(bench.device)
    await eventually(lambda: text in str(meter._error))
    assert meter.sample().energy_wh == 1000.0, "the last reading counts while it is young"
    bench.clock.advance(2.5)
    assert text in bench.problem()
    _mend(bench.device)
    await bench.reads(1001.0)


async def test_a_meter_that_repeats_itself_is_lost(bench: Bench) -> None:
    await bench.start()
    await bench.reads(1000.0)
    await bench.rounds()
    bench.device.frozen = True
    await bench.rounds()
    bench.clock.advance(2.5)
    await eventually(lambda: "it repeats its measurement of 20" in bench.problem())
    bench.device.frozen = False
    await bench.reads(1001.0)


async def test_another_meter_is_refused_until_the_commissioned_one_is_back(bench: Bench) -> None:
    meter = await bench.start(serial_number=SERIAL)
    await bench.reads(1000.0)
    await bench.device.close()
    await eventually(lambda: meter._status is None)
    bench.device.serial_number = "99999999999"
    await bench.device.start()
    await eventually(lambda: f"it is meter 99999999999, but {SERIAL} is the commissioned one" in bench.problem())
    with pytest.raises(DeviceRefused):
        meter.sample()
    bench.device.serial_number = SERIAL
    await bench.reads(1001.0)


async def test_a_meter_that_is_replaced_without_a_commissioned_number_says_so(bench: Bench) -> None:
    meter = await bench.start()
    await bench.reads(1000.0)
    await bench.device.close()
    await eventually(lambda: meter._status is None)
    bench.device.serial_number = "99999999999"
    await bench.device.start()
    await bench.reads(3.0)
    assert meter.sample().serial_number == "99999999999"


async def test_nothing_there(bench: Bench) -> None:
    await bench.start()
    await bench.device.close()
    await eventually(lambda: "it refuses the connection" in bench.problem())
    assert bench.meter is not None
    with pytest.raises(DeviceLost):
        bench.meter.sample()


# --- clock and transactions -----------------------------------------------------------------------------------------


async def test_the_clock_is_set_when_the_meter_keeps_settings(bench: Bench) -> None:
    await bench.start()
    await bench.reads(1000.0)
    bench.clock.advance(SETTLE_S - 1.0)
    await bench.rounds()
    assert bench.device.clock_set_to is None
    bench.clock.advance(CHORES_EVERY_S + 1.0)
    await eventually(lambda: bench.device.clock_set_to)
    first = bench.device.clock_set_to
    bench.clock.advance(SYNC_EVERY_S + CHORES_EVERY_S)
    await eventually(lambda: bench.device.clock_set_to != first)


async def test_the_clock_is_left_alone(bench: Bench) -> None:
    await bench.start(set_clock=False)
    await bench.reads(1000.0)
    bench.clock.advance(SYNC_EVERY_S)
    await bench.rounds()
    assert bench.device.clock_set_to is None


async def test_a_transaction_that_was_left_open_is_ended_and_its_record_kept(bench: Bench, tmp_path: Path) -> None:
    bench.device.transaction_id = "04A1,b/ü&=1"
    await bench.start(records=str(tmp_path))
    await eventually(lambda: list(tmp_path.glob("*.ocmf")))
    assert bench.device.ended == ["04A1,b/ü&=1"]
    (record,) = tmp_path.glob("*.ocmf")
    assert record.name.startswith(SERIAL)
    assert record.read_text().startswith("OCMF|{")
    await bench.reads(1000.0)


async def test_a_transaction_that_does_not_end_costs_no_reading(bench: Bench, tmp_path: Path) -> None:
    bench.device.transaction_id = "1"
    bench.device.keeps_running = True
    bench.device.loses_records = 1
    await bench.start(records=str(tmp_path))
    await bench.reads(1000.0)
    bench.device.keeps_running = False
    bench.clock.advance(CHORES_EVERY_S)
    await eventually(lambda: bench.device.ended)
    await bench.reads(1001.0)
    bench.clock.advance(CHORES_EVERY_S)
    await eventually(lambda: list(tmp_path.glob("*.ocmf")))


async def test_a_folder_that_is_not_there_costs_no_reading(bench: Bench, tmp_path: Path) -> None:
    bench.device.transaction_id = "1"
    await bench.start(records=str(tmp_path / "none"))
    await eventually(lambda: bench.device.ended)
    await bench.reads(1000.0)


# --- HTTPS --------------------------------------------------------------------------------------------------------


def _weak_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate as the meter makes it: self-signed, 1024 bits, no name, already over."""
    key = rsa.generate_private_key(65537, 1024)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, begin, begin + timedelta(days=1))
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def _server_context(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(*files)
    return context


async def test_https_with_the_certificate_of_the_meter_and_no_other(bench: Bench, tmp_path: Path) -> None:
    own, other = _weak_certificate(tmp_path, "own"), _weak_certificate(tmp_path, "other")
    bench.device.tls = _server_context(own)
    meter = await bench.start(certificate=str(own[0]))
    await bench.reads(1000.0)
    await bench.device.close()
    await eventually(lambda: meter._status is None)
    bench.device.tls = _server_context(other)
    await bench.device.start()
    await eventually(lambda: "its certificate is another one than the stored one" in str(meter._error))
    asked = bench.device.requests
    await bench.device.close()
    bench.device.tls = None
    await bench.device.start()
    await eventually(lambda: "no TLS connection" in str(meter._error))
    assert bench.device.requests == asked == bench.device.requests
    await bench.device.close()
    bench.device.tls = _server_context(own)
    await bench.device.start()
    await bench.reads(1001.0)


async def test_a_certificate_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    for name in ("text.pem", "none.pem"):
        with pytest.raises(ConfigError, match="a certificate in PEM form is expected"):
            LemDcbm(LemDcbmOptions(evse=1, host="127.0.0.1", certificate=str(tmp_path / name)))
