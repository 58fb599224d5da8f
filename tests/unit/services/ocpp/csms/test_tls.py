# SPDX-License-Identifier: Apache-2.0
"""What a TLS scanner sees of the station, and which CSMSs it accepts: real handshakes over the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import weakref
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from firmware import product
from firmware.errors import ConfigError, StorageError
from firmware.factory_settings import NetworkProfile
from services.ocpp.certificates import CertificateError
from services.ocpp.csms.tls import CIPHERS, TlsContexts
from tests.support.pki import Pki
from tests.support.tls import PROFILE_2, PROFILE_3, SUITES, TODAY, Trust

KIND: Final = "CSMSRootCertificate"


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


@contextlib.asynccontextmanager
async def _listening(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server and what it has received, so that a test can check that nothing was sent to it."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            received.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], received


async def _connect(
    trust: Trust, server: ssl.SSLContext, host: str = "localhost", profile: NetworkProfile = PROFILE_2
) -> ssl.SSLObject:
    """A handshake and a byte; raises what the station's side raised."""
    async with _listening(server) as (port, received):
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust.contexts(profile), server_hostname=host
            )
        except ssl.SSLError:
            await asyncio.sleep(0)
            assert not any(received), "something was sent to a CSMS that is not trusted"
            raise
        peer: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.write(b"!")
        await writer.drain()
        writer.transport.abort()
        return peer


async def _refused(trust: Trust, server: ssl.SSLContext, host: str = "localhost") -> str:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        await _connect(trust, server, host)
    return str(caught.value.verify_message)


# -- versions and suites ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_supported_versions(trust: Trust, version: ssl.TLSVersion) -> None:
    server = trust.server()
    server.minimum_version = server.maximum_version = version  # A00.FR.313
    assert (await _connect(trust, server)).version() == version.name.replace("_", ".")


@pytest.mark.parametrize("suite", SUITES)
async def test_each_suite_of_the_product(trust: Trust, suite: str) -> None:
    server = trust.server()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers(CIPHERS[suite])  # A00.FR.319
    cipher = (await _connect(trust, server)).cipher()
    assert cipher is not None
    assert cipher[0] == CIPHERS[suite]


def test_nothing_else_is_offered(trust: Trust) -> None:
    context = trust.contexts(PROFILE_2)
    old = {one["name"] for one in context.get_ciphers() if one["protocol"] != "TLSv1.3"}
    assert old == {CIPHERS[suite] for suite in SUITES}
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION  # A00.FR.321
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.security_level >= 2  # A00.FR.501
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


class ClientHello:
    """What a scanner reads in the first message (RFC 5246, 7.4.1.2; RFC 8446, 4.1.2)."""

    def __init__(self, record: bytes) -> None:
        assert record[0] == 22
        self._rest = record[9:]  # record and handshake headers
        self.version = self._take(2).hex()
        self._take(32)
        self._vector(1)
        suites = self._vector(2)
        self.suites = [suites[place : place + 2].hex() for place in range(0, len(suites), 2)]
        self.compression = self._vector(1)
        self.extensions: dict[int, bytes] = {}
        self._rest = self._vector(2)
        while self._rest:
            kind = int.from_bytes(self._take(2), "big")
            self.extensions[kind] = self._vector(2)

    def _take(self, size: int) -> bytes:
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _vector(self, width: int) -> bytes:
        return self._take(int.from_bytes(self._take(width), "big"))


def _hello(context: ssl.SSLContext) -> ClientHello:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="csms.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return ClientHello(outgoing.read())


ECDHE, RSA = {"c02b", "c02c"}, {"009c", "009d"}
TLS_1_3 = {"1301", "1302", "1303"}
SIGNALLING = {"00ff"}  # RFC 5746: no renegotiation without binding, and we have none at all


