# SPDX-License-Identifier: Apache-2.0
"""N07: faults are reported by NotifyEvent, with their ChargeX code: once each, and again if the CSMS can not know."""

from __future__ import annotations

from typing import Any

import pytest

from firmware.contract import Fault, FaultRaised
from services.ocpp.device_model.hardware import COMPONENT_OF_FAULT
from tests.support.station_bench import StationBench, charge


def events(bench: StationBench) -> list[dict[str, Any]]:
    """All events that were reported so far."""
    return [event for request in bench.sent("NotifyEvent") for event in request["eventData"]]


def outline(bench: StationBench) -> list[tuple[str, int | None, str, bool]]:
    """techCode, EVSE, value and whether it was cleared, of each event."""
    return [
        (
            event["techCode"],
            event["component"].get("evse", {}).get("id"),
            event["actualValue"],
            event["cleared"],
        )
        for event in events(bench)
    ]


def test_fault_of_an_evse_comes_and_goes(bench: StationBench) -> None:
    bench.evse_faults[2].add(Fault.CONTACTOR_WELDED)
    bench.event(FaultRaised(Fault.CONTACTOR_WELDED, 2, "mirror contact closed while the coil is off"))
    [event] = events(bench)
    assert event["component"] == {"name": "PowerContactor", "evse": {"id": 2}}
    assert event["variable"] == {"name": "Problem"}
    assert event["trigger"] == "Alerting"
    assert event["eventNotificationType"] == "HardWiredNotification"
    assert event["techInfo"] == "mirror contact closed while the coil is off"
    bench.clear_fault(Fault.CONTACTOR_WELDED, 2)
    assert outline(bench) == [("CX017", 2, "true", False), ("CX017", 2, "false", True)]
    assert len({each["eventId"] for each in events(bench)}) == 2
    assert [request["seqNo"] for request in bench.sent("NotifyEvent")] == [0, 0]


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_has_a_code(bench: StationBench, fault: Fault) -> None:
    bench.fault(fault, 1)
    [event] = events(bench)
    assert event["techCode"] == (fault.mrec(1) or fault.value)
    assert event["component"]["name"] == COMPONENT_OF_FAULT[fault]


def test_connector_is_faulted_first(bench: StationBench) -> None:
    before = len(bench.requests)
    bench.fault(Fault.EMERGENCY_STOP)
    actions = [action for action, _ in bench.requests[before:]]
    assert actions == ["StatusNotification", "StatusNotification", "NotifyEvent"]
    assert outline(bench) == [("CX008", None, "true", False)]


def test_hot_plug_and_hot_cabinet_differ(bench: StationBench) -> None:
    """A fault of the station in a component that each EVSE has is shown at each."""
    bench.fault(Fault.OVER_TEMPERATURE, 2)
    bench.fault(Fault.OVER_TEMPERATURE)
    assert outline(bench) == [
        ("CX019", 2, "true", False),
        ("CX003", 1, "true", False),
        ("CX003", 2, "true", False),
    ]


def test_a_component_with_another_fault_keeps_its_problem(bench: StationBench) -> None:
    bench.fault(Fault.CONTACTOR_WELDED, 1)
    bench.fault(Fault.CONTACTOR_FAILED, 1)
    bench.clear_fault(Fault.CONTACTOR_WELDED, 1)
    assert outline(bench)[-1] == ("CX017", 1, "true", True)


def test_the_transaction_is_named(bench: StationBench) -> None:
    transaction_id = charge(bench, 2)
    bench.fault(Fault.ISOLATION, 2)
    assert events(bench)[0]["transactionId"] == transaction_id


def test_after_an_outage_only_what_has_changed_is_reported(bench: StationBench) -> None:
    bench.fault(Fault.SCREEN, 1)
    bench.link_down()
    bench.clear_fault(Fault.SCREEN, 1)
    bench.fault(Fault.METER, 2)
    bench.clear_fault(Fault.METER, 2)
    bench.fault(Fault.CARD_READER)
    assert len(events(bench)) == 1
    bench.link_up()
    assert outline(bench)[1:] == [("screen", 1, "false", True), ("card_reader", None, "true", False)]


def test_after_a_restart_the_csms_gets_what_it_does_not_know(bench: StationBench) -> None:
    bench.fault(Fault.SCREEN, 1)
    bench.fault(Fault.METER, 2)
    bench.evse_faults[1].clear()
    bench.power_cut()
    bench.up()
    assert outline(bench)[2:] == [("screen", 1, "false", True)]
    ids = [event["eventId"] for event in events(bench)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("code", ["NotImplemented", "InternalError"])
def test_a_csms_that_refuses_is_not_asked_again_and_again(bench: StationBench, code: str) -> None:
    bench.answers["NotifyEvent"] = code
    bench.fault(Fault.SCREEN, 1)
    bench.advance(3600.0)
    assert len(events(bench)) == 1
    bench.answers.clear()
    bench.fault(Fault.SCREEN, 2)
    assert outline(bench)[1:] == [("screen", 1, "true", False), ("screen", 2, "true", False)]


def test_nothing_is_reported_before_the_csms_has_accepted_the_station(bench: StationBench) -> None:
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": "2026-11-30T12:00:00Z", "interval": 300}
    bench.power_cut()
    bench.evse_faults[1].add(Fault.SCREEN)
    bench.up()
    assert bench.sent("BootNotification")
    assert events(bench) == []
