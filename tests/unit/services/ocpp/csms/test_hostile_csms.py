# SPDX-License-Identifier: Apache-2.0
"""A hostile CSMS that knows the schemas: absurd requests, absurd answers, and floods of both.

In each case, every request has exactly one answer, no answer is an InternalError, the HAL gets no command that breaks
its contract, and the station works again with a normal CSMS.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firmware import product
from firmware.contract.messages import FromClient, Request
from firmware.ipc.framing import Decoder, encode
from firmware.update.slots import SlotStatus
from services.ocpp.device_model.build import build
from services.ocpp.firmware_update.tasks import SlotRequest, SlotsAnswered
from services.ocpp.signals import Authorised, SecurityEvent
from tests.support.absurd import TEXTS, calls, response_of
from tests.support.pki import Pki
from tests.support.station_bench import StationBench, set_variables

PRODUCTS = ("c7am-400-cc", "full")
CARD = "04A1B2C3D4E580"
TOKEN: Any = {"idToken": CARD, "type": "ISO14443"}
ASKED = (
    "BootNotification",
    "Heartbeat",
    "Authorize",
    "TransactionEvent",
    "StatusNotification",
    "MeterValues",
    "NotifyReport",
    "SecurityEventNotification",
    "SignCertificate",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "NotifyCustomerInformation",
)
ROOT, OTHER_ROOT = Pki(), Pki("Other Root")
_decode: Decoder[FromClient] = Decoder(FromClient)
_fuzz = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class _Anything:
    """`Firmware` that accepts everything, so that the code behind its checks is reached."""

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        return None

    def location_problem(self, location: str) -> str | None:
        return None


def _bench(folder: Path, product_name: str = "c7am-400-cc") -> StationBench:
    bench = StationBench(folder, product_name=product_name, updates=_Anything())
    bench.up()
    bench.report(SlotRequest, SlotsAnswered(SlotStatus("a")))
    return bench


def _ask(bench: StationBench, action: str, payload: Any) -> Any:
    """One request; checks everything that must be true of its answer."""
    before, asked = len(bench.frames), len(bench.commands)
    answer = bench.call(action, payload)
    answers = [frame for frame in bench.frames[before:] if frame[0] in (3, 4)]
    assert len(answers) == 1
    assert "InternalError" not in answers[0][:3], (action, payload)
    for command in bench.commands[asked:]:
        _decode(encode(Request(id=1, command=command)))
    return answer


def _check_sane(bench: StationBench) -> None:
    """After a power cut, with a normal CSMS, the station works."""
    bench.answers.clear()
    bench.power_cut()
    bench.up()
    bench.advance(1)
    assert bench.context.registration.online
    assert _ask(bench, "DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
    bench.database.close()


@pytest.mark.slow
@settings(_fuzz, max_examples=30)
@given(requests=st.lists(calls, min_size=1, max_size=12), name=st.sampled_from(PRODUCTS))
@example(requests=[("Reset", {"type": "OnIdle", "evseId": 1.0})], name="c7am-400-cc")
def test_whatever_it_asks_it_is_answered(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[str, Any]], name: str
) -> None:
    bench = _bench(tmp_path_factory.mktemp("asks"), name)
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    for action, payload in requests:
        _ask(bench, action, payload)
        bench.advance(1)
    bench.advance(120)
    bench.link_down()
    _check_sane(bench)


def _addresses(name: str) -> list[tuple[str, str, str, str]]:
    """Component, its instance, variable, its instance."""
    places = (variable.address for variable in build(product.load(name)))
    return sorted({(each.component, each.component_instance, each.variable, each.instance) for each in places})


def _setting(place: tuple[str, str, str, str], value: str, evse: int) -> dict[str, Any]:
    component, component_instance, variable, instance = place
    where: dict[str, Any] = {"name": component, **({"instance": component_instance} if component_instance else {})}
    if evse:
        where["evse"] = {"id": evse, "connectorId": 1.0}
    what = {"name": variable, **({"instance": instance} if instance else {})}
    return {"component": where, "variable": what, "attributeValue": value[:1000]}


@pytest.mark.slow
@settings(_fuzz, max_examples=30)
@given(data=st.data(), name=st.sampled_from(PRODUCTS))
def test_whatever_it_sets(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str) -> None:
    """Every variable, to arbitrary values: the station works with each value that it accepts."""
    bench = _bench(tmp_path_factory.mktemp("sets"), name)
    places = st.sampled_from(_addresses(name))
    settings_ = data.draw(st.lists(st.builds(_setting, places, TEXTS, st.sampled_from((0, 0, 1))), min_size=1))
    for setting in settings_:
        _ask(bench, "SetVariables", {"setVariableData": [setting]})
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.advance(120)
    bench.link_down()
    bench.advance(5)
    _check_sane(bench)


@pytest.mark.slow
@settings(_fuzz, max_examples=30)
@given(data=st.data())
def test_whatever_it_answers(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    answers = {action: data.draw(st.none() | response_of(action), action) for action in ASKED}
    bench = StationBench(tmp_path_factory.mktemp("answers"), product_name="full")
    bench.answers.update(answers)
    bench.up()
    bench.advance(100)
    for evse in (1, 2):
        bench.card(CARD, evse)
        bench.plug(evse)
        bench.energy_on(evse)
    bench.advance(100)
    bench.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    bench.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
    bench.advance(100)
    assert _ask(bench, "GetTransactionStatus", {}) is not None
    _check_sane(bench)


@st.composite
def _mutated(draw: st.DrawFn, pem: str) -> str:
    """The text changed, or its decoded contents."""
    place = draw(st.integers(0, 9999))  # lengths differ from run to run, as keys and signatures do
    if draw(st.booleans()):
        at = place % len(pem)
        junk = draw(st.sampled_from(["", "=", "\0", "-", "\n", "é", "-----BEGIN CERTIFICATE-----", pem, "A" * 900]))
        return pem[:at] + junk + pem[at + draw(st.integers(0, 40)) :]
    der = ssl.PEM_cert_to_DER_cert(pem)
    at = place % len(der)
    return ssl.DER_cert_to_PEM_cert(der[:at] + draw(st.binary(max_size=6)) + der[at + draw(st.integers(0, 6)) :])


@settings(_fuzz, max_examples=30)
@given(data=st.data())
def test_whatever_it_makes_of_a_certificate(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Only the certificate that was signed is accepted, whatever text surrounds it."""
    bench = _bench(tmp_path_factory.mktemp("certificates"))
    store = bench.context.certificates
    store.install_root("CSMSRootCertificate", ROOT.pem, None)
    good = ROOT.sign_request(store.station.request("SN-1", "Operator"))
    root = data.draw(_mutated(OTHER_ROOT.pem))
    status = _ask(bench, "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": root})
    assert isinstance(status, list) or status["status"] in ("Accepted", "Rejected")
    assert {each.certificate for each in store.roots("CSMSRootCertificate")} <= {
        ROOT.certificate,
        OTHER_ROOT.certificate,
    }
    answer = _ask(bench, "CertificateSigned", {"certificateChain": data.draw(_mutated(good))})
    file = store.station.file
    assert (file is not None) == (isinstance(answer, dict) and answer["status"] == "Accepted")
    assert file is None or ssl.PEM_cert_to_DER_cert(good) in {
        ssl.PEM_cert_to_DER_cert(f"-----BEGIN CERTIFICATE-----{part}")
        for part in file.read_text().split("-----BEGIN CERTIFICATE-----")[1:]
    }
    bench.database.close()


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9-14:00", "0001-01-01T00:00:00Z"])
def test_a_time_at_the_end_of_the_calendar(tmp_path: Path, stamp: str) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Accepted", "currentTime": stamp, "interval": 60}
    bench.answers["Heartbeat"] = {"currentTime": stamp}
    bench.up()
    bench.advance(200)
    bench.card(CARD, 1)
    assert bench.events[-1]["timestamp"][:4] == "2027"


