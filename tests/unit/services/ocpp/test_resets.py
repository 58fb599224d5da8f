# SPDX-License-Identifier: Apache-2.0
"""B11 and B12 through the whole station: which resets wait, end transactions, and survive a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import Reboot, SetLimit, Withdraw
from services.ocpp import signals
from tests.support.station_bench import StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.up()
    return bench


@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_reset_without_a_transaction(bench: StationBench, kind: str) -> None:
    assert bench.call("Reset", {"type": kind}) == {"status": "Accepted"}  # B11.FR.01
    assert not bench.rebooting
    bench.advance(1)
    assert bench.rebooting  # B11.FR.03
    assert bench.orders == ["stop"]
    bench.reboot()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "RemoteReset"  # B11.FR.04
    bench.power_cut()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "PowerUp"


@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_reset_of_one_evse(bench: StationBench, kind: str) -> None:
    charge(bench, 1)
    for evse in (1, 2, 3):
        assert bench.call("Reset", {"type": kind, "evseId": evse})["status"] == "Rejected"  # B11.FR.09, B12.FR.09
    bench.advance(60)
    assert not bench.rebooting


@pytest.mark.parametrize("charging", [False, True])
def test_reset_without_the_hal(bench: StationBench, charging: bool) -> None:
    if charging:
        charge(bench, 1)
    bench.hal_down()
    assert bench.call("Reset", {"type": "Immediate"})["status"] == "Rejected"  # B11.FR.06, B12.FR.10
    assert bench.rebooting is False


def test_reset_on_idle_waits_for_both_transactions(bench: StationBench) -> None:
    charge(bench, 1)
    charge(bench, 2, "04FFEEDDCCBB80")
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}  # B12.FR.01
    bench.card(CARD, 1)
    bench.energy_off(1)
    bench.advance(10)
    assert not bench.rebooting
    bench.card("04FFEEDDCCBB80", 2)
    bench.energy_off(2)
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"  # B12.FR.03
    bench.advance(1)
    assert bench.rebooting
    bench.reboot()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "ScheduledReset"


def test_no_new_session_while_a_reset_waits(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "OnIdle"})
    bench.card("04FFEEDDCCBB80", 2)
    start = {"idToken": {"idToken": "A", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 2}
    assert bench.call("RequestStartTransaction", start)["status"] == "Rejected"
    assert {event["transactionInfo"]["transactionId"] for event in bench.events} == {
        bench.events[0]["transactionInfo"]["transactionId"]
    }


def statuses(bench: StationBench) -> list[tuple[int, str]]:
    """(EVSE, status) of each StatusNotification since the last call."""
    sent = [(each["evseId"], each["connectorStatus"]) for each in bench.sent("StatusNotification")]
    bench.requests.clear()
    return sent


def test_while_a_reset_waits_free_evses_are_unavailable(bench: StationBench) -> None:
    charge(bench, 1)
    bench.requests.clear()
    bench.call("Reset", {"type": "OnIdle"})
    assert statuses(bench) == [(2, "Unavailable")]  # B12, scenario 3a
    bench.call("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2}})
    assert (2, "Available") not in statuses(bench)
    bench.plug(2)
    bench.unplug(2)
    assert statuses(bench) == []  # G01: a cable makes no difference to an Unavailable connector
    bench.card(CARD, 1)
    bench.energy_off(1)
    assert statuses(bench) == []  # its cable is still plugged in
    bench.advance(1)
    bench.reboot()
    bench.up()
    assert statuses(bench) == [(1, "Occupied"), (2, "Available")]


def test_while_a_reset_waits_a_used_evse_becomes_available(bench: StationBench) -> None:
    charge(bench, 1)
    charge(bench, 2, "04FFEEDDCCBB80")
    bench.call("Reset", {"type": "OnIdle"})
    bench.card(CARD, 1)
    bench.energy_off(1)
    bench.requests.clear()
    bench.unplug(1)
    assert statuses(bench) == [(1, "Available")]  # TC_B_41_CS


def test_reset_on_idle_waits_for_a_task_in_progress(bench: StationBench) -> None:
    bench.context.emit(signals.TaskUnderWay("firmware update", True))
    bench.advance(0)
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}  # B11.FR.07
    bench.advance(300)
    assert not bench.rebooting
    bench.context.emit(signals.TaskUnderWay("firmware update", False))
    bench.advance(0)
    bench.advance(1)
    assert bench.rebooting


def test_reset_on_idle_does_not_delay_an_immediate_one(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "Immediate"})
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
    bench.energy_off(1)
    bench.advance(1)
    bench.reboot()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "RemoteReset"


@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_repeated_requests_do_not_delay_a_reset(bench: StationBench, kind: str) -> None:
    for _ in range(5):
        assert bench.call("Reset", {"type": kind}) == {"status": "Accepted"}
        bench.advance(0.2)
    assert bench.rebooting


def test_a_board_that_does_not_restart_is_asked_again_and_then_no_more(bench: StationBench) -> None:
    bench.call("SetVariables", set_variables("OCPPCommCtrlr", "ResetRetries", "2"))
    bench.call("Reset", {"type": "Immediate"})
    bench.advance(130)
    assert bench.commands.count(Reboot()) == 3  # ResetRetries: part 2, 2.1.14
    assert "redial" not in bench.orders
    bench.advance(60)
    assert bench.orders[-1] == "redial"
    assert bench.commands.count(Reboot()) == 3
    bench.restart_service()
    bench.up()
    bench.advance(60)
    assert bench.commands.count(Reboot()) == 3, "no reset is pending any more"
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"
    bench.power_cut()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "PowerUp"


def test_immediate_reset_ends_the_transactions_first(bench: StationBench) -> None:
    charge(bench, 1)
    charge(bench, 2, "04FFEEDDCCBB80")
    assert bench.call("Reset", {"type": "Immediate"}) == {"status": "Accepted"}  # B12.FR.02
    bench.advance(5)
    assert not bench.rebooting
    bench.energy_off(1)
    bench.energy_off(2)
    ended = [event for event in bench.events if event["eventType"] == "Ended"]
    assert len(ended) == 2  # B12.FR.04
    assert {event["triggerReason"] for event in ended} == {"ResetCommand"}
    assert {event["transactionInfo"]["stoppedReason"] for event in ended} == {"ImmediateReset"}
    bench.advance(1)
    assert bench.rebooting
    assert isinstance(bench.commands[-1], Reboot)


def until_unplugged(directory: Path) -> StationBench:
    """Transactions start and end with the cable."""
    points = {("TxCtrlr", name): "EVConnected" for name in ("TxStartPoint", "TxStopPoint")}
    bench = StationBench(directory, product_name="full", variables=points)
    bench.up()
    return bench


@pytest.mark.parametrize("evse", [{}, {"evseId": 1}])
@pytest.mark.parametrize("stopped", [False, True])
def test_immediate_reset_ends_a_transaction_that_only_unplugging_would_end(
    tmp_path: Path, *, evse: dict[str, int], stopped: bool
) -> None:
    bench = until_unplugged(tmp_path)
    transaction_id = charge(bench, 1)
    if stopped:
        bench.call("RequestStopTransaction", {"transactionId": transaction_id})
    assert bench.call("Reset", {"type": "Immediate", **evse}) == {"status": "Accepted"}
    bench.energy_off(1)
    ended = bench.events[-1]
    assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "ResetCommand")  # B12.FR.04, B12.FR.08
    assert ended["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    bench.advance(1)
    assert bench.rebooting is not bool(evse)


def test_immediate_reset_ends_a_transaction_started_while_waiting_for_the_csms(tmp_path: Path) -> None:
    bench = until_unplugged(tmp_path)
    charge(bench, 1)
    bench.answers["TransactionEvent"] = None
    bench.call("Reset", {"type": "Immediate"})
    bench.energy_off(1)
    bench.plug(2)
    bench.advance(31)
    assert bench.rebooting
    del bench.answers["TransactionEvent"]
    bench.reboot()
    bench.up()
    assert {(event["eventType"], event["triggerReason"]) for event in bench.events} >= {("Ended", "ResetCommand")}
    assert bench.context.hal.evses[2].transaction_id is not None  # the vehicle is still connected (E01.FR.02)


def test_reset_on_idle_waits_for_a_transaction_started_while_waiting_for_the_csms(tmp_path: Path) -> None:
    bench = until_unplugged(tmp_path)
    bench.plug(1)
    bench.call("Reset", {"type": "OnIdle"})
    bench.answers["TransactionEvent"] = None
    bench.unplug(1)
    bench.advance(10)
    bench.plug(2)
    bench.advance(60)  # and no deadline recurs without end
    assert not bench.rebooting
    bench.unplug(2)
    bench.advance(60)
    assert bench.rebooting


@pytest.mark.parametrize(("kind", "reason"), [("OnIdle", "ScheduledReset"), ("Immediate", "RemoteReset")])
def test_an_accepted_reset_survives_a_restart_of_the_service(bench: StationBench, kind: str, reason: str) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": kind})
    bench.restart_service()
    bench.up()
    assert bench.context.hal.evses[2].status == ("Unavailable" if kind == "OnIdle" else "Available")
    if kind == "OnIdle":
        bench.card("04A1B2C3D4E580", 1)
    bench.energy_off(1)
    bench.advance(1)
    bench.reboot()  # B12.FR.03, B12.FR.04
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == reason
    bench.advance(5)
    assert not bench.rebooting


def test_a_power_cut_replaces_an_accepted_reset(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "OnIdle"})
    bench.power_cut()
    bench.up()
    bench.restart_service()
    bench.up()
    bench.advance(5)
    assert not bench.rebooting


def test_immediate_reset_with_a_csms_that_does_not_answer(bench: StationBench) -> None:
    charge(bench, 1)
    bench.answers["TransactionEvent"] = None
    bench.call("Reset", {"type": "Immediate"})
    bench.advance(20)
    bench.energy_off(1)
    ended = bench.events[-1]
    bench.advance(29)
    assert not bench.rebooting  # the time-out runs from the message
    bench.advance(3)
    assert bench.rebooting
    del bench.answers["TransactionEvent"]
    bench.reboot()
    bench.up()
    assert bench.events[-1] == {**ended, "offline": True}  # B12.FR.05


def test_immediate_reset_with_a_csms_that_refuses(bench: StationBench) -> None:
    charge(bench, 1)
    bench.answers["TransactionEvent"] = "InternalError"
    bench.call("Reset", {"type": "Immediate"})
    bench.energy_off(1)
    bench.advance(32)
    assert bench.rebooting


def test_immediate_reset_without_a_final_reading(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "Immediate"})
    bench.advance(35)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.rebooting


def test_immediate_reset_and_then_the_link_is_lost(bench: StationBench) -> None:
    charge(bench, 1)
    bench.answers["TransactionEvent"] = None
    bench.call("Reset", {"type": "Immediate"})
    bench.energy_off(1)
    bench.link_down()
    bench.advance(1)
    assert bench.rebooting


def test_immediate_reset_overtakes_one_that_waits(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "OnIdle"})
    assert bench.call("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
    bench.energy_off(1)
    bench.advance(1)
    assert bench.rebooting


def test_a_reset_waits_for_a_lost_hal(bench: StationBench) -> None:
    bench.call("Reset", {"type": "Immediate"})
    bench.hal_down()
    bench.advance(3)
    assert bench.orders == []
    bench.hal_up()
    bench.advance(1)
    assert bench.rebooting


def test_out_of_service_survives_a_reset(bench: StationBench) -> None:
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    bench.call("Reset", {"type": "Immediate"})
    bench.advance(1)
    bench.reboot()
    bench.requests.clear()
    bench.up()
    statuses = {each["evseId"]: each["connectorStatus"] for each in bench.sent("StatusNotification")}
    assert statuses == {1: "Unavailable", 2: "Available"}  # B11.FR.02, B12.FR.06


@pytest.fixture
def full_bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path, product_name="full")
    bench.up()
    return bench


def test_reset_of_an_idle_evse(full_bench: StationBench) -> None:
    assert full_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Accepted"}  # B11.FR.08
    assert Withdraw(1) in full_bench.commands
    assert Reboot() not in full_bench.commands


@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_reset_of_an_evse_without_the_hal(full_bench: StationBench, kind: str) -> None:
    full_bench.hal_down()
    answer = full_bench.call("Reset", {"type": kind, "evseId": 1})
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InternalError")  # B11.FR.06
    full_bench.hal_up()
    assert SetLimit(1, None) not in full_bench.commands


def test_reset_of_an_evse_waits_for_the_hal(full_bench: StationBench) -> None:
    charge(full_bench, 1)
    assert full_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Scheduled"}
    full_bench.hal_dies()
    full_bench.advance(10)  # the transaction ends without the HAL
    full_bench.commands.clear()
    full_bench.hal_up()
    assert SetLimit(1, None) in full_bench.commands


def test_reset_of_an_evse_waits_for_its_transaction(full_bench: StationBench) -> None:
    full_bench.card("04A1B2C3D4E580", 1)
    full_bench.commands.clear()
    assert full_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Scheduled"}  # B12.FR.01
    assert SetLimit(1, None) not in full_bench.commands
    full_bench.card("04A1B2C3D4E580", 1)
    assert SetLimit(1, None) in full_bench.commands  # B12.FR.07
    assert full_bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"


def test_immediate_reset_of_an_evse_ends_its_transaction_alone(full_bench: StationBench) -> None:
    full_bench.card("04A1B2C3D4E580", 1)
    full_bench.card("04A1B2C3D4E581", 2)
    assert full_bench.call("Reset", {"type": "Immediate", "evseId": 1}) == {"status": "Accepted"}  # B12.FR.08
    ended = [event for event in full_bench.events if event["eventType"] == "Ended"]
    assert [(event["triggerReason"], event["transactionInfo"]["stoppedReason"]) for event in ended] == [
        ("ResetCommand", "ImmediateReset")
    ]
    assert Reboot() not in full_bench.commands


@pytest.fixture
def waiting_bench(tmp_path: Path) -> StationBench:
    """An EV driver is authorised at EVSE 1, and no transaction starts before energy flows."""
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EnergyTransfer"})
    bench.up()
    bench.card(CARD, 1)
    assert bench.events == []
    return bench


def test_reset_on_idle_waits_for_an_authorised_driver(waiting_bench: StationBench) -> None:
    assert waiting_bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}  # erratum 2.14 of part 2
    waiting_bench.advance(30)
    assert not waiting_bench.rebooting
    waiting_bench.advance(40)  # EVConnectionTimeOut
    assert waiting_bench.rebooting


def test_reset_of_an_evse_waits_for_an_authorised_driver(waiting_bench: StationBench) -> None:
    assert waiting_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Scheduled"}
    assert waiting_bench.permitted(1)
    assert waiting_bench.call("Reset", {"type": "Immediate", "evseId": 1}) == {"status": "Accepted"}
    waiting_bench.plug(1)
    waiting_bench.advance(20)
    assert not waiting_bench.permitted(1)
