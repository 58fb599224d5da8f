# SPDX-License-Identifier: Apache-2.0
"""B05 SetVariables and B06 GetVariables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.ocpp.device_model import Address, DeviceModel, Refusal, keys, request_problem
from services.ocpp.device_model.reports import base_report
from services.ocpp.device_model.requests import get_variables, set_variables

Make = Callable[..., DeviceModel]


def item(component: str, variable: str, **more: Any) -> dict[str, Any]:
    """`C[i]@1.2` and `V[i]` as OCPP writes them."""
    name, _, place = component.partition("@")
    evse, _, connector = place.partition(".")
    shown = named(name)
    if evse:
        shown["evse"] = {"id": int(evse)} | ({"connectorId": int(connector)} if connector else {})
    return {"component": shown, "variable": named(variable), **more}


def named(text: str) -> dict[str, Any]:
    name, _, instance = text.rstrip("]").partition("[")
    return {"name": name, "instance": instance} if "[" in text else {"name": name}


def get(model: DeviceModel, component: str, variable: str, **more: Any) -> dict[str, Any]:
    return get_variables(model, [item(component, variable, **more)])[0]


def put(model: DeviceModel, component: str, variable: str, value: str, **more: Any) -> dict[str, Any]:
    return set_variables(model, [item(component, variable, attributeValue=value, **more)], 5.0)[0][0]


def test_get(model: DeviceModel) -> None:
    """B06.FR.02, FR.04, FR.10, FR.11: and no statusInfo, which TC_B_06 would refuse."""
    assert get(model, "OCPPCommCtrlr", "OfflineThreshold") == {
        "attributeStatus": "Accepted",
        "attributeType": "Actual",
        "attributeValue": "60",
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "OfflineThreshold"},
    }


@pytest.mark.parametrize(
    ("component", "variable", "value"),
    [
        ("DeviceDataCtrlr", "ItemsPerMessage[GetReport]", "50"),
        ("DeviceDataCtrlr", "BytesPerMessage[SetVariables]", "4096"),
        ("EVSE@1", "AvailabilityState", "Available"),
        ("Connector@1.1", "ConnectorType", "cTesla"),
        ("DataLink[Wired0]", "Active", "false"),
        ("oCPPcommctrlr", "OFFLINEthreshold", "60"),
        ("devicedatactrlr", "itemspermessage[getREPORT]", "50"),
        ("OCPPCommCtrlr[]", "OfflineThreshold[]", "60"),
        ("AuthCtrlr", "MasterPassGroupId", ""),
        ("ClockCtrlr", "DateTime", ""),
    ],
)
def test_found(model: DeviceModel, component: str, variable: str, value: str) -> None:
    """Names are case-insensitive, an empty instance is none, no value is an empty text (B06.FR.13, FR.14)."""
    answer = get(model, component, variable)
    assert answer["attributeStatus"] == "Accepted"
    assert answer["attributeValue"] == value
    assert answer["component"] == item(component, variable)["component"], "as it was sent"


@pytest.mark.parametrize(
    ("component", "variable", "more", "status"),
    [
        ("NoCtrlr", "OfflineThreshold", {}, "UnknownComponent"),
        ("EVSE@3", "AvailabilityState", {}, "UnknownComponent"),
        ("EVSE", "AvailabilityState", {}, "UnknownComponent"),
        ("Connector@1.2", "ConnectorType", {}, "UnknownComponent"),
        ("OCPPCommCtrlr@1", "OfflineThreshold", {}, "UnknownComponent"),
        ("DataLink", "Active", {}, "UnknownComponent"),
        ("OCPPCommCtrlr[x]", "OfflineThreshold", {}, "UnknownComponent"),
        ("OCPPCommCtrlr", "UnknownVariable", {}, "UnknownVariable"),
        ("DeviceDataCtrlr", "ItemsPerMessage", {}, "UnknownVariable"),
        ("DeviceDataCtrlr", "ItemsPerMessage[x]", {}, "UnknownVariable"),
        ("OCPPCommCtrlr", "OfflineThreshold", {"attributeType": "Target"}, "NotSupportedAttributeType"),
    ],
)
def test_unknown(model: DeviceModel, component: str, variable: str, more: dict[str, Any], status: str) -> None:
    """B05.FR.04 to FR.06, B06.FR.06 to FR.08, B06.FR.15: without a value."""
    answer = get(model, component, variable, **more)
    assert answer["attributeStatus"] == status
    assert "attributeValue" not in answer
    assert answer["attributeType"] == more.get("attributeType", "Actual")
    assert put(model, component, variable, "1", **more)["attributeStatus"] == status


def test_write_only_is_never_read(model: DeviceModel) -> None:
    """B06.FR.09; erratum 6.2.12: without a value."""
    put(model, "SecurityCtrlr", "BasicAuthPassword", "0123456789abcdef")
    answer = get(model, "SecurityCtrlr", "BasicAuthPassword")
    assert answer["attributeStatus"] == "Rejected"
    assert answer["attributeStatusInfo"]["reasonCode"] == "WriteOnly"
    assert "attributeValue" not in answer


def test_one_answer_for_each_element(model: DeviceModel) -> None:
    """B05.FR.01, B06.FR.01: in the order of the request, repeated ones too."""
    asked = [item("OCPPCommCtrlr", name) for name in ("OfflineThreshold", "None", "OfflineThreshold")]
    answers = get_variables(model, asked)
    assert [answer["variable"]["name"] for answer in answers] == ["OfflineThreshold", "None", "OfflineThreshold"]


def test_set(model: DeviceModel) -> None:
    """B05.FR.02, FR.10, FR.12."""
    results, changes = set_variables(model, [item("OCPPCommCtrlr", "OfflineThreshold", attributeValue="300")], 0.0)
    assert results == [
        {
            "attributeStatus": "Accepted",
            "attributeType": "Actual",
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "OfflineThreshold"},
        }
    ]
    assert get(model, "OCPPCommCtrlr", "OfflineThreshold")["attributeValue"] == "300"
    assert model.get(keys.OFFLINE_THRESHOLD) == 300
    assert [(change.of(keys.OFFLINE_THRESHOLD), change.value) for change in changes] == [(True, 300)]
    assert not changes[0].of(keys.HEARTBEAT_INTERVAL)


@pytest.mark.parametrize(
    ("component", "variable", "value", "reason"),
    [
        ("OCPPCommCtrlr", "OfflineThreshold", "300.1", "InvalidValue"),
        ("OCPPCommCtrlr", "OfflineThreshold", "true", "InvalidValue"),
        ("OCPPCommCtrlr", "OfflineThreshold", "2026-11-23T10:00:00Z", "InvalidValue"),
        ("OCPPCommCtrlr", "OfflineThreshold", "abc", "InvalidValue"),
        ("OCPPCommCtrlr", "OfflineThreshold", "", "InvalidValue"),
        ("AuthCtrlr", "AuthorizeRemoteStart", "1", "InvalidValue"),
        ("OCPPCommCtrlr", "HeartbeatInterval", "59", "ValueOutOfRange"),
        ("OCPPCommCtrlr", "HeartbeatInterval", "121", "ValueOutOfRange"),
        ("OCPPCommCtrlr", "WebSocketPingInterval", "0", "ValueOutOfRange"),
        ("OCPPCommCtrlr", "WebSocketPingInterval", "-1", "ValueOutOfRange"),
        ("TxCtrlr", "TxStartPoint", "EVConnected", "InvalidValue"),
        ("TxCtrlr", "TxStartPoint", "", "InvalidValue"),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", "", "InvalidValue"),
        ("ClockCtrlr", "TimeSource", "Heartbeat,GPS", "InvalidValue"),
        ("ClockCtrlr", "TimeZone", "Moon", "InvalidValue"),
        ("SecurityCtrlr", "BasicAuthPassword", "short", "ValueOutOfRange"),
        ("SecurityCtrlr", "BasicAuthPassword", "", "InvalidValue"),
        ("SecurityCtrlr", "OrganizationName", "x" * 65, "ValueOutOfRange"),
        ("SecurityCtrlr", "OrganizationName", "x" * 1001, "TooLargeElement"),
        ("AuthCtrlr", "MasterPassGroupId", "x" * 37, "ValueOutOfRange"),
        ("SecurityCtrlr", "SecurityProfile", "2", "ReadOnly"),
        ("EVSE@1", "AvailabilityState", "Available", "ReadOnly"),
        ("ChargingStation", "Model", "other", "ReadOnly"),
    ],
)
def test_rejected(model: DeviceModel, component: str, variable: str, value: str, reason: str) -> None:
    """B05.FR.07 to FR.09: nothing changes, and the answer has the reason."""
    before = base_report(model, "FullInventory")
    answer = put(model, component, variable, value)
    assert answer["attributeStatus"] == "Rejected"
    assert answer["attributeStatusInfo"]["reasonCode"] == reason
    assert base_report(model, "FullInventory") == before


def test_a_rejected_element_does_not_stop_the_others(model: DeviceModel) -> None:
    data = [
        item("OCPPCommCtrlr", "OfflineThreshold", attributeValue="x"),
        item("OCPPCommCtrlr", "ResetRetries", attributeValue="2"),
    ]
    results, changes = set_variables(model, data, 0.0)
    assert [result["attributeStatus"] for result in results] == ["Rejected", "Accepted"]
    assert [str(change.address) for change in changes] == ["ocppcommctrlr.resetretries"]


def test_a_validator_can_refuse(model: DeviceModel) -> None:
    asked = []

    def known_slots(address: Address, slots: tuple[str, ...], now: float) -> str | Refusal | None:
        asked.append((address.variable, slots, now))
        if "2" in slots:
            return Refusal("NoSuchSlot", "slot 2 is empty")
        return None if "1" in slots else "slot 1 is needed"

    model.add_validator(keys.NETWORK_CONFIGURATION_PRIORITY, known_slots)
    answers = [put(model, "OCPPCommCtrlr", "NetworkConfigurationPriority", slots) for slots in ("3,1", "1,2", "3")]
    assert [answer["attributeStatus"] for answer in answers] == ["Accepted", "Rejected", "Rejected"]
    assert [answer.get("attributeStatusInfo", {}).get("reasonCode") for answer in answers] == [
        None,
        "NoSuchSlot",
        "InvalidValue",
    ]
    assert asked[0] == ("networkconfigurationpriority", ("3", "1"), 5.0)
    assert model.get(keys.NETWORK_CONFIGURATION_PRIORITY) == ("3", "1")
    put(model, "OCPPCommCtrlr", "NetworkConfigurationPriority", "9")
    assert len(asked) == 3, "only well-formed values reach a validator"


@pytest.mark.parametrize(
    ("action", "member"),
    [("GetVariables", "getVariableData"), ("SetVariables", "setVariableData"), ("GetReport", "componentVariable")],
)
def test_requests_beyond_the_limits(model: DeviceModel, action: str, member: str) -> None:
    """B06.FR.16, B06.FR.17, B08.FR.17, B08.FR.18."""
    usual = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    assert request_problem(model, action, {member: [usual] * 50}) is None
    assert request_problem(model, action, {member: ["x" * (4096 - len(member) - 9)]}) is None
    problems = [
        request_problem(model, action, {member: [usual] * 51}),
        request_problem(model, action, {member: ["x" * (4096 - len(member) - 8)]}),
    ]
    assert [problem and problem[0] for problem in problems] == ["OccurrenceConstraintViolation", "FormatViolation"]


def test_a_request_without_limits(model: DeviceModel) -> None:
    assert request_problem(model, "DataTransfer", {"data": "x" * 10_000}) is None
