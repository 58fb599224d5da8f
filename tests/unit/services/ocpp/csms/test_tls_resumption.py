# SPDX-License-Identifier: Apache-2.0
"""Resumed sessions: real handshakes, and the checks that a resumption must not bypass."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from firmware.factory_settings import NetworkProfile
from tests.support.pki import Pki
from tests.support.tls import PROFILE_2, PROFILE_3, TODAY, Trust

KIND: Final = "CSMSRootCertificate"
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


class Csms:
    """Answers a byte with a byte; `resumed` has for each handshake whether it resumed a session."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.resumed: list[bool] = []

    async def visit(self, trust: Trust, profile: NetworkProfile = PROFILE_2, host: str = "localhost") -> bool:
        """One connection. Returns whether the station's side was resumed."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=trust.contexts(profile), server_hostname=host
        )
        writer.write(b"?")
        assert await reader.readexactly(1) == b"!"
        peer: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return bool(peer.session_reused)


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[Csms]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        csms.resumed.append(bool(writer.get_extra_info("ssl_object").session_reused))
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.write(b"!")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        csms = Csms(server.sockets[0].getsockname()[1])
        yield csms


@VERSIONS
async def test_each_connection_resumes_the_one_before(trust: Trust, version: ssl.TLSVersion) -> None:
    server = trust.server()
    server.maximum_version = version
    async with listening(server) as csms:
        assert [await csms.visit(trust) for _ in range(4)] == [False, True, True, True]
        assert csms.resumed == [False, True, True, True]
    assert len(trust.contexts.verified_by) == 2, "the chain of the first handshake is that of the later ones"


async def test_sessions_without_tickets(trust: Trust) -> None:
    server = trust.server()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.options |= ssl.OP_NO_TICKET
    async with listening(server) as csms:
        assert [await csms.visit(trust) for _ in range(3)] == [False, True, True]


async def test_a_csms_that_gives_no_sessions(trust: Trust) -> None:
    server = trust.server()
    server.num_tickets = 0
    async with listening(server) as csms:
        assert [await csms.visit(trust) for _ in range(2)] == [False, False]


@VERSIONS
async def test_a_csms_that_has_lost_the_session(trust: Trust, version: ssl.TLSVersion) -> None:
    for _ in range(2):
        server = trust.server()
        server.maximum_version = version
        async with listening(server) as csms:
            assert not await csms.visit(trust)


@VERSIONS
async def test_periods_are_checked_again(trust: Trust, version: ssl.TLSVersion) -> None:
    server = trust.server(days=10)
    server.maximum_version = version
    async with listening(server) as csms:
        await csms.visit(trust)
        trust.utc = (TODAY + timedelta(days=30)).timestamp()
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):  # A00.FR.310, A00.FR.311
            await csms.visit(trust)
        trust.utc = TODAY.timestamp()
        assert not await csms.visit(trust), "what was refused is not built on"


async def test_the_period_of_an_intermediate_counts_too(trust: Trust) -> None:
    """It is not part of a resumed handshake, but of the kept chain."""
    middle = Pki("Sub-CA", now=TODAY - timedelta(days=3640), parent=trust.root)
    middle.now = TODAY
    async with listening(trust.server(middle)) as csms:
        await csms.visit(trust)
        trust.utc = (TODAY + timedelta(days=30)).timestamp()
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await csms.visit(trust)


async def test_a_certificate_accepted_without_a_clock_is_refused_once_it_is_set(trust: Trust) -> None:
    trust.utc = None
    async with listening(trust.server(starts=-20, days=10)) as csms:
        await csms.visit(trust)
        trust.utc = TODAY.timestamp()
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await csms.visit(trust)


async def test_wildcards_are_checked_again(trust: Trust) -> None:
    trust.wildcards = True
    async with listening(trust.server(host="*.example.com")) as csms:
        await csms.visit(trust, host="csms.example.com")
        trust.wildcards = False
        with pytest.raises(ssl.SSLCertVerificationError, match="wildcard"):
            await csms.visit(trust, host="csms.example.com")


async def test_a_deleted_root_ends_its_sessions(trust: Trust) -> None:
    async with listening(trust.server()) as csms:
        await csms.visit(trust)
        assert trust.store.delete(trust.store.roots(KIND)[0].hash_data()) == "Accepted"
        with pytest.raises(ssl.SSLCertVerificationError, match="issuer"):
            await csms.visit(trust)


async def test_a_session_of_a_connection_that_is_older_than_the_change(trust: Trust) -> None:
    """It is still open while the root is deleted, and keeps reading: its session must not be used again."""
    async with listening(trust.server()) as csms:
        context = trust.contexts(PROFILE_2)
        reader, writer = await asyncio.open_connection("127.0.0.1", csms.port, ssl=context, server_hostname="localhost")
        assert trust.store.delete(trust.store.roots(KIND)[0].hash_data()) == "Accepted"
        writer.write(b"?")
        assert await reader.readexactly(1) == b"!"
        writer.transport.abort()
        with pytest.raises(ssl.SSLCertVerificationError, match="issuer"):
            await csms.visit(trust)


@pytest.mark.parametrize(
    "other",
    [PROFILE_3, NetworkProfile(slot=2, url="wss://localhost:2/ocpp", security_profile=2)],
    ids=["profile 3", "another endpoint"],
)
async def test_another_profile_starts_a_new_session(trust: Trust, other: NetworkProfile) -> None:
    csr = trust.store.station.request("SN-1", "Operator")
    trust.store.station.install_chain(trust.root.sign_request(csr), None, "SN-1")
    async with listening(trust.server()) as csms:
        await csms.visit(trust)
        assert not await csms.visit(trust, other)
        assert await csms.visit(trust, other)


async def test_a_new_station_certificate_is_presented(trust: Trust) -> None:
    """A02.FR.08: a resumed handshake would keep the identity of the old one."""
    trust.store.station.install_chain(trust.root.sign_request(trust.store.station.request("SN-1", "O")), None, "SN-1")
    async with listening(trust.server()) as csms:
        await csms.visit(trust, PROFILE_3)
        trust.store.station.install_chain(
            trust.root.sign_request(trust.store.station.request("SN-1", "O")), None, "SN-1"
        )
        assert not await csms.visit(trust, PROFILE_3)


async def test_a_host_of_another_name_gets_no_session(trust: Trust) -> None:
    trust.wildcards = True
    async with listening(trust.server(host="*.example.com")) as csms:
        await csms.visit(trust, host="one.example.com")
        assert not await csms.visit(trust, host="two.example.com")
