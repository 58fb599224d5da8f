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


class Workbench:
    """The manufacturer's keys, certificates and image."""

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
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def test_image_is_built_signed_and_verified(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.build() == 0
    capsys.readouterr()
    assert bench.sign() == 0
    fields = json.loads(capsys.readouterr().out)
    assert bench.verify() == 0
    assert NEXT in capsys.readouterr().out
    _manifest, _embedded, digest = read(bench.image)
    proof = Proof(fields["signingCertificate"].encode(), base64.b64decode(fields["signature"]))
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest)


def test_image_holds_the_version_tree_and_nothing_else(bench: Workbench) -> None:
    bench.build()
    manifest, _, _ = read(bench.image)
    paths = [entry.path for entry in manifest.files]
    assert {path.split("/")[0] for path in paths} == {"drivers", "firmware", "hal", "services"}
    assert {"firmware/version.py", "services/ocpp/__main__.py", "firmware/product/c7am-400-cc.toml"} <= set(paths)
    assert any(path.endswith(".sql") for path in paths)
    assert not any("__pycache__" in path for path in paths)
    assert (manifest.family, manifest.version) == ("OCPP_C7_STA", NEXT)


def test_one_checkout_gives_one_image(bench: Workbench) -> None:
    bench.build()
    first = bench.image.read_bytes()
    bench.build()
    assert bench.image.read_bytes() == first
    assert f'VERSION = "{NEXT}"'.encode() in first


def test_without_a_version_it_is_the_checkouts(tmp_path: Path) -> None:
    manifest = build(ROOT, tmp_path / "image", product_name="c7am-400-cc", version=None, min_version="0.0.0")
    assert manifest.version == VERSION


def test_signing_again_replaces_the_signature(bench: Workbench) -> None:
    bench.build()
    bench.sign()
    size = bench.image.stat().st_size
    bench.sign()
    assert abs(bench.image.stat().st_size - size) < 16
    assert bench.verify() == 0


@pytest.mark.parametrize("version", ["", "1.0", "1.0.0 beta", '"; import os'])
def test_an_invalid_version_is_refused(bench: Workbench, capsys: pytest.CaptureFixture[str], version: str) -> None:
    assert bench.build("--version", version) == 1
    assert capsys.readouterr().err == f"baywatt image build: not a version: {version!r}\n"
    assert not bench.image.exists()


def test_folder_that_is_not_an_image(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.image.mkdir()
    assert bench.verify() == 1
    assert capsys.readouterr().err == f"baywatt image verify: {bench.image}: Is a directory\n"


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
def test_verify_refuses_what_a_station_would_refuse(
    bench: Workbench, trouble: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[str] = []
    bench.build(*(["--min-version", "1.0.0"] if trouble == "min_version" else []))
    if trouble == "stranger":
        bench.signer(Authority("stranger").firmware_signer())
    if trouble == "expired":
        bench.signer(bench.manufacturer.firmware_signer(expired=True))
    if trouble != "unsigned":
        bench.sign()
    if trouble == "damaged":
        data = bytearray(bench.image.read_bytes())
        data[len(data) // 2] ^= 1
        bench.image.write_bytes(data)
    if trouble == "older":
        arguments = ["--running", "10.0.0"]
    if trouble == "min_version":
        arguments = ["--running", "0.9.0"]
    assert bench.verify(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("baywatt image verify: ")
    assert why in error


def test_key_of_another_certificate_does_not_sign(bench: Workbench) -> None:
    bench.build()
    bench.key = bench.keep("other.key", bench.manufacturer.firmware_signer().key_pem)
    assert bench.sign() == 1


@pytest.mark.parametrize(("kind", "why"), [("encrypted", "password"), ("junk", "not a private key")])
def test_key_that_can_not_be_read(bench: Workbench, capsys: pytest.CaptureFixture[str], kind: str, why: str) -> None:
    bench.build()
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    bench.key = bench.keep("locked.key", locked.decode() if kind == "encrypted" else "junk")
    assert bench.sign() == 1
    error = capsys.readouterr().err
    assert error.startswith("baywatt image sign: ")
    assert why in error
    assert error.count("\n") == 1


def test_folder_that_is_not_a_checkout(bench: Workbench, tmp_path: Path) -> None:
    assert bench.run("build", "--checkout", str(tmp_path)) == 1


def test_links_are_not_packed(bench: Workbench, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for folder in TOP_LEVEL:
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "__init__.py").touch()
    (checkout / "firmware" / "version.py").write_text('VERSION = "1.0.0"\n')
    assert bench.run("build", "--checkout", str(checkout)) == 0
    (checkout / "firmware" / "secret.py").symlink_to(tmp_path / "signer.key")
    assert bench.run("build", "--checkout", str(checkout)) == 1


def test_checkout_without_a_package(bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "__init__.py").touch()
    (tmp_path / "firmware" / "version.py").write_text('VERSION = "1.0.0"\n')
    assert bench.run("build", "--checkout", str(tmp_path)) == 1
    assert "no drivers/__init__.py" in capsys.readouterr().err
