# SPDX-License-Identifier: Apache-2.0
"""B07 and B08 on the wire: when a report is made, and what its parts look like."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.station_bench import StationBench

REQUESTED = 200
"""More whole reports than may wait in the queue."""
CARD = "04A1B2C3D4E580"


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


@pytest.mark.parametrize("base", ["ConfigurationInventory", "FullInventory", "SummaryInventory"])
def test_base_reports(bench: StationBench, base: str) -> None:
    bench.frames.clear()
    assert bench.call("GetBaseReport", {"requestId": 9, "reportBase": base}) == {"status": "Accepted"}  # B07.FR.01
    assert bench.frames[0][0] == 3
    parts = bench.sent("NotifyReport")
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))  # B07.FR.10
    assert {part["requestId"] for part in parts} == {9}  # B07.FR.04
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(part["reportData"] for part in parts)


def test_summary_inventory_where_the_product_lacks_it(bench: StationBench) -> None:
    product = bench.context.product
    bench.context.product = replace(product, features=replace(product.features, summary_inventory=False))
    answer = bench.call("GetBaseReport", {"requestId": 9, "reportBase": "SummaryInventory"})
    assert answer == {"status": "NotSupported"}  # B07.FR.02
    assert bench.sent("NotifyReport") == []  # B07.FR.05


def test_a_report_of_one_component(bench: StationBench) -> None:
    request = {"requestId": 3, "componentVariable": [{"component": {"name": "TxCtrlr"}}]}
    assert bench.call("GetReport", request) == {"status": "Accepted"}
    data = [item for part in bench.sent("NotifyReport") for item in part["reportData"]]
    assert {item["component"]["name"] for item in data} == {"TxCtrlr"}  # B08.FR.11


def test_an_empty_report(bench: StationBench) -> None:
    request = {"requestId": 3, "componentVariable": [{"component": {"name": "Nothing"}}]}
    assert bench.call("GetReport", request) == {"status": "EmptyResultSet"}  # B08.FR.15
    assert bench.sent("NotifyReport") == []


def test_a_csms_that_requests_reports_endlessly(bench: StationBench) -> None:
    """It can't make the station drop an EV driver's Authorize, or its BootNotification."""
    bench.answers["NotifyReport"] = bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    answers = [
        bench.call("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})["status"]
        for number in range(REQUESTED)
    ]
    accepted = answers.count("Accepted")
    assert answers == ["Accepted"] * accepted + ["Rejected"] * (REQUESTED - accepted)  # B07.FR.13
    assert bench.call("GetReport", {"requestId": REQUESTED}) == {"status": "Rejected"}  # B08.FR.16
    assert len(bench.context.outbox) <= 501
    del bench.answers["NotifyReport"], bench.answers["Authorize"]
    bench.advance(40)
    parts = [(part["requestId"], part["tbc"]) for part in bench.sent("NotifyReport")]
    assert [number for number, more in parts if not more] == list(range(accepted))  # whole reports, and no others
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"
