# SPDX-License-Identifier: Apache-2.0
"""The station's directory, its settings, the ledger, sockets at deep paths, and damage to a database."""

from __future__ import annotations

import sqlite3
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated.world.world import World
from firmware.config import load
from firmware.contract import BootCause
from firmware.errors import ConfigError
from firmware.factory_settings import FactorySettings
from hal.config import HalConfig
from services.ocpp.config import ServiceConfig
from tests.support.pki import Pki
from tools.rig.damage import corrupt_database
from tools.rig.persistence import Ledger
from tools.rig.settings_file import to_toml
from tools.rig.sockets import connect_unix, listen_unix
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


def test_secrets_are_ours_alone(tmp_path: Path, factory: Path) -> None:
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
        ('identity = "CP1"\n[rig]\nwire = true', "not available yet"),
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
        ('identity = "CP1"\n[[network_profile]]\nslot=2\nurl="ws://a/b"\nsecurity_profile=2', "slot 2: .* scheme"),
        ('identity = "CP1"\nbasic_auth_password = "short"', "basic_auth_password: at least 16"),
        ("identity = ", "end of document"),
        ('identity = "CP1"\nx = ' + "[" * 3000, "recursion"),
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
def test_bad_file_is_told_with_its_place_and_leaves_no_station(tmp_path: Path, text: str, says: str) -> None:
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
    test_bad_file_is_told_with_its_place_and_leaves_no_station(
        tmp_path, f'identity = "CP1"\n[certificates]\n{certificates}\n', says
    )


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        StationDir.open(tmp_path / "cp", tmp_path / "none.toml", "INFO")


# --- TOML -----------------------------------------------------------------------------------------------------

scalars = st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=12)
tables = st.recursive(
    st.dictionaries(st.text(max_size=6), scalars | st.lists(scalars, max_size=3), max_size=4),
    lambda inner: st.dictionaries(
        st.text(max_size=6), scalars | inner | st.lists(inner, min_size=1, max_size=3), max_size=4
    ),
    max_leaves=8,
)


@given(tables)
def test_what_is_written_reads_back_the_same(table: dict[str, Any]) -> None:
    try:
        text = to_toml(table).encode().decode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(text) == table


def test_nothing_is_left_out_but_none() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": [], "c": {}})) == {"b": [], "c": {}}
    with pytest.raises(TypeError):
        to_toml({"a": object()})


# --- ledger -----------------------------------------------------------------------------------------------------


def test_hardware_memory_outlives_the_rig(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "world.json")
    world = World(ledger.board())
    world.power_on(BootCause.POWER_UP)
    world.evses[2].energy_wh = 1234.5678
    world.board.set_clock(-86_400)
    ledger.keep(world)

    later = Ledger(tmp_path / "world.json")
    again = World(later.board())
    later.restore(again)
    assert again.evses[2].energy_wh == 1234.5678
    assert (again.board.boots, again.board.clock_offset_s) == (1, -86_400)
    assert again.board.serial_number == world.board.serial_number
    assert not again.board.powered


def test_unchanged_memory_is_not_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "world.json")
    world = World(ledger.board())
    ledger.keep(world)
    (tmp_path / "world.json").unlink(missing_ok=True)
    ledger.keep(world)
    assert not (tmp_path / "world.json").exists()


def test_damaged_memory_is_a_new_cabinet(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("{")
    assert Ledger(tmp_path / "world.json").board().boots == 0


# --- sockets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 4])
def test_socket_at_any_depth(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*("x" * 60 for _ in range(depth)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    listening = listen_unix(path)
    client = connect_unix(path)
    with pytest.raises(ConfigError, match="another process"):
        listen_unix(path)
    client.close()
    listening.close()
    listen_unix(path).close()


def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigError, match="not a socket"):
        listen_unix(tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "mine"


def test_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        listen_unix(tmp_path / "none" / "control.sock")


# --- damage -----------------------------------------------------------------------------------------------------


def test_damaged_database_is_no_longer_whole(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)")
    database.executemany("INSERT INTO t (v) VALUES (?)", [("x" * 100,)] * 500)
    database.commit()
    corrupt_database(path)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT count(*) FROM t").fetchone()
    database.close()


def test_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        corrupt_database(tmp_path / "station.db")
