# SPDX-License-Identifier: Apache-2.0
"""What a transaction tells of its meter when meter, settings or clock are not what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from firmware.contract import EnergyFlow
from services.ocpp.transactions.meter import next_multiple
from tests.support.station_bench import StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"
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


def test_a_register_that_fell_stays_where_it_was_told(tmp_path: Path) -> None:
    bench = station(tmp_path, TxUpdatedInterval="10", TxUpdatedMeasurands=ALL, TxEndedMeasurands=ALL)
    charge(bench)
    bench.deliver(2, 500.0)
    bench.advance(10)
    bench.registers[2] = 10.0
    for _ in range(3):  # more than one event after the fall
        bench.deliver(2, 5.0)
        bench.advance(10)
    bench.card(CARD, 2)
    bench.energy_off(2)
    told = [value for event in bench.events for _, name, value in samples(event) if "Register" in name]
    assert told == [2000.0, 2500.0, 2500.0, 2500.0, 2500.0, 2000.0, 2500.0]  # J02.FR.16
    assert [value for _, name, value in samples(bench.events[-2]) if name != "Energy.Active.Import.Register"] == [
        250.0,
        50.0,
    ]  # what is no register is told as it is
    assert samples(bench.events[-1])[-2][2] == 0.0


def test_a_power_cut_is_not_dated_before_what_was_sampled_for_the_end(tmp_path: Path) -> None:
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
    assert ended["timestamp"] == values[-1][0]


def test_what_is_configured_later_is_not_of_the_beginning(tmp_path: Path) -> None:
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
    assert contexts == []  # E01.FR.09: Transaction.Begin is told in the Started event


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
    wanted = [float(each) for each in range(int(interval), 61, int(interval))]
    periodic = [event for event in bench.events if event["triggerReason"] == "MeterValuePeriodic"]
    assert [round(parse_utc(event["timestamp"]) - began, 2) for event in periodic] == wanted  # J02.FR.11
    kept = [
        value for value in bench.events[-1]["meterValue"] if value["sampledValue"][0]["context"] == "Sample.Periodic"
    ]
    assert [round(parse_utc(value["timestamp"]) - began, 2) for value in kept] == wanted  # part 2, J, 2.1


def test_measurands_may_change_during_a_transaction(tmp_path: Path) -> None:
    bench = station(tmp_path, TxUpdatedInterval="10")
    charge(bench)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedMeasurands", "SoC,Voltage"))
    bench.advance(10)
    assert [name for _, name, _ in samples(bench.events[-1])] == ["SoC", "Voltage"]
    told = len(bench.events)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedMeasurands", ""))
    bench.advance(30)
    assert len(bench.events) == told  # nothing to tell


@pytest.mark.parametrize(
    ("due", "interval", "now", "expected"),
    [(10.0, 5, 10.0, 15.0), (10.0, 5, 26.0, 30.0), (10.0, 0, 10.0, None)],
)
def test_missed_samples_are_not_made_up_for(due: float, interval: float, now: float, expected: float | None) -> None:
    assert next_multiple(due, interval, now) == expected
