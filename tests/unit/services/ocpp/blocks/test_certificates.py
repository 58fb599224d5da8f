# SPDX-License-Identifier: Apache-2.0
"""Block M, driven through the whole station."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from firmware.factory_settings import NetworkProfile
from firmware.product import load
from services.ocpp.device_model import keys
from services.ocpp.network_profiles import trusts_fallback_root
from tests.support.pki import Pki
from tests.support.station_bench import StationBench

CSMS: Final = "CSMSRootCertificate"
MANUFACTURER: Final = "ManufacturerRootCertificate"


def install(bench: StationBench, kind: str, pem: str) -> Any:
    return bench.call("InstallCertificate", {"certificateType": kind, "certificate": pem})


def listed(bench: StationBench, *kinds: str) -> Any:
    return bench.call("GetInstalledCertificateIds", {"certificateType": list(kinds)} if kinds else {})


def kinds_of(answer: Any) -> list[str]:
    return [entry["certificateType"] for entry in answer["certificateHashDataChain"]]


def test_install_list_delete(bench: StationBench) -> None:
    assert install(bench, CSMS, Pki().pem) == {"status": "Accepted"}  # M05.FR.02
    assert install(bench, MANUFACTURER, Pki("Maker").pem) == {"status": "Accepted"}
    assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 2
    assert kinds_of(listed(bench)) == [CSMS, MANUFACTURER]  # M03.FR.04
    only = listed(bench, MANUFACTURER)
    assert kinds_of(only) == [MANUFACTURER]
    data = only["certificateHashDataChain"][0]["certificateHashData"]
    assert bench.call("DeleteCertificate", {"certificateHashData": data}) == {"status": "Accepted"}
    assert bench.call("DeleteCertificate", {"certificateHashData": data}) == {"status": "NotFound"}
    assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 1


@pytest.mark.parametrize("kinds", [(), ("MORootCertificate",), ("V2GRootCertificate", "V2GCertificateChain")])
def test_nothing_found(bench: StationBench, kinds: tuple[str, ...]) -> None:
    assert listed(bench, *kinds) == {"status": "NotFound"}  # M03.FR.02


@pytest.mark.parametrize("kind", ["V2GRootCertificate", "MORootCertificate"])
def test_roots_of_iso_15118_are_refused(bench: StationBench, kind: str) -> None:
    assert install(bench, kind, Pki().pem)["status"] == "Rejected"


def test_the_reason_of_a_refusal_is_given(bench: StationBench) -> None:
    answer = install(bench, CSMS, "nonsense")
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "InvalidCertificate"
    assert "no certificate in PEM format" in answer["statusInfo"]["additionalInfo"]


def test_a_root_survives_a_power_cut(bench: StationBench) -> None:
    install(bench, CSMS, Pki().pem)
    bench.power_cut()
    bench.up()
    assert kinds_of(listed(bench)) == [CSMS]
    assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 1


def test_as_many_roots_as_certificate_entries_allows(tmp_path: Path) -> None:
    """M05.FR.06; the station's own certificate takes no entry, and a renewal no other."""
    product = load("c7am-400-cc")
    bench = StationBench(tmp_path, product=replace(product, limits=replace(product.limits, certificate_entries=2)))
    bench.up()
    root = Pki()
    assert install(bench, CSMS, root.pem) == {"status": "Accepted"}
    station = bench.context.certificates.station
    for _ in range(2):
        csr = station.request("SN-1", "O")
        chain = root.sign_request(csr)
        answer = bench.call("CertificateSigned", {"certificateChain": chain})
        assert answer == {"status": "Accepted"}
        assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 1
    assert install(bench, CSMS, Pki("Second").pem) == {"status": "Accepted"}
    assert install(bench, CSMS, Pki("Third").pem)["status"] == "Rejected"
    assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 2


def test_a_full_disk_is_a_failure_and_not_a_rejection(bench: StationBench) -> None:
    folder = bench.directory / "certificates" / "csms"
    folder.rmdir()
    folder.write_text("in the way")
    assert install(bench, CSMS, Pki().pem)["status"] == "Failed"  # M05.FR.03


# -- AdditionalRootCertificateCheck (AS-2) ---------------------------------------------------------------------------

ROOT = Pki()
TLS = NetworkProfile(slot=1, url="wss://csms/ocpp", security_profile=2)
ELSEWHERE = NetworkProfile(slot=2, url="wss://other/ocpp", security_profile=2)


@pytest.fixture
def checked(tmp_path: Path) -> StationBench:
    """The full product, connected to a CSMS of root `ROOT`."""
    bench = StationBench(tmp_path, product_name="full")
    bench.context.certificates.install_root(CSMS, ROOT.pem, None)
    bench.context.profiles.update({1: TLS, 2: ELSEWHERE})
    bench.hal_up()
    bench.link_up(TLS)
    return bench


def test_a_successor_is_accepted_and_the_old_root_kept_until_it_works(checked: StationBench) -> None:
    assert install(checked, CSMS, Pki("Stranger").pem)["status"] == "Rejected"  # M05.FR.11
    assert install(checked, CSMS, Pki("Successor", parent=ROOT).pem) == {"status": "Accepted"}  # M05.FR.12
    assert len(listed(checked, CSMS)["certificateHashDataChain"]) == 2
    checked.link_down()
    checked.context.certificates.drop_fallback()
    checked.link_up(TLS)
    assert checked.context.model.get(keys.CERTIFICATE_ENTRIES) == 1  # M05.FR.13


def test_the_old_root_counts_where_it_was_replaced(checked: StationBench) -> None:
    key_values = checked.context.key_values
    assert trusts_fallback_root(key_values, ELSEWHERE), "nothing was replaced yet"
    install(checked, CSMS, Pki("Successor", parent=ROOT).pem)
    checked.power_cut()
    key_values = checked.context.key_values
    assert [trusts_fallback_root(key_values, one) for one in (TLS, ELSEWHERE)] == [True, False]  # M05.FR.14, M05.FR.15


def test_manufacturer_roots_need_no_signature_of_another(checked: StationBench) -> None:
    for name in ("Maker", "Other maker"):
        assert install(checked, MANUFACTURER, Pki(name).pem) == {"status": "Accepted"}
    assert len(listed(checked, MANUFACTURER)["certificateHashDataChain"]) == 2
