# SPDX-License-Identifier: Apache-2.0
"""Certificates in a case: their hash data, CSRs, and the reusable state RenewChargingStationCertificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tools.conformance.bench.bench import Bench
from tools.conformance.checks.values import PRESENT
from tools.conformance.peer.csms import Answer
from tools.pki import Authority, is_strong

__all__ = ["Renewal", "check_csr", "entry", "hash_data", "installed", "new_csms_root", "renewed", "signing_request"]


def hash_data(certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, str]:
    """CertificateHashDataType, computed by way of an OCSP request."""
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256()).build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{request.serial_number:x}",
    }


def new_csms_root(t: Bench, name: str) -> Authority:
    """A further CSMS root; with AdditionalRootCertificateCheck (AS-2) the present root has signed it."""
    return Authority(name, signer=t.csms_root if t.fixtures.answers.get("AS-2") else None)


def entry(kind: str, root: Authority) -> tuple[str, str]:
    """An installed root as `installed` lists it: its type and its hash data."""
    return kind, _text(hash_data(root.certificate, root.issuer or root.certificate))


def _text(data: dict[str, Any]) -> str:
    return "/".join(str(data.get(name, "")).casefold() for name in ("issuerNameHash", "issuerKeyHash", "serialNumber"))


async def installed(t: Bench, kinds: Sequence[str] = (), *, req: str = "M03.FR.03") -> list[tuple[str, str]]:
    """GetInstalledCertificateIds: every entry in the form of `entry`; none if the station answers NotFound."""
    payload: dict[str, Any] = {"certificateType": list(kinds)} if kinds else {}
    answer = await t.call("GetInstalledCertificateIds", payload, req=req)
    chain = answer.get("certificateHashDataChain", [])
    t.check(answer.get("status") == ("Accepted" if chain else "NotFound"), req, f"status {answer.get('status')}")
    for item in chain:
        t.check(not kinds or item["certificateType"] in kinds, req, f"a {item['certificateType']} was not asked for")
        t.check(item["certificateHashData"]["hashAlgorithm"] == "SHA256", "M03.FR.04", "the hash is not SHA256")
    return [(item["certificateType"], _text(item["certificateHashData"])) for item in chain]


def check_csr(t: Bench, csr: str, serial_number: str | None = None) -> None:
    """The CSR must be a PEM encoded PKCS #10 request with a strong key and the right subject."""
    try:
        request = x509.load_pem_x509_csr(csr.encode())
    except ValueError as error:
        t.fail(f"the CSR can't be read: {error}", "A02.FR.03")
        return
    t.check(csr.startswith("-----BEGIN CERTIFICATE REQUEST-----"), "A02.FR.03", "the CSR is not PEM encoded")
    t.check(request.is_signature_valid, "A02.FR.03", "the CSR's signature is wrong")
    t.check(is_strong(request.public_key()), "A00.FR.501", "the key of the CSR is too weak")
    names = {attribute.rfc4514_attribute_name: attribute.value for attribute in request.subject}
    t.check(names.get("O"), "A00.FR.509", "the CSR names no organization")
    if serial_number is not None:
        t.check(names.get("CN") == serial_number, "A00.FR.511", f"the CSR's common name is {names.get('CN')!r}")


@dataclass(frozen=True)
class Renewal:
    """The new certificate, and the station's answer to CertificateSigned."""

    certificate: x509.Certificate
    answer: Answer

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


async def signing_request(t: Bench, serial_number: str | None = None) -> str:
    """Steps 1 to 4: TriggerMessage, SignCertificateRequest; returns the CSR."""
    trigger = {"requestedMessage": "SignChargingStationCertificate"}
    await t.call("TriggerMessage", trigger, {"status": "Accepted"}, req="F06.FR.04")
    request = await t.expect("SignCertificate", {"csr": PRESENT}, req="A02.FR.03")
    kind = request.get("certificateType", "ChargingStationCertificate")
    t.check(kind == "ChargingStationCertificate", "A02.FR.13", f"certificateType {kind}", request)
    csr = str(request.get("csr"))
    check_csr(t, csr, serial_number)
    return csr


async def renewed(t: Bench, *, reconnects: bool = True, serial_number: str | None = None) -> Renewal:
    """RenewChargingStationCertificate (erratum 6.2.123): signed by the CSMS root, and in use after a reconnection."""
    assert t.csms_root is not None
    csr = await signing_request(t, serial_number)
    pem = t.csms_root.sign_request(csr)
    tries = len(t.csms.attempts)
    payload = {"certificateChain": pem, "certificateType": "ChargingStationCertificate"}
    answer = await t.call("CertificateSigned", payload, {"status": "Accepted"}, req="A02.FR.06")
    renewal = Renewal(x509.load_pem_x509_certificate(pem.encode()), answer)
    if reconnects:
        attempt = await t.attempt(tries, within=30, req="A02.FR.08")
        t.check(attempt.client_certificate == renewal.der, "A02.FR.08", "not reconnected with the new certificate")
        await t.connected(req="A02.FR.08")
    return renewal
