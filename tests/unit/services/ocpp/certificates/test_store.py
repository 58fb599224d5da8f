# SPDX-License-Identifier: Apache-2.0
"""The store on disk: roots, the station's chain and keys, and what a power cut leaves of them."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.x509 import ocsp

from firmware.config import CertificateFiles
from firmware.errors import ConfigError, StorageError
from services.ocpp.certificates import CertificateError, CertificateStore, factory, files, store
from services.ocpp.certificates.hashes import HashData
from tests.support.pki import START, Pki, pem

NOW = START.timestamp()
CSMS: Final = "CSMSRootCertificate"
MANUFACTURER: Final = "ManufacturerRootCertificate"


@pytest.fixture
def root() -> Pki:
    return Pki()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certificates"


@pytest.fixture
def kept(folder: Path, root: Pki) -> CertificateStore:
    kept = CertificateStore(folder)
    kept.install_root(CSMS, root.pem, NOW)
    return kept


def _renew(kept: CertificateStore, root: Pki, **fields: Any) -> None:
    kept.install_chain(root.sign_request(kept.request("SN-1", "Operator"), **fields), NOW, "SN-1")


def _leaf(kept: CertificateStore) -> x509.Certificate:
    assert kept.station_file is not None
    text = kept.station_file.read_text()
    return x509.load_pem_x509_certificate(text[text.index("-----BEGIN CERTIFICATE") :].encode())


# -- roots -----------------------------------------------------------------------------------------------------------


def test_a_root_is_there_after_a_restart(kept: CertificateStore, folder: Path, root: Pki) -> None:
    again = CertificateStore(folder)
    assert [one.pem for one in again.roots(CSMS)] == [root.pem]
    assert again.roots(MANUFACTURER) == []


def test_the_same_root_twice_is_one(kept: CertificateStore, root: Pki) -> None:
    kept.install_root(CSMS, root.pem, NOW)  # M05.FR.17
    assert kept.count == 1


@pytest.mark.parametrize(("algorithm", "digest"), [("SHA256", SHA256()), ("SHA512", SHA512())])
def test_hash_data_is_that_of_ocsp(kept: CertificateStore, root: Pki, algorithm: str, digest: SHA256 | SHA512) -> None:
    data = kept.roots(CSMS)[0].hash_data(algorithm)
    request = ocsp.OCSPRequestBuilder().add_certificate(root.certificate, root.certificate, digest).build()
    assert bytes.fromhex(data.issuer_name_hash) == request.issuer_name_hash
    assert bytes.fromhex(data.issuer_key_hash) == request.issuer_key_hash
    assert int(data.serial_number, 16) == root.certificate.serial_number
    assert not data.serial_number.startswith("0")


def test_the_thirteenth_certificate_is_refused(folder: Path) -> None:
    kept = CertificateStore(folder, entries=12)
    roots = [Pki(f"Root {number}") for number in range(13)]
    for root in roots[:12]:
        kept.install_root(MANUFACTURER, root.pem, NOW)
    with pytest.raises(CertificateError, match="12 certificates") as refused:  # M05.FR.06
        kept.install_root(MANUFACTURER, roots[12].pem, NOW)
    assert refused.value.code == "OutOfStorage"
    kept.install_root(MANUFACTURER, roots[0].pem, NOW)  # replacing one is no addition


def test_delete(kept: CertificateStore, folder: Path) -> None:
    data = kept.roots(CSMS)[0].hash_data()
    shouted = HashData("SHA256", data.issuer_name_hash.upper(), data.issuer_key_hash, f"00{data.serial_number.upper()}")
    assert kept.delete(HashData("SHA256", data.issuer_name_hash, data.issuer_key_hash, "1234")) == "NotFound"
    assert kept.delete(shouted) == "Accepted"
    assert kept.delete(data) == "NotFound"
    assert CertificateStore(folder).count == 0


def test_the_last_csms_root_stays_where_the_product_says_so(folder: Path, root: Pki) -> None:
    kept = CertificateStore(folder, keep_last_csms_root=True)
    kept.install_root(CSMS, root.pem, NOW)
    assert kept.delete(kept.roots(CSMS)[0].hash_data()) == "Failed"  # M04.FR.03
    kept.install_root(CSMS, Pki("Root 2").pem, NOW)
    assert kept.delete(kept.roots(CSMS)[0].hash_data()) == "Accepted"


def test_a_root_that_can_not_be_deleted_stays(kept: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data = kept.roots(CSMS)[0].hash_data()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _no_space)
        assert kept.delete(data) == "Failed"  # M04.FR.03
    assert kept.count == 1
    assert kept.delete(HashData("MD5", data.issuer_name_hash, data.issuer_key_hash, data.serial_number)) == "NotFound"


def _no_space(*_arguments: Any, **_fields: Any) -> None:
    raise OSError(28, "No space left on device")


def test_the_station_certificate_can_not_be_deleted(kept: CertificateStore, root: Pki) -> None:
    _renew(kept, root)
    request = ocsp.OCSPRequestBuilder().add_certificate(_leaf(kept), root.certificate, SHA256()).build()
    wanted = HashData(
        "SHA256", request.issuer_name_hash.hex(), request.issuer_key_hash.hex(), f"{request.serial_number:X}"
    )
    assert kept.delete(wanted) == "Failed"  # M04.FR.06
    assert kept.station_file is not None


def test_a_damaged_root_is_passed_over(kept: CertificateStore, folder: Path) -> None:
    next((folder / "csms").glob("*.pem")).write_bytes(b"\xff\xfe")
    assert CertificateStore(folder).roots(CSMS) == []


@pytest.mark.parametrize("damage", [lambda pem: pem[:-80], lambda pem: pem.replace("A", "B"), lambda pem: ""])
def test_a_root_with_other_bytes_is_passed_over(
    kept: CertificateStore, folder: Path, root: Pki, damage: Callable[[str], str]
) -> None:
    """One damaged file must not spoil the listing, or the deletion, of the others."""
    path = next((folder / "csms").glob("*.pem"))
    header, _, text = path.read_text().partition("\n")
    path.write_text(f"{header}\n{damage(text)}")
    again = CertificateStore(folder)
    assert again.roots(CSMS) == []
    again.install_root(CSMS, root.pem, NOW)
    assert again.delete(again.roots(CSMS)[0].hash_data()) == "Accepted"


def test_a_damaged_station_certificate_is_none(kept: CertificateStore, folder: Path, root: Pki) -> None:
    _renew(kept, root)
    (folder / "station" / "current.pem").write_text("-----BEGIN CERTIFICATE-----\nA\xe9")
    assert kept.station_period() is None
    assert not kept.has_valid_station_certificate(NOW)
    assert kept.delete(HashData("SHA256", "00", "00", "1")) == "NotFound"


def test_a_full_disk_changes_nothing(kept: CertificateStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError):
        kept.install_root(CSMS, Pki("Root 2").pem, NOW)
    assert kept.count == 1
    assert len(list((folder / "csms").iterdir())) == 1


# -- AdditionalRootCertificateCheck ----------------------------------------------------------------------------------


def test_a_successor_must_be_signed_by_the_root_that_it_replaces(kept: CertificateStore, root: Pki) -> None:
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):  # M05.FR.11
        kept.install_root(CSMS, Pki("Stranger").pem, NOW, signed_by_old=True)
    kept.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert [one.fallback for one in kept.roots(CSMS)] == [True, False]  # M05.FR.12


def test_the_replaced_root_goes_after_a_connection_with_its_successor(
    kept: CertificateStore, folder: Path, root: Pki
) -> None:
    successor = Pki("Successor", parent=root)
    kept.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert [one.fallback for one in CertificateStore(folder).roots(CSMS)].count(True) == 1
    assert kept.drop_fallback()  # M05.FR.13
    assert [one.pem for one in CertificateStore(folder).roots(CSMS)] == [successor.pem]


def test_only_one_fallback_is_kept(kept: CertificateStore, root: Pki) -> None:
    second = Pki("Second", parent=root)
    third = Pki("Third", parent=second)
    for successor in (second, third):
        kept.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert {one.pem for one in kept.roots(CSMS)} == {second.pem, third.pem}  # M05.FR.09


def test_the_same_successor_twice_is_one(kept: CertificateStore, root: Pki) -> None:
    successor = Pki("Successor", parent=root)
    for _ in range(2):
        kept.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    kept.drop_fallback()
    kept.install_root(CSMS, successor.pem, NOW, signed_by_old=True)  # M05.FR.17, though nobody is left to vouch for it
    assert [one.pem for one in kept.roots(CSMS)] == [successor.pem]


def test_a_replaced_root_does_not_come_back_by_itself(kept: CertificateStore, root: Pki) -> None:
    kept.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):  # M05.FR.10
        kept.install_root(CSMS, root.pem, NOW, signed_by_old=True)


def test_without_its_successor_the_fallback_is_the_root(kept: CertificateStore, folder: Path, root: Pki) -> None:
    """Otherwise nobody would have to sign the next one."""
    kept.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert kept.delete(kept.roots(CSMS)[1].hash_data()) == "Accepted"
    assert [one.fallback for one in CertificateStore(folder).roots(CSMS)] == [False]
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):
        kept.install_root(CSMS, Pki("Stranger").pem, NOW, signed_by_old=True)
    kept.install_root(CSMS, Pki("Second", parent=root).pem, NOW, signed_by_old=True)


@pytest.mark.parametrize("step", range(6))
def test_a_power_cut_while_a_root_is_replaced(
    kept: CertificateStore, folder: Path, root: Pki, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step on the disk: one root at least is in force, and the next successor needs its signature."""
    successor = Pki("Successor", parent=root)
    with monkeypatch.context() as patched, contextlib.suppress(PowerCut):
        _cut_after(step, patched)
        kept.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    again = CertificateStore(folder)
    assert [one.pem for one in again.roots(CSMS) if not one.fallback] in ([root.pem], [successor.pem])
    again.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert {one.pem: one.fallback for one in again.roots(CSMS)} == {root.pem: True, successor.pem: False}


