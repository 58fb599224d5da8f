# SPDX-License-Identifier: Apache-2.0
"""M Certificate management: root certificates installed, listed and deleted by the CSMS (M03, M04, M05).

Without ISO 15118 there are no V2G and no MO certificates: they are neither accepted nor listed. The station's own
certificate belongs to block A; a request to delete it is refused here (M04.FR.06).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from firmware.errors import StorageError
from services.ocpp import signals
from services.ocpp.certificates import CertificateError
from services.ocpp.certificates.hashes import HashData
from services.ocpp.context import Block
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.certificates import RootKind
    from services.ocpp.messages import (
        Action,
        CertificateHashDataChainType,
        CertificateHashDataType,
        DeleteCertificateRequest,
        DeleteCertificateResponse,
        GetInstalledCertificateIdsRequest,
        GetInstalledCertificateIdsResponse,
        HashAlgorithmEnumType,
        InstallCertificateRequest,
        InstallCertificateResponse,
    )

__all__ = ["Certificates"]

_log = logging.getLogger(__name__)

_KINDS: tuple[RootKind, ...] = ("CSMSRootCertificate", "ManufacturerRootCertificate")


class Certificates(Block):
    letter = "M"
    handles = ("InstallCertificate", "GetInstalledCertificateIds", "DeleteCertificate")
    reads = ("GetInstalledCertificateIds",)

    def start(self, now: float) -> None:
        self._count()

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        if isinstance(signal, signals.Connected):  # M05.FR.13: perhaps one root fewer
            self._count()

    def on_call(self, action: Action, request: Any, now: float) -> Any:
        match action:
            case "InstallCertificate":
                return self._install(request, now)
            case "GetInstalledCertificateIds":
                return self._list(request)
            case _:
                return self._delete(request)

    def _install(self, request: InstallCertificateRequest, now: float) -> InstallCertificateResponse:
        kind = request["certificateType"]
        if kind not in _KINDS:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedParam"}}
        check = self.context.model.get(keys.ADDITIONAL_ROOT_CERTIFICATE_CHECK)
        utc = self.context.time.known_utc(now)
        try:  # M05.FR.01
            self.context.certificates.install_root(kind, request["certificate"], utc, signed_by_old=check)
        except CertificateError as error:  # M05.FR.06, M05.FR.07, M05.FR.11
            _log.warning("%s refused: %s", kind, error)
            return {"status": "Rejected", "statusInfo": error.status_info}
        except StorageError as error:  # M05.FR.03
            _log.error("%s could not be stored: %s", kind, error)
            return {"status": "Failed", "statusInfo": {"reasonCode": "OutOfStorage"}}
        if kind == "CSMSRootCertificate" and check:
            self._save_fallback_url()
        self._changed(f"{kind} installed")
        return {"status": "Accepted"}  # M05.FR.02, M05.FR.17

    def _save_fallback_url(self) -> None:
        """M05.FR.14 to .16: the replaced root is trusted only where it was in use."""
        profile = self.context.profiles.get(self.context.registration.slot or 0)
        self.context.key_values.put(Key.FALLBACK_ROOT, profile.url if profile else None)

    def _list(self, request: GetInstalledCertificateIdsRequest) -> GetInstalledCertificateIdsResponse:
        kinds = request.get("certificateType") or _KINDS
        found: list[CertificateHashDataChainType] = []
        for kind in _KINDS:
            if kind in kinds:
                for root in self.context.certificates.roots(kind):
                    found.append({"certificateType": kind, "certificateHashData": _payload(root.hash_data())})
        if not found:
            return {"status": "NotFound"}  # M03.FR.02
        return {"status": "Accepted", "certificateHashDataChain": found}  # M03.FR.03, M03.FR.04

    def _delete(self, request: DeleteCertificateRequest) -> DeleteCertificateResponse:
        data = request["certificateHashData"]
        wanted = HashData(data["hashAlgorithm"], data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"])
        status = self.context.certificates.delete(wanted)
        if status == "Accepted":
            self._changed("root certificate deleted")
        return {"status": status}

    def _changed(self, what: str) -> None:
        self._count()
        self.context.emit(signals.SecurityEvent("ReconfigurationOfSecurityParameters", what))

    def _count(self) -> None:
        self.context.model.put(keys.CERTIFICATE_ENTRIES, self.context.certificates.count)


def _payload(data: HashData) -> CertificateHashDataType:
    return {
        "hashAlgorithm": cast("HashAlgorithmEnumType", data.algorithm),
        "issuerNameHash": data.issuer_name_hash,
        "issuerKeyHash": data.issuer_key_hash,
        "serialNumber": data.serial_number,
    }
