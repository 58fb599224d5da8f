# SPDX-License-Identifier: Apache-2.0
"""Messages sent although nothing has changed: on TriggerMessage, or after a repeated request."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from firmware.product import OptionalTrigger
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


@pytest.mark.parametrize("message", get_args(OptionalTrigger))
def test_a_message_that_the_product_does_not_send_when_triggered(bench: StationBench, message: str) -> None:
    """C-29, F06.FR.08."""
    bench.plug(1)
    product = bench.context.product
    allowed = [each for each in product.features.trigger_messages if each != message]
    bench.context.product = replace(product, features=replace(product.features, trigger_messages=allowed))
    sent = len(bench.requests)
    assert trigger(bench, message, id=1, connectorId=1) == "NotImplemented"
    assert len(bench.requests) == sent
    assert trigger(bench, "Heartbeat") == "Accepted"


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
