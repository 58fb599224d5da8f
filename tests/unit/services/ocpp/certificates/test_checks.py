# SPDX-License-Identifier: Apache-2.0
"""Refused certificates with the reason of each, and arbitrary input."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ocpp.certificates import CertificateError, CertificateStore
from tests.support.pki import START, Pki, name, pem

NOW = START.timestamp()
DAY = 86_400.0
KIND: Final = "CSMSRootCertificate"
ROOT = Pki()


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / "certificates")
    store.install_root(KIND, ROOT.pem, NOW)
    return store


def _der(change: Callable[[bytes], bytes]) -> str:
    """The root with its DER changed; its signature is then wrong, too."""
    der = change(ROOT.certificate.public_bytes(Encoding.DER))
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def _authority(*, issuer: Pki | None = None, **fields: Any) -> str:
    key = fields.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
    builder = ROOT.builder(name("Odd Root"), key.public_key(), issuer=name("Odd Root"), ca=True, **fields)
    signer = Pki("Odd Root", key=key)
    return pem((issuer or signer).sign(builder))


def _version_1(der: bytes) -> bytes:
    """Without the version field, whose default is 1; both lengths before it are shortened."""
    assert der[4:6] == b"\x30\x82" or der[3:5] == b"\x30\x82"
    head, body = b"", der
    for _ in range(2):
        head += b"\x30\x82" + (int.from_bytes(body[2:4], "big") - 5).to_bytes(2, "big")
        body = body[4:]
    return head + body.removeprefix(b"\xa0\x03\x02\x01\x02")


def _sequence(content: bytes) -> bytes:
    size = len(content).to_bytes(2 if len(content) > 255 else 1, "big")
    return bytes([0x30, 0x80 + len(size)]) + size + content


def _inside(der: bytes) -> bytes:
    """The content of a long sequence."""
    return der[2 + (der[1] & 0x7F) :]


def _serial(number: bytes) -> str:
    """The root with another serial number; its signature is then wrong, too, which is checked later."""
    fields = _inside(ROOT.certificate.tbs_certificate_bytes)
    own = fields[5 : 5 + 2 + fields[6]]
    assert own[0] == 2
    fields = fields.replace(own, bytes([2, len(number)]) + number, 1)
    rest = _inside(ROOT.certificate.public_bytes(Encoding.DER))[len(ROOT.certificate.tbs_certificate_bytes) :]
    return _der(lambda _: _sequence(_sequence(fields) + rest))


def _signed_with(algorithm: int) -> str:
    """A root that claims 1.2.840.113549.1.1.`algorithm`; today's libraries no longer sign so."""
    key = rsa.generate_private_key(65537, 2048)
    der = x509.load_pem_x509_certificate(_authority(key=key).encode()).public_bytes(Encoding.DER)
    changed = der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d0101") + bytes([algorithm]))
    return _der(lambda _: changed)


def _key_pem() -> str:
    key: bytes = ROOT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.decode()


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NAMES = x509.NameConstraints([x509.DNSName("example.com")], None)
POLICIES = x509.PolicyConstraints(0, None)


