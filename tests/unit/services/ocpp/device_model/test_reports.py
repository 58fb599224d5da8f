# SPDX-License-Identifier: Apache-2.0
"""B07 base reports, B08 custom reports, and their division into messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.product import Product
from services.ocpp.device_model import DeviceModel, keys, paged
from services.ocpp.device_model.build import standard
from services.ocpp.device_model.reports import base_report, custom_report
from services.ocpp.storage import Database
from tests.support.database import device_model

Make = Callable[..., DeviceModel]
Report = Sequence[dict[str, Any]]

# Part 5, chapter 5: what Core and Advanced Security require; part 2, 2.13.
MANDATORY = {
    "OCPPCommCtrlr",
    "TxCtrlr",
    "DeviceDataCtrlr",
    "ClockCtrlr",
    "SecurityCtrlr",
    "SampledDataCtrlr",
    "AlignedDataCtrlr",
    "AuthCtrlr",
    "ChargingStation",
    "EVSE",
    "Connector",
}

# Part 2, "Referenced Components and Variables" and part 4, chapter 8.
READ_WRITE = [
    "AlignedDataCtrlr.Interval",
    "AlignedDataCtrlr.Measurands",
    "AlignedDataCtrlr.TxEndedInterval",
    "AlignedDataCtrlr.TxEndedMeasurands",
    "AuthCtrlr.LocalAuthorizeOffline",
    "AuthCtrlr.LocalPreAuthorize",
    "ClockCtrlr.TimeSource",
    "OCPPCommCtrlr.MessageAttemptInterval",
    "OCPPCommCtrlr.MessageAttempts",
    "OCPPCommCtrlr.NetworkConfigurationPriority",
    "OCPPCommCtrlr.NetworkProfileConnectionAttempts",
    "OCPPCommCtrlr.OfflineThreshold",
    "OCPPCommCtrlr.ResetRetries",
    "OCPPCommCtrlr.RetryBackOffRandomRange",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes",
    "OCPPCommCtrlr.RetryBackOffWaitMinimum",
    "OCPPCommCtrlr.WebSocketPingInterval",
    "OCPPCommCtrlr.HeartbeatInterval",
    "OCPPCommCtrlr.QueueAllMessages",
    "SampledDataCtrlr.TxEndedInterval",
    "SampledDataCtrlr.TxEndedMeasurands",
    "SampledDataCtrlr.TxStartedMeasurands",
    "SampledDataCtrlr.TxUpdatedInterval",
    "SampledDataCtrlr.TxUpdatedMeasurands",
    "SecurityCtrlr.OrganizationName",
    "TxCtrlr.EVConnectionTimeOut",
    "TxCtrlr.StopTxOnInvalidId",
    "TxCtrlr.MaxEnergyOnInvalidId",
    "AuthCtrlr.MasterPassGroupId",
    "ClockCtrlr.TimeZone",
    "AuthCtrlr.AuthorizeRemoteStart",
    "TxCtrlr.TxStartPoint",
    "TxCtrlr.TxStopPoint",
]

READ_ONLY = [
    "ChargingStation.Available",
    "ChargingStation.AvailabilityState",
    "ChargingStation.SupplyPhases",
    "ClockCtrlr.DateTime",
    "Connector.Available",
    "Connector.ConnectorType",
    "Connector.SupplyPhases",
    "DeviceDataCtrlr.BytesPerMessage",
    "DeviceDataCtrlr.ItemsPerMessage",
    "EVSE.Available",
    "EVSE.AvailabilityState",
    "EVSE.Power",
    "EVSE.SupplyPhases",
    "OCPPCommCtrlr.ActiveNetworkProfile",
    "OCPPCommCtrlr.FileTransferProtocols",
    "OCPPCommCtrlr.MessageTimeout",
    "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
    "SecurityCtrlr.CertificateEntries",
    "SecurityCtrlr.SecurityProfile",
    "SecurityCtrlr.MaxCertificateChainSize",
    "SecurityCtrlr.AdditionalRootCertificateCheck",
]


@pytest.fixture
def model(each_product: Product, database: Database) -> DeviceModel:
    model = device_model(each_product, database)
    model.provide(keys.DATE_TIME, lambda: 1_800_000_000.0)
    return model


def name(row: dict[str, Any]) -> str:
    return f"{row['component']['name']}.{row['variable']['name']}"


def place(row: dict[str, Any]) -> str:
    evse = row["component"].get("evse", {})
    return "".join(f"@{evse[key]}" for key in ("id", "connectorId") if key in evse)


def names(report: Report) -> list[str]:
    return [name(row) + place(row) for row in report]


def test_every_required_variable_is_there(model: DeviceModel) -> None:
    """TC_B_13, TC_B_53: B07.FR.08."""
    reported = {(row["component"]["name"], row["variable"]["name"]) for row in base_report(model, "FullInventory")}
    for fact in standard().values():
        if fact.required and fact.component in MANDATORY:
            assert (fact.component, fact.variable) in reported
    for component in ("EVSE", "Connector"):
        places = {place(row) for row in base_report(model, "FullInventory") if row["component"]["name"] == component}
        assert places == ({"@1", "@2"} if component == "EVSE" else {"@1@1", "@2@1"})


def test_values_and_lists_are_complete(model: DeviceModel) -> None:
    """TC_B_53 with erratum 6.2.19."""
    for row in base_report(model, "FullInventory"):
        kind = row["variableCharacteristics"]
        choices = kind.get("valuesList", "").split(",")
        for attribute in row["variableAttribute"]:
            assert ("value" in attribute) == (attribute["mutability"] != "WriteOnly"), name(row)
            if kind["dataType"].endswith("List"):
                assert choices[0], name(row)
                assert set(attribute["value"].split(",")) <= set(choices), name(row)
            elif kind["dataType"] != "string":
                assert attribute["value"] != "", name(row)


def test_mutability_is_the_standards(model: DeviceModel) -> None:
    found = {name(row): row["variableAttribute"][0]["mutability"] for row in base_report(model, "FullInventory")}
    assert {key: found[key] for key in READ_WRITE} == dict.fromkeys(READ_WRITE, "ReadWrite")
    assert {key: found[key] for key in READ_ONLY} == dict.fromkeys(READ_ONLY, "ReadOnly")
    assert found["SecurityCtrlr.BasicAuthPassword"] == "WriteOnly"


def test_what_can_be_written_is_persistent(model: DeviceModel) -> None:
    for row in base_report(model, "ConfigurationInventory"):
        assert row["variableAttribute"][0]["persistent"], name(row)
        assert not row["variableAttribute"][0]["constant"], name(row)


def test_reports_keep_to_the_schema(model: DeviceModel) -> None:
    spec = find_spec("ocpp")
    assert spec is not None
    assert spec.origin is not None
    schema = Path(spec.origin).with_name("v201") / "schemas" / "NotifyReportRequest.json"
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text(encoding="utf-8-sig")))
    for kind in ("FullInventory", "ConfigurationInventory", "SummaryInventory"):
        message = {
            "requestId": 1,
            "generatedAt": "2026-11-23T10:00:00Z",
            "seqNo": 0,
            "reportData": base_report(model, kind),
        }
        validator.validate(message)


def test_configuration_is_what_can_be_set(model: DeviceModel) -> None:
    """TC_B_12: B07.FR.07."""
    report = base_report(model, "ConfigurationInventory")
    assert {attribute["mutability"] for row in report for attribute in row["variableAttribute"]} == {
        "ReadWrite",
        "WriteOnly",
    }
    assert set(READ_WRITE) <= {name(row) for row in report}


def test_summary_of_a_sound_station(model: DeviceModel) -> None:
    """TC_B_14: B07.FR.09. A connector is named only if it differs from its EVSE."""
    assert names(base_report(model, "SummaryInventory")) == [
        "ChargingStation.AvailabilityState",
        "EVSE.AvailabilityState@1",
        "EVSE.AvailabilityState@2",
    ]


def test_summary_of_trouble(model: DeviceModel) -> None:
    model.put(keys.CONNECTOR_AVAILABILITY_STATE, "Unavailable", evse=2, connector=1)
    model.put(keys.problem("PowerContactor"), True, evse=1)
    assert set(names(base_report(model, "SummaryInventory"))) == {
        "ChargingStation.AvailabilityState",
        "EVSE.AvailabilityState@1",
        "EVSE.AvailabilityState@2",
        "Connector.AvailabilityState@2@1",
        "PowerContactor.Problem@1",
    }


def test_a_report_shows_present_values(model: DeviceModel) -> None:
    base_report(model, "FullInventory")
    model.put(keys.POWER, 41000.0, evse=2)
    rows = {name(row) + place(row): row for row in base_report(model, "FullInventory")}
    assert rows["EVSE.Power@2"]["variableAttribute"][0]["value"] == "41000.0"
    assert rows["EVSE.Power@2"]["variableCharacteristics"]["maxLimit"] == 400000
    assert rows["ClockCtrlr.DateTime"]["variableAttribute"][0]["value"] == "2027-01-15T08:00:00.000Z"


def test_an_unknown_base_report(model: DeviceModel) -> None:
    with pytest.raises(ValueError):
        base_report(model, "Nonsense")


def ask(component: str, variable: str | None = None, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"component": {"name": component, **more.get("at", {})}}
    if variable:
        asked["variable"] = {"name": variable, **more.get("of", {})}
    return asked


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # TC_B_17
        (ask("EVSE", "AvailabilityState", at={"evse": {"id": 1}}), ["EVSE.AvailabilityState@1"]),
        # TC_B_54, B08.FR.21
        (ask("DeviceDataCtrlr", "ItemsPerMessage"), ["DeviceDataCtrlr.ItemsPerMessage"] * 3),
        (
            ask("deviceDataCtrlr", "itemspermessage", of={"instance": "getREPORT"}),
            ["DeviceDataCtrlr.ItemsPerMessage"],
        ),
        # B08.FR.20
        (ask("DataLink", at={"instance": "Wired0"}), ["DataLink.Available", "DataLink.Active"]),
        # B08.FR.22, FR.23, FR.25
        (ask("Connector", "ConnectorType", at={"evse": {"id": 2}}), ["Connector.ConnectorType@2@1"]),
        (ask("Connector", "Available"), ["Connector.Available@1@1", "Connector.Available@2@1"]),
        (ask("DataLink", "Active"), ["DataLink.Active"] * 2),
        # B08.FR.15
        (ask("EVSE", "AvailabilityState", at={"evse": {"id": 9}}), []),
        (ask("Connector", at={"evse": {"id": 1, "connectorId": 2}}), []),
        (ask("Nothing"), []),
        (ask("EVSE", "Nothing"), []),
    ],
)
def test_custom_report_by_name(model: DeviceModel, asked: dict[str, Any], expected: list[str]) -> None:
    assert names(custom_report(model, None, [asked])) == expected
    assert names(custom_report(model, [], [asked, asked])) == expected, "each variable once"


def test_custom_report_by_criterion(model: DeviceModel) -> None:
    """B08.FR.07 to FR.10, FR.13."""
    assert custom_report(model, ["Problem"], None) == []
    model.put(keys.problem("TokenReader"), True)
    assert names(custom_report(model, ["Problem"], [])) == ["TokenReader.Available", "TokenReader.Problem"]
    available = names(custom_report(model, ["Available"], None))
    assert "ConnectedEV.Available@1" not in available, "its Available is false"
    assert "TxCtrlr.EVConnectionTimeOut" in available, "it has no Available"
    assert "ConnectedEV.Available@1" in names(custom_report(model, ["Available", "Enabled"], None)), (
        "either criterion is enough"
    )


def test_custom_report_by_both(model: DeviceModel) -> None:
    """TC_B_18: B08.FR.05."""
    asked = [ask("EVSE", "AvailabilityState", at={"evse": {"id": 1}})]
    assert names(custom_report(model, ["Available"], asked)) == ["EVSE.AvailabilityState@1"]
    assert custom_report(model, ["Problem"], asked) == []


def test_custom_report_of_everything(model: DeviceModel) -> None:
    assert custom_report(model, None, None) == base_report(model, "FullInventory")


def encoded(element: dict[str, Any]) -> bytes:
    return msgspec.json.encode(element)


def size_of(page: list[bytes]) -> int:
    return len(b"[%s]" % b",".join(page))


def test_pages_of_a_real_report(model: DeviceModel) -> None:
    report = [encoded(row) for row in base_report(model, "FullInventory")]
    pages = paged(report, 50, 4096)
    assert [row for page in pages for row in page] == report
    assert max(size_of(page) for page in pages) <= 4096
    assert max(len(page) for page in paged(report, 10, 10**9)) == 10


def test_an_empty_report_is_one_empty_page() -> None:
    assert paged([], 50, 4096) == [[]]


@given(st.lists(st.text(max_size=40)), st.integers(1, 5), st.integers(20, 100))
def test_pages_lose_nothing(texts: list[str], items: int, size: int) -> None:
    report = [encoded({"t": text}) for text in texts]
    pages = paged(report, items, size)
    assert [row for page in pages for row in page] == report
    for page in pages:
        assert len(page) <= items
        assert size_of(page) <= size or len(page) == 1
