# SPDX-License-Identifier: Apache-2.0
"""Block M, driven through the whole station."""

from __future__ import annotations

from typing import Any

import pytest

from services.ocpp.device_model import keys
from tests.support.pki import Pki
from tests.support.station import Bench

CSMS, MANUFACTURER = "CSMSRootCertificate", "ManufacturerRootCertificate"


def install(bench: Bench, kind: str, pem: str) -> Any:
    return bench.call("InstallCertificate", {"certificateType": kind, "certificate": pem})


def listed(bench: Bench, *kinds: str) -> Any:
    return bench.call("GetInstalledCertificateIds", {"certificateType": list(kinds)} if kinds else {})


def kinds_of(answer: Any) -> list[str]:
    return [entry["certificateType"] for entry in answer["certificateHashDataChain"]]


def test_install_list_delete(bench: Bench) -> None:
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
def test_nothing_found(bench: Bench, kinds: tuple[str, ...]) -> None:
    assert listed(bench, *kinds) == {"status": "NotFound"}  # M03.FR.02


@pytest.mark.parametrize("kind", ["V2GRootCertificate", "MORootCertificate"])
def test_roots_of_iso_15118_are_not_taken(bench: Bench, kind: str) -> None:
    assert install(bench, kind, Pki().pem)["status"] == "Rejected"


def test_what_is_wrong_is_said(bench: Bench) -> None:
    answer = install(bench, CSMS, "nonsense")
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "InvalidCertificate"
    assert "no certificate in PEM format" in answer["statusInfo"]["additionalInfo"]


def test_it_survives_a_power_cut(bench: Bench) -> None:
    install(bench, CSMS, Pki().pem)
    bench.power_cut()
    bench.up()
    assert kinds_of(listed(bench)) == [CSMS]
    assert bench.context.model.get(keys.CERTIFICATE_ENTRIES) == 1


def test_a_full_disk_is_a_failure_and_not_a_refusal(bench: Bench) -> None:
    folder = bench.directory / "certificates" / "csms"
    folder.rmdir()
    folder.write_text("in the way")
    assert install(bench, CSMS, Pki().pem)["status"] == "Failed"  # M05.FR.03
