# SPDX-License-Identifier: Apache-2.0
"""The authorities that certify file servers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate

from services.ocpp.transfer.trust import Trust
from tests.support.pki import Pki
from tests.support.tls import TODAY, make_files


def trusted(context: ssl.SSLContext) -> set[str]:
    """The names of its authorities."""
    certificates = [load_der_x509_certificate(der) for der in context.get_ca_certs(binary_form=True)]
    return {certificate.subject.rfc4514_string() for certificate in certificates}


async def test_the_operating_systems_and_the_csmss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N01.FR.15, N01.FR.16"""
    make_files(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other-root.pem"))
    context = await Trust(lambda: ["no certificate", (tmp_path / "root.pem").read_text()], lambda: None).context()
    assert trusted(context) == {"CN=Other Root,O=Test Operator", "CN=Test Root,O=Test Operator"}
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(("days_on", "welcome"), [(0, True), (30, False), (None, True)])
async def test_the_stations_clock_counts_and_not_the_systems(
    tmp_path: Path, days_on: int | None, welcome: bool
) -> None:
    """Where the CSMS is the only source of time, the board's own clock may be years behind."""
    root = Pki(now=TODAY)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*root.server(tmp_path, days=10))
    utc = None if days_on is None else (TODAY + timedelta(days=days_on)).timestamp()
    context = await Trust(lambda: [root.pem], lambda: utc).context()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        with contextlib.nullcontext() if welcome else pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
            writer.transport.abort()
