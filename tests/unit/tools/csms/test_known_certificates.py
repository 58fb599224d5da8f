# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from services.ocpp.certificates.hashes import ALGORITHMS, hash_data, key_bits
from tools.csms.ca import BenchPki
from tools.csms.known_certificates import KnownCertificates, facts_of


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_certificate_is_recognised_by_its_hashes(tmp_path: Path, algorithm: str) -> None:
    pki = BenchPki(tmp_path, "127.0.0.1")
    known = KnownCertificates([f"text before\n{pki.root_pem}{pki.manufacturer_pem}"])
    root = x509.load_pem_x509_certificate(pki.root_pem.encode())
    name = hash_data(root, key_bits(root), algorithm)
    spelled = {"hashAlgorithm": algorithm, "issuerNameHash": name.issuer_name_hash.upper()}
    assert known.find({**spelled, "serialNumber": f"00{name.serial_number.upper()}"}) == facts_of(pki.root_pem)
    assert known.find({**spelled, "serialNumber": "1"}) is None


def test_what_is_no_certificate_is_left_out() -> None:
    assert KnownCertificates(["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", ""])._facts == {}
    with pytest.raises(ValueError, match="PEM"):
        facts_of("no certificate")
