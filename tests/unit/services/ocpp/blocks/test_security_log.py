# SPDX-License-Identifier: Apache-2.0
"""Block A: which events go into the security log, and which to the CSMS as well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firmware.contract import Fault
from services.ocpp.signals import SecurityEvent
from tests.support.station_bench import StationBench, set_variables


def logged(bench: StationBench) -> list[Any]:
    return [json.loads(line) for line in (bench.directory / "security.log").read_text().splitlines()]


def kinds(bench: StationBench) -> list[str]:
    return [line["type"] for line in logged(bench)]


def sent(bench: StationBench) -> list[str]:
    return [request["type"] for request in bench.sent("SecurityEventNotification")]


def report(bench: StationBench, kind: str) -> None:
    bench.handle(lambda now: bench.station.on_security_event(SecurityEvent(kind, "why"), now))


def test_critical_ones_go_into_the_log_and_to_the_csms(bench: StationBench) -> None:
    report(bench, "InvalidTLSVersion")
    assert kinds(bench) == sent(bench) == ["StartupOfTheDevice", "InvalidTLSVersion"]


def test_others_only_into_the_log(bench: StationBench) -> None:
    report(bench, "FailedToAuthenticateAtCsms")
    assert kinds(bench) == ["StartupOfTheDevice", "FailedToAuthenticateAtCsms"]  # A04.FR.04
    assert sent(bench) == ["StartupOfTheDevice"]  # A04.FR.01
    assert logged(bench)[1]["info"] == "why"


@pytest.mark.parametrize(
    "frame",
    ["nonsense", "[2]", '[2,"1","NoSuchAction",{}]', '[2,"1","GetVariables",{"x":1}]', "[]", "{}", '[2,"1","Reset",7]'],
)
def test_an_invalid_message_is_an_event(bench: StationBench, frame: str) -> None:
    bench.frame(frame)
    assert kinds(bench) == ["StartupOfTheDevice", "InvalidMessages"]
    assert sent(bench) == ["StartupOfTheDevice"]


def test_an_unsupported_message_is_no_event(bench: StationBench) -> None:
    bench.call("GetVariables", {"getVariableData": [{"component": {"name": "X"}, "variable": {"name": "Y"}}]})
    bench.call("ReserveNow", {"id": 1, "expiryDateTime": "2027-01-01T00:00:00Z", "idToken": bench_token()})
    assert kinds(bench) == ["StartupOfTheDevice"]


def bench_token() -> dict[str, str]:
    return {"idToken": "04A1", "type": "ISO14443"}


def test_a_flood_is_counted_and_not_written(bench: StationBench) -> None:
    for _ in range(1000):
        bench.frame("nonsense")
    assert kinds(bench).count("InvalidMessages") == 1
    bench.advance(61)
    assert [line["info"] for line in logged(bench) if line["type"] == "InvalidMessages"][1:] == ["999 more"]
    bench.advance(200)
    bench.frame("nonsense")
    assert kinds(bench).count("InvalidMessages") == 3


@pytest.mark.parametrize("restart", ["power cut", "service"])
def test_suppressed_events_are_reported_after_a_restart(bench: StationBench, restart: str) -> None:
    """A04.FR.02"""
    for _ in range(12):
        report(bench, "InvalidTLSVersion")
    bench.frame("nonsense")
    bench.frame("nonsense")
    assert sent(bench).count("InvalidTLSVersion") == 10
    bench.power_cut() if restart == "power cut" else bench.restart_service()
    bench.up()
    reported = [each for each in bench.sent("SecurityEventNotification") if each["type"] == "InvalidTLSVersion"]
    assert len(reported) == 11
    assert reported[-1]["techInfo"] == "more; their count was lost in a restart"
    assert kinds(bench).count("InvalidMessages") == 2
    bench.restart_service()
    bench.up()
    assert sent(bench).count("InvalidTLSVersion") == 11


def test_suppressed_events_are_reported_once(bench: StationBench) -> None:
    for _ in range(12):
        report(bench, "InvalidTLSVersion")
    bench.advance(61)
    assert bench.sent("SecurityEventNotification")[-1]["techInfo"] == "2 more"
    bench.power_cut()
    bench.up()
    assert sent(bench).count("InvalidTLSVersion") == 11


def test_the_cabinet_is_opened(bench: StationBench) -> None:
    bench.fault(Fault.DOOR_OPEN)
    assert "TamperDetectionActivated" in kinds(bench)
    assert "TamperDetectionActivated" in sent(bench)


def test_a_new_password_is_an_event_without_the_password(bench: StationBench) -> None:
    bench.call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", "Pl4nted-secret-word"))
    assert kinds(bench)[-1] == "ReconfigurationOfSecurityParameters"  # A01.FR.11
    assert "Pl4nted" not in (bench.directory / "security.log").read_text()


def test_the_log_continues_after_a_power_cut(bench: StationBench) -> None:
    report(bench, "InvalidTLSVersion")
    bench.power_cut()
    bench.up()
    assert kinds(bench) == ["StartupOfTheDevice", "InvalidTLSVersion", "StartupOfTheDevice"]
    assert [line["seq"] for line in logged(bench)] == [1, 2, 3]


def test_a_death_before_the_commit_is_no_tampering(bench: StationBench) -> None:
    bench.dies = "before the commit"
    report(bench, "InvalidTLSVersion")
    bench.power_cut()
    bench.up()
    assert kinds(bench) == ["StartupOfTheDevice", "InvalidTLSVersion", "StartupOfTheDevice"]


def test_a_cleared_log_is_reported(bench: StationBench) -> None:
    bench.die()
    (bench.directory / "security.log").unlink()
    bench.power_cut()
    bench.up()
    assert kinds(bench) == ["SecurityLogWasCleared", "StartupOfTheDevice"]
    assert sent(bench) == ["StartupOfTheDevice", "SecurityLogWasCleared", "StartupOfTheDevice"]
    bench.power_cut()
    bench.up()
    assert kinds(bench).count("SecurityLogWasCleared") == 1


def test_an_edited_log_is_reported(bench: StationBench) -> None:
    report(bench, "MaintenanceLoginFailed")
    bench.die()
    path = bench.directory / "security.log"
    path.write_text(path.read_text().replace("MaintenanceLoginFailed", "MaintenanceLoginMissed"))
    bench.power_cut()
    bench.up()
    assert "SecurityLogBroken" in sent(bench)