class PowerCut(BaseException):
    """Nothing runs after it."""


def _cut_after(steps: int, patched: pytest.MonkeyPatch) -> None:
    """The power fails at the call of `os.replace` or `os.fsync` that comes after so many."""
    left = [steps]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return real(*arguments)

        return call

    for name in ("replace", "fsync"):
        patched.setattr(os, name, counted(getattr(os, name)))


def test_a_full_disk_leaves_the_root_in_force(
    kept: CertificateStore, folder: Path, root: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _content: bytes) -> None:
        raise StorageError(f"{path} can't be written")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", full)
        with pytest.raises(StorageError):
            kept.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert [one.fallback for one in kept.roots(CSMS)] == [False]
    assert [one.pem for one in CertificateStore(folder).roots(CSMS)] == [root.pem]


# -- the station's certificate ---------------------------------------------------------------------------------------


def test_a_request_is_for_a_new_key_each_time(kept: CertificateStore) -> None:
    first, second = (x509.load_pem_x509_csr(kept.request("SN-1", "Operator").encode()) for _ in range(2))
    assert first.is_signature_valid
    assert isinstance(first.signature_hash_algorithm, SHA256)  # A00.FR.506
    assert first.subject.rfc4514_string() == "CN=SN-1,O=Operator"
    assert first.public_key() != second.public_key()


