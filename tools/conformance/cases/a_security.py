# SPDX-License-Identifier: Apache-2.0
"""Block A, security: passwords, TLS, and the station's certificate (A00, A01, A02)."""

from __future__ import annotations

import asyncio
import base64
import string

from cryptography import x509
from cryptography.x509.oid import NameOID

from tools.conformance.bench import certificates, reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.values import any_of
from tools.conformance.peer.endpoint import Attempt, OnConnect
from tools.conformance.run.registry import case
from tools.pki import Authority, Issued, use_certificate

_PASSWORD_CHARACTERS = frozenset(string.ascii_letters + string.digits + "*-_=:+|@.")
_SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
_NEW_PASSWORD = "a-new-Password_2027+"


# -- A00, A01: passwords -------------------------------------------------------------------------------------------


def _check_basic(t: Bench, attempt: Attempt, password: str) -> None:
    """The Authorization header: Basic, the identity, the password as UTF-8."""
    scheme, _, coded = attempt.headers.get("authorization", "").partition(" ")
    t.check(scheme == "Basic", "A00.FR.202", f"the Authorization header's scheme is {scheme!r}")
    name, _, sent = base64.b64decode(coded).decode().partition(":")
    t.check(attempt.path.endswith("/" + name), "A00.FR.204", "the user name is not the identity in the URL")
    t.check(sent == password, "A00.FR.205", "the password is not the configured one")
    good = 16 <= len(sent) <= 40 and _PASSWORD_CHARACTERS.issuperset(sent)
    t.check(good, "A00.FR.205", "the password is not a passwordString of 16 to 40 characters")


async def _set_password(t: Bench, value: str, status: str | tuple[str, ...], req: str) -> None:
    data = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": value}
    check = {"setVariableResult.0.attributeStatus": any_of(status) if isinstance(status, str) else any_of(*status)}
    await t.call("SetVariables", {"setVariableData": [data]}, check, req=req)


@case("TC_A_01_CS")
async def tc_a_01_cs(t: Bench) -> None:
    """Red when: the password is sent in hexadecimal, as in OCPP 1.6."""
    tries = len(t.csms.attempts)
    t.step(1)
    await reusable_states.booted(t)
    _check_basic(t, t.csms.attempts[tries], t.fixtures.password)


@case("TC_A_09_CS")
async def tc_a_09_cs(t: Bench) -> None:
    """Red when: the new password is used only after the next boot."""
    tries = len(t.csms.attempts)
    t.main.password = _NEW_PASSWORD
    t.step(2)
    await _set_password(t, _NEW_PASSWORD, ("Accepted", "RebootRequired"), "A01.FR.02")
    t.step(3)
    _check_basic(t, await t.attempt(tries, req="A01.FR.03"), _NEW_PASSWORD)
    await t.connected(req="A01.FR.03")


@case("TC_A_10_CS")
async def tc_a_10_cs(t: Bench) -> None:
    """Red when: a password of 15 characters is accepted, or the old one is lost."""
    t.step(2)
    await _set_password(t, "fifteenletters1", "Rejected", "A01.FR.04")
    t.step(3)
    tries = len(t.csms.attempts)
    await t.hang_up()
    _check_basic(t, await t.attempt(tries), t.fixtures.password)
    await t.connected()
    t.step(5)
    await reusable_states.booted(t)


# -- A00: TLS ----------------------------------------------------------------------------------------------------------


def _check_tls(t: Bench, attempt: Attempt) -> None:
    t.check(attempt.tls_version in ("TLSv1.2", "TLSv1.3"), "A00.FR.313", f"TLS version {attempt.tls_version}")
    missing = [suite for suite in _SUITES if suite not in attempt.shared_ciphers]
    t.check(not missing, "A00.FR.319", f"cipher suites that are not offered: {missing}")


