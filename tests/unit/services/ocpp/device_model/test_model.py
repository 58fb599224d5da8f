# SPDX-License-Identifier: Apache-2.0
"""Typed access, layers of values, and what survives a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.clock import SystemClock
from firmware.errors import ConfigError
from firmware.factory_settings import FactoryVariable
from firmware.product import load
from services.ocpp.device_model import DeviceModel, Key, keys
from services.ocpp.device_model.reports import base_report
from services.ocpp.device_model.requests import get_variables, set_variables
from services.ocpp.storage import Database
from tests.support.database import device_model, put_raw, raw

Make = Callable[..., DeviceModel]


def set_one(model: DeviceModel, component: str, variable: str, value: str) -> str:
    data = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    results, _ = set_variables(model, [data], 0.0)
    return str(results[0]["attributeStatus"])


def test_values_have_their_types(model: DeviceModel) -> None:
    assert model.get(keys.HEARTBEAT_INTERVAL) == 60
    assert model.get(keys.WEB_SOCKET_PING_INTERVAL) == 20
    assert model.get(keys.TX_START_POINT) == ("Authorized",)
    assert model.get(keys.STOP_TX_ON_INVALID_ID) is True
    assert model.get(keys.AVAILABILITY_STATE, evse=1) == "Available"
    assert model.get(keys.CONNECTOR_TYPE, evse=2, connector=1) == "cCCS1"
    assert model.get(keys.MASTER_PASS_GROUP_ID) == ""


def test_every_key_is_of_its_variables_type(make: Make) -> None:
    """On the product with every variable; and each key names one of them."""
    full = make("full")
    of_the_code = {name: value for name, value in vars(keys).items() if isinstance(value, Key)}
    assert of_the_code
    for name, key in of_the_code.items():
        found = [variable for address, variable in full.variables.items() if key.names(address)]
        assert found, name
        assert {variable.kind.data_type for variable in found} == {key.data_type}, name


def test_a_variable_that_the_product_lacks(model: DeviceModel) -> None:
    assert model.find(keys.AUTH_CACHE_ENABLED) is None
    assert not model.has(keys.AUTH_CACHE_ENABLED)
    assert model.find(keys.STOP_TX_ON_INVALID_ID) is True
    with pytest.raises(KeyError):
        model.get(keys.AUTH_CACHE_ENABLED)
    with pytest.raises(KeyError):
        model.get(keys.AVAILABILITY_STATE, evse=3)


def test_the_station_may_write_anything(model: DeviceModel) -> None:
    assert model.put(keys.AVAILABILITY_STATE, "Occupied", evse=2)
    assert not model.put(keys.AVAILABILITY_STATE, "Occupied", evse=2), "unchanged"
    assert model.get(keys.AVAILABILITY_STATE, evse=2) == "Occupied"
    assert model.get(keys.AVAILABILITY_STATE, evse=1) == "Available"
    assert model.put(keys.HEARTBEAT_INTERVAL, 5), "limits are for the CSMS"
    with pytest.raises(TypeError):
        model.put(keys.TX_START_POINT, ["Authorized"])


def test_what_the_csms_sets_survives(make: Make, model: DeviceModel) -> None:
    assert set_one(model, "OCPPCommCtrlr", "OfflineThreshold", "300") == "Accepted"
    assert set_one(model, "TxCtrlr", "EVConnectionTimeOut", "7") == "Accepted"
    again = make()
    assert again.get(keys.OFFLINE_THRESHOLD) == 300
    assert again.get(keys.EV_CONNECTION_TIME_OUT) == 7


def test_what_the_station_writes_survives_if_it_is_persistent(make: Make, model: DeviceModel) -> None:
    model.put(keys.IDENTITY, "CP001")
    model.put(keys.BASIC_AUTH_PASSWORD, "0123456789abcdef")
    model.put(keys.AVAILABILITY_STATE, "Occupied", evse=1)
    again = make()
    assert again.get(keys.IDENTITY) == "CP001"
    assert again.get(keys.BASIC_AUTH_PASSWORD) == "0123456789abcdef"
    assert again.get(keys.AVAILABILITY_STATE, evse=1) == "Available"


def test_a_unit_of_work_is_all_or_nothing(model: DeviceModel, database: Database, tmp_path: Path) -> None:
    database.commit()
    set_one(model, "OCPPCommCtrlr", "OfflineThreshold", "300")
    (tmp_path / "copy").mkdir()
    for file in tmp_path.glob("station.db*"):
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    before = Database(tmp_path / "copy" / "station.db", clock=SystemClock())
    assert device_model(load("c7am-400-cc"), before).get(keys.OFFLINE_THRESHOLD) == 60
    before.close()


def test_unchanged_values_cost_no_write(model: DeviceModel, database: Database) -> None:
    database.commit()
    rows = database.read("SELECT total_changes()")
    model.put(keys.POWER, 1000.0, evse=1)
    set_one(model, "OCPPCommCtrlr", "OfflineThreshold", "60")
    assert database.read("SELECT total_changes()") == rows


def test_a_stored_value_that_is_no_longer_allowed_is_replaced_by_the_default(make: Make, database: Database) -> None:
    database.write("INSERT INTO variables VALUES ('TxCtrlr', '', 0, 0, 'EVConnectionTimeOut', '', 'Actual', '9999')")
    database.write("INSERT INTO variables VALUES ('OldCtrlr', '', 0, 0, 'Gone', '', 'Actual', '9')")
    assert make().get(keys.EV_CONNECTION_TIME_OUT) == 60


def factory(value: str, mutability: str | None = None, variable: str = "EVConnectionTimeOut") -> list[FactoryVariable]:
    return [FactoryVariable("TxCtrlr", variable, value, mutability=mutability)]  # type: ignore[arg-type]


def test_factory_values(make: Make) -> None:
    model = make(factory=[*factory("10"), FactoryVariable("deviceDATActrlr", "itemsPerMessage", "7", "GetVariables")])
    assert model.get(keys.EV_CONNECTION_TIME_OUT) == 10
    assert model.get(keys.ITEMS_GET_VARIABLES) == 7


def test_factory_values_are_those_of_the_first_start(make: Make) -> None:
    make(factory=factory("10"))
    assert make(factory=factory("20")).get(keys.EV_CONNECTION_TIME_OUT) == 10
    assert make().get(keys.EV_CONNECTION_TIME_OUT) == 10


def test_the_factory_file_replaces_unusable_stored_factory_values(make: Make, database: Database) -> None:
    """They stay in the database: a newer firmware that wrote them may return."""
    put_raw(database, "device_model.factory", b'[{"later": 1}]')
    assert make(factory=factory("10")).get(keys.EV_CONNECTION_TIME_OUT) == 10
    assert raw(database, "device_model.factory") == b'[{"later": 1}]'


def test_the_csms_overrules_the_factory(make: Make) -> None:
    assert set_one(make(factory=factory("10")), "TxCtrlr", "EVConnectionTimeOut", "30") == "Accepted"
    assert make().get(keys.EV_CONNECTION_TIME_OUT) == 30


def test_factory_mutability(make: Make) -> None:
    model = make(factory=factory("10", "ReadOnly") + factory("false", "ReadWrite", "StopTxOnEVSideDisconnect"))
    assert set_one(model, "TxCtrlr", "EVConnectionTimeOut", "30") == "Rejected"
    assert set_one(model, "TxCtrlr", "StopTxOnEVSideDisconnect", "true") == "Accepted"
    assert make().get(keys.STOP_TX_ON_EV_SIDE_DISCONNECT) is True


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            FactoryVariable("OCPPCommCtrlr", "HeartbeatInterval", "5"),
            "HeartbeatInterval): expected a whole number from 60 to 120 s, got 5",
        ),
        (FactoryVariable("TxCtrlr", "TxStartPoint", "EVConnected"), "TxStartPoint): 'EVConnected' is no member"),
        (FactoryVariable("TxCtrlr", "EVConnectionTimeOut", ""), "expected a whole number from 1 to 3600 s"),
        (FactoryVariable("TxCtrlr", "Nonsense", "1"), "no such variable"),
        (FactoryVariable("EVSE", "AvailabilityState", "Available"), "no such variable"),
    ],
)
def test_factory_values_are_checked(make: Make, row: FactoryVariable, words: str) -> None:
    with pytest.raises(ConfigError) as problem:
        make(factory=[row])
    assert "factory settings: variable 1" in str(problem.value)
    assert words in str(problem.value)


def test_a_source_is_called_at_each_reading(model: DeviceModel) -> None:
    now = [1_800_000_000.0]
    model.provide(keys.DATE_TIME, lambda: now[0])
    assert model.get(keys.DATE_TIME) == 1_800_000_000.0
    now[0] += 1
    asked = [{"component": {"name": "ClockCtrlr"}, "variable": {"name": "DateTime"}}]
    assert get_variables(model, asked)[0]["attributeValue"] == "2027-01-15T08:00:01.000Z"


def test_after_the_database_was_replaced_everything_is_written_again(
    model: DeviceModel, database: Database, tmp_path: Path
) -> None:
    set_one(model, "OCPPCommCtrlr", "OfflineThreshold", "300")
    model.put(keys.IDENTITY, "CP001")
    database.commit()
    path = tmp_path / "station.db"
    path.write_bytes(b"\xff" * path.stat().st_size)
    path.with_name("station.db-wal").write_bytes(b"")
    assert not database.verify()
    database.commit()
    again = device_model(load("c7am-400-cc"), database)
    assert again.get(keys.OFFLINE_THRESHOLD) == 300
    assert again.get(keys.IDENTITY) == "CP001"


def test_secrets_are_in_no_log_and_no_repr(model: DeviceModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "correct-horse-battery"
    data = [
        {
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
            "attributeValue": secret,
        }
    ]
    results, changes = set_variables(model, data, 0.0)
    assert model.get(keys.BASIC_AUTH_PASSWORD) == secret
    said = caplog.text + repr(results) + repr(changes) + repr(list(model.variables.values()))
    said += repr(base_report(model, "FullInventory"))
    assert "BasicAuthPassword" in caplog.text
    assert secret not in said


@pytest.mark.parametrize(
    ("first", "second", "station"),
    [
        ("Available", "Faulted", "Available"),
        ("Occupied", "Unavailable", "Occupied"),
        ("Unavailable", "Unavailable", "Unavailable"),
        ("Faulted", "Unavailable", "Unavailable"),
        ("Faulted", "Faulted", "Faulted"),
    ],
)
def test_the_station_is_as_available_as_its_most_available_evse(
    model: DeviceModel, first: str, second: str, station: str
) -> None:
    model.put(keys.AVAILABILITY_STATE, first, evse=1)
    model.put(keys.AVAILABILITY_STATE, second, evse=2)
    assert model.get(keys.STATION_AVAILABILITY_STATE) == station
    row = next(row for row in base_report(model, "SummaryInventory") if row["component"]["name"] == "ChargingStation")
    assert row["variableAttribute"][0]["value"] == station
