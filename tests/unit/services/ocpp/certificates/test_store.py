# SPDX-License-Identifier: Apache-2.0
"""The roots on disk, what a power cut leaves of them, and the files of the factory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.x509 import ocsp

from firmware.errors import ConfigError, StorageError
from firmware.factory_settings import CertificateFiles
from services.ocpp.certificates import CertificateError, CertificateStore, factory, files, station_keys
from services.ocpp.certificates import store as store_module
from services.ocpp.certificates.hashes import HashData
from tests.support.pki import START, Pki
from tests.support.power_cut import power_cut

NOW = START.timestamp()
CSMS: Final = "CSMSRootCertificate"
MANUFACTURER: Final = "ManufacturerRootCertificate"


# -- roots -----------------------------------------------------------------------------------------------------------


def test_a_root_is_there_after_a_restart(store: CertificateStore, folder: Path, root: Pki) -> None:
    again = CertificateStore(folder)
    assert [one.pem for one in again.roots(CSMS)] == [root.pem]
    assert again.roots(MANUFACTURER) == []


def test_the_same_root_twice_is_one(store: CertificateStore, root: Pki) -> None:
    store.install_root(CSMS, root.pem, NOW)  # M05.FR.17
    assert store.count == 1


@pytest.mark.parametrize(("algorithm", "digest"), [("SHA256", SHA256()), ("SHA512", SHA512())])
def test_hash_data_is_that_of_ocsp(store: CertificateStore, root: Pki, algorithm: str, digest: SHA256 | SHA512) -> None:
    data = store.roots(CSMS)[0].hash_data(algorithm)
    request = ocsp.OCSPRequestBuilder().add_certificate(root.certificate, root.certificate, digest).build()
    assert bytes.fromhex(data.issuer_name_hash) == request.issuer_name_hash
    assert bytes.fromhex(data.issuer_key_hash) == request.issuer_key_hash
    assert int(data.serial_number, 16) == root.certificate.serial_number
    assert not data.serial_number.startswith("0")


def test_the_thirteenth_certificate_is_refused(folder: Path) -> None:
    store = CertificateStore(folder, entries=12)
    roots = [Pki(f"Root {number}") for number in range(13)]
    for root in roots[:12]:
        store.install_root(MANUFACTURER, root.pem, NOW)
    with pytest.raises(CertificateError, match="12 certificates") as refused:  # M05.FR.06
        store.install_root(MANUFACTURER, roots[12].pem, NOW)
    assert refused.value.code == "OutOfStorage"
    store.install_root(MANUFACTURER, roots[0].pem, NOW)  # replacing one is no addition


def test_delete(store: CertificateStore, folder: Path) -> None:
    data = store.roots(CSMS)[0].hash_data()
    shouted = HashData("SHA256", data.issuer_name_hash.upper(), data.issuer_key_hash, f"00{data.serial_number.upper()}")
    assert store.delete(HashData("SHA256", data.issuer_name_hash, data.issuer_key_hash, "1234")) == "NotFound"
    assert store.delete(shouted) == "Accepted"
    assert store.delete(data) == "NotFound"
    assert CertificateStore(folder).count == 0


def test_the_last_csms_root_stays_where_the_product_says_so(folder: Path, root: Pki) -> None:
    store = CertificateStore(folder, keep_last_csms_root=True)
    store.install_root(CSMS, root.pem, NOW)
    assert store.delete(store.roots(CSMS)[0].hash_data()) == "Failed"  # M04.FR.03
    store.install_root(CSMS, Pki("Root 2").pem, NOW)
    assert store.delete(store.roots(CSMS)[0].hash_data()) == "Accepted"


def test_a_root_that_can_not_be_deleted_stays(store: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data = store.roots(CSMS)[0].hash_data()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _no_space)
        assert store.delete(data) == "Failed"  # M04.FR.03
    assert store.count == 1
    assert store.delete(HashData("MD5", data.issuer_name_hash, data.issuer_key_hash, data.serial_number)) == "NotFound"


def _no_space(*_arguments: Any, **_fields: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_damaged_root_is_skipped(store: CertificateStore, folder: Path) -> None:
    next((folder / "csms").glob("*.pem")).write_bytes(b"\xff\xfe")
    assert CertificateStore(folder).roots(CSMS) == []


@pytest.mark.parametrize("damage", [lambda pem: pem[:-80], lambda pem: pem.replace("A", "B"), lambda pem: ""])
def test_a_root_with_changed_bytes_is_skipped(
    store: CertificateStore, folder: Path, root: Pki, damage: Callable[[str], str]
) -> None:
    """A damaged file must not prevent the listing or the deletion of the others."""
    path = next((folder / "csms").glob("*.pem"))
    header, _, text = path.read_text().partition("\n")
    path.write_text(f"{header}\n{damage(text)}")
    again = CertificateStore(folder)
    assert again.roots(CSMS) == []
    again.install_root(CSMS, root.pem, NOW)
    assert again.delete(again.roots(CSMS)[0].hash_data()) == "Accepted"


def test_a_full_disk_changes_nothing(store: CertificateStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError):
        store.install_root(CSMS, Pki("Root 2").pem, NOW)
    assert store.count == 1
    assert len(list((folder / "csms").iterdir())) == 1


def test_every_file_is_for_us_alone(store: CertificateStore, folder: Path, root: Pki) -> None:
    for _ in range(2):
        store.station.install_chain(root.sign_request(store.station.request("SN-1", "Operator")), NOW, "SN-1")
    store.station.request("SN-1", "Operator")
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_half_written_file_of_a_power_cut_is_removed(store: CertificateStore, folder: Path) -> None:
    (folder / "station" / "current.pem.new").write_text("half a k")
    again = CertificateStore(folder)
    assert again.station.file is None
    assert not list(folder.rglob("*.new"))


# -- AdditionalRootCertificateCheck ----------------------------------------------------------------------------------


def test_a_successor_must_be_signed_by_the_root_that_it_replaces(store: CertificateStore, root: Pki) -> None:
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):  # M05.FR.11
        store.install_root(CSMS, Pki("Stranger").pem, NOW, signed_by_old=True)
    store.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert [one.fallback for one in store.roots(CSMS)] == [True, False]  # M05.FR.12


def test_the_replaced_root_goes_after_a_connection_with_its_successor(
    store: CertificateStore, folder: Path, root: Pki
) -> None:
    successor = Pki("Successor", parent=root)
    store.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert [one.fallback for one in CertificateStore(folder).roots(CSMS)].count(True) == 1
    assert store.drop_fallback()  # M05.FR.13
    assert [one.pem for one in CertificateStore(folder).roots(CSMS)] == [successor.pem]


def test_only_one_fallback_is_kept(store: CertificateStore, root: Pki) -> None:
    second = Pki("Second", parent=root)
    third = Pki("Third", parent=second)
    for successor in (second, third):
        store.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert {one.pem for one in store.roots(CSMS)} == {second.pem, third.pem}  # M05.FR.09


def test_the_same_successor_twice_is_one(store: CertificateStore, root: Pki) -> None:
    successor = Pki("Successor", parent=root)
    for _ in range(2):
        store.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    store.drop_fallback()
    store.install_root(CSMS, successor.pem, NOW, signed_by_old=True)  # M05.FR.17, although its signer is gone
    assert [one.pem for one in store.roots(CSMS)] == [successor.pem]


def test_a_replaced_root_does_not_come_back_by_itself(store: CertificateStore, root: Pki) -> None:
    store.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):  # M05.FR.10
        store.install_root(CSMS, root.pem, NOW, signed_by_old=True)


def test_without_its_successor_the_fallback_is_the_root(store: CertificateStore, folder: Path, root: Pki) -> None:
    """Otherwise the next one would need no signature."""
    store.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert store.delete(store.roots(CSMS)[1].hash_data()) == "Accepted"
    assert [one.fallback for one in CertificateStore(folder).roots(CSMS)] == [False]
    with pytest.raises(CertificateError, match="not signed by the CSMS root"):
        store.install_root(CSMS, Pki("Stranger").pem, NOW, signed_by_old=True)
    store.install_root(CSMS, Pki("Second", parent=root).pem, NOW, signed_by_old=True)


@pytest.mark.parametrize("step", range(6))
def test_a_power_cut_while_a_root_is_replaced(
    store: CertificateStore, folder: Path, root: Pki, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step on the disk: one root at least is in force, and the next successor needs its signature."""
    successor = Pki("Successor", parent=root)
    with power_cut(step):
        store.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    again = CertificateStore(folder)
    assert [one.pem for one in again.roots(CSMS) if not one.fallback] in ([root.pem], [successor.pem])
    again.install_root(CSMS, successor.pem, NOW, signed_by_old=True)
    assert {one.pem: one.fallback for one in again.roots(CSMS)} == {root.pem: True, successor.pem: False}


