# SPDX-License-Identifier: Apache-2.0
"""An endpoint with TLS records every attempt, also one that ends in the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tools.conformance.peer.csms import Csms
from tools.conformance.peer.endpoint import Endpoint
from tools.conformance.peer.transcript import Transcript
from tools.pki import Authority, server_context, use_certificate


@pytest.fixture
def root() -> Authority:
    return Authority("Root")


@pytest.fixture
async def csms() -> AsyncIterator[Csms]:
    now = asyncio.get_running_loop().time
    csms = Csms(Transcript(now), lambda *_: None, now, "CP001")
    yield csms
    await csms.close()


async def _endpoint(csms: Csms, root: Authority, folder: Path) -> Endpoint:
    return await csms.open_endpoint("main", password=None, tls=server_context(root.server(), folder))


def _trusting(root: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=root.pem)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def _outcomes(csms: Csms, count: int) -> list[str]:
    async with asyncio.timeout(5):
        while len(csms.attempts) < count:
            await csms.inbox.changed(0.05)
    return [attempt.outcome for attempt in csms.attempts]


async def test_one_that_succeeds(csms: Csms, root: Authority, tmp_path: Path) -> None:
    endpoint = await _endpoint(csms, root, tmp_path)
    async with connect(f"{endpoint.url}/CP001", ssl=_trusting(root), subprotocols=[Subprotocol("ocpp2.0.1")]):
        assert await _outcomes(csms, 1) == ["accept"]
    assert csms.attempts[0].tls_version == "TLSv1.3"
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in csms.attempts[0].shared_ciphers


async def test_one_that_does_not_trust_the_root(csms: Csms, root: Authority, tmp_path: Path) -> None:
    endpoint = await _endpoint(csms, root, tmp_path)
    with pytest.raises(ssl.SSLError):
        await connect(f"{endpoint.url}/CP001", ssl=_trusting(Authority("Another")))
    assert await _outcomes(csms, 1) == ["tls"]
    assert csms.attempts[0].tls_failure


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_one_that_closes_without_a_request(
    csms: Csms, root: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    endpoint = await _endpoint(csms, root, tmp_path)
    context = _trusting(root)
    context.maximum_version = version
    _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port, ssl=context, server_hostname="localhost")
    writer.transport.abort()
    assert await _outcomes(csms, 1) == ["tls"]


async def test_one_without_any_data(csms: Csms, root: Authority, tmp_path: Path) -> None:
    endpoint = await _endpoint(csms, root, tmp_path)
    _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert await _outcomes(csms, 1) == ["tls"]


async def test_another_certificate_from_the_next_handshake_on(csms: Csms, root: Authority, tmp_path: Path) -> None:
    endpoint = await _endpoint(csms, root, tmp_path)
    assert endpoint.tls is not None
    use_certificate(endpoint.tls, Authority("Another").server(), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(f"{endpoint.url}/CP001", ssl=_trusting(root))
    assert await _outcomes(csms, 1) == ["tls"]
