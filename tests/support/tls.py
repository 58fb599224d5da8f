# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: one authority, a CSMS and a station under it, and a stranger; new ones in each folder.

`Trust` is the station's side of them: a store, and its TLS contexts.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware.factory_settings import NetworkProfile
from services.ocpp.certificates import CertificateStore
from services.ocpp.csms.tls import CIPHERS, TlsContexts
from tests.support.pki import Pki
from tools.pki import Authority, write_pair

__all__ = ["PROFILE_2", "PROFILE_3", "SUITES", "TODAY", "Trust", "contexts", "make_files", "server_context"]

SUITES = tuple(CIPHERS)[:2]
TODAY = datetime.now(UTC)
PROFILE_2 = NetworkProfile(slot=1, url="wss://localhost:1/ocpp", security_profile=2)
PROFILE_3 = NetworkProfile(slot=1, url="wss://localhost:1/ocpp", security_profile=3)


class Trust:
    """A store, and its TLS contexts."""

    def __init__(self, folder: Path) -> None:
        self.root = Pki(now=TODAY)
        self.store = CertificateStore(folder / "certificates")
        self.store.install_root("CSMSRootCertificate", self.root.pem, None)
        self.utc: float | None = TODAY.timestamp()
        self.wildcards = False
        self.contexts = TlsContexts(self.store, SUITES, utc=lambda: self.utc, wildcards=lambda: self.wildcards)
        self.folder = folder

    def server(self, issuer: Pki | None = None, **fields: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(issuer or self.root).server(self.folder, **fields))
        return context


def contexts(files: Path, folder: Path, *, ca: str = "root") -> TlsContexts:
    """The station's side of TLS, with the authority `ca` and the station certificate of `make_files`."""
    store = CertificateStore(folder)
    store.install_root("CSMSRootCertificate", (files / f"{ca}.pem").read_text(), None)
    store.station.adopt((files / "station.pem").read_text(), (files / "station.key").read_text())
    return TlsContexts(store, SUITES, utc=lambda: datetime.now(UTC).timestamp())


def make_files(folder: Path) -> Path:
    """Writes root.pem, other-root.pem and NAME.pem with NAME.key for csms (localhost), elsewhere, expired, station."""
    root = Authority("Test Root", "Test Operator")
    (folder / "root.pem").write_text(root.pem)
    (folder / "other-root.pem").write_text(Authority("Other Root", "Test Operator").pem)
    issued = {
        "csms": root.server("localhost"),
        "elsewhere": root.server("csms.example"),
        "expired": root.server("localhost", expired=True),
        "station": root.client("CP001", root.organization),
    }
    for name, one in issued.items():
        write_pair(folder, name, one.pem, one.key)
    return folder


def server_context(
    folder: Path, name: str = "csms", *, client_certificates: bool = False, client_ca: str = "root"
) -> ssl.SSLContext:
    """The CSMS's side of TLS, with one of the certificates of `make_files`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / f"{client_ca}.pem")
    return context
