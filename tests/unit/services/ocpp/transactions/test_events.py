# SPDX-License-Identifier: Apache-2.0
"""TransactionEvents: what they name, and their order in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.clock import parse_utc
from firmware.contract import EnergyFlow, EnergyFlowChanged, Stamped
from tests.support.station_bench import StationBench, charge
from tests.support.transactions import CARD, full, kinds


def test_the_token_is_named_once_and_the_evse_when_connected(bench: StationBench) -> None:
    charge(bench)
    assert ["idToken" in event for event in bench.events] == [True, False, False]  # E03.FR.01
    assert bench.events[1]["evse"] == {"id": 2, "connectorId": 1}  # E01.FR.16
    assert "evse" not in bench.events[2]


def test_suspension_by_the_vehicle_is_reported(bench: StationBench) -> None:
    charge(bench)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "SuspendedEV")  # E01.FR.19
    bench.suspend(2, EnergyFlow.FLOWING)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "Charging")  # E01.FR.18


def test_no_change_is_reported_while_the_hal_is_lost(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "2"})
    bench.up()
    charge(bench)
    bench.hal_down()
    bench.advance(3)
    bench.hal_up()
    assert bench.summary()[-1] == ("Updated", "MeterValuePeriodic", "Charging")


def test_values_have_the_time_of_their_reading_while_there_is_no_other(tmp_path: Path) -> None:
    """A sample without the HAL, and of a silent meter, repeats the last reading, and says of when it is."""
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "5"})
    bench.up()
    charge(bench)
    bench.advance(1)
    read = bench.clock.utc()
    bench.meters_silent = True
    bench.advance(9.5)
    bench.call("TriggerMessage", {"requestedMessage": "TransactionEvent"})
    samples = [event for event in bench.events if event["triggerReason"] in ("MeterValuePeriodic", "Trigger")]
    assert len(samples) == 3
    for event in samples:
        assert parse_utc(event["meterValue"][0]["timestamp"]) == pytest.approx(read, abs=0.01)
        assert parse_utc(event["timestamp"]) > read + 2.0


def test_the_age_of_a_reading_counts(bench: StationBench) -> None:
    """The register of a silent meter: the HAL says how old it is, in events and in its snapshot."""
    charge(bench)
    bench.advance(10)
    bench.meters_silent, bench.reading_age_s = True, 6.0
    bench.card(CARD, 2)
    bench.energy_off(2)
    ended = bench.events[-1]
    assert ended["eventType"] == "Ended"
    assert parse_utc(ended["timestamp"]) - parse_utc(ended["meterValue"][-1]["timestamp"]) == pytest.approx(6, abs=0.1)
    bench.hal_down()
    bench.hal_up()
    assert bench.context.hal.evses[2].reading_mono == pytest.approx(bench.clock.monotonic() - 6.0)


def test_the_register_of_a_silent_meter_is_not_before_the_last_sample(tmp_path: Path) -> None:
    """A sample counts as of now for 2 s; the final register may have been read within them (J02.FR.16)."""
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "1"})
    bench.up()
    charge(bench)
    bench.advance(3)
    bench.meters_silent = True
    bench.advance(3.3)
    bench.registers[2] += 68.0
    bench.reading_age_s = 2.6
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert bench.events[-1]["eventType"] == "Ended"
    values = [value for event in bench.events for value in event.get("meterValue", ())]
    values.sort(key=lambda value: parse_utc(value["timestamp"]))
    registers = [value["sampledValue"][0]["value"] for value in values]
    assert registers == sorted(registers)
    assert registers[-1] == registers[0] + 68.0


# --- in the order of time --------------------------------------------------------------------------------------------


def test_a_late_hal_event_is_not_dated_before_the_last_transaction_event(tmp_path: Path) -> None:
    bench = full(tmp_path)
    charge(bench)
    seen = bench.clock.monotonic() + 59.9
    bench.advance(61)  # a periodic sample overtakes
    assert bench.events[-1]["triggerReason"] == "MeterValuePeriodic"
    late = Stamped(1000, seen, bench.clock.utc() - 1.1, EnergyFlowChanged(2, EnergyFlow.SUSPENDED_BY_VEHICLE))
    bench.handle(lambda now: bench.station.on_hal_event(late, now))
    assert bench.summary()[-1][1:] == ("ChargingStateChanged", "SuspendedEV")
    stamps = [parse_utc(event["timestamp"]) for event in bench.events]
    assert stamps == sorted(stamps)
    assert len(set(stamps[-2:])) == 2, "two registers for one moment"


@pytest.mark.parametrize("restart", [False, True])
def test_replayed_hal_events_are_not_dated_before_the_last_transaction_event(tmp_path: Path, *, restart: bool) -> None:
    intervals = {"TxUpdatedInterval": "10", "TxEndedInterval": "11"}
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", name): value for name, value in intervals.items()})
    bench.up()
    bench.card(CARD, 2)
    bench.hal_down()
    bench.plug(2)
    bench.unplug(2)
    bench.advance(12)
    if restart:
        bench.restart_service()
        bench.link_up()
    bench.hal_up()
    assert kinds(bench)[-3:] == [
        ("Updated", "MeterValuePeriodic"),
        ("Updated", "CablePluggedIn"),
        ("Ended", "EVCommunicationLost"),
    ]
    stamps = [event["timestamp"] for event in bench.events]
    assert stamps == sorted(stamps)
    stamps = [value["timestamp"] for value in bench.events[-1]["meterValue"]]
    assert len(stamps) == 3
    assert stamps == sorted(stamps)