def test_a_full_disk_leaves_the_root_in_force(
    store: CertificateStore, folder: Path, root: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _content: bytes) -> None:
        raise StorageError(f"{path} can't be written")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", full)
        with pytest.raises(StorageError):
            store.install_root(CSMS, Pki("Successor", parent=root).pem, NOW, signed_by_old=True)
    assert [one.fallback for one in store.roots(CSMS)] == [False]
    assert [one.pem for one in CertificateStore(folder).roots(CSMS)] == [root.pem]


# -- from the factory ------------------------------------------------------------------------------------------------


def test_factory_files(folder: Path, tmp_path: Path, root: Pki) -> None:
    chain, key = Pki("Maker").server(tmp_path, "CP001")
    (tmp_path / "root.pem").write_text(root.pem)
    store = CertificateStore(folder)
    factory_files = CertificateFiles(
        csms_root=[str(tmp_path / "root.pem")],
        manufacturer_root=[str(tmp_path / "root.pem")],
        station_chain=str(chain),
        station_key=str(key),
    )
    factory.install(store, factory_files)  # A00.FR.801; a chain of the manufacturer's hierarchy: A00.FR.804
    assert store.count == 2
    assert store.station.file is not None
    assert store.station.file is not None


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
    assert not names.intersection(vars(store_module), vars(station_keys))
