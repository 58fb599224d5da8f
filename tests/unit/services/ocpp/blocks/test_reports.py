# SPDX-License-Identifier: Apache-2.0
"""B05 to B08 on the wire: what the parts of a report look like, and what of a request comes back in its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.station_bench import StationBench

HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def parts(bench: StationBench, request_id: int) -> list[Any]:
    return [part for part in bench.sent("NotifyReport") if part["requestId"] == request_id]


@pytest.mark.parametrize("kind", ["ConfigurationInventory", "FullInventory"])
def test_base_reports_come_in_numbered_parts(bench: StationBench, kind: str) -> None:
    assert bench.call("GetBaseReport", {"requestId": 7, "reportBase": kind}) == {"status": "Accepted"}  # B07.FR.12
    report = parts(bench, 7)  # B07.FR.04
    assert [part["seqNo"] for part in report] == list(range(len(report)))  # B07.FR.10
    assert [part["tbc"] for part in report] == [True] * (len(report) - 1) + [False]


def test_a_custom_report_is_numbered_and_complete(bench: StationBench) -> None:
    request = {"requestId": 8, "componentVariable": [{"component": {"name": "OCPPCommCtrlr"}}]}
    assert bench.call("GetReport", request) == {"status": "Accepted"}  # B08.FR.01
    report = parts(bench, 8)  # B08.FR.03, B08.FR.04
    assert [part["seqNo"] for part in report] == list(range(len(report)))  # B08.FR.14
    data = [row for part in report for row in part["reportData"]]
    assert {row["component"]["name"] for row in data} == {"OCPPCommCtrlr"}
    assert all(row["variableCharacteristics"]["dataType"] for row in data)  # B08.FR.12


def test_a_custom_report_of_one_instance(bench: StationBench) -> None:
    asked = {
        "component": {"name": "DeviceDataCtrlr"},
        "variable": {"name": "ItemsPerMessage", "instance": "GetReport"},
    }
    bench.call("GetReport", {"requestId": 9, "componentVariable": [asked]})
    data = [row for part in parts(bench, 9) for row in part["reportData"]]
    assert [row["variable"]["instance"] for row in data] == ["GetReport"]  # B08.FR.24


def test_more_elements_than_a_report_takes(bench: StationBench) -> None:
    rows = [{"component": {"name": f"C{number}"}} for number in range(51)]  # ItemsPerMessage is 50
    answer = bench.call("GetReport", {"requestId": 10, "componentVariable": rows})
    assert answer[2] == "OccurrenceConstraintViolation"  # B08.FR.06, B08.FR.17


def test_the_attribute_type_comes_back(bench: StationBench) -> None:
    got = bench.call("GetVariables", {"getVariableData": [{**HEARTBEAT, "attributeType": "Target"}]})
    assert got["getVariableResult"][0]["attributeType"] == "Target"  # B06.FR.03
    row = {**HEARTBEAT, "attributeType": "Actual", "attributeValue": "70"}
    done = bench.call("SetVariables", {"setVariableData": [row]})
    assert done["setVariableResult"][0]["attributeType"] == "Actual"  # B05.FR.03


def test_two_slots_at_least(bench: StationBench) -> None:
    for slot in (1, 2):  # B09.FR.06
        data = {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "ws://127.0.0.1:9/ocpp",
            "messageTimeout": 30,
            "securityProfile": 1,
            "ocppInterface": "Wired0",
        }
        answer = bench.call("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data})
        assert answer["status"] == "Accepted"


@pytest.mark.parametrize(("name", "allowed"), [("full", "true"), ("c7am-400-cc", "false")])
def test_the_model_says_whether_an_evse_can_be_reset(tmp_path: Path, name: str, allowed: str) -> None:
    bench = StationBench(tmp_path, product_name=name)
    bench.up()
    asked = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AllowReset"}}
    got = bench.call("GetVariables", {"getVariableData": [asked]})
    assert got["getVariableResult"][0]["attributeValue"] == allowed  # B11.FR.10