@pytest.mark.parametrize(("name", "suites"), [("c7am-400-cc", ECDHE), ("full", ECDHE | RSA)])
def test_what_a_scanner_sees(trust: Trust, name: str, suites: set[str]) -> None:
    ciphers = product.load(name).features.cipher_suites
    hello = _hello(TlsContexts(trust.store, ciphers, utc=lambda: trust.utc)(PROFILE_2))
    assert set(hello.suites) == suites | TLS_1_3 | SIGNALLING  # A00.FR.319, A00.FR.320, A00.FR.422, A00.FR.423
    assert hello.version == "0303"
    assert hello.extensions[43] == bytes.fromhex("0403040303")  # 1.3 and 1.2: A00.FR.313, A00.FR.416
    assert hello.compression == b"\0"  # none: A00.FR.321, A00.FR.424
    assert b"csms.example.com" in hello.extensions[0]
    assert {15, 42, 65281}.isdisjoint(hello.extensions), "heartbeat, early data or renegotiation is offered"
    schemes = hello.extensions[13][2:]
    hashes_used = {schemes[place] for place in range(0, len(schemes), 2)}
    assert not hashes_used.intersection({1, 2}), "signatures with MD5 or SHA-1 are accepted"  # A00.FR.504


@pytest.mark.parametrize("suite", tuple(CIPHERS)[2:])
async def test_the_pair_for_rsa_where_the_product_has_it(trust: Trust, suite: str) -> None:
    server = trust.server(key=rsa.generate_private_key(65537, 2048))
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers(CIPHERS[suite])
    with pytest.raises(OSError):
        await _connect(trust, server)
    ciphers = product.load("full").features.cipher_suites
    trust.contexts = TlsContexts(trust.store, ciphers, utc=lambda: trust.utc)
    cipher = (await _connect(trust, server)).cipher()
    assert cipher is not None
    assert cipher[0] == CIPHERS[suite]  # A00.FR.319, A00.FR.422


@pytest.mark.parametrize(
    "suites", ["ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256"]
)
async def test_a_server_with_other_suites_is_refused(trust: Trust, suites: str) -> None:
    server = trust.server(key=rsa.generate_private_key(65537, 2048) if "ECDHE-RSA" in suites else None)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers(suites)
    with pytest.raises(OSError):
        await _connect(trust, server)


def test_a_suite_that_ocpp_does_not_define_is_an_error_in_the_product(trust: Trust) -> None:
    with pytest.raises(ConfigError, match="TLS_NULL"):
        TlsContexts(trust.store, ["TLS_NULL"], utc=lambda: None)


# -- who is trusted --------------------------------------------------------------------------------------------------


async def test_the_csms_with_a_certificate_of_our_root(trust: Trust) -> None:
    await _connect(trust, trust.server())
    assert len(trust.contexts.verified_by) == 2


async def test_intermediates_come_from_the_csms(trust: Trust) -> None:
    await _connect(trust, trust.server(Pki("Sub-CA", now=TODAY, parent=trust.root)))


async def test_a_name_that_is_only_the_common_name(trust: Trust) -> None:
    await _connect(trust, trust.server(alternative=None))  # A00.FR.309, A00.FR.510


async def test_a_stranger(trust: Trust) -> None:
    assert "issuer" in await _refused(trust, trust.server(Pki("Stranger", now=TODAY)))


async def test_self_signed(trust: Trust) -> None:
    stranger = Pki("localhost", now=TODAY)
    assert "self-signed" in await _refused(trust, _self_signed(trust, stranger))


def _self_signed(trust: Trust, own: Pki) -> ssl.SSLContext:
    """Two files by hand: the authority's own certificate is the server's."""
    chain, key = trust.folder / "own.pem", trust.folder / "own.key"
    chain.write_text(own.pem)
    key.write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


async def test_a_root_of_the_same_name_with_another_key(trust: Trust) -> None:
    assert "failure" in await _refused(trust, trust.server(Pki("Test Root", now=TODAY)))


