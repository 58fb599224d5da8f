# SPDX-License-Identifier: Apache-2.0
"""Open transactions after a restart of the board, of this process or of the HAL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc, parse_utc
from firmware.contract import BootCause, Cause, EnergyFlow, Fault, Phase, PhaseChanged
from hal.evse.table import TIME_LIMIT_S, Stage
from services.ocpp.transactions.lease import LEASE_S
from services.ocpp.transactions.recovery import HAL_ABSENCE_S
from tests.support.station_bench import Instant, StationBench, charge
from tests.support.transactions import CARD, full, kinds


def test_power_cut_ends_the_transaction_with_the_next_number(bench: StationBench) -> None:
    transaction_id = charge(bench)
    bench.deliver(2, 700.0)
    bench.power_cut()
    bench.up()
    ended = bench.events[-1]
    assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "AbnormalCondition")
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    assert ended["transactionInfo"]["transactionId"] == transaction_id
    assert ended["seqNo"] == 3
    assert ended["offline"] is True
    assert ended["meterValue"][-1]["sampledValue"][0]["value"] == 2700.0
    assert bench.call("GetTransactionStatus", {"transactionId": transaction_id}) == {
        "messagesInQueue": False,
        "ongoingIndicator": False,
    }


@pytest.mark.parametrize(
    ("shown_wh", "billed_wh"),
    [(2500.0, 500.0), (2700.0, 700.0), (2499.9, 500.0), (0.0, 500.0), (4294967295.0, 500.0)],
)
def test_a_register_at_boot_that_can_not_be_true_is_not_billed(
    bench: StationBench, shown_wh: float, billed_wh: float
) -> None:
    """The last event was 2 s before the cut; the EVSE gives 400 kW at most (decision 0005, J02.FR.16)."""
    bench.max_wh_per_s = 400_000.0 / 3600.0
    bench.restart_service()
    bench.up()
    charge(bench)
    bench.advance(58)
    bench.deliver(2, 500.0)
    bench.advance(4)
    bench.registers[2] = shown_wh
    bench.power_cut()
    bench.up()
    assert [each["sampledValue"][0]["value"] for each in bench.events[-1]["meterValue"]] == [2000.0, 2000.0 + billed_wh]
    bench.unplug(2)
    transaction_id = charge(bench)
    begin = next(each for each in bench.events if each["transactionInfo"]["transactionId"] == transaction_id)
    assert begin["meterValue"][0]["sampledValue"][0]["value"] == shown_wh, "J02.FR.17"


def test_orderly_reboot_by_hand_is_not_a_power_loss(bench: StationBench) -> None:
    charge(bench)
    bench.power_cut(cause=BootCause.LOCAL_RESET)
    bench.up()
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Reboot"


def test_a_power_cut_after_the_clock_was_set_back(bench: StationBench) -> None:
    charge(bench)
    bench.advance(60)
    behind = {"currentTime": format_utc(bench.clock.utc() - 86_400.0)}
    bench.answers["Heartbeat"] = behind
    bench.answers["BootNotification"] = {"status": "Accepted", "interval": 60, **behind}
    bench.advance(300)
    last = bench.events[-1]["timestamp"]
    assert last < bench.events[0]["timestamp"]
    bench.power_cut()
    bench.up()
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["timestamp"] == last, "not by the clock that was wrong"


def test_a_power_cut_that_lost_the_clock_is_dated_with_the_last_event(bench: StationBench) -> None:
    charge(bench)
    bench.advance(60)
    last = bench.events[-1]["timestamp"]
    bench.clock_set = False
    bench.power_cut()
    bench.up()
    ended = bench.events[-1]
    assert ended["eventType"] == "Ended"
    assert ended["timestamp"] == last
    assert ended["meterValue"][-1]["timestamp"] > last, "not the moment of another register"


@pytest.mark.parametrize("sees_the_meter", [True, False])
def test_a_final_value_after_a_power_cut_has_the_time_at_which_it_was_true(
    tmp_path: Path, *, sees_the_meter: bool
) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "5"})
    bench.up()
    charge(bench)
    bench.deliver(2, 100.0)
    bench.advance(5)
    sampled = bench.events[-1]
    bench.registers[2] += 50.0
    bench.power_cut(30.0)
    if sees_the_meter:
        bench.hal_up()
    else:
        bench.advance(HAL_ABSENCE_S + 1)
    bench.link_up()
    ended, boot = bench.events[-1], bench.clock.utc()
    assert (ended["eventType"], ended["timestamp"]) == ("Ended", sampled["timestamp"])
    value = ended["meterValue"][-1]
    register = value["sampledValue"][0]["value"]
    if sees_the_meter:
        assert register == 2150.0
        assert parse_utc(value["timestamp"]) == pytest.approx(boot, abs=0.01)
    else:
        assert register == 2100.0
        assert value["timestamp"] == sampled["meterValue"][0]["timestamp"]


# --- this process restarts -------------------------------------------------------------------------------------------


def test_restart_of_the_service_keeps_the_transaction_whole(bench: StationBench) -> None:
    transaction_id = charge(bench)
    bench.restart_service()
    bench.up()
    assert bench.events[-1]["eventType"] == "Updated"
    bench.card(CARD, 2)
    bench.energy_off(2)
    ended = bench.events[-1]
    assert ended["transactionInfo"]["transactionId"] == transaction_id
    assert (ended["eventType"], ended["seqNo"]) == ("Ended", 3)
    assert ended["transactionInfo"]["stoppedReason"] == "Local"


def test_unplugged_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    bench.restart_service()
    bench.up()
    assert bench.summary()[-1][:2] == ("Ended", "EVCommunicationLost")


def test_a_fault_raised_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.fault(Fault.EMERGENCY_STOP)
    bench.energy_off(2, Phase.FAULTED, Cause.FAULT)
    bench.restart_service()
    bench.up()
    assert kinds(bench)[-1] == ("Ended", "AbnormalCondition")  # E06.FR.16
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EmergencyStop"


def test_a_card_presented_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    bench.energy_off(2)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.kept == []


def test_the_connection_time_out_survives_a_restart_of_the_service(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    bench.advance(61)
    assert kinds(bench)[-1] == ("Ended", "EVConnectTimeout")  # E03.FR.05


def assert_stopped_by_the_driver(bench: StationBench) -> None:
    """E07.FR.02, whatever kept the station from seeing the energy end."""
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert bench.events[-1]["idToken"]["idToken"] == CARD


def test_a_stop_survives_a_restart_of_the_service(bench: StationBench) -> None:
    charge(bench)
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    assert not bench.permitted(2)
    bench.energy_off(2)
    assert_stopped_by_the_driver(bench)


def test_stopped_after_a_restart_of_the_service_in_the_cable_check(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.plug(2)
    bench.phase[2] = Phase.CABLE_CHECK
    bench.event(PhaseChanged(2, Phase.CABLE_CHECK, Cause.VEHICLE))
    bench.restart_service()
    bench.up()
    bench.card(CARD, 2)
    for phase in (Phase.STOPPING, Phase.FINISHED):
        bench.phase[2] = phase
        bench.event(PhaseChanged(2, phase, Cause.SERVICE))
    assert_stopped_by_the_driver(bench)


def test_a_restart_of_the_service_while_the_vehicle_ends_the_charge(tmp_path: Path) -> None:
    """The Ended event waits for the final reading and has the reason that the HAL reports (E06.FR.07)."""
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStopPoint"): "EnergyTransfer"})
    bench.up()
    charge(bench)
    bench.die()
    bench.flow[2], bench.phase[2] = EnergyFlow.NONE, Phase.STOPPING
    bench.restart_service()
    bench.up()
    assert bench.events[-1]["eventType"] == "Updated"
    bench.registers[2] += 500.0
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    value = bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"]
    assert value == bench.registers[2]


@pytest.mark.parametrize("instant", ["before the commit", "before sending", "after sending"])
def test_killed_within_the_unit_that_ends_a_transaction(bench: StationBench, instant: Instant) -> None:
    charge(bench)
    bench.card(CARD, 2)
    bench.dies = instant
    bench.energy_off(2)
    bench.restart_service()
    bench.up()
    seen: dict[int, Any] = {}
    for event in bench.events:
        bare = {key: value for key, value in event.items() if key != "offline"}
        assert seen.setdefault(event["seqNo"], bare) == bare
    assert sorted(seen) == list(range(len(seen)))
    assert [event["eventType"] for event in seen.values()].count("Ended") == 1


def test_killed_before_the_permission_was_withdrawn(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(1)
    bench.card(CARD, 1)
    bench.dies = "before sending"
    bench.card(CARD)
    assert bench.permitted(1)
    bench.restart_service()
    bench.up()
    assert kinds(bench)[-1] == ("Updated", "StopAuthorized")
    assert not bench.permitted(1)


# --- the HAL restarts, or the connection to it is lost ---------------------------------------------------------------


def test_death_of_the_hal_ends_the_session(bench: StationBench) -> None:
    charge(bench)
    bench.hal_dies()
    assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Faulted"
    bench.hal_up()
    assert bench.summary()[-1][:2] == ("Ended", "AbnormalCondition")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Other"


def test_death_of_the_hal_that_does_not_come_back(bench: StationBench) -> None:
    charge(bench)
    bench.hal_dies()
    bench.advance(HAL_ABSENCE_S - 1)
    assert bench.events[-1]["eventType"] == "Updated"
    bench.advance(2)
    assert bench.events[-1]["eventType"] == "Ended"


@pytest.mark.parametrize("seconds", [6.0, 30.0], ids=["within the lease", "after the lease"])
def test_energy_that_flows_while_the_connection_to_the_hal_is_lost_is_part_of_the_transaction(
    bench: StationBench, seconds: float
) -> None:
    """With HAL and CSMS both out of reach, energy flows until the lease ends."""
    transaction_id = charge(bench)
    bench.link_down()
    bench.hal_down()
    bench.deliver(2, 300.0)
    if seconds > 15.0:
        bench.energy_off(2, cause=Cause.LEASE)
    bench.advance(seconds)
    bench.hal_up()
    bench.link_up()
    assert {event["transactionInfo"]["transactionId"] for event in bench.events} == {transaction_id}
    assert bench.events[-1]["eventType"] == "Updated"
    assert bench.permitted(2)
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert_stopped_by_the_driver(bench)
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == 2300.0


def test_stopped_by_the_csms_while_energy_flows_and_the_hal_is_lost(bench: StationBench) -> None:
    """The end waits for the register: neither the stop's time limit nor a permission not used yet makes it earlier."""
    transaction_id = charge(bench)
    bench.hal_down()
    bench.call("RequestStopTransaction", {"transactionId": transaction_id})
    bench.deliver(2, 300.0)
    bench.energy_off(2, cause=Cause.LEASE)
    bench.advance(40)
    assert bench.events[-1]["eventType"] == "Updated"
    bench.hal_up()
    assert kinds(bench)[-1] == ("Ended", "RemoteStop")
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == 2300.0


