# SPDX-License-Identifier: Apache-2.0
"""B05 SetVariables and B06 GetVariables on the wire, and across restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench, set_variables

HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def get_variables(bench: StationBench, *names: tuple[str, str]) -> Any:
    data = [{"component": {"name": component}, "variable": {"name": variable}} for component, variable in names]
    return bench.call("GetVariables", {"getVariableData": data})


def test_one_result_for_each_variable(bench: StationBench) -> None:
    answer = get_variables(bench, ("TxCtrlr", "TxStartPoint"), ("Nothing", "At"), ("TxCtrlr", "All"))
    results = answer["getVariableResult"]  # B06.FR.01
    assert [result["attributeStatus"] for result in results] == ["Accepted", "UnknownComponent", "UnknownVariable"]
    assert results[0]["attributeValue"] == "Authorized"


def test_a_request_beyond_the_limits(bench: StationBench) -> None:
    assert get_variables(bench, *[("A", "B")] * 50)["getVariableResult"][49]["attributeStatus"] == "UnknownComponent"
    assert get_variables(bench, *[("A", "B")] * 51)[2] == "OccurrenceConstraintViolation"  # B06.FR.16
    assert get_variables(bench, *[("A" * 50, "B" * 50)] * 40)[2] == "FormatViolation"  # B06.FR.17


def test_a_value_that_was_set_survives_a_power_cut(bench: StationBench) -> None:
    bench.call("SetVariables", set_variables("TxCtrlr", "EVConnectionTimeOut", "33"))
    bench.power_cut()
    bench.up()
    assert get_variables(bench, ("TxCtrlr", "EVConnectionTimeOut"))["getVariableResult"][0]["attributeValue"] == "33"


def test_a_value_is_written_before_its_answer_is_made(bench: StationBench) -> None:
    """The process dies at the end of the unit of work: the value was committed for the answer (`Context.kept`)."""
    bench.dies = "before the commit"
    assert bench.call("SetVariables", set_variables("TxCtrlr", "EVConnectionTimeOut", "33")) is None
    bench.restart_service()
    bench.up()
    assert bench.context.model.get(keys.EV_CONNECTION_TIME_OUT) == 33


def test_a_new_password_is_used_at_once(bench: StationBench) -> None:
    answer = bench.call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", "fedcba9876543210"))
    assert answer["setVariableResult"][0]["attributeStatus"] == "Accepted"
    assert bench.orders == ["redial"]  # A01.FR.03


def test_the_attribute_type_is_repeated(bench: StationBench) -> None:
    got = bench.call("GetVariables", {"getVariableData": [{**HEARTBEAT, "attributeType": "Target"}]})
    assert got["getVariableResult"][0]["attributeType"] == "Target"  # B06.FR.03
    row = {**HEARTBEAT, "attributeType": "Actual", "attributeValue": "70"}
    done = bench.call("SetVariables", {"setVariableData": [row]})
    assert done["setVariableResult"][0]["attributeType"] == "Actual"  # B05.FR.03


@pytest.mark.parametrize(("name", "allowed"), [("full", "true"), ("c7am-400-cc", "false")])
def test_the_model_says_whether_an_evse_can_be_reset(tmp_path: Path, name: str, allowed: str) -> None:
    bench = StationBench(tmp_path, product_name=name)
    bench.up()
    asked = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AllowReset"}}
    got = bench.call("GetVariables", {"getVariableData": [asked]})
    assert got["getVariableResult"][0]["attributeValue"] == allowed  # B11.FR.10
