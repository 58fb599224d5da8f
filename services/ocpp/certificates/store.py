# SPDX-License-Identifier: Apache-2.0
"""The certificates and private keys in their directory; every change is durable before it is answered.

    csms/NAME.pem            CSMS roots; NAME.fallback.pem: the one that a successor has replaced (M05.FR.12)
    manufacturer/NAME.pem    manufacturer roots
    station/current.pem      the station's private key and chain, in one file so that they can't part
    station/renewed.pem      likewise, newer, until a connection with it has succeeded (A02.FR.10)
    station/request.key      the private key of a signing request that is not answered yet

NAME is made of the certificate's fingerprint: the same certificate twice is the same file (M05.FR.17). A root's file
begins with the issuer's public key, which its hash data needs and which may be gone later. Reading the directory at
the start needs no `cryptography`.
"""

from __future__ import annotations

import binascii
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from firmware import certificate_rules as rules
from firmware.errors import StorageError
from services.ocpp.certificates import checks, files, requests
from services.ocpp.certificates.errors import CertificateError
from services.ocpp.certificates.hashes import ALGORITHMS, HashData, hash_data, key_bits, same_serial

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
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(eq=False)
class Root:
    """One installed root; parsed when somebody has to look into it."""

    kind: RootKind
    path: Path
    pem: str
    issuer_key: bytes = field(repr=False)
    _certificate: Certificate | None = field(default=None, repr=False)

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
    """See the module. `entries` is CertificateEntries.maxLimit, `chain_bytes` MaxCertificateChainSize."""

    def __init__(
        self, folder: Path, *, entries: int = 12, chain_bytes: int = 4096, keep_last_csms_root: bool = False
    ) -> None:
        self._folder = folder
        self._entries = entries
        self._chain_bytes = chain_bytes
        self._keep_last = keep_last_csms_root
        self._station = folder / "station"
        for path in (folder, self._station, *(folder / name for name in _FOLDERS.values())):
            files.make_folder(path)
        self._roots = [root for kind in get_args(RootKind) for root in self._read(kind)]
        self._settle_roots()
        self._use_renewed = True
        self.generation = 0
        """Grows with each change that a TLS context has to know of."""

    # --- roots -------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """CertificateEntries: how many certificates are installed."""
        return len(self._roots) + sum(path.exists() for path in (self._current, self._renewed))

    def roots(self, kind: RootKind) -> list[Root]:
        """The installed roots of a kind."""
        return [root for root in self._roots if root.kind == kind]

    def has_valid_root(self, kind: RootKind, utc: float | None) -> bool:
        """Is there one that has not expired (A05.FR.02)?"""
        return any(_is_valid(root.certificate, utc) for root in self.roots(kind))

    def install_root(self, kind: RootKind, pem: str, utc: float | None, *, signed_by_old: bool = False) -> None:
        """Adds or replaces a root (M05). `signed_by_old`: AdditionalRootCertificateCheck is in force.

        Raises `CertificateError` when it is refused (M05.FR.07), `StorageError` when it can't be kept (M05.FR.03).
        """
        certificate = _root_in(pem, utc)
        if any(root.path == self._path(kind, certificate) for root in self.roots(kind)):
            return  # M05.FR.17: the file would be the same
        replaced: list[Root] = []
        if signed_by_old and kind == "CSMSRootCertificate":
            replaced = [root for root in self.roots(kind) if not root.fallback]
        issuer = self._issuer(certificate, kind, replaced)
        self._keep(kind, certificate, issuer, replaced)
        _log.info("%s installed, %d certificates", kind, self.count)

    def _issuer(self, certificate: Certificate, kind: RootKind, replaced: list[Root]) -> Certificate:
        """Who signed it: itself, or a root of the same kind that is installed; M05.FR.10: one that it replaces."""
        old = replaced or self.roots(kind)
        signers = [root.certificate for root in old if rules.is_signed_by(certificate, root.certificate)]
        if replaced and not signers:
            raise CertificateError("not signed by the CSMS root that it would replace")  # M05.FR.11
        if rules.is_signed_by(certificate, certificate):
            return certificate
        if not signers:
            raise CertificateError("neither signed by itself nor by an installed root of its kind")
        return signers[0]

    def _keep(self, kind: RootKind, certificate: Certificate, issuer: Certificate, replaced: list[Root]) -> None:
        path, name = self._path(kind, certificate), self._path(kind, certificate).stem
        leaving = [root for root in self.roots(kind) if root.fallback and (replaced or root.path.stem.startswith(name))]
        if self.count - len(leaving) + 1 > self._entries:  # M05.FR.06
            raise CertificateError(f"there are {self.count} certificates installed already", "OutOfStorage")
        new = Root(kind, path, _pem(certificate), key_bits(issuer))
        try:
            for root in replaced:  # before the new one is there: whatever a power cut leaves, one is in force
                self._move(root, f"{root.path.stem}{_FALLBACK}.pem")  # M05.FR.12
            files.write(path, f"issuer key: {new.issuer_key.hex()}\n{new.pem}".encode())
        except StorageError:
            self._reinstate(replaced)
            raise
        self._roots.append(new)
        self.generation += 1
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
        """M05.FR.13: a connection was made with the new CSMS root; whether there was an old one to remove."""
        fallbacks = [root for root in self._roots if root.fallback]
        for root in fallbacks:
            self._forget(root)
        self.generation += bool(fallbacks)
        return bool(fallbacks)

    def delete(self, wanted: HashData) -> Deletion:
        """Removes the root that `wanted` names (M04.FR.02 to .06)."""
        if wanted.algorithm not in ALGORITHMS:
            return "NotFound"
        for root in self._roots:
            if root.hash_data(wanted.algorithm).matches(wanted):
                return self._delete(root)
        return "Failed" if self._is_station(wanted) else "NotFound"  # M04.FR.06, M04.FR.04

    def _delete(self, root: Root) -> Deletion:
        if self._keep_last and root.kind == "CSMSRootCertificate" and len(self.roots(root.kind)) == 1:
            return "Failed"
        try:
            self._forget(root)
            self._settle_roots()
        except StorageError as error:
            _log.warning("certificate not deleted: %s", error)
            return "Failed"  # M04.FR.03
        self.generation += 1
        _log.info("%s deleted, %d certificates", root.kind, self.count)
        return "Accepted"

    def _settle_roots(self) -> None:
        """A fallback without a successor (deleted, or never written) is in force again: it signs the next one."""
        roots = self.roots("CSMSRootCertificate")
        if all(root.fallback for root in roots):
            self._reinstate(roots)

    def _reinstate(self, roots: list[Root]) -> None:
        for root in roots:
            self._move(root, root.path.name.replace(_FALLBACK, ""))

    def _is_station(self, wanted: HashData) -> bool:
        """By issuer's name and serial number alone: the issuer's key may not be known here."""
        for leaf in self._leaves():
            own = hash_data(leaf, b"", wanted.algorithm)
            same_issuer = own.issuer_name_hash == wanted.issuer_name_hash.casefold()
            if same_issuer and same_serial(own.serial_number, wanted.serial_number):
                return True
        return False

    def _read(self, kind: RootKind) -> Iterator[Root]:
        for path in sorted((self._folder / _FOLDERS[kind]).glob("*.pem")):
            try:
                yield _root_of(kind, path)
            except (OSError, ValueError) as error:
                _log.error("%s can't be read and is not used: %s", path, type(error).__name__)

    # --- the station's own -----------------------------------------------------------------------------------------

    @property
    def _current(self) -> Path:
        return self._station / "current.pem"

    @property
    def _renewed(self) -> Path:
        return self._station / "renewed.pem"

    @property
    def _request(self) -> Path:
        return self._station / "request.key"

    def _chains(self) -> list[Path]:
        return [path for path in (self._renewed, self._current) if path.exists()]

    @property
    def station_file(self) -> Path | None:
        """Private key and chain to identify ourselves with, for `SSLContext.load_cert_chain`."""
        chains = self._chains()
        if not chains:
            return None
        return chains[0] if self._use_renewed else chains[-1]

    def station_period(self) -> tuple[float, float] | None:
        """Start and end of the validity of the newest station certificate, seconds since 1970."""
        leaf = next(self._leaves(), None)
        if leaf is None:
            return None
        return leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()

    def has_valid_station_certificate(self, utc: float | None) -> bool:
        """Is there one that has not expired (A05.FR.03)?"""
        return any(_is_valid(leaf, utc) for leaf in self._leaves())

    def _leaves(self) -> Iterator[Certificate]:
        """The station's certificates, newest first; what the disk has damaged is passed over."""
        for path in self._chains():
            try:
                yield _chain_in(path)[0]
            except (OSError, ValueError, CertificateError) as error:
                _log.error("%s can't be read: %s", path, type(error).__name__)

    def request(self, common_name: str, organization: str) -> str:
        """A new key pair and the signing request for it, PEM (A02.FR.02, A02.FR.03).

        The key of an earlier request that was not answered is given up. Raises `CertificateError`, `StorageError`.
        """
        key = requests.new_key()
        text = requests.signing_request(key, common_name, organization)
        files.write(self._request, key)
        return text

    def install_chain(self, pem: str, utc: float | None, common_name: str) -> None:
        """The answer to a request: verified, kept, and in use from the next connection on (A02.FR.06, A02.FR.08).

        Raises `CertificateError` when it is refused (A02.FR.07), `StorageError` when it can't be kept.
        """
        if len(pem.encode()) > self._chain_bytes:
            raise CertificateError(f"the chain is larger than {self._chain_bytes} bytes", "TooLargeElement")
        chain = checks.parse(pem)
        leaf = chain[0]
        checks.check_sound(leaf)
        checks.check_station(leaf, common_name)
        checks.check_period(leaf, utc)
        path = checks.check_path(chain, [root.certificate for root in self.roots("CSMSRootCertificate")], utc)
        self._keep_chain(self._key_of(leaf), path)
        _log.info("station certificate installed, valid until %s", leaf.not_valid_after_utc.date())

    def _keep_chain(self, key: bytes, chain: list[Certificate]) -> None:
        path = self._renewed if self._current.exists() else self._current
        files.write(path, key + b"".join(_pem(certificate).encode() for certificate in chain))
        self._use_renewed = True
        self.generation += 1
        try:
            files.remove(self._request)
        except StorageError as error:  # a spare copy of the key, until the next request
            _log.warning("%s", error)

    def _key_of(self, leaf: Certificate) -> bytes:
        """The private key that `leaf` is for: of the open request, or, when the answer comes twice, of a chain."""
        for path in (self._request, *self._chains()):
            key = path.read_bytes().partition(_BEGIN)[0] if path.exists() else b""
            if key and _belongs(key, leaf):
                return key
        raise CertificateError("its key is not the one that was asked for")

    def alternate(self) -> bool:
        """A02.FR.28: nobody takes the one certificate, so try the other; whether there is another."""
        if len(self._chains()) < 2:
            return False
        self._use_renewed = not self._use_renewed
        self.generation += 1
        _log.info("next attempts with the %s station certificate", "renewed" if self._use_renewed else "former")
        return True

    def settle(self) -> Literal["renewed", "former"] | None:
        """A02.FR.10: a connection with the certificate in use was made: the other one goes. Says which has stayed."""
        if len(self._chains()) < 2:
            return None
        if self._use_renewed:
            files.rename(self._renewed, self._current)
        else:
            files.remove(self._renewed)
        stayed: Literal["renewed", "former"] = "renewed" if self._use_renewed else "former"
        self._use_renewed = True
        self.generation += 1
        return stayed

    def discard_station(self) -> None:
        """Removes every station certificate with its key (AQ-3: not by OCPP)."""
        for path in (*self._chains(), self._request):
            files.remove(path)
        self.generation += 1

    # --- from the factory ------------------------------------------------------------------------------------------

    def adopt(self, chain_pem: str, key_pem: str) -> None:
        """The chain and key that the manufacturer put in (A00.FR.801); it may be of any hierarchy (A00.FR.804)."""
        chain = checks.parse(chain_pem)
        checks.check_sound(chain[0])
        key = key_pem.encode()
        if not _belongs(key, chain[0]):
            raise CertificateError("the station's key does not belong to its certificate")
        files.write(self._current, key.strip() + b"\n" + b"".join(_pem(one).encode() for one in chain))
        self.generation += 1


def _root_of(kind: RootKind, path: Path) -> Root:
    """A root's file; `ValueError` when it is not what its name says, the fingerprint."""
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


def _is_valid(certificate: Certificate, utc: float | None) -> bool:
    try:
        checks.check_period(certificate, utc)
    except CertificateError:
        return False
    return True


def _chain_in(path: Path) -> list[Certificate]:
    """The chain of one of our own files, without the key before it."""
    text = path.read_bytes()
    return checks.parse(text[text.find(_BEGIN) :].decode())


def _belongs(key_pem: bytes, certificate: Certificate) -> bool:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("the private key can't be read") from error
    return bool(key.public_key() == checks.public_key_of(certificate))


def _pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()