def test_stopped_by_the_csms_while_energy_may_begin_and_the_hal_is_lost(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.plug(2)
    bench.hal_down()
    bench.call("RequestStopTransaction", {"transactionId": bench.events[0]["transactionInfo"]["transactionId"]})
    bench.energy_on(2)
    bench.deliver(2, 300.0)
    bench.energy_off(2, cause=Cause.LEASE)
    bench.advance(20)
    bench.hal_up()
    assert kinds(bench)[-1] == ("Ended", "RemoteStop")
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == 2300.0


def test_no_transaction_waits_for_ever_for_the_hal(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.plug(2)
    bench.hal_dies()
    bench.advance(HAL_ABSENCE_S + 1)
    assert kinds(bench)[-1] == ("Ended", "AbnormalCondition")


def test_the_wait_for_the_hal_outlasts_lease_and_stop() -> None:
    stop_s = sum(TIME_LIMIT_S[stage] for stage in (Stage.ASK_STOP, Stage.RAMP_DOWN, Stage.OPEN, Stage.WELDING))
    assert LEASE_S + stop_s < HAL_ABSENCE_S


def test_a_lost_connection_to_the_hal_is_not_its_death(bench: StationBench) -> None:
    charge(bench)
    bench.hal_down()
    bench.hal_up()
    bench.advance(6)
    assert bench.events[-1]["eventType"] == "Updated"


@pytest.mark.parametrize(
    ("dies", "returns"),
    [(StationBench.power_cut, StationBench.up), (StationBench.hal_dies, StationBench.hal_up)],
    ids=["power", "HAL"],
)
def test_power_or_hal_lost_after_the_driver_had_stopped(
    bench: StationBench, dies: Callable[[StationBench], None], returns: Callable[[StationBench], None]
) -> None:
    charge(bench)
    bench.card(CARD, 2)
    dies(bench)
    returns(bench)
    assert_stopped_by_the_driver(bench)


def test_stopped_and_plugged_in_while_the_hal_was_lost(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.hal_down()
    bench.card(CARD, 2)
    bench.plug(2)
    bench.energy_on(2)
    bench.hal_up()
    bench.energy_off(2)
    assert_stopped_by_the_driver(bench)


def test_energy_that_flowed_while_the_hal_was_lost_starts_the_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EnergyTransfer", "EnergyTransfer")
    bench.plug(2)
    bench.card(CARD, 2)
    bench.hal_down()
    bench.energy_on(2)
    bench.hal_up()
    assert bench.summary() == [("Started", "ChargingStateChanged", "Charging")]  # E01.FR.06


def test_stopped_by_the_csms_while_the_hal_was_lost(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(2)
    bench.card(CARD, 2)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.hal_down()
    bench.call("RequestStopTransaction", {"transactionId": bench.events[0]["transactionInfo"]["transactionId"]})
    states = [state for _, _, state in bench.summary()[2:]]
    assert states == ["SuspendedEV", "EVConnected"]  # F03.FR.02


def test_the_permission_of_a_transaction_that_ended_without_the_hal_is_withdrawn(bench: StationBench) -> None:
    charge(bench)
    bench.hal_down()
    bench.advance(HAL_ABSENCE_S + 1)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.held[2] is not None
    bench.hal_up()
    assert bench.held[2] is None


def test_a_session_that_is_over_is_not_started_again_when_the_hal_comes_back(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "Authorized")
    bench.plug(1)
    bench.card(CARD)
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Ended"
    bench.hal_down()
    bench.hal_up()
    bench.restart_service()
    bench.up()
    assert [event["eventType"] for event in bench.events].count("Started") == 1
