# SPDX-License-Identifier: Apache-2.0
"""Certificates over the administration socket: the rules of blocks A and M."""

from __future__ import annotations

from datetime import timedelta

import pytest

from firmware.contract.administration import (
    CertificateInfo,
    Certificates,
    DeleteCertificate,
    InstallChain,
    InstallRoot,
    ListCertificates,
    MakeSigningRequest,
    Problem,
    SigningRequest,
)
from firmware.ipc.administration import CommandRefused
from tests.support.administration import Site
from tests.support.pki import START, Pki


async def listed(site: Site) -> list[CertificateInfo]:
    return (await site.link.ask_for(ListCertificates(), Certificates)).certificates


async def test_a_root_is_installed_listed_and_deleted(site: Site) -> None:
    root = Pki("Operator Root")
    await site.link.ask(InstallRoot("csms", root.pem))
    await site.link.ask(InstallRoot("manufacturer", Pki("Maker Root").pem))
    first, second = await listed(site)
    assert (first.use, second.use) == ("csms", "manufacturer")
    assert "Operator Root" in first.subject
    assert first.subject == first.issuer
    assert first.not_after > first.not_before
    answer = site.bench.call("GetInstalledCertificateIds", {"certificateType": ["CSMSRootCertificate"]})
    (chain,) = answer["certificateHashDataChain"]
    assert chain["certificateHashData"] == {
        "hashAlgorithm": first.hash_algorithm,
        "issuerNameHash": first.issuer_name_hash,
        "issuerKeyHash": first.issuer_key_hash,
        "serialNumber": first.serial_number,
    }
    await site.link.ask(DeleteCertificate(first.fingerprint.upper()))
    assert await listed(site) == [second]


async def test_a_new_root_is_a_security_event(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.link.ask(InstallRoot("csms", Pki().pem))
    assert "security event ReconfigurationOfSecurityParameters" in caplog.text


@pytest.mark.parametrize(
    ("pem", "problem"),
    [
        ("", Problem.REFUSED),
        ("no certificate", Problem.REFUSED),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Problem.REFUSED),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Problem.REFUSED),
        ("x" * 20_000, Problem.BAD_REQUEST),
        ("<script>alert(1)</script>", Problem.REFUSED),
    ],
)
async def test_what_is_no_certificate_is_refused(site: Site, pem: str, problem: Problem) -> None:
    for command in (InstallRoot("csms", pem), InstallChain(pem)):
        with pytest.raises(CommandRefused) as caught:
            await site.link.ask(command)
        assert caught.value.problem is problem
        assert caught.value.detail
    assert await listed(site) == []


async def test_an_expired_root_is_refused(site: Site) -> None:
    with pytest.raises(CommandRefused, match="expired"):
        await site.link.ask(InstallRoot("csms", Pki(now=START - timedelta(days=9000)).pem))


async def request(site: Site) -> str:
    return (await site.link.ask_for(MakeSigningRequest(), SigningRequest)).pem


async def test_the_station_gets_a_certificate_and_its_key_stays(site: Site) -> None:
    root = Pki()
    await site.link.ask(InstallRoot("csms", root.pem))
    csr = await request(site)
    assert "PRIVATE KEY" not in csr
    await site.link.ask(InstallChain(root.sign_request(csr)))
    _, own = await listed(site)
    assert (own.use, own.state) == ("station", "in_use")
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(DeleteCertificate(own.fingerprint))
    assert caught.value.problem is Problem.REFUSED


async def test_a_chain_of_an_earlier_request_is_refused(site: Site) -> None:
    root = Pki()
    await site.link.ask(InstallRoot("csms", root.pem))
    earlier = await request(site)
    await request(site)
    with pytest.raises(CommandRefused, match="key"):
        await site.link.ask(InstallChain(root.sign_request(earlier)))


async def test_a_certificate_that_is_not_there_is_not_found(site: Site) -> None:
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(DeleteCertificate("00" * 32))
    assert caught.value.problem is Problem.NOT_FOUND