def _extended(value: x509.ExtensionType) -> str:
    """A root with one more extension, which is critical."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = ROOT.builder(name("Odd Root"), key.public_key(), issuer=name("Odd Root"), ca=True)
    return pem(Pki("Odd Root", key=key).sign(builder.add_extension(value, critical=True)))


def _with_names(count: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(f"host-{number}.example.com") for number in range(count)])
    builder = ROOT.builder(name("Odd Root"), key.public_key(), issuer=name("Odd Root"), ca=True)
    return pem(Pki("Odd Root", key=key).sign(builder.add_extension(names, critical=False)))


def _extension_twice(der: bytes) -> bytes:
    """The list of extensions has its one twice; the lengths around it grow."""
    start = der.rindex(bytes.fromhex("a3"), 0, der.index(bytes.fromhex("0603551d13")))
    once = der[start + 4 : start + 2 + der[start + 1]]
    body = der[8:start] + bytes([0xA3, 2 * len(once) + 2, 0x30, 2 * len(once)]) + once * 2
    certificate = b"\x30\x82" + len(body).to_bytes(2, "big") + body + der[start + 2 + der[start + 1] :]
    return b"\x30\x82" + len(certificate).to_bytes(2, "big") + certificate


ODD_ROOTS: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "no certificate in PEM"),
    "DER in base64 without armour": (lambda: "MIIBszCCAVmgAwIBAgIUK", "no certificate in PEM"),
    "a certificate request": (lambda: pem(ROOT.certificate).replace("CERTIFICATE", "CERTIFICATE REQUEST"), "no cert"),
    "a bundle": (lambda: ROOT.pem + Pki("Second").pem, "2 certificates"),
    "a private key with it": (lambda: ROOT.pem + _key_pem(), "private key"),
    "truncated": (lambda: _der(lambda der: der[:-40]), "can't be read"),
    "bytes behind the end": (lambda: _der(lambda der: der + b"\0\0"), "can't be read"),
    "indefinite length": (lambda: _der(lambda der: b"\x30\x80" + der[4:] + b"\0\0"), "can't be read"),
    "version 1": (lambda: _der(_version_1), "version 3"),  # A00.FR.507
    "version 7": (lambda: _der(lambda der: der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")), "be read"),
    "negative serial number": (
        lambda: _serial(b"\xff"),
        "serial number is not a positive number of at most 20 bytes",
    ),  # A00.FR.508
    "serial number zero": (lambda: _serial(b"\x00"), "serial number is not a positive number of at most 20 bytes"),
    "a serial number of 21 bytes": (
        lambda: _serial(b"\x01" * 21),
        "serial number is not a positive number of at most 20 bytes",
    ),
    "a serial number that is written with a needless zero": (lambda: _serial(b"\0\1"), "can't be read"),
    "SHA-1": (lambda: _signed_with(5), "sha1"),
    "MD5": (lambda: _signed_with(4), "md5"),
    "expired": (lambda: _authority(starts=-20, days=10), "expired"),
    "valid from tomorrow on": (lambda: _authority(starts=1), "not valid yet"),
    "not an authority": (lambda: pem(ROOT.sign(ROOT.builder(name("CP001"), ROOT.key.public_key()))), "authority"),
    "signed by a stranger": (lambda: _authority(issuer=Pki("Stranger")), "neither signed by itself"),
    "damaged signature": (lambda: _der(lambda der: der[:-4] + bytes(b ^ 1 for b in der[-4:])), "neither|be read"),
    "RSA of 1024 bits": (
        lambda: _authority(key=rsa.generate_private_key(65537, 1024)),
        "RSA key of 1024 bits",
    ),
    "a curve of 192 bits": (lambda: _authority(key=ec.generate_private_key(ec.SECP192R1())), "192 bits"),
    "DSA": (lambda: _authority(key=dsa.generate_private_key(1024)), "a kind that is not accepted"),
    "too large": (lambda: ROOT.pem + " " * 5500, "larger than 5500"),
    "8 KiB of names": (lambda: _with_names(400), "larger than 5500"),
    "an unknown extension": (lambda: _extended(UNKNOWN), "1.2.3.4, which is not understood"),
    "constraints on names": (lambda: _extended(NAMES), "2.5.29.30, which is not understood"),
    "constraints on policies": (
        lambda: _extended(POLICIES),
        "2.5.29.36, which is not understood",
    ),
    "a key that signs no certificates": (lambda: _extended(_usage(digital_signature=True)), "sign certificates"),
    "the same extension twice": (lambda: _der(_extension_twice), "has extensions that can't be read"),
}


@pytest.mark.parametrize("odd", ODD_ROOTS)
def test_an_odd_root_is_refused(store: CertificateStore, odd: str) -> None:
    make, reason = ODD_ROOTS[odd]
    with pytest.raises(CertificateError, match=reason):  # M05.FR.07
        store.install_root(KIND, make(), NOW)
    assert store.count == 1


UNUSUAL_ROOTS: dict[str, Callable[[], Pki]] = {
    "a curve of 224 bits": lambda: Pki(key=ec.generate_private_key(ec.SECP224R1())),  # A00.FR.503
    "a curve of 521 bits": lambda: Pki(key=ec.generate_private_key(ec.SECP521R1())),
    "RSA of 2048 bits": lambda: Pki(key=rsa.generate_private_key(65537, 2048)),  # A00.FR.502
}


@pytest.mark.parametrize("unusual", UNUSUAL_ROOTS)
def test_an_unusual_root_is_accepted_and_signs_others(tmp_path: Path, unusual: str) -> None:
    store, root = CertificateStore(tmp_path / "unusual"), UNUSUAL_ROOTS[unusual]()
    store.install_root(KIND, root.pem, NOW)
    store.station.install_chain(root.sign_request(store.station.request("SN-1", "Operator")), NOW, "SN-1")
    assert store.station.file is not None


def test_ed25519(tmp_path: Path) -> None:
    """Signs without a digest of its own (RFC 8410)."""
    key = ed25519.Ed25519PrivateKey.generate()
    builder = ROOT.builder(name("Ed"), key.public_key(), issuer=name("Ed"), ca=True)
    store = CertificateStore(tmp_path / "ed25519")
    store.install_root(KIND, pem(builder.sign(key, None)), NOW)
    csr = x509.load_pem_x509_csr(store.station.request("SN-1", "Operator").encode())
    leaf = ROOT.builder(csr.subject, csr.public_key(), issuer=name("Ed"))
    store.station.install_chain(pem(leaf.sign(key, None)), NOW, "SN-1")
    assert store.station.file is not None


@pytest.mark.parametrize("kind", [_ASN1Type.BMPString, _ASN1Type.T61String, _ASN1Type.UniversalString])
def test_names_in_old_alphabets_keep_their_bytes(tmp_path: Path, kind: _ASN1Type) -> None:
    """Hash data is made of the bytes in the certificate, not of their meaning (RFC 6960, 4.1.1)."""
    old = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Old Root", _type=kind)])
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ROOT.builder(old, key.public_key(), issuer=old, ca=True).sign(key, hashes.SHA256())
    store = CertificateStore(tmp_path / "old")
    store.install_root(KIND, pem(certificate), NOW)
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, hashes.SHA256()).build()
    data = store.roots(KIND)[0].hash_data()
    assert data.issuer_name_hash == request.issuer_name_hash.hex()  # M03.FR.04
    assert data.issuer_key_hash == request.issuer_key_hash.hex()
    wanted = old.public_bytes()
    assert hashlib.sha256(wanted).hexdigest() == data.issuer_name_hash
    assert wanted in certificate.tbs_certificate_bytes


def _compressed(root: Pki) -> x509.Certificate:
    """The root with its public key as a compressed point (SEC 1, 2.3.3), signed anew."""
    point = root.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    short = root.key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    tbs = root.certificate.tbs_certificate_bytes
    tbs = tbs.replace(bytes([0x03, 66, 0]) + point, bytes([0x03, 34, 0]) + short).replace(
        bytes.fromhex("3059301306072a8648ce3d0201"), bytes.fromhex("3039301306072a8648ce3d0201")
    )
    tbs = _sequence(_inside(tbs))
    signature = root.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = bytes([0x03, len(signature) + 1, 0]) + signature
    return x509.load_der_x509_certificate(_sequence(tbs + algorithm + bits))


def test_hash_data_is_of_the_key_as_it_stands_in_the_certificate(tmp_path: Path) -> None:
    store, certificate = CertificateStore(tmp_path / "compressed"), _compressed(Pki())
    store.install_root(KIND, pem(certificate), NOW)
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, hashes.SHA256()).build()
    assert store.roots(KIND)[0].hash_data().issuer_key_hash == request.issuer_key_hash.hex()  # M03.FR.04


def test_rsa_pss(tmp_path: Path) -> None:
    """A00.FR.505 recommends it for signatures."""
    key = rsa.generate_private_key(65537, 2048)
    builder = ROOT.builder(name("Pss"), key.public_key(), issuer=name("Pss"), ca=True)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    store = CertificateStore(tmp_path / "pss")
    store.install_root(KIND, pem(builder.sign(key, hashes.SHA256(), rsa_padding=pss)), NOW)
    csr = x509.load_pem_x509_csr(store.station.request("SN-1", "Operator").encode())
    leaf = ROOT.builder(csr.subject, csr.public_key(), issuer=name("Pss"))
    store.station.install_chain(pem(leaf.sign(key, hashes.SHA256(), rsa_padding=pss)), NOW, "SN-1")
    assert store.station.file is not None


def test_text_around_the_certificate_is_ignored(tmp_path: Path) -> None:
    """RFC 7468, 5.2: some tools write its fields before it."""
    store = CertificateStore(tmp_path / "words")
    store.install_root(KIND, f"Subject: CN=Test Root\r\n{ROOT.pem.replace(chr(10), chr(13) + chr(10))}\r\nend", NOW)
    assert store.roots(KIND)[0].pem == ROOT.pem


def test_a_weak_link_in_the_chain(store: CertificateStore) -> None:
    weak = Pki("Sub-CA", parent=ROOT, key=rsa.generate_private_key(65537, 1024))
    chain = weak.sign_request(store.station.request("SN-1", "Operator")) + weak.pem
    with pytest.raises(CertificateError, match="RSA key of 1024 bits"):  # A00.FR.501
        store.station.install_chain(chain, NOW, "SN-1")


def test_an_expired_link_in_the_chain(store: CertificateStore) -> None:
    middle = Pki("Sub-CA", parent=ROOT, now=START - timedelta(days=8000))
    middle.now = START
    with pytest.raises(CertificateError, match="expired"):  # A02.FR.06
        store.station.install_chain(
            middle.sign_request(store.station.request("SN-1", "Operator")) + middle.pem, NOW, "SN-1"
        )


def _with(value: x509.ExtensionType, critical: bool = False) -> Callable[[Any], Any]:
    return lambda builder: builder.add_extension(value, critical=critical)


def _usage(**fields: bool) -> x509.KeyUsage:
    names: tuple[str, ...] = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{one: fields.get(one, False) for one in names})


ODD_STATION_CERTIFICATES: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"starts": -20, "days": 10}, "expired"),
    "valid from tomorrow on": ({"starts": 1}, "not valid yet"),  # A02.FR.06, as of the errata
    "another station's": ({"subject": name("SN-2")}, "not this station's serial number"),
    "no organization": ({"subject": name("SN-1", None)}, "no organization"),
    "no purpose for clients": (
        {"change": _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))},
        "another purpose than client authentication",
    ),
    # A00.FR.512: where the usage of a key is restricted, the restriction counts.
    "a key for nothing": ({"change": _with(_usage(key_agreement=True))}, "signatures"),
    "an unknown critical extension": ({"change": _with(UNKNOWN, critical=True)}, "1.2.3.4"),
    "an authority": ({"ca": True}, "authority"),
}


@pytest.mark.parametrize("odd", ODD_STATION_CERTIFICATES)
def test_an_odd_station_certificate_is_refused(store: CertificateStore, odd: str) -> None:
    fields, reason = ODD_STATION_CERTIFICATES[odd]
    csr = store.station.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match=reason):  # A02.FR.07
        store.station.install_chain(ROOT.sign_request(csr, **fields), NOW, "SN-1")
    assert store.station.file is None
    store.station.install_chain(ROOT.sign_request(csr, change=_with(UNKNOWN)), NOW, "SN-1")


def test_a_leaf_can_not_sign_for_others(store: CertificateStore) -> None:
    leaf = Pki("SN-0", key=ec.generate_private_key(ec.SECP256R1()))
    leaf.certificate = ROOT.sign(ROOT.builder(name("SN-0"), leaf.key.public_key()))
    chain = leaf.sign_request(store.station.request("SN-1", "Operator")) + leaf.pem
    with pytest.raises(CertificateError, match="not the certificate of a certificate authority"):
        store.station.install_chain(chain, NOW, "SN-1")


def test_the_path_length_is_checked(store: CertificateStore) -> None:
    first = Pki("First", parent=ROOT)
    builder = x509.CertificateBuilder(name("Test Root"), name("First"), first.key.public_key(), 77)
    builder = builder.not_valid_before(START - timedelta(days=1)).not_valid_after(START + timedelta(days=9))
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    first.certificate = ROOT.sign(builder.add_extension(constraints, critical=True))
    second = Pki("Second", parent=first)
    csr = store.station.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match="longer than"):
        store.station.install_chain(second.sign_request(csr) + second.pem + first.pem, NOW, "SN-1")
    store.station.install_chain(first.sign_request(csr) + first.pem, NOW, "SN-1")


def test_without_a_clock_nothing_is_decided_by_dates(store: CertificateStore) -> None:
    store.install_root(KIND, _authority(starts=1), None)
    with pytest.raises(CertificateError, match="expired"):  # it had ended before this firmware was made
        store.install_root(KIND, _authority(starts=-4000, days=10), None)


def test_a_minute_of_difference_between_clocks_is_accepted(store: CertificateStore) -> None:
    store.install_root(KIND, _authority(starts=30 / DAY), NOW)


TEXTS = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=1200).map(
        lambda data: f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"
    ),
)


@settings(max_examples=200, deadline=500)
@given(text=TEXTS)
def test_any_text_is_refused_and_quickly(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _refused(text, tmp_path_factory)


_DER = ROOT.certificate.public_bytes(Encoding.DER)


@settings(max_examples=300, deadline=500)
@given(place=st.integers(0, len(_DER) - 1), byte=st.integers(0, 255), length=st.integers(0, 8))
def test_any_mutation_of_a_good_one_is_refused(
    place: int, byte: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = _DER[:place] + bytes([byte]) * length + _DER[place + length :]
    if changed != _DER:
        _refused(_der(lambda _: changed), tmp_path_factory)


def _refused(text: str, factory: pytest.TempPathFactory) -> None:
    store = CertificateStore(factory.getbasetemp() / "fuzz")
    started = time.monotonic()
    with pytest.raises(CertificateError):
        store.install_root(KIND, text, NOW)
    with pytest.raises(CertificateError):
        store.station.install_chain(text, NOW, "SN-1")
    assert time.monotonic() - started < 1
    assert store.count == 0


def test_a_chain_that_is_all_look_alikes_takes_no_time(store: CertificateStore, tmp_path: Path) -> None:
    """Many issuers of one name, all of which have to be tried."""
    key = ec.generate_private_key(ec.SECP256R1())
    forged = [Pki("Test Root", key=key) for _ in range(5)]
    large = CertificateStore(tmp_path / "certificates", chain_bytes=100_000)
    chain = forged[0].sign_request(store.station.request("SN-1", "Operator")) + "".join(one.pem for one in forged[1:])
    started = time.monotonic()
    with pytest.raises(CertificateError, match="does not lead to"):
        large.station.install_chain(chain, NOW, "SN-1")
    with pytest.raises(CertificateError, match="at most 6"):
        large.station.install_chain(chain * 20, NOW, "SN-1")
    assert time.monotonic() - started < 1
