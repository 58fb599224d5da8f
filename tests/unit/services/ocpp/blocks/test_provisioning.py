# SPDX-License-Identifier: Apache-2.0
"""B01 to B03, driven through the whole station: when a BootNotification is sent, and what its answer changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc
from firmware.contract import BootCause
from firmware.factory_settings import NetworkProfile
from services.ocpp.device_model import keys
from services.ocpp.rpc.validation import check_request
from tests.support.station_bench import StationBench, set_variables

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


def test_a_new_link_to_the_same_csms_is_not_a_boot(bench: StationBench) -> None:
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
    "current",
    [
        "2027-05-05T05:05:05Z",
        "2027-05-05t10:35:05.000123+05:30",
        "2027-05-05t05:05:05z",
        "2027-05-05T05:05:05.000000000000Z",
        "2027-05-05T05:05:05",
        "2027-05-05 05:05:05.000001",
    ],
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
    assert bench.context.model.get(keys.HEARTBEAT_INTERVAL) == interval, "it survives like any writable variable"


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


def test_while_pending_the_csms_may_read_and_set_variables(tmp_path: Path) -> None:
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
def test_a_boot_requested_while_one_is_unanswered(tmp_path: Path, answer: str) -> None:
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


@pytest.mark.parametrize("status", ["Pending", "Accepted"])
def test_a_report_does_not_delay_the_next_boot(tmp_path: Path, status: str) -> None:
    """B02.FR.08: of a long report one part is unanswered, and the others are queued."""
    bench = StationBench(tmp_path)
    answer_boot(bench, "Pending", 10)
    bench.up()
    bench.answers["NotifyReport"] = None
    bench.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
    first = bench.frames[-1]
    bench.advance(10)
    assert [action for action, _ in bench.requests[1:]] == ["NotifyReport"], "one outstanding CALL"
    answer_boot(bench, status, 10)
    del bench.answers["NotifyReport"]
    bench.requests.clear()
    bench.frame(json.dumps([3, first[1], {}]))
    sent = [action for action, _ in bench.requests]
    assert sent[0] == "BootNotification"
    report = bench.sent("NotifyReport")
    assert [part["seqNo"] for part in report] == list(range(1, len(report) + 1))
    assert not report[-1]["tbc"], "the report continues behind it"


def test_a_report_shows_what_was_set_since_the_last_one(bench: StationBench) -> None:
    def reported() -> dict[str, Any]:
        """The values of EVConnectionTimeOut; as in each report, all elements are valid by the schema."""
        bench.requests.clear()
        bench.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
        for part in bench.sent("NotifyReport"):
            assert check_request("NotifyReport", part) is None
        rows = [row for part in bench.sent("NotifyReport") for row in part["reportData"]]
        return {row["variable"]["name"]: row["variableAttribute"][0].get("value") for row in rows}

    before = reported()
    value = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}, "attributeValue": "77"}
    bench.call("SetVariables", {"setVariableData": [value]})
    after = reported()
    assert (before["EVConnectionTimeOut"] != "77", after["EVConnectionTimeOut"]) == (True, "77")
    assert before.keys() == after.keys()
    assert before["DateTime"] is not None


def test_a_report_requested_while_pending_is_dropped_by_a_rejection(tmp_path: Path) -> None:
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
def test_a_csms_that_rejected_us_may_not_send_requests(tmp_path: Path, action: str, payload: Any) -> None:
    bench = StationBench(tmp_path)
    answer_boot(bench, "Rejected", 300)
    bench.up()
    frame = bench.call(action, payload)
    assert frame[0] == 4
    assert frame[2] == "SecurityError"  # B03.FR.08
    bench.advance(200)
    assert [name for name, _ in bench.requests] == ["BootNotification"]
    assert not bench.rebooting


def test_a_late_answer_to_an_early_boot_changes_nothing(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = None
    bench.up()
    call = bench.frames[-1]
    bench.advance(31)
    bench.frame(json.dumps([3, call[1], {"status": "Accepted", "currentTime": "2027-01-15T08:00:00Z", "interval": 5}]))
    assert not bench.context.registration.online
