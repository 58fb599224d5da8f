# SPDX-License-Identifier: Apache-2.0
"""`baywatt image`: build, sign, verify."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from firmware.update import signing
from firmware.update.image import TOP_LEVEL
from firmware.update.slots import Proof
from firmware.version import VERSION
from tests.support.rig import ROOT
from tools.image.build import build, read
from tools.image.cli import main
from tools.pki import Authority, Issued

NEXT = "9.0.0"


class Desk:
    """Keys, certificates and an image on the manufacturer's disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "image"
        self.manufacturer = Authority("manufacturer")
        self.keep("root.pem", self.manufacturer.pem)
        self.signer(self.manufacturer.firmware_signer())

    def keep(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def signer(self, issued: Issued) -> None:
        self.certificate, self.key = self.keep("signer.pem", issued.pem), self.keep("signer.key", issued.key_pem)

    def run(self, *arguments: str) -> int:
        return main([*arguments, str(self.image)])

    def build(self, *arguments: str) -> int:
        return self.run("build", "--checkout", str(ROOT), "--version", NEXT, *arguments)

    def sign(self) -> int:
        return self.run("sign", "--certificate", self.certificate, "--key", self.key)

    def verify(self, *arguments: str) -> int:
        return self.run("verify", "--root", str(self.folder / "root.pem"), *arguments)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_image_is_built_signed_and_verified(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.build() == 0
    capsys.readouterr()
    assert desk.sign() == 0
    fields = json.loads(capsys.readouterr().out)
    assert desk.verify() == 0
    assert NEXT in capsys.readouterr().out
    _manifest, _embedded, digest = read(desk.image)
    proof = Proof(fields["signingCertificate"].encode(), base64.b64decode(fields["signature"]))
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest)


def test_image_holds_the_version_tree_and_nothing_else(desk: Desk) -> None:
    desk.build()
    manifest, _, _ = read(desk.image)
    paths = [entry.path for entry in manifest.files]
    assert {path.split("/")[0] for path in paths} == {"drivers", "firmware", "hal", "services"}
    assert {"firmware/version.py", "services/ocpp/__main__.py", "firmware/product/c7am-400-cc.toml"} <= set(paths)
    assert any(path.endswith(".sql") for path in paths)
    assert not any("__pycache__" in path for path in paths)
    assert (manifest.family, manifest.version) == ("OCPP_C7_STA", NEXT)


def test_one_checkout_gives_one_image(desk: Desk) -> None:
    desk.build()
    first = desk.image.read_bytes()
    desk.build()
    assert desk.image.read_bytes() == first
    assert f'VERSION = "{NEXT}"'.encode() in first


def test_without_a_version_it_is_the_checkouts(tmp_path: Path) -> None:
    manifest = build(ROOT, tmp_path / "image", product_name="c7am-400-cc", version=None, min_version="0.0.0")
    assert manifest.version == VERSION


def test_signing_again_replaces_the_signature(desk: Desk) -> None:
    desk.build()
    desk.sign()
    size = desk.image.stat().st_size
    desk.sign()
    assert abs(desk.image.stat().st_size - size) < 16
    assert desk.verify() == 0


@pytest.mark.parametrize("version", ["", "1.0", "1.0.0 beta", '"; import os'])
def test_what_is_no_version(desk: Desk, capsys: pytest.CaptureFixture[str], version: str) -> None:
    assert desk.build("--version", version) == 1
    assert capsys.readouterr().err == f"baywatt image build: not a version: {version!r}\n"
    assert not desk.image.exists()


def test_folder_that_is_no_image(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.image.mkdir()
    assert desk.verify() == 1
    assert capsys.readouterr().err == f"baywatt image verify: {desk.image}: Is a directory\n"


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        ("unsigned", "the image is not signed"),
        ("stranger", "comes from no installed manufacturer root"),
        ("expired", "has expired"),
        ("damaged", "does not match its hash in the manifest"),
        ("older", "9.0.0 is older than the running version 10.0.0"),
        ("min_version", "9.0.0 replaces only 1.0.0 and newer"),
    ],
)
def test_what_a_station_would_not_take_is_not_verified(
    desk: Desk, trouble: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[str] = []
    desk.build(*(["--min-version", "1.0.0"] if trouble == "min_version" else []))
    if trouble == "stranger":
        desk.signer(Authority("stranger").firmware_signer())
    if trouble == "expired":
        desk.signer(desk.manufacturer.firmware_signer(expired=True))
    if trouble != "unsigned":
        desk.sign()
    if trouble == "damaged":
        data = bytearray(desk.image.read_bytes())
        data[len(data) // 2] ^= 1
        desk.image.write_bytes(data)
    if trouble == "older":
        arguments = ["--running", "10.0.0"]
    if trouble == "min_version":
        arguments = ["--running", "0.9.0"]
    assert desk.verify(*arguments) == 1
    told = capsys.readouterr().err
    assert told.startswith("baywatt image verify: ")
    assert why in told


def test_key_of_another_certificate_does_not_sign(desk: Desk) -> None:
    desk.build()
    desk.key = desk.keep("other.key", desk.manufacturer.firmware_signer().key_pem)
    assert desk.sign() == 1


@pytest.mark.parametrize(("kind", "why"), [("encrypted", "password"), ("junk", "not a private key")])
def test_key_that_can_not_be_read(desk: Desk, capsys: pytest.CaptureFixture[str], kind: str, why: str) -> None:
    desk.build()
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    desk.key = desk.keep("locked.key", locked.decode() if kind == "encrypted" else "junk")
    assert desk.sign() == 1
    told = capsys.readouterr().err
    assert told.startswith("baywatt image sign: ")
    assert why in told
    assert told.count("\n") == 1


def test_folder_that_is_no_checkout(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("build", "--checkout", str(tmp_path)) == 1


def test_links_are_not_packed(desk: Desk, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for folder in TOP_LEVEL:
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "__init__.py").touch()
    (checkout / "firmware" / "version.py").write_text('VERSION = "1.0.0"\n')
    assert desk.run("build", "--checkout", str(checkout)) == 0
    (checkout / "firmware" / "secret.py").symlink_to(tmp_path / "signer.key")
    assert desk.run("build", "--checkout", str(checkout)) == 1


def test_checkout_without_a_room(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "__init__.py").touch()
    (tmp_path / "firmware" / "version.py").write_text('VERSION = "1.0.0"\n')
    assert desk.run("build", "--checkout", str(tmp_path)) == 1
    assert "no drivers/__init__.py" in capsys.readouterr().err
