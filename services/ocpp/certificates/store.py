# SPDX-License-Identifier: Apache-2.0
"""The certificates in their directory; every change is durable before it is answered.

    csms/NAME.pem            CSMS roots; NAME.fallback.pem: the one that a successor has replaced (M05.FR.12)
    manufacturer/NAME.pem    manufacturer roots
    station/                 the station's own, see `station_keys.py`

NAME is made of the certificate's fingerprint: the same certificate twice is the same file (M05.FR.17). A root's file
begins with the issuer's public key, which its hash data needs and which may be gone later. Reading the directory at
the start needs no `cryptography`.
"""

from __future__ import annotations

import binascii
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

from firmware import certificate_rules as rules
from firmware.errors import StorageError
from services.ocpp.certificates import checks, files
from services.ocpp.certificates.errors import CertificateError
from services.ocpp.certificates.hashes import ALGORITHMS, HashData, hash_data, key_bits
from services.ocpp.certificates.station_keys import StationKeys

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["CertificateStore", "Deletion", "Root", "RootKind"]

_log = logging.getLogger(__name__)

RootKind = Literal["CSMSRootCertificate", "ManufacturerRootCertificate"]
Deletion = Literal["Accepted", "Failed", "NotFound"]

_FOLDERS: dict[RootKind, str] = {"CSMSRootCertificate": "csms", "ManufacturerRootCertificate": "manufacturer"}
_FALLBACK = ".fallback"
_MAX_ROOT_PEM = 5500
"""InstallCertificateRequest.certificate"""


class Root(Struct, eq=False):
    """One installed root; parsed when its fields are needed."""

    kind: RootKind
    path: Path
    pem: str
    issuer_key: bytes
    _certificate: Certificate | None = None

    @property
    def fallback(self) -> bool:
        return self.path.stem.endswith(_FALLBACK)

    @property
    def certificate(self) -> Certificate:
        if self._certificate is None:
            self._certificate = checks.parse(self.pem, limit=1)[0]
        return self._certificate

    def hash_data(self, algorithm: str = "SHA256") -> HashData:
        return hash_data(self.certificate, self.issuer_key, algorithm)