async def _boots_over_tls(t: Bench) -> Attempt:
    """Booting, then a handshake, the BootNotification and every connector's status."""
    tries = len(t.csms.attempts)
    await reusable_states.booting(t)
    t.step(5)
    attempt = await t.attempt(tries)
    _check_tls(t, attempt)
    t.step(7)
    await t.expect("BootNotification", req="B01.FR.01", within=30)
    t.step(9)
    await reusable_states.statuses_after_boot(t)
    return attempt


@case("TC_A_04_CS", preconditions=Preconditions(security_profile=2))
async def tc_a_04_cs(t: Bench) -> None:
    """Red when: one of the two mandatory cipher suites is not offered."""
    _check_basic(t, await _boots_over_tls(t), t.fixtures.password)


@case("TC_A_05_CS", preconditions=Preconditions(security_profile=2), limit_s=180)
async def tc_a_05_cs(t: Bench) -> None:
    """Red when: an expired certificate is accepted, or the security event is missing.

    The wildcard certificate of the erratum is not tested here: `localhost`, the only name that every laptop resolves,
    has no domain for a wildcard. The station's unit tests have it.
    """
    root = t.csms_root
    assert root is not None
    await t.configure({"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "3"})
    await t.configure({"SecurityCtrlr.AllowCSMSTLSWildcards": "false"}, if_implemented=True)
    good = root.server()
    for name, bad in (
        ("expired", root.server(expired=True)),
        ("valid from tomorrow on", root.server(future=True)),
        ("signed by an unknown root", Authority(root_name := "CSMS root 1").server()),
        ("for another host", root.server("csms.example.com")),
    ):
        t.transcript.add("tool", "present", name, root_name if name == "signed by an unknown root" else None)
        await _refuses(t, bad, good, name)


async def _refuses(t: Bench, bad: Issued, good: Issued, name: str) -> None:
    """Steps 4 to 11: the station ends the handshake with `bad`, and reports it when it is connected with `good`."""
    assert t.main.tls is not None
    t.step(7)
    use_certificate(t.main.tls, bad, t.folder)
    tries, mark = len(t.csms.attempts), t.mark()
    await t.hang_up()
    attempt = await t.attempt(tries)
    t.check(attempt.outcome == "tls", "A00.FR.311", f"the handshake with a certificate {name} was completed")
    t.step(8)
    use_certificate(t.main.tls, good, t.folder)
    await t.connected(within=60)
    t.step(11)
    event = {"type": "InvalidCsmsCertificate"}
    await t.expect("SecurityEventNotification", where=event, since=mark, req="A00.FR.310")


@case("TC_A_06_CS", preconditions=Preconditions(security_profile=2), limit_s=120)
async def tc_a_06_cs(t: Bench) -> None:
    """Red when: the station accepts TLS 1.1 from a CSMS that has nothing newer."""
    await t.configure({"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "1"})
    mark, port = t.mark(), t.main.port
    t.step(1)
    await reusable_states.booting(t)
    await t.until(lambda: t.csms.connection is None, text="the station disconnects")
    await t.main.close()
    t.step(3)
    async with asyncio.timeout(60):
        answered = await _answer_with_tls_1_1(t.main.host, port)
    t.check(answered, "A00.FR.316", "the station continued with TLS 1.1")
    await t.main.open(port)
    t.step(10)
    await t.expect("BootNotification", req="B01.FR.01", within=60)
    t.step(12)
    await reusable_states.statuses_after_boot(t)
    t.step(16)
    event = {"type": "InvalidTLSVersion"}
    await t.expect("SecurityEventNotification", where=event, since=mark, req="A00.FR.316")


async def _answer_with_tls_1_1(host: str, port: int) -> bool:
    """Answers the first client with a ServerHello of TLS 1.1, as literal bytes: today's libraries no longer have it.

    Returns whether the client ended the handshake, with an alert, as it must.
    """
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    hello = bytes.fromhex("0302") + bytes(range(32)) + bytes.fromhex("00c00900")
    handshake = b"\x02" + len(hello).to_bytes(3, "big") + hello
    record = bytes.fromhex("160302") + len(handshake).to_bytes(2, "big") + handshake

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(5)
        await reader.readexactly(int.from_bytes(header[3:], "big"))
        writer.write(record)
        answer = await reader.read(64)
        writer.close()
        if not done.done():
            done.set_result(answer[:1] in (b"\x15", b""))

    server = await asyncio.start_server(serve, host, port)
    async with server:
        return await done


@case("TC_A_07_CS", preconditions=Preconditions(security_profile=3))
async def tc_a_07_cs(t: Bench) -> None:
    """Red when: the certificate that the station requested does not carry its serial number.

    The factory certificate is made by the tool, so the station first requests one.
    """
    serial_number = _serial_number(t)
    await certificates.renewed(t, serial_number=serial_number)
    attempt = await _boots_over_tls(t)
    t.check("authorization" not in attempt.headers, "A00.FR.401", "a password was sent with profile 3")
    if not t.check(attempt.client_certificate, "A00.FR.402", "no client certificate"):
        return
    certificate = x509.load_der_x509_certificate(attempt.client_certificate or b"")
    names = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    t.check(names == [serial_number], "A00.FR.511", f"the common name is {names}, not {serial_number}")
    t.check(certificate.serial_number > 0, "A00.FR.508", "the certificate has no serial number")


def _serial_number(t: Bench) -> str:
    boots = [message for message in t.messages if message.action == "BootNotification"]
    return str(boots[-1].get("chargingStation.serialNumber"))


# -- A02: the station's certificate ------------------------------------------------------------------------------------


@case("TC_A_11_CS", preconditions=Preconditions(security_profile=3))
async def tc_a_11_cs(t: Bench) -> None:
    """Red when: the station keeps its old connection after it has received a new certificate."""
    t.step(1)
    await certificates.renewed(t, serial_number=_serial_number(t))


@case("TC_A_14_CS", preconditions=Preconditions(security_profile=3))
async def tc_a_14_cs(t: Bench) -> None:
    """Red when: a certificate of another hierarchy is accepted."""
    t.step(3)
    csr = await certificates.signing_request(t)
    t.step(6)
    mark = t.mark()
    payload = {
        "certificateChain": Authority("a stranger").sign_request(csr),
        "certificateType": "ChargingStationCertificate",
    }
    await t.call("CertificateSigned", payload, {"status": "Rejected"}, req="A02.FR.07")
    t.step(7)
    event = {"type": "InvalidChargingStationCertificate"}
    await t.expect("SecurityEventNotification", where=event, since=mark, req="A02.FR.07")


@case("TC_A_15_CS", preconditions=Preconditions(security_profile=3))
async def tc_a_15_cs(t: Bench) -> None:
    """Red when: the station repeats its request at once after it was rejected."""
    t.answer("SignCertificate", {"status": "Rejected"})
    t.step(3)
    await certificates.signing_request(t)
    await t.never("SignCertificate", 3, req="A02.FR.12")


@case("TC_A_23_CS", preconditions=Preconditions(security_profile=3), limit_s=120)
async def tc_a_23_cs(t: Bench) -> None:
    """Red when: the second wait is not twice the first."""
    await t.configure({"SecurityCtrlr.CertSigningWaitMinimum": "3", "SecurityCtrlr.CertSigningRepeatTimes": "1"})
    t.step(3)
    csr = await certificates.signing_request(t)
    for step, wait in ((6, 3), (9, 6)):
        t.step(step)
        await t.never("SignCertificate", wait - 0.5, req="A02.FR.17")
        csr = str((await t.expect("SignCertificate", within=3, req="A02.FR.18")).get("csr"))
    t.step(12)
    assert t.csms_root is not None
    payload = {
        "certificateChain": t.csms_root.sign_request(csr),
        "certificateType": "ChargingStationCertificate",
    }
    t.on_connect(OnConnect.ACCEPT)
    await t.call("CertificateSigned", payload, {"status": "Accepted"}, req="A02.FR.06")
