# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from tools.csms.device_model import DeviceModels, Progress

PLACE: dict[str, Any] = {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}


def _item(value: str = "PowerPathClosed", **attribute: Any) -> dict[str, Any]:
    return {**PLACE, "variableAttribute": [{"value": value, **attribute}]}


def _part(*items: dict[str, Any], request_id: int = 7, **more: Any) -> dict[str, Any]:
    return {"requestId": request_id, "seqNo": 0, "reportData": list(items), **more}


def _read(*items: dict[str, Any]) -> DeviceModels:
    models = DeviceModels()
    models.on_request("CP001", "GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"})
    models.on_report("CP001", _part(*items))
    return models


def _value(models: DeviceModels) -> Any:
    (entry,) = models.variables("CP001")
    return entry["variableAttribute"][0].get("value")


def test_a_report_in_parts() -> None:
    models = DeviceModels()
    assert models.progress("CP001") == Progress()
    models.on_request("CP001", "GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"})
    assert models.on_report("CP001", _part(_item(), tbc=True)) == Progress(7, 1, 1, complete=False)
    other = {**_item(), "variable": {"name": "TxStopPoint"}}
    assert models.on_report("CP001", _part(other)) == Progress(7, 2, 2, complete=True)
    assert models.on_report("CP001", _part(_item("Authorized"), request_id=8)).parts == 2
    assert [entry["variable"]["name"] for entry in models.variables("CP001")] == ["TxStartPoint", "TxStopPoint"]


def test_a_new_report_forgets_the_last_one_and_an_unasked_one_counts() -> None:
    models = _read(_item())
    models.on_request("CP001", "GetBaseReport", {"requestId": 8})
    assert models.variables("CP001") == []
    models.on_report("CP002", _part(_item()))
    assert models.progress("CP002").complete


def test_what_is_set_and_read_and_notified_counts_from_then_on() -> None:
    models = _read(_item())
    request = {"setVariableData": [{**PLACE, "attributeValue": "Authorized"}]}
    rejected = {"setVariableResult": [{**PLACE, "attributeStatus": "Rejected"}]}
    assert models.on_answer("CP001", "SetVariables", request, rejected) == []
    accepted = {"setVariableResult": [{**PLACE, "attributeStatus": "Accepted"}]}
    assert len(models.on_answer("CP001", "SetVariables", request, accepted)) == 1
    assert _value(models) == "Authorized"
    got = {"getVariableResult": [{**PLACE, "attributeStatus": "Accepted", "attributeValue": "DataSigned"}]}
    models.on_answer("CP001", "GetVariables", {}, got)
    assert _value(models) == "DataSigned"
    folded = {"component": {"name": "txctrlr"}, "variable": {"name": "TXSTARTPOINT"}}
    models.on_events("CP001", [{**folded, "actualValue": "ParkingBayOccupancy"}])
    assert _value(models) == "ParkingBayOccupancy"


def test_a_write_only_value_is_not_shown_after_it_was_set() -> None:
    models = _read({**PLACE, "variableAttribute": [{"mutability": "WriteOnly"}]})
    request = {"setVariableData": [{**PLACE, "attributeValue": "secret"}]}
    models.on_answer(
        "CP001", "SetVariables", request, {"setVariableResult": [{**PLACE, "attributeStatus": "Accepted"}]}
    )
    assert _value(models) is None


def test_monitors_are_kept_when_the_variable_is_read_again() -> None:
    models = _read(_item())
    monitor = {"id": 1, "transaction": False, "value": 1.0, "type": "Delta", "severity": 5}
    models.on_monitoring_report("CP001", {"monitor": [{**PLACE, "variableMonitoring": [monitor]}]})
    models.on_report("CP001", _part(_item(), request_id=9))
    assert models.variables("CP001")[0]["monitors"] == [monitor]


def test_models_and_variables_are_bounded() -> None:
    models = DeviceModels()
    for number in range(20):
        models.on_report(f"CP{number}", _part(_item()))
    assert models.progress("CP3") == Progress()
    assert models.progress("CP4").complete
    items = [{**_item(), "variable": {"name": f"V{number}"}} for number in range(20_001)]
    assert (models.on_report("CP9", _part(*items)).cut, len(models.variables("CP9"))) == (True, 20_000)
