# SPDX-License-Identifier: Apache-2.0
"""Block M: installing, listing and deleting root certificates (M03, M04, M05)."""

from __future__ import annotations

from tools.conformance.bench import certificates, reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.values import ABSENT
from tools.conformance.run.registry import case
from tools.pki import Authority, Issued, use_certificate

_CSMS = "CSMSRootCertificate"
_MANUFACTURER = "ManufacturerRootCertificate"
_PROFILE_2 = Preconditions(security_profile=2)


async def _install_and_find(t: Bench, *kinds: str, asked: tuple[str, ...] | None = None) -> None:
    """Installs roots of these kinds, and lists them with a request for the kinds `asked` (default: the same)."""
    roots = {
        kind: certificates.new_csms_root(t, "CSMS root 2") if kind == _CSMS else Authority("manufacturer root 2")
        for kind in kinds
    }
    for kind, root in roots.items():
        t.step(1)
        await reusable_states.certificate_installed(t, kind, root.pem)
    t.step(2)
    listed = await certificates.installed(t, kinds if asked is None else asked)
    for kind, root in roots.items():
        t.check(certificates.entry(kind, root) in listed, "M03.FR.04", f"the {kind} is not listed with its hash data")


@case("TC_M_01_CS", preconditions=_PROFILE_2)
async def tc_m_01_cs(t: Bench) -> None:
    """Red when: an accepted CSMS root is not listed afterwards."""
    await _install_and_find(t, _CSMS)


@case("TC_M_02_CS", preconditions=_PROFILE_2)
async def tc_m_02_cs(t: Bench) -> None:
    """Red when: a manufacturer root is not accepted, or listed under another type."""
    await _install_and_find(t, _MANUFACTURER)


@case("TC_M_07_CS", preconditions=_PROFILE_2)
async def tc_m_07_cs(t: Bench) -> None:
    """Red when: an expired root is installed."""
    expired = Authority("CSMS root, expired", expired=True)
    t.step(2)
    payload = {"certificateType": _CSMS, "certificate": expired.pem}
    await t.call("InstallCertificate", payload, {"status": "Rejected"}, req="M05.FR.07")
    t.step(4)
    listed = await certificates.installed(t, [_CSMS])
    t.check(listed, "M03.FR.03", "no CSMS root is listed any more")
    t.check(certificates.entry(_CSMS, expired) not in listed, "M05.FR.07", "the expired root is listed")


@case("TC_M_12_CS", preconditions=_PROFILE_2)
async def tc_m_12_cs(t: Bench) -> None:
    """Red when: the key hash is computed over the whole public key info instead of the key's bits."""
    await _install_and_find(t, _CSMS)


@case("TC_M_13_CS", preconditions=_PROFILE_2)
async def tc_m_13_cs(t: Bench) -> None:
    """Red when: manufacturer roots are not listed."""
    await _install_and_find(t, _MANUFACTURER)


@case("TC_M_17_CS", preconditions=_PROFILE_2)
async def tc_m_17_cs(t: Bench) -> None:
    """Red when: only the first of several requested certificate types is listed."""
    await _install_and_find(t, _CSMS, _MANUFACTURER)


@case("TC_M_18_CS", preconditions=_PROFILE_2)
async def tc_m_18_cs(t: Bench) -> None:
    """Red when: a request without types is answered with NotFound."""
    await _install_and_find(t, _CSMS, _MANUFACTURER, asked=())


@case("TC_M_19_CS", preconditions=_PROFILE_2)
async def tc_m_19_cs(t: Bench) -> None:
    """Red when: the answer for a type without certificates is an empty list instead of NotFound."""
    t.step(2)
    payload = {"certificateType": ["MORootCertificate"]}
    check = {"status": "NotFound", "certificateHashDataChain": ABSENT}
    await t.call("GetInstalledCertificateIds", payload, check, req="M03.FR.02")


@case("TC_M_20_CS", preconditions=_PROFILE_2)
async def tc_m_20_cs(t: Bench) -> None:
    """Red when: a deleted root is still listed."""
    root = t.csms_root
    assert root is not None
    t.step(1)
    listed = await certificates.installed(t, [_CSMS])
    t.check(certificates.entry(_CSMS, root) in listed, "M03.FR.04", "the factory's CSMS root is not listed")
    t.step(3)
    wanted = {"certificateHashData": certificates.hash_data(root.certificate, root.certificate)}
    await t.call("DeleteCertificate", wanted, {"status": "Accepted"}, req="M04.FR.02")
    t.step(4)
    t.check(
        certificates.entry(_CSMS, root) not in await certificates.installed(t, [_CSMS]),
        "M04.FR.02",
        "it is still listed",
    )