def test_the_first_chain_is_in_use_at_once(kept: CertificateStore, root: Pki) -> None:
    _renew(kept, root)
    assert kept.station_file is not None
    assert kept.settle() is None
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(kept.station_file)


def test_an_answer_after_a_restart_is_still_good(kept: CertificateStore, folder: Path, root: Pki) -> None:
    csr = kept.request("SN-1", "Operator")
    CertificateStore(folder).install_chain(root.sign_request(csr), NOW, "SN-1")
    assert CertificateStore(folder).station_file is not None


def test_an_answer_that_comes_twice_is_taken_twice(kept: CertificateStore, root: Pki) -> None:
    csr = kept.request("SN-1", "Operator")
    for _ in range(2):
        kept.install_chain(root.sign_request(csr), NOW, "SN-1")


def test_a_renewed_certificate_replaces_the_former_once_it_works(kept: CertificateStore, root: Pki) -> None:
    _renew(kept, root)
    former = _leaf(kept)
    _renew(kept, root)
    renewed = _leaf(kept)
    assert renewed != former
    assert kept.count == 3
    assert kept.settle() == "renewed"  # A02.FR.10
    assert _leaf(kept) == renewed
    assert kept.count == 2


def test_one_that_nobody_takes_gives_way_to_the_former(kept: CertificateStore, folder: Path, root: Pki) -> None:
    _renew(kept, root)
    former = _leaf(kept)
    _renew(kept, root)
    assert kept.alternate()  # A02.FR.28
    assert _leaf(kept) == former
    assert kept.settle() == "former"  # A02.FR.29
    assert _leaf(CertificateStore(folder)) == former
    assert not kept.alternate()


def test_a_certificate_without_our_key_is_refused(kept: CertificateStore, root: Pki, tmp_path: Path) -> None:
    elsewhere = CertificateStore(tmp_path / "elsewhere")
    kept.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match="not the one that was asked for"):
        kept.install_chain(root.sign_request(elsewhere.request("SN-1", "Operator")), NOW, "SN-1")
    assert kept.station_file is None


def test_intermediates_are_followed_and_kept(kept: CertificateStore, root: Pki) -> None:
    middle = Pki("Sub-CA 1", parent=root)
    lower = Pki("Sub-CA 2", parent=middle)
    csr = kept.request("SN-1", "Operator")
    with pytest.raises(CertificateError, match="does not lead to"):
        kept.install_chain(lower.sign_request(csr) + lower.pem, NOW, "SN-1")
    leaf = lower.sign_request(csr)
    kept.install_chain(leaf + root.pem + middle.pem + Pki("Stranger").pem + lower.pem, NOW, "SN-1")
    assert kept.station_file is not None
    _key, shown = kept.station_file.read_text().split("-----END PRIVATE KEY-----\n")
    assert shown == leaf + lower.pem + middle.pem, "each is followed by its issuer, and nothing else is shown"


