# SPDX-License-Identifier: Apache-2.0
"""The station's keys and certificates on disk, and what a power cut leaves of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import ocsp

from firmware.errors import StorageError
from services.ocpp.certificates import CertificateError, CertificateStore, files
from services.ocpp.certificates.hashes import HashData
from tests.support.pki import START, Pki, pem
from tests.support.power_cut import power_cut

NOW = START.timestamp()


def _renew(store: CertificateStore, root: Pki, **fields: Any) -> None:
    store.station.install_chain(root.sign_request(store.station.request("SN-1", "Operator"), **fields), NOW, "SN-1")


def _leaf(store: CertificateStore) -> x509.Certificate:
    assert store.station.file is not None
    text = store.station.file.read_text()
    return x509.load_pem_x509_certificate(text[text.index("-----BEGIN CERTIFICATE") :].encode())


def test_a_request_is_for_a_new_key_each_time(store: CertificateStore) -> None:
    first, second = (x509.load_pem_x509_csr(store.station.request("SN-1", "Operator").encode()) for _ in range(2))
    assert first.is_signature_valid
    assert isinstance(first.signature_hash_algorithm, SHA256)  # A00.FR.506
    assert first.subject.rfc4514_string() == "CN=SN-1,O=Operator"
    assert first.public_key() != second.public_key()


def test_the_first_chain_is_in_use_at_once(store: CertificateStore, root: Pki) -> None:
    _renew(store, root)
    assert store.station.file is not None
    assert store.station.settle() is None
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(store.station.file)


def test_an_answer_after_a_restart_is_still_good(store: CertificateStore, folder: Path, root: Pki) -> None:
    csr = store.station.request("SN-1", "Operator")
    CertificateStore(folder).station.install_chain(root.sign_request(csr), NOW, "SN-1")
    assert CertificateStore(folder).station.file is not None


def test_a_repeated_answer_is_accepted_again(store: CertificateStore, root: Pki) -> None:
    csr = store.station.request("SN-1", "Operator")
    for _ in range(2):
        store.station.install_chain(root.sign_request(csr), NOW, "SN-1")


def test_a_renewed_certificate_replaces_the_former_once_it_works(
    store: CertificateStore, folder: Path, root: Pki
) -> None:
    _renew(store, root)
    former = _leaf(store)
    _renew(store, root)
    renewed = _leaf(store)
    assert renewed != former
    assert len(list((folder / "station").glob("*.pem"))) == 2
    assert store.station.settle() == "renewed"  # A02.FR.10
    assert _leaf(store) == renewed
    assert len(list((folder / "station").glob("*.pem"))) == 1


def test_a_certificate_that_never_works_is_replaced_by_the_former(
    store: CertificateStore, folder: Path, root: Pki
) -> None:
    _renew(store, root)
    former = _leaf(store)
    _renew(store, root)
    assert store.station.alternate()  # A02.FR.28
    assert _leaf(store) == former
    assert store.station.settle() == "former"  # A02.FR.29
    assert _leaf(CertificateStore(folder)) == former
    assert not store.station.alternate()


def test_a_certificate_without_our_key_is_refused(store: CertificateStore, root: Pki, tmp_path: Path) -> None:
    elsewhere = CertificateStore(tmp_path / "elsewhere")
    store.station.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match="its key is not the requested one"):
        store.station.install_chain(root.sign_request(elsewhere.station.request("SN-1", "Operator")), NOW, "SN-1")
    assert store.station.file is None


def test_intermediates_are_followed_and_kept(store: CertificateStore, root: Pki) -> None:
    middle = Pki("Sub-CA 1", parent=root)
    lower = Pki("Sub-CA 2", parent=middle)
    csr = store.station.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match="does not lead to"):
        store.station.install_chain(lower.sign_request(csr) + lower.pem, NOW, "SN-1")
    leaf = lower.sign_request(csr)
    store.station.install_chain(leaf + root.pem + middle.pem + Pki("Stranger").pem + lower.pem, NOW, "SN-1")
    assert store.station.file is not None
    _key, shown = store.station.file.read_text().split("-----END PRIVATE KEY-----\n")
    assert shown == leaf + lower.pem + middle.pem, "each is followed by its issuer, and nothing else is shown"


def test_a_chain_beyond_the_limit_is_refused(store: CertificateStore, root: Pki) -> None:
    chain = root.sign_request(store.station.request("SN-1", "Operator"))
    with pytest.raises(CertificateError, match="larger than 4096 bytes") as refused:  # A02.FR.16
        store.station.install_chain(chain.ljust(4097, "\n"), NOW, "SN-1")
    assert refused.value.code == "TooLargeElement"


@pytest.mark.parametrize("step", range(6))
def test_a_power_cut_while_a_certificate_is_installed(
    store: CertificateStore, folder: Path, root: Pki, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key and certificate are both stored, or the answer can be repeated."""
    chain = root.sign_request(store.station.request("SN-1", "Operator"))
    with power_cut(step):
        store.station.install_chain(chain, NOW, "SN-1")
    again = CertificateStore(folder)
    if again.station.file is None:
        again.station.install_chain(chain, NOW, "SN-1")
    assert again.station.file is not None
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(again.station.file)


def test_a_key_that_can_not_be_removed_does_no_harm(
    store: CertificateStore, root: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(path: Path) -> None:
        raise StorageError(f"{path.name} can't be removed")

    chain = root.sign_request(store.station.request("SN-1", "Operator"))
    monkeypatch.setattr(files, "remove", stuck)
    store.station.install_chain(chain, NOW, "SN-1")
    assert store.station.file is not None


def test_a_damaged_station_certificate_is_none(store: CertificateStore, folder: Path, root: Pki) -> None:
    _renew(store, root)
    (folder / "station" / "current.pem").write_text("-----BEGIN CERTIFICATE-----\nA\xe9")
    assert store.station.period() is None
    assert not store.station.has_valid_certificate(NOW)
    assert store.delete(HashData("SHA256", "00", "00", "1")) == "NotFound"


def test_private_keys_stay_where_they_are(store: CertificateStore, root: Pki, caplog: pytest.LogCaptureFixture) -> None:
    csr = store.station.request("SN-1", "Operator")
    store.station.install_chain(root.sign_request(csr), NOW, "SN-1")
    assert store.station.file is not None
    secret = store.station.file.read_text().split("-----")[2].split()[1]
    roots = repr(store.roots("CSMSRootCertificate"))
    shown = csr + roots + repr(vars(store)) + repr(vars(store.station)) + caplog.text  # A02.FR.05
    assert secret not in shown
    assert "PRIVATE" not in shown
    assert pem(root.certificate) == root.pem


def test_the_station_certificate_can_not_be_deleted(store: CertificateStore, root: Pki) -> None:
    _renew(store, root)
    request = ocsp.OCSPRequestBuilder().add_certificate(_leaf(store), root.certificate, SHA256()).build()
    wanted = HashData(
        "SHA256", request.issuer_name_hash.hex(), request.issuer_key_hash.hex(), f"{request.serial_number:X}"
    )
    assert store.delete(wanted) == "Failed"  # M04.FR.06
    assert store.station.file is not None