async def test_a_manufacturer_root_does_not_count(trust: Trust) -> None:
    maker = Pki("Maker", now=TODAY)
    trust.store.install_root("ManufacturerRootCertificate", maker.pem, None)
    assert "issuer" in await _refused(trust, trust.server(maker))


async def test_without_any_root_no_csms_is_trusted(trust: Trust) -> None:
    assert trust.store.delete(trust.store.roots(KIND)[0].hash_data()) == "Accepted"
    assert "issuer" in await _refused(trust, trust.server())


async def test_another_host(trust: Trust) -> None:
    assert "ostname" in await _refused(trust, trust.server(host="csms.example.com"))


async def test_an_address_is_a_name_when_the_certificate_has_it(trust: Trust) -> None:
    await _connect(trust, trust.server(), "127.0.0.1")  # A00.FR.412
    assert "ddress mismatch" in await _refused(trust, trust.server(), "127.0.0.2")
    assert "ddress mismatch" in await _refused(trust, trust.server(alternative=None, host="127.0.0.1"), "127.0.0.1")


async def test_capitals_make_no_other_name(trust: Trust) -> None:
    await _connect(trust, trust.server(), "LocalHost")


async def test_the_common_name_does_not_count_beside_others(trust: Trust) -> None:
    server = trust.server(host="csms.example.com", alternative="www.example.com")
    assert "ostname mismatch" in await _refused(trust, server, "csms.example.com")  # RFC 2818, 3.1


async def test_an_endless_chain_is_not_read_to_its_end(trust: Trust) -> None:
    chain, key = trust.root.server(trust.folder)
    certificate = chain.read_text()
    others = "".join(Pki(f"Sub-CA {number}", now=TODAY).pem for number in range(8))
    chain.write_text(certificate + others * 40)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    with pytest.raises(OSError):
        await _connect(trust, server)


async def test_a_weak_key_of_the_csms(trust: Trust) -> None:
    with pytest.raises(OSError):
        await _connect(trust, trust.server(key=rsa.generate_private_key(65537, 1024)))


async def test_wildcards_only_where_they_are_allowed(trust: Trust) -> None:
    server = trust.server(host="*.example.com")
    assert "wildcard" in await _refused(trust, server, "csms.example.com")  # part 2, AllowCSMSTLSWildcards
    trust.wildcards = True
    await _connect(trust, server, "csms.example.com")


async def test_a_wildcard_in_the_common_name(trust: Trust) -> None:
    assert "wildcard" in await _refused(trust, trust.server(host="*.example.com", alternative=None), "csms.example.com")


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("starts", "days", "reason"), [(-20, 10, "expired"), (1, 10, "not yet valid")])
async def test_periods(trust: Trust, starts: float, days: float, reason: str, version: ssl.TLSVersion) -> None:
    server = trust.server(starts=starts, days=days)
    server.maximum_version = version
    assert reason in await _refused(trust, server)


async def test_an_expired_intermediate(trust: Trust) -> None:
    middle = Pki("Sub-CA", now=TODAY - timedelta(days=8000), parent=trust.root)
    middle.now = TODAY
    assert "expired" in await _refused(trust, trust.server(middle))


async def test_the_stations_clock_counts_and_not_the_systems(trust: Trust) -> None:
    server = trust.server(starts=1, days=10)
    trust.utc = (TODAY + timedelta(days=2)).timestamp()
    await _connect(trust, server)
    trust.utc = (TODAY + timedelta(days=30)).timestamp()
    assert "expired" in await _refused(trust, server)


async def test_the_period_in_which_the_csms_would_be_accepted(trust: Trust) -> None:
    await _connect(trust, trust.server(starts=-0.5, days=10))
    period = int((TODAY - timedelta(days=0.5)).timestamp()), int((TODAY + timedelta(days=9.5)).timestamp())
    assert trust.contexts.period == period
    await _refused(trust, trust.server(starts=-20, days=10))
    assert trust.contexts.period == period


