# SPDX-License-Identifier: Apache-2.0
"""A CSMS that writes what it has just read is never refused, however the value has come about.

A state machine of hypothesis brings the station into any state that a CSMS, its factory settings and its restarts can,
and then reads and writes the whole device model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from firmware.clock import format_utc
from firmware.factory_settings import NetworkProfile
from services.ocpp.device_model.reports import base_report
from tests.support.station_bench import StationBench, set_variables

FACTORY: dict[tuple[str, str], str] = {
    ("OCPPCommCtrlr", "HeartbeatInterval"): "120",
    ("OCPPCommCtrlr", "WebSocketPingInterval"): "60",
    ("TxCtrlr", "EVConnectionTimeOut"): "1",
    ("ClockCtrlr", "TimeZone"): "Europe/Oslo",
    ("SecurityCtrlr", "OrganizationName"): "A",
}
PRIORITIES = st.sampled_from(["1", "2", "1,2", "2,1"])


class Configured(RuleBasedStateMachine):
    """One station, and what can change its variables."""

    product = "full"

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.interval = 60
        self.bench: StationBench

    @initialize(factory=st.sets(st.sampled_from(sorted(FACTORY))))
    def begin(self, factory: set[tuple[str, str]]) -> None:
        variables = {name: FACTORY[name] for name in factory}
        self.bench = StationBench(Path(self.directory.name), product_name=self.product, variables=variables)
        self.bench.answers["BootNotification"] = lambda _: {
            "status": "Accepted",
            "currentTime": format_utc(self.bench.clock.utc()),
            "interval": self.interval,
        }
        self.bench.up()

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.database.close()
        self.directory.cleanup()

    # --- ways in which a value comes about ----------------------------------------------------------------------

    @rule(interval=st.sampled_from([0, 1, 59, 60, 61, 300, 2**31 - 1]))
    def boot(self, interval: int) -> None:
        self.interval = interval
        self.bench.power_cut()
        self.bench.up()

    @rule()
    def restart(self) -> None:
        self.bench.restart_service()
        self.bench.hal_up()
        self.bench.link_up()

    @rule(security_profile=st.sampled_from([1, 2, 3]))
    def step_up(self, security_profile: int) -> None:
        """A connection with another profile; less secure slots are removed by it."""
        scheme = "wss" if security_profile > 1 else "ws"
        profile = NetworkProfile(slot=1, url=f"{scheme}://csms/ocpp", security_profile=security_profile)
        self.bench.link_down()
        self.bench.link_up(profile)

    @rule(security_profile=st.sampled_from([1, 2, 3]), priority=PRIORITIES)
    def use_another_slot(self, security_profile: int, priority: str) -> None:
        data = {
            "messageTimeout": 20,
            "ocppCsmsUrl": f"{'wss' if security_profile > 1 else 'ws'}://csms.example/ocpp",
            "ocppInterface": "Wireless0",
            "ocppTransport": "JSON",
            "ocppVersion": "OCPP20",
            "securityProfile": security_profile,
        }
        self.bench.call("SetNetworkProfile", {"configurationSlot": 2, "connectionData": data})
        self.bench.call("SetVariables", set_variables("OCPPCommCtrlr", "NetworkConfigurationPriority", priority))

    @rule(allowed=st.booleans())
    def allow_a_step_down(self, allowed: bool) -> None:
        request = set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true" if allowed else "false")
        self.bench.call("SetVariables", request)

    @rule(seconds=st.sampled_from([1, 61, 200]))
    def heartbeat_interval(self, seconds: int) -> None:
        self.bench.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", str(seconds)))

    # --- reading and writing all of it --------------------------------------------------------------------------

    @invariant()
    def what_was_read_can_be_written(self) -> None:
        if not hasattr(self, "bench"):
            return
        reports = base_report(self.bench.context.model, "FullInventory")
        writable = [each for each in reports if _actual(each)["mutability"] == "ReadWrite"]
        assert len(writable) > 30
        for report in writable:
            _check_characteristics(report)
            place = {"component": report["component"], "variable": report["variable"]}
            (got,) = self.bench.call("GetVariables", {"getVariableData": [place]})["getVariableResult"]
            assert got["attributeStatus"] == "Accepted"
            value = got["attributeValue"]
            request = {"setVariableData": [{**place, "attributeValue": value}]}
            (result,) = self.bench.call("SetVariables", request)["setVariableResult"]
            assert result["attributeStatus"] in ("Accepted", "RebootRequired"), (place, value, result)
            (again,) = self.bench.call("GetVariables", {"getVariableData": [place]})["getVariableResult"]
            assert again["attributeValue"] == value


class OfTheProduct(Configured):
    product = "c7am-400-cc"


def _actual(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in report["variableAttribute"] if each["type"] == "Actual")
    return found


def _check_characteristics(report: dict[str, Any]) -> None:
    value, kind = _actual(report)["value"], report["variableCharacteristics"]
    number = kind["dataType"] in ("integer", "decimal")
    measure = float(value or 0) if number else len(value)
    if number and value:
        assert measure >= kind.get("minLimit", measure), report
    assert measure <= kind.get("maxLimit", measure), report
    if "valuesList" in kind and value:
        assert set(value.split(",")) <= set(kind["valuesList"].split(",")), report


@pytest.mark.parametrize("machine", [Configured, OfTheProduct])
def test_what_was_read_can_be_written(machine: type[Configured]) -> None:
    profile = settings(
        max_examples=12, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(machine, settings=profile)


def test_the_limits_follow_the_value(tmp_path: Path) -> None:
    """A boot may give any interval (B01.FR.04); once the CSMS has set another, the product's limits are back."""
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Accepted", "currentTime": "2027-01-15T08:00:00Z", "interval": 300}
    bench.up()
    assert _limits(bench) == (60, 300)
    assert _set(bench, "300") == _set(bench, "200") == "Accepted"
    assert _limits(bench) == (60, 200)
    assert _set(bench, "201") == "Rejected"
    assert _set(bench, "100") == "Accepted"
    assert _limits(bench) == (60, 120)


def _limits(bench: StationBench) -> tuple[int, int]:
    reports = base_report(bench.context.model, "FullInventory")
    kind = next(each for each in reports if each["variable"]["name"] == "HeartbeatInterval")["variableCharacteristics"]
    return kind["minLimit"], kind["maxLimit"]


def _set(bench: StationBench, value: str) -> str:
    answer = bench.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", value))
    return str(answer["setVariableResult"][0]["attributeStatus"])
