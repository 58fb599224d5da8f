# SPDX-License-Identifier: Apache-2.0
"""Block J outside transactions; values of a transaction are in transactions/test_meter.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from firmware.contract import Fault
from tests.support.station_bench import StationBench, set_variables

CARD = "04A1B2C3D4E580"


def aligned(directory: Path, interval: int = 30, product: str = "c7am-400-cc", **more: str) -> StationBench:
    variables = {("AlignedDataCtrlr", "Interval"): str(interval)}
    variables |= {("AlignedDataCtrlr", name): value for name, value in more.items()}
    variables[("SampledDataCtrlr", "TxUpdatedInterval")] = "0"
    bench = StationBench(directory, product_name=product, variables=variables)
    bench.up()
    return bench


def on_the_mark(stamp: str, interval: int) -> bool:
    return parse_utc(stamp) % interval < 0.01


def test_idle_evses_report_at_each_interval(tmp_path: Path) -> None:
    bench = aligned(tmp_path)
    bench.clock.advance(7)
    bench.advance(95)
    requests = bench.sent("MeterValues")
    assert [request["evseId"] for request in requests] == [1, 2] * 3  # J01.FR.02, J01.FR.14
    for request in requests:
        (value,) = request["meterValue"]
        assert on_the_mark(value["timestamp"], 30)
        (sample,) = value["sampledValue"]
        assert sample["context"] == "Sample.Clock"  # J01.FR.08
        assert sample["measurand"] == "Energy.Active.Import.Register"  # J01.FR.07
        assert sample["location"] == "Outlet"  # J01.FR.09
        assert sample["unitOfMeasure"] == {"unit": "Wh"}
    assert [request["meterValue"][0]["sampledValue"][0]["value"] for request in requests[:2]] == [1000.0, 2000.0]


def test_a_broken_meter_reports_nothing(tmp_path: Path) -> None:
    """Its last reading would be sent again and again, with new time stamps."""
    bench = aligned(tmp_path)
    bench.fault(Fault.METER, 1)
    bench.advance(65)
    assert {request["evseId"] for request in bench.sent("MeterValues")} == {2}
    assert bench.call("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}})["status"] == "Rejected"
    bench.clear_fault(Fault.METER, 1)
    bench.advance(35)
    assert {request["evseId"] for request in bench.sent("MeterValues")} == {1, 2}


def test_a_hal_that_is_away_reports_nothing(tmp_path: Path) -> None:
    """Its last readings would be sent again and again."""
    bench = aligned(tmp_path)
    bench.hal_down()
    bench.advance(65)
    assert bench.sent("MeterValues") == []
    assert bench.call("TriggerMessage", {"requestedMessage": "MeterValues"})["status"] == "Rejected"  # F06.FR.10


def test_a_value_has_the_time_of_its_reading(tmp_path: Path) -> None:
    bench = aligned(tmp_path)
    read = bench.clock.utc()
    bench.meters_silent = True
    bench.call("TriggerMessage", {"requestedMessage": "MeterValues"})
    bench.advance(4)
    bench.call("TriggerMessage", {"requestedMessage": "MeterValues"})
    stamps = [request["meterValue"][0]["timestamp"] for request in bench.sent("MeterValues")]
    assert [parse_utc(stamp) for stamp in stamps] == pytest.approx([read] * 4, abs=0.01)


def test_an_interval_of_zero_is_none(tmp_path: Path) -> None:
    bench = aligned(tmp_path, 0)
    bench.advance(4000)
    assert bench.sent("MeterValues") == []


def test_an_evse_in_a_transaction_reports_there(tmp_path: Path) -> None:
    bench = aligned(tmp_path)
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    count = len(bench.events)
    bench.advance(35)
    assert [request["evseId"] for request in bench.sent("MeterValues")] == [2]
    (event,) = bench.events[count:]
    assert event["triggerReason"] == "MeterValueClock"  # J01.FR.22
    assert event["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Clock"


@pytest.mark.parametrize(("idle_only", "expected"), [("true", 0), ("false", 1)])
def test_send_during_idle(tmp_path: Path, idle_only: str, expected: int) -> None:
    bench = aligned(tmp_path, product="full", SendDuringIdle=idle_only)
    bench.card(CARD, 1)
    bench.plug(1)
    count = len(bench.events)
    bench.advance(35)
    assert len(bench.sent("MeterValues")) == expected  # J01.FR.20
    assert len(bench.events[count:]) == expected  # J01.FR.19


def test_a_new_interval_holds_at_once(tmp_path: Path) -> None:
    bench = aligned(tmp_path, 900)
    bench.call("SetVariables", set_variables("AlignedDataCtrlr", "Interval", "10"))
    bench.advance(25)
    assert len(bench.sent("MeterValues")) == 4


def test_a_clock_that_is_set_moves_the_marks(tmp_path: Path) -> None:
    bench = aligned(tmp_path, 900)
    bench.card(CARD, 2)
    bench.plug(2)
    bench.clock.step_utc(407.0)  # found out by the next heartbeat
    before = len(bench.events)
    bench.advance(1000)
    (request,) = bench.sent("MeterValues")
    assert on_the_mark(request["meterValue"][0]["timestamp"], 900)  # J01.FR.14
    (event,) = bench.events[before:]
    assert event["triggerReason"] == "MeterValueClock"
    assert on_the_mark(event["timestamp"], 900)  # J01.FR.22
    bench.card(CARD, 2)
    kept = [value for value in bench.events[-1]["meterValue"] if value["sampledValue"][0]["context"] == "Sample.Clock"]
    assert [on_the_mark(value["timestamp"], 900) for value in kept] == [True]


def test_every_measurand_with_its_unit(tmp_path: Path) -> None:
    names = "Energy.Active.Import.Register,Current.Import,Power.Active.Import,Power.Offered,SoC,Voltage,Current.Offered"
    bench = aligned(tmp_path, product="full", Measurands=names)
    bench.advance(31)
    samples = bench.sent("MeterValues")[0]["meterValue"][0]["sampledValue"]
    assert [sample["measurand"] for sample in samples] == names.split(",")
    assert [sample["unitOfMeasure"]["unit"] for sample in samples] == ["Wh", "A", "W", "W", "Percent", "V", "A"]


def test_samples_taken_offline_are_lost_or_kept_as_configured(tmp_path: Path) -> None:
    bench = aligned(tmp_path)
    bench.link_down()
    bench.advance(31)
    bench.link_up()
    assert bench.sent("MeterValues") == []
    bench.call("SetVariables", set_variables("OCPPCommCtrlr", "QueueAllMessages", "true"))
    bench.link_down()
    bench.advance(30)
    stamp = bench.clock.utc()
    bench.advance(1000)
    bench.link_up()
    kept: list[Any] = bench.sent("MeterValues")
    assert len(kept) == 2 * 34
    assert parse_utc(kept[0]["meterValue"][0]["timestamp"]) <= stamp


def test_values_for_idle_times_alone(tmp_path: Path) -> None:
    settings = {("AlignedDataCtrlr", "Interval"): "10", ("AlignedDataCtrlr", "SendDuringIdle"): "true"}
    bench = StationBench(tmp_path, product_name="full", variables=settings)
    bench.up()
    bench.advance(11)
    assert len(bench.sent("MeterValues")) == 2
    bench.card(CARD, 1)
    before = len(bench.requests)
    bench.advance(25)
    assert not [name for name, _ in bench.requests[before:] if name == "MeterValues"]  # J01.FR.20
    assert "MeterValueClock" not in [event["triggerReason"] for event in bench.events]
