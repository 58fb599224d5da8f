# SPDX-License-Identifier: Apache-2.0
"""Who may sign firmware, and which signatures are valid."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import assume, given
from hypothesis import strategies as st

from firmware.errors import ImageError
from firmware.update import signing
from tools.pki import Authority, Issued

NOW = datetime.now(UTC).timestamp()
DIGEST = hashlib.sha256(b"image").digest()
_MANUFACTURER = Authority("manufacturer")
_SIGNER = _MANUFACTURER.firmware_signer()


@pytest.fixture(scope="module")
def manufacturer() -> Authority:
    return Authority("manufacturer")


def check(pem: str, *roots: Authority, utc: float | None = NOW) -> None:
    signing.check_signer(pem.encode(), [root.pem.encode() for root in roots], utc=utc)


def signer_with(root: Authority, key: Any, *critical: x509.ExtensionType) -> str:
    """A signing certificate for any kind of key, with these critical extensions."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_signer_of_an_installed_root_is_accepted(manufacturer: Authority) -> None:
    """L01.FR.12"""
    check(manufacturer.firmware_signer().pem, Authority("another"), manufacturer)


def test_signer_of_a_foreign_root_is_refused(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="no installed manufacturer root"):
        check(Authority("stranger").firmware_signer().pem, manufacturer)
    with pytest.raises(ImageError, match="no installed manufacturer root"):
        check(manufacturer.firmware_signer().pem)


def test_signer_of_a_root_with_the_same_name_is_refused(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="no installed manufacturer root"):
        check(Authority("manufacturer").firmware_signer().pem, manufacturer)


def test_expired_signer_is_refused(manufacturer: Authority) -> None:
    expired = manufacturer.firmware_signer(expired=True).pem
    with pytest.raises(ImageError, match="expired"):
        check(expired, manufacturer)
    check(expired, manufacturer, utc=None)  # no clock is set: nothing expires


def test_signer_of_the_future_is_refused(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="no installed"):
        check(manufacturer.firmware_signer().pem, manufacturer, utc=NOW - 10 * 86400)


def test_expired_root_has_no_signers(manufacturer: Authority) -> None:
    with pytest.raises(ImageError):
        check(manufacturer.firmware_signer().pem, manufacturer, utc=NOW + 5000 * 86400)


def test_server_certificate_of_the_manufacturer_signs_no_firmware(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="another purpose than code signing"):
        check(manufacturer.server().pem, manufacturer)


def test_root_itself_signs_no_firmware(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="authority"):
        check(manufacturer.pem, manufacturer)


def test_chain_instead_of_a_certificate_is_refused(manufacturer: Authority) -> None:
    with pytest.raises(ImageError, match="without a chain"):
        check(manufacturer.firmware_signer().pem + manufacturer.pem, manufacturer)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_rubbish_is_refused(text: str, manufacturer: Authority) -> None:
    with pytest.raises(ImageError):
        check(text, manufacturer)


@given(data=st.data())
def test_any_mutation_of_a_good_one_is_refused(data: st.DataObject) -> None:
    good = _SIGNER.certificate.public_bytes(serialization.Encoding.DER)
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + data.draw(st.binary(max_size=8)) + good[at + data.draw(st.integers(0, 8)) :]
    assume(changed != good)
    body = base64.encodebytes(changed).decode()
    with pytest.raises(ImageError):
        check(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n", _MANUFACTURER)


def test_weak_or_strange_keys_are_refused(manufacturer: Authority) -> None:
    weak, strange = rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()
    for key, reason in ((weak, "1024 bits, which is too weak"), (strange, "a kind that is not accepted")):
        with pytest.raises(ImageError, match=reason):
            check(signer_with(manufacturer, key), manufacturer)


def test_critical_extension_that_is_not_understood(manufacturer: Authority) -> None:
    """L01.FR.12"""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    check(signer_with(manufacturer, key, usage), manufacturer)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    with pytest.raises(ImageError, match="not understood"):
        check(signer_with(manufacturer, key, usage, unknown), manufacturer)


def test_damaged_root_is_skipped(manufacturer: Authority) -> None:
    roots = [b"rubbish", manufacturer.pem.encode()]
    signing.check_signer(manufacturer.firmware_signer().pem.encode(), roots, utc=NOW)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certificate_of(root: Authority, key: Any) -> x509.Certificate:
    return signing.load_certificate(signer_with(root, key).encode())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_elliptic_curve_signature(curve: ec.EllipticCurve, manufacturer: Authority) -> None:
    key = ec.generate_private_key(curve)
    certificate = certificate_of(manufacturer, key)
    signature = signing.sign_digest(key, DIGEST)
    signing.verify_digest(certificate, signature, DIGEST)
    with pytest.raises(ImageError):
        signing.verify_digest(certificate, signature, hashlib.sha256(b"other").digest())
    # As any other tool signs: ECDSA with SHA-256 over the file.
    signing.verify_digest(certificate, key.sign(b"image", ec.ECDSA(hashes.SHA256())), DIGEST)


def test_rsa_signature_is_pss_only(manufacturer: Authority, rsa_key: rsa.RSAPrivateKey) -> None:
    """L01.FR.04"""
    certificate = certificate_of(manufacturer, rsa_key)
    signing.verify_digest(certificate, signing.sign_digest(rsa_key, DIGEST), DIGEST)
    longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    signing.verify_digest(certificate, rsa_key.sign(b"image", longest, hashes.SHA256()), DIGEST)
    for old in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA1()), 20)):
        with pytest.raises(ImageError):
            signing.verify_digest(certificate, rsa_key.sign(b"image", old, hashes.SHA256()), DIGEST)


@pytest.mark.parametrize("signature", [b"", b"x", bytes(64), bytes(72), b"\x30\x06\x02\x01\x00\x02\x01\x00"])
def test_rubbish_is_no_signature(signature: bytes, manufacturer: Authority, rsa_key: rsa.RSAPrivateKey) -> None:
    for key in (rsa_key, ec.generate_private_key(ec.SECP256R1())):
        with pytest.raises(ImageError):
            signing.verify_digest(certificate_of(manufacturer, key), signature, DIGEST)


def test_signature_in_base64() -> None:
    assert signing.decode_signature("QUJD\n REVG\n") == b"ABCDEF"
    for text in ("QUJD!", "Q", "ü"):
        with pytest.raises(ImageError):
            signing.decode_signature(text)


def test_signature_of_another_signer_of_the_same_root(manufacturer: Authority) -> None:
    """L01.FR.09: the signature must be that of the certificate in the request."""
    one, other = manufacturer.firmware_signer(), manufacturer.firmware_signer()
    assert isinstance(one, Issued)
    with pytest.raises(ImageError):
        signing.verify_digest(one.certificate, signing.sign_digest(other.key, DIGEST), DIGEST)
