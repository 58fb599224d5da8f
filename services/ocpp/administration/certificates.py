# SPDX-License-Identifier: Apache-2.0
"""Certificates over the administration socket: blocks A and M decide, as for the CSMS."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, cast

from firmware.clock import format_utc
from firmware.contract import administration as contract
from firmware.contract.administration import CommandRefused, Problem
from firmware.errors import StorageError
from services.ocpp.administration.units import Units, refuse
from services.ocpp.certificates import CertificateError
from services.ocpp.no_connection import plain

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from services.ocpp.blocks.security import Security
    from services.ocpp.certificates.store import Root, RootKind
    from services.ocpp.station import Station

__all__ = ["delete", "install_chain", "install_root", "listed", "make_signing_request"]

_KINDS: dict[contract.RootUse, RootKind] = {
    "csms": "CSMSRootCertificate",
    "manufacturer": "ManufacturerRootCertificate",
}
_MAX_NAME = 300


def listed(units: Units) -> contract.Certificates:
    store = units.context.certificates
    found = [
        _info(use, root.certificate, "replaced" if root.fallback else "in_use", root) for use, root in _roots(units)
    ]
    found += [_info("station", leaf, "new" if new else "in_use") for leaf, new in store.station.leaves()]
    return contract.Certificates(found, most=units.context.product.limits.certificate_entries)


def _roots(units: Units) -> Iterator[tuple[contract.RootUse, Root]]:
    for use, kind in _KINDS.items():
        for root in units.context.certificates.roots(kind):
            yield use, root


def _info(
    use: Literal["csms", "manufacturer", "station"],
    certificate: Certificate,
    state: Literal["in_use", "replaced", "new"],
    root: Root | None = None,
) -> contract.CertificateInfo:
    data = None if root is None else root.hash_data()
    with warnings.catch_warnings(action="ignore"):
        serial_number = f"{certificate.serial_number:x}"
    return contract.CertificateInfo(
        use=use,
        subject=plain(certificate.subject.rfc4514_string(), _MAX_NAME),
        issuer=plain(certificate.issuer.rfc4514_string(), _MAX_NAME),
        serial_number=serial_number,
        not_before=format_utc(certificate.not_valid_before_utc.timestamp()),
        not_after=format_utc(certificate.not_valid_after_utc.timestamp()),
        fingerprint=_fingerprint(certificate),
        state=state,
        hash_algorithm=data.algorithm if data else "",
        issuer_name_hash=data.issuer_name_hash if data else "",
        issuer_key_hash=data.issuer_key_hash if data else "",
    )


def _fingerprint(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def install_root(units: Units, command: contract.InstallRoot) -> None:
    request = {"certificateType": _KINDS[command.use], "certificate": command.pem}
    response = units.request("InstallCertificate", request)
    if response["status"] != "Accepted":
        refuse(response)


def install_chain(units: Units, command: contract.InstallChain) -> None:
    request = {"certificateType": "ChargingStationCertificate", "certificateChain": command.pem}
    response = units.request("CertificateSigned", request)
    if response["status"] != "Accepted":
        refuse(response)


def make_signing_request(units: Units) -> contract.SigningRequest:
    def work(station: Station, now: float) -> str:
        try:
            return cast("Security", station.block("A")).make_signing_request()
        except CertificateError as error:
            raise CommandRefused(Problem.REFUSED, str(error)) from error
        except StorageError as error:
            raise CommandRefused(Problem.STORAGE, str(error)) from error

    return contract.SigningRequest(units.unit(work))


def delete(units: Units, command: contract.DeleteCertificate) -> None:
    wanted = command.fingerprint.lower().replace(":", "")
    root = next((root for _, root in _roots(units) if _fingerprint(root.certificate) == wanted), None)
    if root is None:
        own = any(_fingerprint(leaf) == wanted for leaf, _ in units.context.certificates.station.leaves())
        problem = Problem.REFUSED if own else Problem.NOT_FOUND
        raise CommandRefused(problem, "the station's own can only be replaced" if own else "no such root certificate")
    data = root.hash_data()
    hashes = {
        "hashAlgorithm": data.algorithm,
        "issuerNameHash": data.issuer_name_hash,
        "issuerKeyHash": data.issuer_key_hash,
        "serialNumber": data.serial_number,
    }
    response = units.request("DeleteCertificate", {"certificateHashData": hashes})
    if response["status"] != "Accepted":
        raise CommandRefused(Problem.REFUSED, "the last CSMS root stays, or the disk can't be written")
