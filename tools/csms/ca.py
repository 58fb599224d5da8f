# SPDX-License-Identifier: Apache-2.0
"""The bench's certificates: its own authority, and the manufacturer of the stations on the bench.

Stored in `pki/` of the bench's state directory; keys have mode 0600:

    csms-root.key            signs the bench's servers and the stations' certificates
    csms-root.pem            its certificate, which stations need as CSMS root
    manufacturer-root.key    signs the firmware signer
    manufacturer-root.pem    its certificate, which stations need as manufacturer root
    firmware-signer.key      and .pem: for `baywatt image sign`, and for what the bench sends
    server.pem               key and certificate of the bench's servers

Both roots are made at the first start and kept. The certificates that they sign for the bench itself are made anew at
each start, so that they do not expire and always match the address that the bench listens on.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from firmware import files
from firmware.errors import BaywattError, StorageError
from tools.csms.settings import reached_as
from tools.pki import Authority, is_strong

__all__ = ["BenchPki", "CsrRefused", "check_csr"]

_ORGANIZATION = "baywatt bench"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WEAK_DIGESTS = ("md5", "sha1")


class CsrRefused(BaywattError):
    """No certificate is issued for a signing request; the text says why."""


class BenchPki:
    """The two authorities and their files. Raises `StorageError`."""

    def __init__(self, folder: Path, host: str) -> None:
        self.csms_root = folder / "csms-root.pem"
        self.manufacturer_root = folder / "manufacturer-root.pem"
        self.server = folder / "server.pem"
        self.signer, self.signer_key = folder / "firmware-signer.pem", folder / "firmware-signer.key"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._stations = _authority(self.csms_root, "bench CSMS root")
            manufacturer = _authority(self.manufacturer_root, "bench manufacturer root")
            self.manufacturer_pem = manufacturer.pem
            server = self._stations.server(*_names(host))
            _write(self.server, server.key_pem + server.pem)
            signer = manufacturer.firmware_signer()
            _write(self.signer_key, signer.key_pem)
            _write(self.signer, signer.pem)
        except OSError as error:
            raise StorageError(f"{error.filename or folder}: {error.strerror}") from error

    @property
    def root_pem(self) -> str:
        return self._stations.pem

    def issue(self, serial_number: str) -> tuple[Path, Path]:
        """Key and certificate for a station that makes none itself: the files of the chain and of the key."""
        issued = self._stations.client(serial_number, _ORGANIZATION)
        folder = self.csms_root.parent / "stations"
        folder.mkdir(mode=0o700, exist_ok=True)
        chain, key = folder / f"{serial_number}.pem", folder / f"{serial_number}.key"
        _write(key, issued.key_pem)
        _write(chain, issued.pem + self.root_pem)
        return chain, key

    def sign(self, csr: str, serial_number: str) -> str:
        """A station's certificate (A02); raises `CsrRefused`."""
        check_csr(csr, serial_number)
        return self._stations.sign_request(csr)


def _names(host: str) -> tuple[str, ...]:
    """The server's names, the host first: it becomes the common name (A00.FR.510)."""
    return tuple(dict.fromkeys((reached_as(host), *_LOOPBACK)))


def _authority(path: Path, name: str) -> Authority:
    """The stored authority, or a new one. Its certificate is also written beside the key, for people to copy."""
    keeper = path.with_suffix(".key")
    made = Authority(f"{name} {secrets.token_hex(3)}", _ORGANIZATION)
    try:
        kept = keeper.read_text("ascii") if keeper.exists() else _keep_first(keeper, made.key_and_certificate)
        authority = Authority.from_pem(kept)
    except ValueError as error:
        raise StorageError(f"{keeper}: not a key with its certificate: {error}") from error
    _write(path, authority.pem)
    return authority


def _keep_first(path: Path, text: str) -> str:
    """Of two benches that start at the same time in one folder, both use what the first has written."""
    new = _written(path, text)
    try:
        os.link(new, path)
    except FileExistsError:
        return path.read_text("ascii")
    finally:
        new.unlink()
    return text


def _write(path: Path, text: str) -> None:
    files.rename(_written(path, text), path)


def _written(path: Path, text: str) -> Path:
    """A complete new file beside `path`, readable by this user only."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    files.write_new(new, [text.encode("ascii")])
    return new


def check_csr(csr: str, serial_number: str) -> None:
    """Check a signing request; raises `CsrRefused`.

    The signature proves that the station has the key. The subject, which becomes the certificate's, needs an
    organization (A00.FR.509; any, as the bench belongs to no operator) and, as common name, the serial number that the
    station has booted with (A00.FR.511).
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        signed, key, digest = request.is_signature_valid, request.public_key(), request.signature_hash_algorithm
        organizations, common_names = (
            [value.value for value in request.subject.get_attributes_for_oid(kind)]
            for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CsrRefused("it can't be read as a PKCS #10 request in PEM") from error
    if digest is not None and digest.name in _WEAK_DIGESTS:
        raise CsrRefused(f"it is signed with {digest.name}, which is no longer secure")
    if not signed:
        raise CsrRefused("its signature is wrong")
    if not is_strong(key):
        raise CsrRefused("its key is too weak, or of another kind than RSA and elliptic curves")
    if not any(organizations):
        raise CsrRefused("its subject names no organization")
    if common_names != [serial_number]:
        raise CsrRefused(f"its common name is not the serial number {serial_number}")
