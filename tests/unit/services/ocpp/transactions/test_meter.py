# SPDX-License-Identifier: Apache-2.0
"""The meter values of a transaction, also when meter, settings or clock change."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from firmware.contract import EnergyFlow
from services.ocpp.transactions.meter import next_multiple
from tests.support.station_bench import StationBench, charge, set_variables
from tests.support.transactions import CARD

ALL = "Energy.Active.Import.Register,Current.Import,SoC"


def station(path: Path, **sampled: str) -> StationBench:
    """The product that has all measurands, with these SampledDataCtrlr variables, up and accepted."""
    variables = {("SampledDataCtrlr", name): value for name, value in sampled.items()}
    bench = StationBench(path, product_name="full", variables=variables)
    bench.up()
    return bench


def samples(event: Any) -> list[tuple[str, str, float]]:
    """(timestamp, measurand, value) of all meter values of an event."""
    return [
        (value["timestamp"], sample["measurand"], sample["value"])
        for value in event.get("meterValue", ())
        for sample in value["sampledValue"]
    ]


def test_meter_values_at_start_and_end(bench: StationBench) -> None:
    charge(bench)
    bench.deliver(2, 500.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    begin = bench.events[0]["meterValue"][0]["sampledValue"][0]
    assert (begin["value"], begin["context"]) == (2000.0, "Transaction.Begin")  # E02.FR.09
    contexts = [value["sampledValue"][0]["context"] for value in bench.events[-1]["meterValue"]]
    values = [value["sampledValue"][0]["value"] for value in bench.events[-1]["meterValue"]]
    assert contexts == ["Transaction.Begin", "Transaction.End"]  # E06.FR.11
    assert values == [2000.0, 2500.0]


def test_periodic_samples(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "10"})
    bench.up()
    charge(bench)
    count = len(bench.events)
    bench.advance(35)
    samples = bench.events[count:]
    assert [event["triggerReason"] for event in samples] == ["MeterValuePeriodic"] * 3  # J02.FR.11
    assert all(event["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Periodic" for event in samples)


@pytest.mark.parametrize(("interval", "samples"), [("60", 10), ("20", 28)])
def test_an_interval_that_is_set_to_its_old_value_continues(tmp_path: Path, interval: str, samples: int) -> None:
    """J02.FR.11: another interval starts from now."""
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "60"})
    bench.up()
    charge(bench)
    before = len(bench.events)
    for _ in range(20):
        bench.advance(30)
        bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedInterval", interval))
    assert len(bench.events) - before == samples


@pytest.mark.parametrize("interval", ["10", "30"])
def test_the_interval_counts_from_the_start_of_the_transaction(tmp_path: Path, interval: str) -> None:
    bench = station(tmp_path, TxUpdatedInterval=interval, TxEndedInterval=interval)
    bench.card(CARD, 2)
    began = parse_utc(bench.events[0]["timestamp"])
    bench.advance(25)
    bench.plug(2)
    bench.energy_on(2)
    bench.advance(36)
    bench.card(CARD, 2)
    bench.energy_off(2)
    expected = [float(each) for each in range(int(interval), 61, int(interval))]
    periodic = [event for event in bench.events if event["triggerReason"] == "MeterValuePeriodic"]
    assert [round(parse_utc(event["timestamp"]) - began, 2) for event in periodic] == expected  # J02.FR.11
    kept = [
        value for value in bench.events[-1]["meterValue"] if value["sampledValue"][0]["context"] == "Sample.Periodic"
    ]
    assert [round(parse_utc(value["timestamp"]) - began, 2) for value in kept] == expected  # part 2, J, 2.1


@pytest.mark.parametrize(
    ("due", "interval", "now", "expected"),
    [(10.0, 5, 10.0, 15.0), (10.0, 5, 26.0, 30.0), (10.0, 0, 10.0, None)],
)
def test_missed_samples_are_not_made_up_for(due: float, interval: float, now: float, expected: float | None) -> None:
    assert next_multiple(due, interval, now) == expected


def test_measurands_may_change_during_a_transaction(tmp_path: Path) -> None:
    bench = station(tmp_path, TxUpdatedInterval="10")
    charge(bench)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedMeasurands", "SoC,Voltage"))
    bench.advance(10)
    assert [name for _, name, _ in samples(bench.events[-1])] == ["SoC", "Voltage"]
    before = len(bench.events)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedMeasurands", ""))
    bench.advance(30)
    assert len(bench.events) == before  # no value to report


def test_measurands_of_the_start_that_are_configured_later_are_not_sent(tmp_path: Path) -> None:
    bench = station(tmp_path, TxStartedMeasurands="", TxUpdatedInterval="0")
    charge(bench)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxStartedMeasurands", ALL))
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert bench.summary()[-1][:2] == ("Updated", "ChargingStateChanged")
    contexts = [
        sample["context"]
        for event in bench.events
        for value in event.get("meterValue", ())
        for sample in value["sampledValue"]
    ]
    assert contexts == []  # E01.FR.09: Transaction.Begin belongs to the Started event


# --- the register ----------------------------------------------------------------------------------------------------


def test_a_register_that_falls_is_not_reported(bench: StationBench) -> None:
    charge(bench)
    bench.deliver(2, 500.0)
    bench.advance(60)
    bench.registers[2] = 10.0
    bench.event(bench.reading(2))
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = [
        sample["value"]
        for event in bench.events
        for value in event.get("meterValue", [])
        for sample in value["sampledValue"]
    ]
    assert min(values) == 2000.0  # J02.FR.16
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == 2500.0


def test_a_register_that_fell_stays_at_the_last_reported_value(tmp_path: Path) -> None:
    bench = station(tmp_path, TxUpdatedInterval="10", TxUpdatedMeasurands=ALL, TxEndedMeasurands=ALL)
    charge(bench)
    bench.deliver(2, 500.0)
    bench.advance(10)
    bench.registers[2] = 10.0
    for _ in range(3):  # more than one event after it
        bench.deliver(2, 5.0)
        bench.advance(10)
    bench.card(CARD, 2)
    bench.energy_off(2)
    reported = [value for event in bench.events for _, name, value in samples(event) if "Register" in name]
    assert reported == [2000.0, 2500.0, 2500.0, 2500.0, 2500.0, 2000.0, 2500.0]  # J02.FR.16
    assert {stamp for stamp, name, value in samples(bench.events[-1]) if value == 2500.0} == {
        stamp for event in bench.events for stamp, name, value in samples(event) if value == 2500.0
    }, "a value has the time at which it was true"


# --- values for the Ended event --------------------------------------------------------------------------------------


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


def test_values_are_sampled_for_the_end(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxEndedInterval"): "10"})
    bench.up()
    charge(bench)
    for _ in range(3):
        bench.advance(10)
        bench.deliver(2, 100.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = [value["sampledValue"][0] for value in bench.events[-1]["meterValue"]]
    assert [value["context"] for value in values] == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]
    assert [value["value"] for value in values] == sorted(value["value"] for value in values)  # J02.FR.16


def test_values_for_the_end_are_thinned_not_cut(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxEndedInterval"): "1"})
    bench.up()
    charge(bench)
    for _ in range(400):
        bench.advance(1)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = bench.events[-1]["meterValue"]
    assert len(values) == 101
    contexts = [value["sampledValue"][0]["context"] for value in values]
    assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")  # E06.FR.13, J02.FR.20
    stamps = [parse_utc(value["timestamp"]) for value in values]
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert all(0 <= gap <= 9 for gap in gaps), "no part of the transaction has fewer values than another"


def test_clock_aligned_values_for_the_end(tmp_path: Path) -> None:
    bench = StationBench(
        tmp_path,
        variables={
            ("AlignedDataCtrlr", "TxEndedInterval"): "30",
            ("SampledDataCtrlr", "TxEndedMeasurands"): "",
        },
    )
    bench.up()
    charge(bench)
    bench.advance(95)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = bench.events[-1]["meterValue"]
    assert {value["sampledValue"][0]["context"] for value in values} == {"Sample.Clock"}  # part 2, 2.7.15
    stamps = [parse_utc(value["timestamp"]) for value in values]
    assert len(stamps) == 3
    assert all(stamp % 30 == 0 for stamp in stamps)


def test_a_power_cut_is_not_dated_before_the_last_sample_for_the_end(tmp_path: Path) -> None:
    bench = station(tmp_path, TxUpdatedInterval="0", TxEndedInterval="10")
    charge(bench)
    for _ in range(3):
        bench.deliver(2, 100.0)
        bench.advance(10)
    bench.power_cut()
    bench.up()
    ended = bench.events[-1]
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    values = samples(ended)
    assert len(values) == 5
    assert values == sorted(values)  # J02.FR.16: with the time, the register never falls
    assert ended["timestamp"] == values[-2][0]
    assert parse_utc(values[-1][0]) == pytest.approx(bench.clock.utc(), abs=0.01), "the register at boot"