class CertificateStore:
    """The roots, and `station` for the station's own. `entries` is CertificateEntries.maxLimit, `chain_bytes`
    MaxCertificateChainSize."""

    def __init__(
        self, folder: Path, *, entries: int = 12, chain_bytes: int = 4096, keep_last_csms_root: bool = False
    ) -> None:
        self._folder = folder
        self._entries = entries
        self._protect_last = keep_last_csms_root
        self._changes = 0
        for path in (folder, *(folder / name for name in _FOLDERS.values())):
            files.make_folder(path)
        self._roots = [root for kind in get_args(RootKind) for root in self._read(kind)]
        self._settle_roots()
        self.station = StationKeys(
            folder / "station",
            csms_roots=lambda: (root.certificate for root in self.roots("CSMSRootCertificate")),
            chain_bytes=chain_bytes,
        )

    @property
    def generation(self) -> int:
        """Rises with each change that TLS contexts must follow."""
        return self._changes + self.station.generation

    @property
    def count(self) -> int:
        """CertificateEntries: how many certificates the CSMS has installed (M05) and can list and delete.

        The station's own, which come and go with A02 and A03, are not among them: a renewal must never fail because of
        the roots, nor a count exceed its maxLimit.
        """
        return len(self._roots)

    def roots(self, kind: RootKind) -> list[Root]:
        """The installed roots of a kind."""
        return [root for root in self._roots if root.kind == kind]

    def has_valid_root(self, kind: RootKind, utc: float | None) -> bool:
        """Whether one has not expired (A05.FR.02)."""
        return any(checks.is_valid(root.certificate, utc) for root in self.roots(kind))

    def install_root(self, kind: RootKind, pem: str, utc: float | None, *, signed_by_old: bool = False) -> None:
        """Add or replace a root (M05). `signed_by_old`: AdditionalRootCertificateCheck is true.

        Raises `CertificateError` when it is refused (M05.FR.07), `StorageError` when it can't be stored (M05.FR.03).
        """
        certificate = _root_in(pem, utc)
        if any(root.path == self._path(kind, certificate) for root in self.roots(kind)):
            return  # M05.FR.17: the file would be the same
        replaced: list[Root] = []
        if signed_by_old and kind == "CSMSRootCertificate":
            replaced = [root for root in self.roots(kind) if not root.fallback]
        issuer = self._issuer(certificate, kind, replaced)
        self._save(kind, certificate, issuer, replaced)
        _log.info("%s installed, %d certificates", kind, self.count)

    def _issuer(self, certificate: Certificate, kind: RootKind, replaced: list[Root]) -> Certificate:
        """Its signer: itself, or an installed root of the same kind; M05.FR.10: one that it replaces."""
        old = replaced or self.roots(kind)
        signers = [root.certificate for root in old if rules.is_signed_by(certificate, root.certificate)]
        if replaced and not signers:
            raise CertificateError("not signed by the CSMS root that it would replace")  # M05.FR.11
        if rules.is_signed_by(certificate, certificate):
            return certificate
        if not signers:
            raise CertificateError("neither signed by itself nor by an installed root of its kind")
        return signers[0]

    def _save(self, kind: RootKind, certificate: Certificate, issuer: Certificate, replaced: list[Root]) -> None:
        path, name = self._path(kind, certificate), self._path(kind, certificate).stem
        leaving = [root for root in self.roots(kind) if root.fallback and (replaced or root.path.stem.startswith(name))]
        if self.count - len(leaving) + 1 > self._entries:  # M05.FR.06
            raise CertificateError(f"there are {self.count} certificates installed already", "OutOfStorage")
        new = Root(kind, path, checks.to_pem(certificate), key_bits(issuer))
        try:
            for root in replaced:  # before the new one is written, so that one is in force after any power cut
                self._move(root, f"{root.path.stem}{_FALLBACK}.pem")  # M05.FR.12
            files.write(path, f"issuer key: {new.issuer_key.hex()}\n{new.pem}".encode())
        except StorageError:
            self._reinstate(replaced)
            raise
        self._roots.append(new)
        self._changes += 1
        for root in leaving:  # M05.FR.09
            self._forget(root)

    def _path(self, kind: RootKind, certificate: Certificate) -> Path:
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._folder / _FOLDERS[kind] / f"{_fingerprint(certificate.public_bytes(Encoding.DER))}.pem"

    def _forget(self, root: Root) -> None:
        files.remove(root.path)
        self._roots.remove(root)

    def _move(self, root: Root, name: str) -> None:
        path = root.path.with_name(name)
        files.rename(root.path, path)
        root.path = path

    def drop_fallback(self) -> bool:
        """M05.FR.13: a connection was made with the new CSMS root. Returns whether there was an old one to remove."""
        fallbacks = [root for root in self._roots if root.fallback]
        for root in fallbacks:
            self._forget(root)
        self._changes += bool(fallbacks)
        return bool(fallbacks)

    def delete(self, wanted: HashData) -> Deletion:
        """Remove the root that `wanted` names (M04.FR.02 to .06)."""
        if wanted.algorithm not in ALGORITHMS:
            return "NotFound"
        for root in self._roots:
            if root.hash_data(wanted.algorithm).matches(wanted):
                return self._delete(root)
        return "Failed" if self.station.is_named_by(wanted) else "NotFound"  # M04.FR.06, M04.FR.04

    def _delete(self, root: Root) -> Deletion:
        if self._protect_last and root.kind == "CSMSRootCertificate" and len(self.roots(root.kind)) == 1:
            return "Failed"
        try:
            self._forget(root)
            self._settle_roots()
        except StorageError as error:
            _log.warning("certificate not deleted: %s", error)
            return "Failed"  # M04.FR.03
        self._changes += 1
        _log.info("%s deleted, %d certificates", root.kind, self.count)
        return "Accepted"

    def _settle_roots(self) -> None:
        """Reinstate fallbacks without a successor (deleted, or never written): they sign the next one."""
        roots = self.roots("CSMSRootCertificate")
        if all(root.fallback for root in roots):
            self._reinstate(roots)

    def _reinstate(self, roots: list[Root]) -> None:
        for root in roots:
            self._move(root, root.path.name.replace(_FALLBACK, ""))

    def _read(self, kind: RootKind) -> Iterator[Root]:
        for path in sorted((self._folder / _FOLDERS[kind]).glob("*.pem")):
            try:
                yield _root_of(kind, path)
            except (OSError, ValueError) as error:
                _log.error("%s can't be read and is not used: %s", path, files.damage(error))


def _root_of(kind: RootKind, path: Path) -> Root:
    """The root in a file; `ValueError` when its fingerprint is not the file's name."""
    header, _, pem = path.read_text("ascii").partition("\n")
    if _fingerprint(binascii.a2b_base64("".join(pem.split("-----")[2:3]))) != path.name.partition(".")[0]:
        raise ValueError("damaged")
    return Root(kind, path, pem, bytes.fromhex(header.partition(": ")[2]))


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()[:32]


def _root_in(pem: str, utc: float | None) -> Certificate:
    if len(pem) > _MAX_ROOT_PEM:
        raise CertificateError(f"the certificate is larger than {_MAX_ROOT_PEM} characters", "TooLargeElement")
    certificate = checks.parse(pem, limit=1)[0]
    checks.check_sound(certificate)
    checks.check_authority(certificate)
    checks.check_period(certificate, utc)
    return certificate