@pytest.mark.slow
@settings(_fuzz, max_examples=40)
@given(
    frame=st.one_of(
        st.text(),
        st.recursive(st.one_of(st.integers(), st.text(), st.none()), st.lists).map(json.dumps),
        calls.flatmap(lambda call: _cut(json.dumps([2, "cut", *call]))),
    )
)
def test_whatever_it_sends_the_station_lives(tmp_path_factory: pytest.TempPathFactory, frame: str) -> None:
    bench = _bench(tmp_path_factory.mktemp("sends"))
    bench.frame(frame)
    assert bench.call("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
    bench.database.close()


def _cut(frame: str) -> st.SearchStrategy[str]:
    return st.integers(0, len(frame)).map(lambda at: frame[:at])


# --- floods -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_reports_is_refused_before_it_crowds_out_what_happens(tmp_path: Path) -> None:
    """B07.FR.13, B08.FR.16."""
    bench = _bench(tmp_path)
    bench.answers["NotifyReport"] = None
    asked = {"reportBase": "FullInventory"}
    statuses = [bench.call("GetBaseReport", {"requestId": number, **asked})["status"] for number in range(600)]
    assert statuses[0] == "Accepted"
    assert statuses[-1] == "Rejected"
    everything = {"requestId": 1, "componentCriteria": ["Available"]}
    assert bench.call("GetReport", everything)["status"] == "Rejected"
    bench.plug(1)
    del bench.answers["NotifyReport"]
    bench.advance(31)
    assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Occupied"
    accepted = statuses.count("Accepted")
    assert len([part for part in bench.sent("NotifyReport") if not part["tbc"]]) >= accepted
    assert bench.call("GetBaseReport", {"requestId": 1, **asked})["status"] == "Accepted"


def test_a_flood_of_bad_certificates_is_summed_up(tmp_path: Path) -> None:
    """Each would be a critical security event, stored until the CSMS accepts it."""
    bench = _bench(tmp_path)
    for _ in range(500):
        assert bench.call("CertificateSigned", {"certificateChain": "x"})["status"] == "Rejected"
    bench.advance(61)
    reported = [each for each in bench.sent("SecurityEventNotification") if "StationCertificate" in each["type"]]
    assert len(reported) == 11
    assert reported[-1]["techInfo"] == "490 more"
    assert bench.call("CertificateSigned", {"certificateChain": "x"})["status"] == "Rejected"
    assert len(bench.sent("SecurityEventNotification")) == len(reported) + 2  # and that of the start


def test_what_it_never_takes_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ocpp.durable_lane._KEPT_LIMIT", 20)
    bench = _bench(tmp_path)
    bench.answers["SecurityEventNotification"] = None
    for number in range(50):
        event = SecurityEvent(f"Event{number}")
        bench.handle(lambda now, event=event: bench.station.on_security_event(event, now))  # type: ignore[misc]
    assert bench.context.outbox.durable_count == 20
    bench.plug(1)
    bench.context.emit(Authorised(1, TOKEN))
    bench.handle(bench.station.on_time)
    assert bench.context.outbox.has_messages()  # those of a transaction are always kept
    del bench.answers["SecurityEventNotification"]
    bench.advance(31)
    assert bench.events[0]["eventType"] == "Started"
    reported = {event["type"] for event in bench.sent("SecurityEventNotification")}
    assert len(reported) == 1 + 20  # of the start, and as many as fit


def test_a_million_settings_take_the_room_of_one(tmp_path: Path) -> None:
    bench = _bench(tmp_path)

    def size() -> int:
        bench.database.commit()
        return sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())

    def set_all(rounds: range) -> None:
        for number in rounds:
            request = set_variables("SampledDataCtrlr", "TxUpdatedInterval", str(60 + number % 1000))
            assert bench.call("SetVariables", request)["setVariableResult"][0]["attributeStatus"] == "Accepted"

    set_all(range(1100))  # as far as the write-ahead log grows
    before = size()
    set_all(range(1100, 1700))
    assert size() <= before