def test_a_chain_beyond_the_limit_is_refused(kept: CertificateStore, root: Pki) -> None:
    chain = root.sign_request(kept.request("SN-1", "Operator"))
    with pytest.raises(CertificateError, match="larger than 4096 bytes") as refused:  # A02.FR.16
        kept.install_chain(chain.ljust(4097, "\n"), NOW, "SN-1")
    assert refused.value.code == "TooLargeElement"


@pytest.mark.parametrize("step", range(6))
def test_a_power_cut_while_a_certificate_is_installed(
    kept: CertificateStore, folder: Path, root: Pki, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key and certificate are there together, or the answer can come again."""
    chain = root.sign_request(kept.request("SN-1", "Operator"))
    with monkeypatch.context() as patched, contextlib.suppress(PowerCut):
        _cut_after(step, patched)
        kept.install_chain(chain, NOW, "SN-1")
    again = CertificateStore(folder)
    if again.station_file is None:
        again.install_chain(chain, NOW, "SN-1")
    assert again.station_file is not None
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(again.station_file)


def test_a_key_that_can_not_be_cleared_away_costs_nothing(
    kept: CertificateStore, root: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(path: Path) -> None:
        raise StorageError(f"{path.name} can't be removed")

    chain = root.sign_request(kept.request("SN-1", "Operator"))
    monkeypatch.setattr(files, "remove", stuck)
    kept.install_chain(chain, NOW, "SN-1")
    assert kept.station_file is not None


def test_every_file_is_for_us_alone(kept: CertificateStore, folder: Path, root: Pki) -> None:
    _renew(kept, root)
    kept.request("SN-1", "Operator")
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_half_written_file_of_a_power_cut_is_cleared_away(kept: CertificateStore, folder: Path) -> None:
    (folder / "station" / "current.pem.new").write_text("half a k")
    again = CertificateStore(folder)
    assert again.station_file is None
    assert not list(folder.rglob("*.new"))


def test_a_station_certificate_can_be_discarded_on_site(kept: CertificateStore, root: Pki) -> None:
    _renew(kept, root)
    kept.discard_station()  # AQ-3
    assert kept.station_file is None
    assert not kept.has_valid_station_certificate(NOW)


# -- from the factory ------------------------------------------------------------------------------------------------


def test_factory_files(folder: Path, tmp_path: Path, root: Pki) -> None:
    chain, key = Pki("Maker").server(tmp_path, "CP001")
    (tmp_path / "root.pem").write_text(root.pem)
    kept = CertificateStore(folder)
    factory_files = CertificateFiles(
        csms_root=[str(tmp_path / "root.pem")],
        manufacturer_root=[str(tmp_path / "root.pem")],
        station_chain=str(chain),
        station_key=str(key),
    )
    factory.install(kept, factory_files)  # A00.FR.801; a chain of the manufacturer's hierarchy: A00.FR.804
    assert kept.count == 3
    assert kept.station_file is not None


@pytest.mark.parametrize("wrong", ["missing", "nonsense", "foreign key", "chain alone"])
def test_wrong_factory_files_name_the_file(folder: Path, tmp_path: Path, root: Pki, wrong: str) -> None:
    chain, key = root.server(tmp_path, "CP001")
    (tmp_path / "nonsense.pem").write_text("nonsense")
    other = tmp_path / "other"
    other.mkdir()
    foreign = root.server(other, "CP001")[1]
    wrong_files = {
        "missing": CertificateFiles(csms_root=[str(tmp_path / "nowhere.pem")]),
        "nonsense": CertificateFiles(csms_root=[str(tmp_path / "nonsense.pem")]),
        "foreign key": CertificateFiles(station_chain=str(chain), station_key=str(foreign)),
        "chain alone": CertificateFiles(station_chain=str(chain), station_key=None if key else str(key)),
    }[wrong]
    with pytest.raises(ConfigError, match="certificates: "):
        factory.install(CertificateStore(folder), wrong_files)


def test_the_store_needs_no_cryptography_to_start() -> None:
    names = {"cryptography", "x509"}
    assert not names.intersection(vars(store))


def test_private_keys_stay_where_they_are(kept: CertificateStore, root: Pki, caplog: pytest.LogCaptureFixture) -> None:
    csr = kept.request("SN-1", "Operator")
    kept.install_chain(root.sign_request(csr), NOW, "SN-1")
    assert kept.station_file is not None
    secret = kept.station_file.read_text().split("-----")[2].split()[1]
    told = csr + repr(kept.roots(CSMS)) + repr(kept.__dict__) + caplog.text  # A02.FR.05
    assert secret not in told
    assert "PRIVATE" not in told
    assert pem(root.certificate) == root.pem
