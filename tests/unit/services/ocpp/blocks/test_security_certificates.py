# SPDX-License-Identifier: Apache-2.0
"""Block A: the station's own certificate (A02, A03) and security profiles (A05), driven through the whole station."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from msgspec.structs import replace

from firmware import product
from firmware.errors import StorageError
from firmware.factory_settings import NetworkProfile
from services.ocpp.certificates import files
from services.ocpp.device_model import keys
from tests.support.pki import Pki
from tests.support.station_bench import StationBench, set_variables

DAY = 86_400.0
CSMS: Final = "CSMSRootCertificate"
TLS = NetworkProfile(slot=1, url="wss://csms/ocpp", security_profile=3)
ROOT = Pki()
ACCEPTED = {"SignCertificate": {"status": "Accepted"}}


@pytest.fixture
def secure(tmp_path: Path) -> StationBench:
    return _secure(tmp_path)


def _secure(folder: Path, product_name: str = "c7am-400-cc") -> StationBench:
    """Connected with profile 3, with a root, and a CSMS that accepts signing requests."""
    bench = StationBench(folder, product_name=product_name)
    bench.answers.update(ACCEPTED)
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    bench.hal_up()
    bench.link_up(TLS)
    return bench


def trigger(bench: StationBench, message: str = "SignChargingStationCertificate") -> Any:
    return bench.call("TriggerMessage", {"requestedMessage": message})["status"]


def signed(bench: StationBench, chain: str, **fields: str) -> Any:
    return bench.call("CertificateSigned", {"certificateChain": chain, **fields})["status"]


def csr(bench: StationBench) -> str:
    return str(bench.sent("SignCertificate")[-1]["csr"])


def renew(bench: StationBench, **period: Any) -> None:
    assert trigger(bench) == "Accepted"
    assert signed(bench, ROOT.sign_request(csr(bench), **period)) == "Accepted"


def chains(bench: StationBench) -> int:
    """How many certificates of its own the station has."""
    return len(list((bench.directory / "certificates" / "station").glob("*.pem")))


def leap(bench: StationBench, seconds: float) -> None:
    """Let much time pass at once, without heartbeats; then a minute in which deadlines are met."""
    bench.clock.advance(seconds)
    bench.advance(60)


def events(bench: StationBench) -> list[str]:
    return [request["type"] for request in bench.sent("SecurityEventNotification")]


# -- A02 -------------------------------------------------------------------------------------------------------------


def test_the_request_says_who_we_are(secure: StationBench) -> None:
    assert trigger(secure) == "Accepted"
    request = secure.sent("SignCertificate")[-1]
    assert request["certificateType"] == "ChargingStationCertificate"  # A02.FR.13
    subject = x509.load_pem_x509_csr(request["csr"].encode()).subject
    assert subject.rfc4514_string() == "CN=SN-1,O=XCharge Group"  # A00.FR.509, A00.FR.511
    assert trigger(secure) == "Accepted"
    assert csr(secure) != request["csr"]  # A02.FR.02: a new key each time


def test_a_combined_certificate_names_no_type(secure: StationBench) -> None:
    assert trigger(secure, "SignCombinedCertificate") == "Accepted"  # AQ-11
    assert "certificateType" not in secure.sent("SignCertificate")[-1]
    assert signed(secure, ROOT.sign_request(csr(secure))) == "Accepted"


def test_v2g_certificates_are_not_implemented(secure: StationBench) -> None:
    assert trigger(secure, "SignV2GCertificate") == "NotImplemented"
    assert signed(secure, ROOT.pem, certificateType="V2GCertificate") == "Rejected"


def test_the_new_certificate_is_used_at_once(secure: StationBench) -> None:
    renew(secure)
    assert secure.orders == ["redial"]  # A02.FR.08
    assert secure.context.certificates.station.file is not None
    assert chains(secure) == 1


def test_with_a_password_there_is_no_need_to_reconnect(bench: StationBench) -> None:
    bench.answers.update(ACCEPTED)
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    renew(bench)
    assert bench.orders == []


def test_a_bad_certificate_is_refused_and_reported(secure: StationBench) -> None:
    trigger(secure)
    assert signed(secure, Pki("Stranger").sign_request(csr(secure))) == "Rejected"  # A02.FR.07
    assert events(secure)[-1] == "InvalidChargingStationCertificate"
    assert secure.orders == []
    assert secure.context.certificates.station.file is None


def test_a_chain_beyond_the_limit_is_refused(secure: StationBench) -> None:
    trigger(secure)
    assert signed(secure, ROOT.sign_request(csr(secure)).ljust(4097)) == "Rejected"  # A02.FR.16


def test_while_pending_the_csms_can_give_a_certificate(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers.update(ACCEPTED)
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": "2027-01-15T08:00:00Z", "interval": 60}
    bench.up()
    renew(bench)  # A00.FR.806


def test_the_certificate_that_works_is_kept(secure: StationBench) -> None:
    renew(secure)
    renew(secure)
    assert chains(secure) == 2
    secure.link_down()
    secure.link_up(TLS)
    assert chains(secure) == 1  # A02.FR.10
    assert "DiscardedRenewedClientCertificate" not in events(secure)


def test_a_renewed_certificate_that_does_not_work_is_discarded_and_reported(secure: StationBench) -> None:
    renew(secure)
    renew(secure)
    secure.link_down()
    assert secure.context.certificates.station.alternate()
    secure.link_up(TLS)
    assert events(secure)[-1] == "DiscardedRenewedClientCertificate"  # A02.FR.29


def test_a_rejected_request_is_not_repeated(secure: StationBench) -> None:
    secure.answers["SignCertificate"] = {"status": "Rejected"}
    trigger(secure)
    leap(secure, 3 * DAY)
    assert len(secure.sent("SignCertificate")) == 1


def test_a_request_lost_with_the_link_is_repeated(secure: StationBench) -> None:
    secure.answers["SignCertificate"] = None
    trigger(secure)
    secure.link_down()
    secure.answers.update(ACCEPTED)
    secure.link_up(TLS)
    first, second = secure.sent("SignCertificate")
    assert first == second


def _full_disk(*_arguments: Any) -> None:
    raise StorageError("no space")


def test_on_a_full_disk_the_answer_can_come_again(secure: StationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger(secure)
    chain = ROOT.sign_request(csr(secure))
    with monkeypatch.context() as patched:
        patched.setattr(files, "write", _full_disk)
        answer = secure.call("CertificateSigned", {"certificateChain": chain})
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "OutOfStorage")
    assert "InvalidChargingStationCertificate" not in events(secure), "nothing is wrong with it"
    assert secure.orders == []
    assert signed(secure, chain) == "Accepted"


def test_a_key_that_can_not_be_stored_is_not_requested(secure: StationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(files, "write", _full_disk)
        trigger(secure)
    assert secure.sent("SignCertificate") == []
    assert trigger(secure) == "Accepted"
    assert len(secure.sent("SignCertificate")) == 1


def test_a_certificate_that_can_not_be_discarded_is_discarded_later(
    secure: StationBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(secure)
    renew(secure)
    with monkeypatch.context() as patched:
        patched.setattr(files, "rename", _full_disk)
        secure.link_down()
        secure.link_up(TLS)
    assert chains(secure) == 2
    secure.link_down()
    secure.link_up(TLS)
    assert chains(secure) == 1  # A02.FR.10


# -- A02.FR.17 to .20 ------------------------------------------------------------------------------------------------


def test_the_request_is_repeated_with_doubling_waits(tmp_path: Path) -> None:
    bench = _secure(tmp_path, "full")
    bench.call("SetVariables", set_variables("SecurityCtrlr", "CertSigningWaitMinimum", "20"))
    bench.call("SetVariables", set_variables("SecurityCtrlr", "CertSigningRepeatTimes", "1"))
    trigger(bench)
    counts = []
    for seconds in (19, 2, 38, 3, 600):
        bench.advance(seconds)
        counts.append(len(bench.sent("SignCertificate")))
    assert counts == [1, 2, 2, 3, 3]  # A02.FR.17, A02.FR.18, A02.FR.19
    assert trigger(bench) == "Accepted"
    assert len(bench.sent("SignCertificate")) == 4


def test_an_answer_ends_the_repetition(tmp_path: Path) -> None:
    bench = _secure(tmp_path, "full")
    renew(bench)
    leap(bench, DAY)
    assert len(bench.sent("SignCertificate")) == 1


def test_a_bad_answer_ends_it_too(tmp_path: Path) -> None:
    bench = _secure(tmp_path, "full")
    trigger(bench)
    signed(bench, "nonsense")
    leap(bench, DAY)
    assert len(bench.sent("SignCertificate")) == 1  # A02.FR.20


# -- A03 -------------------------------------------------------------------------------------------------------------


def test_a_new_certificate_is_requested_a_month_before_the_end(secure: StationBench) -> None:
    renew(secure, days=60)
    secure.link_down()
    secure.link_up(TLS)
    leap(secure, 20 * DAY)
    assert len(secure.sent("SignCertificate")) == 1
    leap(secure, 12 * DAY)
    assert len(secure.sent("SignCertificate")) >= 2  # A03.FR.02
    assert signed(secure, ROOT.sign_request(csr(secure), days=365)) == "Accepted"
    before = len(secure.sent("SignCertificate"))
    leap(secure, 20 * DAY)
    assert len(secure.sent("SignCertificate")) == before


def _ends_in(bench: StationBench, days: float) -> None:
    """Put a station certificate to use that expires in `days`."""
    renew(bench, days=days)
    bench.link_down()
    bench.link_up(TLS)


def test_a_csms_that_takes_days_to_sign_gets_the_same_request_again(secure: StationBench) -> None:
    """With a new key each day, every answer would be too late."""
    _ends_in(secure, 20)
    for _ in range(3):
        leap(secure, DAY)
    first, *more = {request["csr"] for request in secure.sent("SignCertificate")[1:]}
    assert more == []
    assert len(secure.sent("SignCertificate")) >= 3
    assert signed(secure, ROOT.sign_request(first)) == "Accepted"


def test_a_rejected_request_is_followed_by_a_new_one_the_next_day(secure: StationBench) -> None:
    _ends_in(secure, 20)
    secure.answers["SignCertificate"] = {"status": "Rejected"}
    for _ in range(3):
        leap(secure, DAY)
    requests = [request["csr"] for request in secure.sent("SignCertificate")[1:]]
    assert len(requests) >= 2
    assert len(set(requests)) == len(requests)  # A03.FR.02


def test_a_good_answer_after_a_bad_one_is_accepted(secure: StationBench) -> None:
    """Otherwise the next renewal would never be requested."""
    trigger(secure)
    assert signed(secure, "nonsense") == "Rejected"
    assert signed(secure, ROOT.sign_request(csr(secure), days=40)) == "Accepted"
    secure.link_down()
    secure.link_up(TLS)
    leap(secure, 20 * DAY)
    assert len(secure.sent("SignCertificate")) == 2  # A03.FR.02


def test_after_a_bad_answer_the_next_request_waits_for_a_trigger(secure: StationBench) -> None:
    _ends_in(secure, 20)
    leap(secure, DAY)
    before = len(secure.sent("SignCertificate"))
    assert signed(secure, "nonsense") == "Rejected"
    leap(secure, 3 * DAY)
    assert len(secure.sent("SignCertificate")) == before  # A02.FR.20
    assert trigger(secure) == "Accepted"
    assert len(secure.sent("SignCertificate")) == before + 1


def test_an_unset_clock_requests_nothing(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    chain = ROOT.sign_request(bench.context.certificates.station.request("SN-1", "O"), days=10)
    bench.context.certificates.station.install_chain(chain, None, "SN-1")
    bench.clock_set = False
    bench.answers["BootNotification"] = {"status": "Accepted", "currentTime": "2020-01-01T00:00:00Z", "interval": 60}
    bench.answers["Heartbeat"] = {"currentTime": "2020-01-01T00:00:00Z"}
    bench.hal_up()
    bench.link_up(TLS)
    leap(bench, DAY)
    assert not bench.context.time.is_known
    assert bench.sent("SignCertificate") == []


# -- A05 -------------------------------------------------------------------------------------------------------------


def _offer(bench: StationBench, slot: int, profile: int) -> Any:
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": f"{'wss' if profile > 1 else 'ws'}://csms/ocpp",
        "messageTimeout": 30,
        "securityProfile": profile,
        "ocppInterface": "Wired0",
    }
    return bench.call("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data})["status"]


def _prioritise(bench: StationBench, value: str) -> Any:
    answer = bench.call("SetVariables", set_variables("OCPPCommCtrlr", "NetworkConfigurationPriority", value))
    return answer["setVariableResult"][0]["attributeStatus"]


def test_tls_needs_a_root(bench: StationBench) -> None:
    assert _offer(bench, 2, 2) == "Accepted"
    assert _prioritise(bench, "2,1") == "Rejected"  # A05.FR.02
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    assert _prioritise(bench, "2,1") != "Rejected"  # A05.FR.04


def test_profile_3_needs_a_certificate_of_our_own(bench: StationBench) -> None:
    bench.answers.update(ACCEPTED)
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    assert _offer(bench, 2, 3) == "Accepted"
    assert _prioritise(bench, "2,1") == "Rejected"  # A05.FR.03
    renew(bench)
    assert _prioritise(bench, "2,1") != "Rejected"


def test_an_expired_root_is_none(bench: StationBench) -> None:
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    _offer(bench, 2, 2)
    leap(bench, 4000 * DAY)
    assert _prioritise(bench, "2,1") == "Rejected"


def test_less_secure_profiles_are_removed_once_a_better_one_works(bench: StationBench) -> None:
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    _offer(bench, 2, 2)
    _prioritise(bench, "2,1")
    bench.link_down()
    bench.link_up(NetworkProfile(slot=2, url="wss://csms/ocpp", security_profile=2))
    assert bench.context.model.get(keys.SECURITY_PROFILE) == 2  # A05.FR.06
    assert bench.context.model.get(keys.NETWORK_CONFIGURATION_PRIORITY) == ("2",)
    assert set(bench.context.profiles) == {2}
    assert _offer(bench, 3, 1) == "Rejected"  # A00.FR.005
    bench.power_cut()
    assert set(bench.context.profiles) == {2}


def test_the_way_back_from_3_to_2_is_open_only_where_it_is_allowed(tmp_path: Path) -> None:
    bench = _secure(tmp_path, "full")
    assert _offer(bench, 2, 2) == "Rejected"  # A05.FR.10
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true"))
    assert _offer(bench, 2, 2) == "Accepted"  # A05.FR.08
    assert _offer(bench, 2, 1) == "Rejected"  # A05.FR.09
    assert _prioritise(bench, "2") != "Rejected"


def test_an_allowed_step_down_survives_a_lost_link_before_its_reset(tmp_path: Path) -> None:
    bench = _secure(tmp_path, "full")
    bench.context.profiles[1] = TLS
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true"))
    assert _offer(bench, 2, 2) == "Accepted"
    bench.link_down()
    bench.link_up(TLS)
    assert _prioritise(bench, "2") != "Rejected"  # A05.FR.08
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "false"))
    bench.link_down()
    bench.link_up(TLS)
    assert set(bench.context.profiles) == {1}


def test_an_unchanged_security_profile_is_not_reported_at_boot(
    secure: StationBench, caplog: pytest.LogCaptureFixture
) -> None:
    secure.power_cut()
    caplog.clear()
    secure.hal_up()
    secure.link_up(TLS)
    assert secure.context.model.get(keys.SECURITY_PROFILE) == 3
    assert "ReconfigurationOfSecurityParameters" not in caplog.text


def test_a_profile_that_the_product_does_not_have(tmp_path: Path) -> None:
    standard = product.load("c7am-400-cc")
    bench = StationBench(
        tmp_path, product=replace(standard, features=replace(standard.features, security_profiles=[1, 2]))
    )
    bench.up()
    assert _offer(bench, 2, 3) == "Rejected"  # B09.FR.02
    assert _offer(bench, 2, 2) == "Accepted"


# -- A01, A04 --------------------------------------------------------------------------------------------------------


def test_a_new_password_reconnects_and_is_not_logged(bench: StationBench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = "a-Secret-of-20-chars"
    bench.call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", secret))
    assert bench.orders == ["redial"]  # A01.FR.03
    assert secret not in caplog.text + str(bench.frames)  # A01.FR.12


def test_events_that_are_not_critical_are_not_sent(secure: StationBench) -> None:
    renew(secure)
    assert "ReconfigurationOfSecurityParameters" not in events(secure)