async def test_an_unset_clock_decides_nothing(trust: Trust) -> None:
    trust.utc = None
    await _connect(trust, trust.server(starts=1))
    await _connect(trust, trust.server())
    assert "expired" in await _refused(trust, trust.server(starts=-6000, days=10))


# -- profile 3 and the life of contexts ------------------------------------------------------------------------------


async def test_the_station_presents_its_certificate(trust: Trust) -> None:
    csr = trust.store.station.request("SN-1", "Operator")
    trust.store.station.install_chain(trust.root.sign_request(csr), None, "SN-1")
    server = trust.server()
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=trust.root.pem)
    await _connect(trust, server, profile=PROFILE_3)  # A00.FR.402


async def test_without_one_profile_3_is_not_even_tried(trust: Trust) -> None:
    with pytest.raises(CertificateError, match="no charging station certificate"):
        trust.contexts(PROFILE_3)


def test_a_context_is_kept_until_a_certificate_changes(trust: Trust) -> None:
    first = trust.contexts(PROFILE_2)
    assert trust.contexts(PROFILE_2) is first
    trust.store.install_root(KIND, Pki("Second", now=TODAY).pem, None)
    assert trust.contexts(PROFILE_2) is not first


def test_contexts_do_not_pile_up(trust: Trust) -> None:
    made: weakref.WeakSet[ssl.SSLContext] = weakref.WeakSet()
    for _ in range(20):
        made.add(trust.contexts(PROFILE_2))
        trust.store.station.generation += 1
    gc.collect()
    assert len(made) == 1


async def test_a_new_root_is_trusted_at_once(trust: Trust) -> None:
    other = Pki("Second", now=TODAY)
    await _refused(trust, trust.server(other))
    trust.store.install_root(KIND, other.pem, None)
    await _connect(trust, trust.server(other))


async def test_the_replaced_root_is_removed_once_its_successor_works(trust: Trust) -> None:
    successor = Pki("Successor", now=TODAY, parent=trust.root)
    trust.store.install_root(KIND, successor.pem, None, signed_by_old=True)
    await _connect(trust, trust.server())  # M05.FR.14: the old one still counts
    trust.contexts.connected()
    assert len(trust.store.roots(KIND)) == 2
    await _connect(trust, trust.server(successor))
    trust.contexts.connected()
    assert [one.pem for one in trust.store.roots(KIND)] == [successor.pem]  # M05.FR.13


async def test_where_the_replaced_root_no_longer_counts(trust: Trust) -> None:
    """M05.FR.15: another CSMS has to use the successor; M05.FR.16: the old one may keep its certificate."""
    successor = Pki("Successor", now=TODAY, parent=trust.root)
    trust.store.install_root(KIND, successor.pem, None, signed_by_old=True)
    elsewhere = NetworkProfile(slot=2, url="wss://localhost:2/ocpp", security_profile=2)
    contexts = TlsContexts(trust.store, SUITES, utc=lambda: trust.utc, fallback=lambda profile: profile is PROFILE_2)
    trust.contexts = contexts
    with pytest.raises(ssl.SSLCertVerificationError):
        await _connect(trust, trust.server(), profile=elsewhere)
    await _connect(trust, trust.server(), profile=PROFILE_2)
    await _connect(trust, trust.server(successor), profile=elsewhere)


async def test_a_root_that_can_not_be_removed_ends_nothing(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise StorageError("gone")

    successor = Pki("Successor", now=TODAY, parent=trust.root)
    trust.store.install_root(KIND, successor.pem, None, signed_by_old=True)
    await _connect(trust, trust.server(successor))
    monkeypatch.setattr(trust.store, "drop_fallback", broken)
    trust.contexts.connected()
    monkeypatch.undo()
    trust.contexts.connected()
    assert len(trust.store.roots(KIND)) == 1
