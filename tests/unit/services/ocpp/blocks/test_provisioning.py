# SPDX-License-Identifier: Apache-2.0
"""Block B, driven through the whole station: registration, variables, reports, profiles, reset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc
from firmware.config import NetworkProfile
from firmware.contract import BootCause, Reboot, SetLimit, Withdraw
from services.ocpp import signals
from services.ocpp.device_model import keys
from tests.support.station_bench import PROFILE, StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"


def answer_boot(bench: StationBench, status: str, interval: int) -> None:
    bench.answers["BootNotification"] = lambda _: {
        "status": status,
        "currentTime": format_utc(bench.clock.utc()),
        "interval": interval,
    }


def boots_sent(bench: StationBench) -> int:
    return len(bench.sent("BootNotification"))


# --- B01 ------------------------------------------------------------------------------------------------------------


def test_boot(bench: StationBench) -> None:
    (request,) = bench.sent("BootNotification")  # B01.FR.01
    assert request["reason"] == "PowerUp"  # B01.FR.09
    assert request["chargingStation"]["model"] == "C7AM-400-CC"
    assert request["chargingStation"]["vendorName"] == "XCharge Group"
    assert request["chargingStation"]["serialNumber"] == "SN-1"
    assert bench.requests[0][0] == "BootNotification"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (BootCause.POWER_UP, "PowerUp"),
        (BootCause.LOCAL_RESET, "LocalReset"),
        (BootCause.WATCHDOG, "Watchdog"),
        (BootCause.UNKNOWN, "Unknown"),
    ],
)
def test_the_reason_of_a_boot(bench: StationBench, cause: BootCause, reason: str) -> None:
    bench.power_cut(cause=cause)
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == reason


def test_a_restart_of_the_service_is_an_application_reset(bench: StationBench) -> None:
    bench.restart_service()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "ApplicationReset"


def test_a_new_link_to_the_same_csms_is_no_boot(bench: StationBench) -> None:
    bench.link_down()
    bench.advance(1000)
    bench.link_up()
    assert boots_sent(bench) == 1


def test_the_message_time_out_is_that_of_the_profile_in_use(bench: StationBench) -> None:
    bench.link_down()
    bench.link_up(NetworkProfile(slot=2, url="ws://127.0.0.1:9/other", security_profile=1, message_timeout_s=17))
    assert bench.context.model.get(keys.MESSAGE_TIMEOUT) == 17  # part 2, 2.1.3


def test_a_new_link_by_another_profile_is_registered_anew(bench: StationBench) -> None:
    other = NetworkProfile(slot=2, url="ws://127.0.0.1:9/other", security_profile=1)
    bench.link_down()
    bench.card(CARD, 1)
    bench.requests.clear()
    bench.link_up(other)
    assert bench.requests[0][0] == "BootNotification"  # B10.FR.10
    assert len(bench.sent("StatusNotification")) == 2
    bench.link_down()
    bench.link_up(other)
    assert boots_sent(bench) == 1


def test_nothing_else_leaves_before_the_answer(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = None
    bench.up()
    bench.plug(1)
    bench.card(CARD)
    bench.advance(29)
    assert [action for action, _ in bench.requests] == ["BootNotification"]  # B01.FR.08


@pytest.mark.parametrize("answer", [None, "InternalError", {"status": "Accepted"}])
def test_a_boot_that_is_not_answered_is_tried_again(tmp_path: Path, answer: Any) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = answer
    bench.up()
    bench.advance(100)
    assert boots_sent(bench) == 2
    del bench.answers["BootNotification"]
    bench.advance(100)
    assert bench.context.registration.online


def test_a_boot_interrupted_by_the_link_is_sent_by_the_next(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = None
    bench.up()
    bench.link_down()
    del bench.answers["BootNotification"]
    bench.link_up()
    assert boots_sent(bench) == 2
    assert bench.context.registration.online


@pytest.mark.parametrize(
    "current", ["2027-05-05T05:05:05Z", "2027-05-05t10:35:05.000123+05:30", "2027-05-05t05:05:05z"]
)
def test_the_csms_gives_the_time(tmp_path: Path, current: str) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Accepted", "currentTime": current, "interval": 60}
    bench.up()
    assert bench.sent("StatusNotification")[0]["timestamp"] == "2027-05-05T05:05:05.000Z"  # B01.FR.06


@pytest.mark.parametrize("interval", [1, 59, 300, 2**31 - 1])
def test_the_csms_gives_any_heartbeat_interval(tmp_path: Path, interval: int) -> None:
    """The limits of the variable bind SetVariables; B01.FR.04 and G02.FR.01 know none."""
    bench = StationBench(tmp_path)
    answer_boot(bench, "Accepted", interval)
    bench.up()
    assert bench.context.model.get(keys.HEARTBEAT_INTERVAL) == interval
    answer_boot(bench, "Accepted", 0)
    bench.power_cut()
    bench.up()
    assert bench.context.model.get(keys.HEARTBEAT_INTERVAL) == interval, "it survives, as what can be written does"


# --- B02, B03 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_the_interval_is_kept(tmp_path: Path, status: str) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, status, 100)
    bench.up()
    bench.advance(99)
    assert boots_sent(bench) == 1  # B02.FR.04, B03.FR.02
    bench.advance(2)
    assert boots_sent(bench) == 2  # B02.FR.08, B03.FR.06


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.parametrize("interval", [0, -10])
def test_without_an_interval_the_csms_is_not_flooded(tmp_path: Path, status: str, interval: int) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, status, interval)
    bench.up()
    bench.advance(600)
    assert 5 <= boots_sent(bench) <= 21  # B02.FR.07, B03.FR.05


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_new_link_does_not_shorten_the_interval(tmp_path: Path, status: str) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, status, 100)
    bench.up()
    for _ in range(3):
        bench.link_down()
        bench.advance(10)
        bench.link_up()
    assert boots_sent(bench) == 1  # B02.FR.04
    bench.advance(71)
    assert boots_sent(bench) == 2


def test_an_interval_that_ends_without_a_link(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, "Pending", 100)
    bench.up()
    bench.link_down()
    bench.advance(200)
    bench.link_up()
    assert boots_sent(bench) == 2


def test_while_pending_the_csms_may_look_and_set(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, "Pending", 300)
    bench.up()
    assert bench.call("GetBaseReport", {"requestId": 5, "reportBase": "ConfigurationInventory"}) == {
        "status": "Accepted"
    }  # B02.FR.01
    assert {action for action, _ in bench.requests} == {"BootNotification", "NotifyReport"}
    result = bench.call("SetVariables", set_variables("OCPPCommCtrlr", "OfflineThreshold", "5"))
    assert result["setVariableResult"][0]["attributeStatus"] == "Accepted"
    bench.plug(1)
    assert {action for action, _ in bench.requests} == {"BootNotification", "NotifyReport"}  # B02.FR.02


@pytest.mark.parametrize("answer", ["Pending", "Rejected", "Accepted", "none"])
def test_a_boot_asked_for_while_one_is_on_its_way(tmp_path: Path, answer: str) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = None
    bench.up()
    boot = bench.frames[-1]
    assert bench.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
    if answer != "none":
        stamp = format_utc(bench.clock.utc())
        bench.frame(json.dumps([3, boot[1], {"status": answer, "currentTime": stamp, "interval": 300}]))
    bench.advance(31)
    reasons = [request["reason"] for request in bench.sent("BootNotification")]
    again = answer in ("Pending", "none")  # F06.FR.10; B03.FR.02; F06.FR.17
    assert reasons == ["PowerUp", *["Triggered"] * again]


def test_what_was_asked_for_while_pending_is_dropped_by_a_rejection(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, "Pending", 10)
    bench.up()
    bench.answers["BootNotification"] = None
    bench.advance(10)
    boot = bench.frames[-1]
    bench.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
    rejected = {"status": "Rejected", "currentTime": format_utc(bench.clock.utc()), "interval": 300}
    bench.frame(json.dumps([3, boot[1], rejected]))
    bench.advance(290)
    assert bench.sent("NotifyReport") == []  # B03.FR.02


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        (
            "GetVariables",
            {"getVariableData": [{"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}]},
        ),
        ("Reset", {"type": "Immediate"}),
        ("TriggerMessage", {"requestedMessage": "BootNotification"}),
        ("RequestStartTransaction", {"idToken": {"idToken": "A", "type": "ISO14443"}, "remoteStartId": 1}),
        ("DataTransfer", {"vendorId": "x"}),
        ("GetVariables", {}),
        ("ReserveNow", {}),
        ("MakeCoffee", {}),
    ],
)
def test_whoever_rejected_us_may_not_ask(tmp_path: Path, action: str, payload: Any) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, "Rejected", 300)
    bench.up()
    frame = bench.call(action, payload)
    assert frame[0] == 4
    assert frame[2] == "SecurityError"  # B03.FR.08
    bench.advance(200)
    assert [name for name, _ in bench.requests] == ["BootNotification"]
    assert not bench.rebooting


# --- B05, B06 (the device model itself is tested with it) -------------------------------------------------------------


def get_variables(bench: StationBench, *names: tuple[str, str]) -> Any:
    data = [{"component": {"name": component}, "variable": {"name": variable}} for component, variable in names]
    return bench.call("GetVariables", {"getVariableData": data})


def test_one_result_for_each_variable(bench: StationBench) -> None:
    answer = get_variables(bench, ("TxCtrlr", "TxStartPoint"), ("Nothing", "At"), ("TxCtrlr", "All"))
    results = answer["getVariableResult"]  # B06.FR.01
    assert [result["attributeStatus"] for result in results] == ["Accepted", "UnknownComponent", "UnknownVariable"]
    assert results[0]["attributeValue"] == "Authorized"


def test_more_than_a_message_may_hold(bench: StationBench) -> None:
    assert get_variables(bench, *[("A", "B")] * 50)["getVariableResult"][49]["attributeStatus"] == "UnknownComponent"
    assert get_variables(bench, *[("A", "B")] * 51)[2] == "OccurrenceConstraintViolation"  # B06.FR.16
    assert get_variables(bench, *[("A" * 50, "B" * 50)] * 40)[2] == "FormatViolation"  # B06.FR.17


def test_what_was_set_survives_a_power_cut(bench: StationBench) -> None:
    bench.call("SetVariables", set_variables("TxCtrlr", "EVConnectionTimeOut", "33"))
    bench.power_cut()
    bench.up()
    assert get_variables(bench, ("TxCtrlr", "EVConnectionTimeOut"))["getVariableResult"][0]["attributeValue"] == "33"


def test_nobody_hears_of_what_was_not_written(bench: StationBench) -> None:
    bench.dies = "before the commit"
    assert bench.call("SetVariables", set_variables("TxCtrlr", "EVConnectionTimeOut", "33")) is None
    bench.restart_service()
    bench.up()
    assert bench.context.model.get(keys.EV_CONNECTION_TIME_OUT) == 60


def test_a_new_password_is_used_at_once(bench: StationBench) -> None:
    answer = bench.call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", "fedcba9876543210"))
    assert answer["setVariableResult"][0]["attributeStatus"] == "Accepted"
    assert bench.orders == ["redial"]  # A01.FR.03


# --- B07, B08 -------------------------------------------------------------------------------------------------------


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


def test_summary_inventory_where_the_product_lacks_it(bench: StationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(bench.context.product.features), "summary_inventory", False)
    answer = bench.call("GetBaseReport", {"requestId": 9, "reportBase": "SummaryInventory"})
    assert answer == {"status": "NotSupported"}  # B07.FR.02
    assert bench.sent("NotifyReport") == []  # B07.FR.05


def test_a_report_of_one_component(bench: StationBench) -> None:
    request = {"requestId": 3, "componentVariable": [{"component": {"name": "TxCtrlr"}}]}
    assert bench.call("GetReport", request) == {"status": "Accepted"}
    data = [item for part in bench.sent("NotifyReport") for item in part["reportData"]]
    assert {item["component"]["name"] for item in data} == {"TxCtrlr"}  # B08.FR.11


def test_a_report_of_nothing(bench: StationBench) -> None:
    request = {"requestId": 3, "componentVariable": [{"component": {"name": "Nothing"}}]}
    assert bench.call("GetReport", request) == {"status": "EmptyResultSet"}  # B08.FR.15
    assert bench.sent("NotifyReport") == []


def test_a_csms_that_asks_for_reports_without_end(bench: StationBench) -> None:
    """It can't make the station forget that a driver is waiting, or that it has to register."""
    bench.answers["NotifyReport"] = bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    answers = [
        bench.call("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})["status"]
        for number in range(60)
    ]
    accepted = answers.count("Accepted")
    assert answers == ["Accepted"] * accepted + ["Rejected"] * (60 - accepted)  # B07.FR.13
    assert bench.call("GetReport", {"requestId": 60}) == {"status": "Rejected"}  # B08.FR.16
    assert len(bench.context.outbox) <= 501
    del bench.answers["NotifyReport"], bench.answers["Authorize"]
    bench.advance(40)
    parts = [(part["requestId"], part["tbc"]) for part in bench.sent("NotifyReport")]
    assert [number for number, more in parts if not more] == list(range(accepted))  # whole reports, and no others
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"


# --- B09, B10 -------------------------------------------------------------------------------------------------------


def connection_data(**more: Any) -> Any:
    return {
        "messageTimeout": 20,
        "ocppCsmsUrl": "ws://csms.example/ocpp",
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "ocppVersion": "OCPP20",
        "securityProfile": 1,
        **more,
    }


def set_profile(bench: StationBench, slot: int = 2, **more: Any) -> tuple[str, str | None]:
    request = {"configurationSlot": slot, "connectionData": connection_data(**more)}
    answer = bench.call("SetNetworkProfile", request)
    return answer["status"], answer.get("statusInfo", {}).get("reasonCode")


def set_priority(bench: StationBench, value: str) -> str:
    answer = bench.call("SetVariables", set_variables("OCPPCommCtrlr", "NetworkConfigurationPriority", value))
    return str(answer["setVariableResult"][0]["attributeStatus"])


def test_a_profile_is_kept(bench: StationBench) -> None:
    assert set_profile(bench) == ("Accepted", None)  # B09.FR.01
    bench.power_cut()
    bench.up()
    assert bench.context.profiles[2].url == "ws://csms.example/ocpp"
    assert bench.context.profiles[1] == PROFILE


@pytest.mark.parametrize("slot", [0, 7, -1])
def test_a_slot_that_is_not_there(bench: StationBench, slot: int) -> None:
    assert set_profile(bench, slot) == ("Rejected", "InvalidConfSlot")  # B09.FR.05


@pytest.mark.parametrize(
    "fault",
    [
        {"ocppTransport": "SOAP"},
        {"ocppCsmsUrl": "http://csms.example"},
        {"ocppCsmsUrl": "ws://"},
        {"ocppCsmsUrl": "wss://csms.example"},
        {"securityProfile": 2},
        {"securityProfile": 4},
        {"messageTimeout": 0},
        {"messageTimeout": -5},
    ],
)
def test_profiles_that_can_not_work(bench: StationBench, fault: dict[str, Any]) -> None:
    assert set_profile(bench, 2, **fault) == ("Rejected", "InvalidNetworkConf")  # B09.FR.02
    assert 2 not in bench.context.profiles


def secure(directory: Path, product: str = "c7am-400-cc", profile: int = 2) -> StationBench:
    bench = StationBench(directory, product_name=product)
    bench.hal_up()
    bench.link_up(NetworkProfile(slot=1, url="wss://127.0.0.1:9/ocpp", security_profile=profile))
    return bench


def test_security_is_not_lowered(tmp_path: Path) -> None:
    bench = secure(tmp_path)
    assert set_profile(bench, 2, securityProfile=1) == ("Rejected", "NoSecurityDowngrade")  # B09.FR.04
    assert set_profile(bench, 2, securityProfile=0) == ("Rejected", "NoSecurityDowngrade")
    assert set_profile(bench, 2, securityProfile=3, ocppCsmsUrl="wss://csms.example/x") == ("Accepted", None)


def test_security_may_be_lowered_one_step_where_that_is_allowed(tmp_path: Path) -> None:
    bench = secure(tmp_path, "full", 3)
    wss = {"ocppCsmsUrl": "wss://csms.example/x"}
    assert set_profile(bench, 2, securityProfile=2, **wss) == ("Rejected", "NoSecurityDowngrade")
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true"))
    assert set_profile(bench, 2, securityProfile=2, **wss) == ("Accepted", None)
    assert set_profile(bench, 2, securityProfile=1) == ("Rejected", "NoSecurityDowngrade")  # B09.FR.31


def test_priority(bench: StationBench) -> None:
    assert set_priority(bench, "2,1") == "Rejected"  # B10.FR.02
    set_profile(bench)
    assert set_priority(bench, "2,1") in ("Accepted", "RebootRequired")  # B10.FR.01
    for nonsense in ("", "1,1", "9", "one", "1,"):
        assert set_priority(bench, nonsense) == "Rejected"


def test_priority_does_not_lower_security(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    set_profile(bench)
    bench.link_down()
    bench.link_up(NetworkProfile(slot=1, url="wss://127.0.0.1:9/ocpp", security_profile=2))
    assert set_priority(bench, "2") == "Rejected"  # A05.FR.04


# --- B11, B12 -------------------------------------------------------------------------------------------------------


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


def test_reset_with_the_hal_away(bench: StationBench) -> None:
    bench.hal_down()
    assert bench.call("Reset", {"type": "Immediate"})["status"] == "Rejected"  # B11.FR.06


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
    told = [(each["evseId"], each["connectorStatus"]) for each in bench.sent("StatusNotification")]
    bench.requests.clear()
    return told


def test_while_a_reset_waits_what_is_free_is_unavailable(bench: StationBench) -> None:
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


def test_while_a_reset_waits_what_was_in_use_is_available_afterwards(bench: StationBench) -> None:
    charge(bench, 1)
    charge(bench, 2, "04FFEEDDCCBB80")
    bench.call("Reset", {"type": "OnIdle"})
    bench.card(CARD, 1)
    bench.energy_off(1)
    bench.requests.clear()
    bench.unplug(1)
    assert statuses(bench) == [(1, "Available")]  # TC_B_41_CS


def test_reset_on_idle_waits_for_what_is_under_way(bench: StationBench) -> None:
    bench.context.emit(signals.TaskUnderWay("firmware update", True))
    bench.advance(0)
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}  # B11.FR.07
    bench.advance(300)
    assert not bench.rebooting
    bench.context.emit(signals.TaskUnderWay("firmware update", False))
    bench.advance(0)
    bench.advance(1)
    assert bench.rebooting


def test_reset_on_idle_puts_off_no_immediate_one(bench: StationBench) -> None:
    charge(bench, 1)
    bench.call("Reset", {"type": "Immediate"})
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
    bench.energy_off(1)
    bench.advance(1)
    bench.reboot()
    bench.up()
    assert bench.sent("BootNotification")[-1]["reason"] == "RemoteReset"


@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_asking_again_and_again_does_not_put_off_a_reset(bench: StationBench, kind: str) -> None:
    for _ in range(5):
        assert bench.call("Reset", {"type": kind}) == {"status": "Accepted"}
        bench.advance(0.2)
    assert bench.rebooting


def test_a_board_that_does_not_restart_is_asked_again_and_then_left_alone(bench: StationBench) -> None:
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
    assert bench.commands.count(Reboot()) == 3, "nothing is owed any more"
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
    """Transactions begin and end with the cable."""
    points = {("TxCtrlr", name): "EVConnected" for name in ("TxStartPoint", "TxStopPoint")}
    bench = StationBench(directory, product_name="full", variables=points)
    bench.up()
    return bench


@pytest.mark.parametrize("evse", [{}, {"evseId": 1}])
@pytest.mark.parametrize("stopped", [False, True])
def test_immediate_reset_ends_a_transaction_that_nothing_else_would(
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


def test_immediate_reset_ends_what_begins_while_the_csms_is_waited_for(tmp_path: Path) -> None:
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
    assert bench.context.hal.evses[2].transaction_id is not None  # of the vehicle that is still there (E01.FR.02)


def test_reset_on_idle_waits_for_what_begins_while_the_csms_is_waited_for(tmp_path: Path) -> None:
    bench = until_unplugged(tmp_path)
    bench.plug(1)
    bench.call("Reset", {"type": "OnIdle"})
    bench.answers["TransactionEvent"] = None
    bench.unplug(1)
    bench.advance(10)
    bench.plug(2)
    bench.advance(60)  # and no deadline passes again and again
    assert not bench.rebooting
    bench.unplug(2)
    bench.advance(60)
    assert bench.rebooting


@pytest.mark.parametrize(("kind", "reason"), [("OnIdle", "ScheduledReset"), ("Immediate", "RemoteReset")])
def test_a_promised_reset_survives_a_restart_of_the_service(bench: StationBench, kind: str, reason: str) -> None:
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


def test_a_power_cut_is_as_good_as_the_reset_that_was_promised(bench: StationBench) -> None:
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


def test_immediate_reset_and_then_the_link_goes(bench: StationBench) -> None:
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


def test_a_reset_waits_for_a_hal_that_went_away(bench: StationBench) -> None:
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


def test_a_late_answer_to_an_early_boot_changes_nothing(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = None
    bench.up()
    call = bench.frames[-1]
    bench.advance(31)
    bench.frame(json.dumps([3, call[1], {"status": "Accepted", "currentTime": "2027-01-15T08:00:00Z", "interval": 5}]))
    assert not bench.context.registration.online


@pytest.fixture
def full_bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path, product_name="full")
    bench.up()
    return bench


def test_reset_of_an_idle_evse(full_bench: StationBench) -> None:
    assert full_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Accepted"}  # B11.FR.08
    assert Withdraw(1) in full_bench.commands
    assert Reboot() not in full_bench.commands


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
    """A driver was let in at EVSE 1, and no transaction runs before energy does."""
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EnergyTransfer"})
    bench.up()
    bench.card(CARD, 1)
    assert bench.events == []
    return bench


def test_reset_on_idle_waits_for_a_driver_who_was_let_in(waiting_bench: StationBench) -> None:
    assert waiting_bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}  # erratum 2.14 of part 2
    waiting_bench.advance(30)
    assert not waiting_bench.rebooting
    waiting_bench.advance(40)  # EVConnectionTimeOut
    assert waiting_bench.rebooting


def test_reset_of_an_evse_waits_for_a_driver_who_was_let_in(waiting_bench: StationBench) -> None:
    assert waiting_bench.call("Reset", {"type": "OnIdle", "evseId": 1}) == {"status": "Scheduled"}
    assert waiting_bench.permitted(1)
    assert waiting_bench.call("Reset", {"type": "Immediate", "evseId": 1}) == {"status": "Accepted"}
    waiting_bench.plug(1)
    waiting_bench.advance(20)
    assert not waiting_bench.permitted(1)
