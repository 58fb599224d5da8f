# SPDX-License-Identifier: Apache-2.0
"""The station's directory: what a new one holds, and what is refused before anything runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from firmware.config import load
from firmware.errors import ConfigError
from firmware.factory_settings import FactorySettings
from hal.config import HalConfig
from services.ocpp.config import ServiceConfig
from tests.support.pki import Pki
from tools.rig.station_dir import StationDir

FACTORY = """
identity = "CP42"
[[network_profile]]
slot = 1
url = "ws://127.0.0.1:9000/ocpp"
[[network_profile]]
slot = 2
url = "wss://csms.example/ocpp"
security_profile = 2
[certificates]
csms_root = ["root.pem"]
station_chain = "../chain.pem"
station_key = "station.key"
[[variable]]
component = "TxCtrlr"
variable = "EVConnectionTimeOut"
value = "10"
mutability = "ReadWrite"
[rig]
speed = 30.0
"""


VARIABLE = '[[variable]]\ncomponent = "TxCtrlr"\nvariable = "{}"\nvalue = "{}"\n'


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    folder = tmp_path / "factory"
    folder.mkdir()
    authority = Pki()
    chain, key = authority.server(folder)
    (folder / "root.pem").write_text(authority.pem)
    chain.rename(tmp_path / "chain.pem")
    key.rename(folder / "station.key")
    file = folder / "station.toml"
    file.write_text(FACTORY)
    return file


def test_empty_directory_becomes_a_station_with_absolute_paths(tmp_path: Path, factory: Path) -> None:
    station = StationDir.open(tmp_path / "cp", factory, "INFO")
    assert station.fresh
    kept = load(tmp_path / "cp" / "station.toml", FactorySettings)
    assert kept == station.settings
    assert kept.identity == "CP42"
    assert kept.rig.speed == 30.0
    assert kept.variable[0].mutability == "ReadWrite"
    for name in (*kept.certificates.csms_root, kept.certificates.station_chain or ""):
        assert Path(name).is_absolute()
        assert Path(name).is_file()
    load(tmp_path / "cp" / "etc" / "hal.toml", HalConfig)
    service = load(tmp_path / "cp" / "etc" / "ocpp.toml", ServiceConfig)
    assert (service.factory, service.database) == ("station.toml", "data/station.db")


def test_directory_that_is_in_use_ignores_the_file(tmp_path: Path, factory: Path) -> None:
    first = StationDir.open(tmp_path / "cp", factory, "INFO")
    first.release()
    again = StationDir.open(tmp_path / "cp", tmp_path / "nothing.toml", "INFO")
    assert not again.fresh
    assert again.settings.identity == "CP42"


def test_secrets_are_for_this_user_only(tmp_path: Path, factory: Path) -> None:
    StationDir.open(tmp_path / "cp", factory, "INFO")
    assert stat.S_IMODE((tmp_path / "cp").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "cp" / "station.toml").stat().st_mode) == 0o600


def test_one_rig_at_a_time(tmp_path: Path) -> None:
    first = StationDir.open(tmp_path / "cp", None, "INFO")
    with pytest.raises(ConfigError, match="another rig"):
        StationDir.open(tmp_path / "cp", None, "INFO")
    first.release()
    StationDir.open(tmp_path / "cp", None, "INFO").release()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "identity"),
        ("identity = 7", "identity"),
        ('identity = "CP 1"', "identity"),
        ('identity = "CP1"\ncolour = "red"', "colour"),
        ('identity = "CP1"\nproduct = "toaster"', "toaster"),
        ('identity = "CP1"\nproduct = "no/such.toml"', "product"),
        ('identity = "CP1"\n[certificates]\nstation_key = "none.key"', "station_key"),
        ('identity = "CP1"\n[rig]\nspeed = 0', "speed"),
        (
            'identity = "CP1"\n[[network_profile]]\nslot=1\nurl="ws://a/b"\n[[network_profile]]\nslot=1\nurl="ws://a/c"',
            "slot",
        ),
        (
            'identity = "CP1"\n[[network_profile]]\nslot=99\nurl="ws://a/b"',
            "slot 99: this product has slots 1 to 6",
        ),
        ('identity = "CP1"\n[[network_profile]]\nslot=1\nurl="ws://a:99999/b"', "slot 1: .* impossible port"),
        ('identity = "CP1"\n[[network_profile]]\nslot=1\nurl="ws://u:p@a/b"', "slot 1: .* without user and password"),
        ('identity = "CP1"\n[[network_profile]]\nslot=2\nurl="ws://a/b"\nsecurity_profile=2', "slot 2: .* scheme"),
        ('identity = "CP1"\nbasic_auth_password = "short"', "basic_auth_password: expected 16 to 64 char"),
        ("identity = ", "end of document"),
        ('identity = "CP1"\nx = ' + "[" * 3000, "nested too deeply"),
        ('identity = "CP1"\n' + VARIABLE.format("NoSuchThing", "1"), "NoSuchThing"),
        ('identity = "CP1"\n' + VARIABLE.format("EVConnectionTimeOut", "banana"), "EVConnectionTimeOut"),
        (
            'identity = "CP1"\n'
            + VARIABLE.format("EVConnectionTimeOut", 9)
            + VARIABLE.format("evconnectiontimeOUT", 9),
            r"variable 2 \(TxCtrlr.evconnectiontimeOUT\): given twice",
        ),
        (
            'identity = "CP1"\n' + VARIABLE.format("NetworkConfigurationPriority", "1,2").replace("Tx", "OCPPComm"),
            "NetworkConfigurationPriority: no profile in slot 1, 2",
        ),
    ],
)
def test_bad_file_is_reported_with_its_place_and_leaves_no_station(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        StationDir.open(tmp_path / "cp", file, "INFO")
    assert "bad.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cp" / "station.toml").exists()


@pytest.mark.parametrize(
    ("certificates", "says"),
    [
        ('csms_root = ["bad.toml"]', "no certificate"),
        ('manufacturer_root = ["bad.toml"]', "no certificate"),
        ('station_chain = "chain.pem"', "belong together"),
        ('station_chain = "none.pem"\nstation_key = "factory/station.key"', "station_chain: no file"),
        ('station_key = "factory/station.key"', "belong together"),
        ('station_chain = "bad.toml"\nstation_key = "factory/station.key"', "no certificate"),
        ('station_chain = "chain.pem"\nstation_key = "bad.toml"', r"chain\.pem with .*bad\.toml: .* key can't be read"),
    ],
)
@pytest.mark.usefixtures("factory")
def test_certificates_are_tried_before_anything_runs(tmp_path: Path, certificates: str, says: str) -> None:
    test_bad_file_is_reported_with_its_place_and_leaves_no_station(
        tmp_path, f'identity = "CP1"\n[certificates]\n{certificates}\n', says
    )


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        StationDir.open(tmp_path / "cp", tmp_path / "none.toml", "INFO")