@case("TC_M_22_CS", preconditions=_PROFILE_2)
async def tc_m_22_cs(t: Bench) -> None:
    """Red when: deleting an unknown certificate is answered with Accepted or Failed."""
    t.step(1)
    await certificates.installed(t, [_CSMS])
    stranger = Authority("a stranger")
    t.step(3)
    wanted = {"certificateHashData": certificates.hash_data(stranger.certificate, stranger.certificate)}
    await t.call("DeleteCertificate", wanted, {"status": "NotFound"}, req="M04.FR.04")


@case("TC_M_23_CS", preconditions=Preconditions(security_profile=3))
async def tc_m_23_cs(t: Bench) -> None:
    """Red when: the station certificate can be deleted over OCPP."""
    renewal = await certificates.renewed(t)
    assert t.csms_root is not None
    t.step(1)
    await certificates.installed(t)
    t.step(3)
    wanted = {"certificateHashData": certificates.hash_data(renewal.certificate, t.csms_root.certificate)}
    await t.call("DeleteCertificate", wanted, {"status": ("NotFound", "Failed")}, req="M04.FR.06")
    t.step("post")
    tries = len(t.csms.attempts)
    await t.hang_up()
    attempt = await t.attempt(tries)
    t.check(attempt.client_certificate == renewal.der, "M04.FR.06", "the station certificate is gone")


# -- M05: AdditionalRootCertificateCheck -------------------------------------------------------------------------------


@case("TC_M_09_CS", preconditions=_PROFILE_2)
async def tc_m_09_cs(t: Bench) -> None:
    """Red when: a root that the old one has not signed is installed."""
    old = t.csms_root
    assert old is not None
    t.step(2)
    payload = {"certificateType": _CSMS, "certificate": Authority("CSMS root 2").pem}
    await t.call("InstallCertificate", payload, {"status": "Rejected"}, req="M05.FR.11")
    t.step(4)
    listed = await certificates.installed(t, [_CSMS])
    t.check(listed == [certificates.entry(_CSMS, old)], "M05.FR.11", "not the old CSMS root alone is listed")


async def _successor_installed(t: Bench) -> tuple[Authority, Authority]:
    """CertificatesInstalled with a CSMS root that the old one has signed; returns the old and the new one."""
    old = t.csms_root
    assert old is not None
    new = Authority("CSMS root 2", signer=old)
    await reusable_states.certificate_installed(t, _CSMS, new.pem)
    return old, new


async def _boots_with(t: Bench, server: Issued, req: str) -> None:
    """Steps 1 to 5: a reset, and the station boots at a CSMS that presents `server`."""
    assert t.main.tls is not None
    use_certificate(t.main.tls, server, t.folder)
    tries = len(t.csms.attempts)
    t.step(2)
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Accepted"}, req="B11.FR.03")
    t.step(4)
    await t.attempt(tries, within=60)
    await t.connected(within=60, req=req)
    t.step(5)
    await t.expect("BootNotification", req="B01.FR.01", within=30)
    await reusable_states.statuses_after_boot(t)


@case("TC_M_30_CS", preconditions=Preconditions(security_profile=3), limit_s=120)
async def tc_m_30_cs(t: Bench) -> None:
    """Red when: the old root is kept although the CSMS has presented a certificate of the new one."""
    old, new = await _successor_installed(t)
    t.csms_root = new
    assert t.main.tls is not None
    t.main.tls.load_verify_locations(cadata=new.pem)
    await certificates.renewed(t)
    await _boots_with(t, new.server(), "M05.FR.13")
    t.step(7)
    listed = await certificates.installed(t, [_CSMS])
    t.check(certificates.entry(_CSMS, old) not in listed, "M05.FR.13", "the old CSMS root is still listed")
    t.check(certificates.entry(_CSMS, new) in listed, "M05.FR.12", "the new CSMS root is not listed")


@case("TC_M_31_CS", preconditions=_PROFILE_2, limit_s=120)
async def tc_m_31_cs(t: Bench) -> None:
    """Red when: the old root is removed as soon as the new one is installed."""
    old, new = await _successor_installed(t)
    await _boots_with(t, old.server(), "M05.FR.14")
    t.step(8)
    listed = await certificates.installed(t, [_CSMS])
    t.check(certificates.entry(_CSMS, old) in listed, "M05.FR.14", "the old CSMS root is not listed any more")
    t.check(certificates.entry(_CSMS, new) in listed, "M05.FR.12", "the new CSMS root is not listed")
