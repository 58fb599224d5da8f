# SPDX-License-Identifier: Apache-2.0
"""Messages sent although nothing has changed: on TriggerMessage, or after a repeated request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.station_bench import StationBench


def trigger(bench: StationBench, message: str, **evse: int) -> str:
    request: dict[str, Any] = {"requestedMessage": message}
    if evse:
        request["evse"] = evse
    return str(bench.call("TriggerMessage", request)["status"])


@pytest.mark.parametrize("message", ["LogStatusNotification", "FirmwareStatusNotification"])
@pytest.mark.parametrize("evse", [{}, {"id": 1}, {"id": 9}])
def test_the_status_is_idle_without_a_task(bench: StationBench, message: str, evse: dict[str, int]) -> None:
    assert trigger(bench, message, **evse) == "Accepted"  # F06.FR.03
    assert bench.sent(message) == [{"status": "Idle"}]  # F06.FR.15, F06.FR.16


def test_a_triggered_transaction_event_names_its_evse(bench: StationBench) -> None:
    bench.card(evse=2)
    bench.plug(2)
    bench.energy_on(2)
    assert "evse" not in bench.events[-1]  # E01.FR.16
    assert trigger(bench, "TransactionEvent") == "Accepted"
    assert bench.events[-1]["triggerReason"] == "Trigger"
    assert bench.events[-1]["evse"] == {"id": 2, "connectorId": 1}


@pytest.mark.parametrize(("place", "reported"), [({}, [1, 2]), ({"evse": {"id": 2}}, [2])])
def test_a_repeated_change_is_reported_again(bench: StationBench, place: dict[str, Any], reported: list[int]) -> None:
    for wanted, status in [("Operative", "Available"), ("Inoperative", "Unavailable")]:
        bench.call("ChangeAvailability", {"operationalStatus": wanted, **place})
        before = len(bench.sent("StatusNotification"))
        assert bench.call("ChangeAvailability", {"operationalStatus": wanted, **place}) == {"status": "Accepted"}
        reports = bench.sent("StatusNotification")[before:]
        assert [(report["evseId"], report["connectorStatus"]) for report in reports] == [(e, status) for e in reported]


def test_a_scheduled_change_is_cancelled(bench: StationBench) -> None:
    bench.card(evse=1)
    bench.plug(1)
    assert bench.call("ChangeAvailability", {"operationalStatus": "Inoperative"}) == {"status": "Scheduled"}
    assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Unavailable"
    bench.call("ChangeAvailability", {"operationalStatus": "Operative"})
    reported = {report["evseId"]: report["connectorStatus"] for report in bench.sent("StatusNotification")}
    assert reported == {1: "Occupied", 2: "Available"}


def test_the_ended_event_has_the_values_of_the_start_that_the_started_event_lacked(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxStartedMeasurands"): ""})
    bench.up()
    bench.plug(1)
    bench.card(evse=1)
    bench.energy_on(1)
    assert not any("meterValue" in event for event in bench.events)
    bench.deliver(1, 500.0)
    bench.card(evse=1)
    bench.energy_off(1)
    values = [(v["sampledValue"][0]["context"], v["sampledValue"][0]["value"]) for v in bench.events[-1]["meterValue"]]
    assert values == [("Transaction.Begin", 1000.0), ("Transaction.End", 1500.0)]  # E06.FR.11
