# SPDX-License-Identifier: Apache-2.0
"""The station's own private keys and certificate chains; every change is durable before it is answered.

    current.pem    private key and chain, in one file so that they can't get separated
    renewed.pem    likewise, newer, until a connection with it has succeeded (A02.FR.10)
    request.key    the private key of a signing request that has no certificate yet

Reading them at the start needs no `cryptography`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from firmware.errors import StorageError
from services.ocpp.certificates import checks, files, requests
from services.ocpp.certificates.errors import CertificateError
from services.ocpp.certificates.hashes import HashData, hash_data, same_serial

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["StationKeys"]

_log = logging.getLogger(__name__)

_BEGIN = b"-----BEGIN CERTIFICATE-----"


class StationKeys:
    """See the module. `csms_roots`: a new chain must lead to one of them; `chain_bytes`: MaxCertificateChainSize."""

    def __init__(self, folder: Path, *, csms_roots: Callable[[], Iterable[Certificate]], chain_bytes: int) -> None:
        files.make_folder(folder)
        self._current = folder / "current.pem"
        self._renewed = folder / "renewed.pem"
        self._request = folder / "request.key"
        self._csms_roots = csms_roots
        self._chain_bytes = chain_bytes
        self._use_renewed = True
        self.generation = 0
        """Rises with each change that TLS contexts must follow."""

    def _chains(self) -> list[Path]:
        return [path for path in (self._renewed, self._current) if path.exists()]

    @property
    def file(self) -> Path | None:
        """Private key and chain to identify the station with, for `SSLContext.load_cert_chain`."""
        chains = self._chains()
        if not chains:
            return None
        return chains[0] if self._use_renewed else chains[-1]

    def period(self) -> tuple[float, float] | None:
        """Start and end of the validity of the newest station certificate, seconds since 1970."""
        leaf = next(self._leaves(), None)
        if leaf is None:
            return None
        return leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()

    def has_valid_certificate(self, utc: float | None) -> bool:
        """Whether one has not expired (A05.FR.03)."""
        return any(checks.is_valid(leaf, utc) for leaf in self._leaves())

    def is_named_by(self, data: HashData) -> bool:
        """By issuer's name and serial number alone: the issuer's key may not be known here."""
        for leaf in self._leaves():
            own = hash_data(leaf, b"", data.algorithm)
            same_issuer = own.issuer_name_hash == data.issuer_name_hash.casefold()
            if same_issuer and same_serial(own.serial_number, data.serial_number):
                return True
        return False

    def leaves(self) -> list[tuple[Certificate, bool]]:
        """The station's certificates, newest first, and whether each is not yet proven by a connection."""
        found = list(self._leaves())
        return [(leaf, number == 0 and len(found) > 1) for number, leaf in enumerate(found)]

    def _leaves(self) -> Iterator[Certificate]:
        """The station's certificates, newest first; damaged files are skipped."""
        for path in self._chains():
            try:
                yield _chain_in(path)[0]
            except (OSError, ValueError, CertificateError) as error:
                _log.error("%s can't be read: %s", path, files.damage(error))

    # --- a new certificate -------------------------------------------------------------------------------------------

    def request(self, common_name: str, organization: str) -> str:
        """A new key pair and the signing request for it, PEM (A02.FR.02, A02.FR.03).

        The key of an earlier request without an answer is dropped. Raises `CertificateError`, `StorageError`.
        """
        key = requests.new_key()
        text = requests.signing_request(key, common_name, organization)
        files.write(self._request, key)
        return text

    def install_chain(self, pem: str, utc: float | None, common_name: str) -> None:
        """Verify and store the answer to a request; the next connection uses it (A02.FR.06, A02.FR.08).

        Raises `CertificateError` when it is refused (A02.FR.07), `StorageError` when it can't be stored.
        """
        if len(pem.encode()) > self._chain_bytes:
            raise CertificateError(f"the chain is larger than {self._chain_bytes} bytes", "TooLargeElement")
        chain = checks.parse(pem)
        leaf = chain[0]
        checks.check_sound(leaf)
        checks.check_station(leaf, common_name)
        checks.check_period(leaf, utc)
        path = checks.check_path(chain, list(self._csms_roots()), utc)
        self._save_chain(self._key_of(leaf), path)
        _log.info("station certificate installed, valid until %s", leaf.not_valid_after_utc.date())

    def _save_chain(self, key: bytes, chain: list[Certificate]) -> None:
        self._write_chain(self._renewed if self._current.exists() else self._current, key, chain)
        self._use_renewed = True
        try:
            files.remove(self._request)
        except StorageError as error:  # a spare copy of the key, until the next request
            _log.warning("%s", error)

    def _write_chain(self, path: Path, key: bytes, chain: Iterable[Certificate]) -> None:
        files.write(path, key + b"".join(checks.to_pem(certificate).encode() for certificate in chain))
        self.generation += 1

    def _key_of(self, leaf: Certificate) -> bytes:
        """The private key of `leaf`: of the open request or, when the answer comes twice, of a chain."""
        for path in (self._request, *self._chains()):
            key = path.read_bytes().partition(_BEGIN)[0] if path.exists() else b""
            if key and _belongs(key, leaf):
                return key
        raise CertificateError("its key is not the requested one")

    def adopt(self, chain_pem: str, key_pem: str) -> None:
        """Take the chain and key of the factory (A00.FR.801); it may be of any hierarchy (A00.FR.804)."""
        chain = checks.parse(chain_pem)
        checks.check_sound(chain[0])
        key = key_pem.encode()
        if not _belongs(key, chain[0]):
            raise CertificateError("the station's key does not belong to its certificate")
        self._write_chain(self._current, key.strip() + b"\n", chain)

    # --- of two certificates ------------------------------------------------------------------------------------------

    def alternate(self) -> bool:
        """A02.FR.28: no connection succeeds with one certificate, so try the other. Returns whether there are two."""
        if len(self._chains()) < 2:
            return False
        self._use_renewed = not self._use_renewed
        self.generation += 1
        _log.info("next attempts with the %s station certificate", "renewed" if self._use_renewed else "former")
        return True

    def settle(self) -> Literal["renewed", "former"] | None:
        """A02.FR.10: a connection with the certificate in use was made: remove the other. Returns which one stays."""
        if len(self._chains()) < 2:
            return None
        if self._use_renewed:
            files.rename(self._renewed, self._current)
        else:
            files.remove(self._renewed)
        stays: Literal["renewed", "former"] = "renewed" if self._use_renewed else "former"
        self._use_renewed = True
        self.generation += 1
        return stays


def _chain_in(path: Path) -> list[Certificate]:
    """The chain in a station file, without the key before it."""
    text = path.read_bytes()
    return checks.parse(text[text.find(_BEGIN) :].decode())


def _belongs(key_pem: bytes, certificate: Certificate) -> bool:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("the private key can't be read") from error
    return bool(key.public_key() == checks.public_key_of(certificate))
