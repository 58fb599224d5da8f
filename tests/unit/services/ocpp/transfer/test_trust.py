# SPDX-License-Identifier: Apache-2.0
"""Whom file servers are certified by."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate

from services.ocpp.transfer.trust import file_server_context
from tests.support.tls import make_files


def trusted(context: ssl.SSLContext) -> set[str]:
    """The names of its authorities."""
    certificates = [load_der_x509_certificate(der) for der in context.get_ca_certs(binary_form=True)]
    return {certificate.subject.rfc4514_string() for certificate in certificates}


def test_the_operating_systems_and_the_csmss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N01.FR.15, N01.FR.16"""
    make_files(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other-root.pem"))
    context = file_server_context(["no certificate", (tmp_path / "root.pem").read_text()])
    assert trusted(context) == {"CN=Other Root", "CN=Test Root"}
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
