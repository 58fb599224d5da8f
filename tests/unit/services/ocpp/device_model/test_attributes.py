# SPDX-License-Identifier: Apache-2.0
"""Attributes besides Actual, variables that need a reboot, and impossible rows: on invented products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.errors import ConfigError
from firmware.product import load
from services.ocpp.device_model import DeviceModel
from services.ocpp.device_model.reports import base_report
from services.ocpp.device_model.requests import get_variables, set_variables
from services.ocpp.storage import Database
from tests.support.database import device_model

FAN = """
[[device_model.variables]]
component = "AirCoolingSystem"
variable = "FanSpeed"
value = "300"
min = 0
max = 1000
attributes = [
    { type = "Target", value = "300" },
    { type = "MinSet", value = "200", mutability = "ReadOnly" },
    { type = "MaxSet", mutability = "ReadWrite" },
]

[[device_model.variables]]
component = "Vendor"
variable = "Colour"
type = "OptionList"
values = ["a", "b"]
value = "a"
mutability = "ReadWrite"
reboot = true
"""


def made_of(tmp_path: Path, rows: str, database: Database) -> DeviceModel:
    path = tmp_path / "product.toml"
    path.write_text(f'extends = "c7am-400-cc"\n{rows}\n')
    return device_model(load(path), database)


@pytest.fixture
def model(tmp_path: Path, database: Database) -> DeviceModel:
    return made_of(tmp_path, FAN, database)


def fan(**more: Any) -> dict[str, Any]:
    return {"component": {"name": "AirCoolingSystem"}, "variable": {"name": "FanSpeed"}, **more}


def put(model: DeviceModel, kind: str, value: str) -> str:
    results, _ = set_variables(model, [fan(attributeType=kind, attributeValue=value)], 0.0)
    assert results[0]["attributeType"] == kind
    return str(results[0]["attributeStatus"])


def test_each_attribute_has_its_value(model: DeviceModel) -> None:
    answers = get_variables(model, [fan(attributeType=kind) for kind in ("Actual", "Target", "MinSet", "MaxSet")])
    assert [answer["attributeStatus"] for answer in answers] == ["Accepted"] * 4
    assert [answer["attributeValue"] for answer in answers] == ["300", "300", "200", ""]


def test_a_target_stays_within_min_set_and_max_set(model: DeviceModel) -> None:
    """Part 1, section 4.3."""
    assert put(model, "Target", "199") == "Rejected"
    assert put(model, "Target", "900") == "Accepted"
    assert put(model, "MaxSet", "500") == "Accepted"
    assert put(model, "Target", "501") == "Rejected"
    assert put(model, "Target", "500") == "Accepted"
    assert put(model, "Actual", "500") == "Rejected", "it is measured"
    assert put(model, "MinSet", "100") == "Rejected"


def test_what_was_set_survives(model: DeviceModel, tmp_path: Path, database: Database) -> None:
    put(model, "Target", "450")
    again = made_of(tmp_path, FAN, database)
    assert get_variables(again, [fan(attributeType="Target")])[0]["attributeValue"] == "450"


def test_all_attributes_are_reported(model: DeviceModel) -> None:
    """B07.FR.11, also those without a value."""
    report = next(row for row in base_report(model, "FullInventory") if row["variable"]["name"] == "FanSpeed")
    assert report["variableCharacteristics"] == {
        "dataType": "decimal",
        "unit": "RPM",
        "minLimit": 0,
        "maxLimit": 1000,
        "supportsMonitoring": False,
    }
    assert [
        (row["type"], row["value"], row["mutability"], row["persistent"]) for row in report["variableAttribute"]
    ] == [
        ("Actual", "300", "ReadOnly", False),
        ("Target", "300", "ReadWrite", True),
        ("MinSet", "200", "ReadOnly", False),
        ("MaxSet", "", "ReadWrite", True),
    ]


def test_only_what_can_be_set_is_configuration(model: DeviceModel) -> None:
    """TC_B_12: no attribute there is ReadOnly."""
    report = next(row for row in base_report(model, "ConfigurationInventory") if row["variable"]["name"] == "FanSpeed")
    assert [row["type"] for row in report["variableAttribute"]] == ["Target", "MaxSet"]


def test_a_reboot_is_required(model: DeviceModel) -> None:
    data = {"component": {"name": "Vendor"}, "variable": {"name": "Colour"}, "attributeValue": "b"}
    results, changes = set_variables(model, [data], 0.0)
    assert results[0]["attributeStatus"] == "RebootRequired"
    assert len(changes) == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{ component = "X", variable = "NoStandard" }', "type has to be given"),
        ('{ component = "TxCtrlr", variable = "ChargingTime", type = "integer" }', "the standard says decimal"),
        (
            '{ component = "X", variable = "Y", type = "OptionList" }',
            "OptionList, but only list types have `values`, and must have them",
        ),
        (
            '{ component = "X", variable = "Y", type = "integer", values = ["1"] }',
            "integer, but only list types have `values`, and must have them",
        ),
        ('{ component = "X", variable = "Y", type = "integer", value = "x" }', "expected a whole number"),
        ('{ component = "X", variable = "Count", value = "5", max = 4 }', "to 4, got 5"),
        ('{ component = "X", variable = "Count", constant = true, mutability = "ReadWrite" }', "constant"),
    ],
)
def test_impossible_rows(tmp_path: Path, database: Database, row: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made_of(tmp_path, f"[device_model]\nvariables = [{row}]", database)
