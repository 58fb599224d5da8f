# SPDX-License-Identifier: Apache-2.0
"""Block N: GetLog and CustomerInformation, driven through the whole station."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc, parse_utc
from services.ocpp.background import Failed, Report, Task
from services.ocpp.device_model import keys
from services.ocpp.diagnostics.period import Period
from services.ocpp.diagnostics.upload import LogUpload, NotUploaded, UploadAttempt, Uploaded
from services.ocpp.transfer import Remote
from services.ocpp.transfer.rules import check_name
from tests.support.station_bench import StationBench, set_variables

TOKEN = {"idToken": "04A1B2C3D4E580", "type": "ISO14443"}
CERTIFICATE = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}


@pytest.fixture
def full(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path, product_name="full")
    bench.up()
    return bench


def get_log(bench: StationBench, request_id: int = 7, log_type: str = "DiagnosticsLog", **log: Any) -> Any:
    location = {"remoteLocation": "https://me:pw@files.example/logs/", **log}
    return bench.call("GetLog", {"logType": log_type, "requestId": request_id, "log": location})


def uploads(bench: StationBench) -> list[LogUpload]:
    """The uploads that the block has requested."""
    return [task.order for task in bench.tasks if isinstance(task.order, LogUpload)]


def report(bench: StationBench, report: Report, task: Task | None = None) -> None:
    """The worker reports on this task, or on the last one."""
    about = task or bench.tasks[-1]
    bench.handle(lambda now: bench.station.on_task(about, report, now))


def statuses(bench: StationBench) -> list[tuple[str, int | None]]:
    return [(request["status"], request.get("requestId")) for request in bench.sent("LogStatusNotification")]


def trigger(bench: StationBench) -> None:
    answer = bench.call("TriggerMessage", {"requestedMessage": "LogStatusNotification"})
    assert answer == {"status": "Accepted"}


def customer(bench: StationBench, *, report: bool = False, clear: bool = False, **reference: Any) -> Any:
    return bench.call("CustomerInformation", {"requestId": 9, "report": report, "clear": clear, **reference})


def notified(bench: StationBench) -> str:
    return "".join(request["data"] for request in bench.sent("NotifyCustomerInformation"))


# --- N01 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("log_type", "suffix"), [("DiagnosticsLog", ".tar.gz"), ("SecurityLog", ".log")])
def test_an_upload(bench: StationBench, log_type: str, suffix: str) -> None:
    answer = get_log(bench, log_type=log_type)
    assert answer["status"] == "Accepted"  # N01.FR.01
    assert answer["filename"].endswith(f"-7{suffix}")
    check_name(answer["filename"])
    (order,) = uploads(bench)
    assert order.name == answer["filename"]
    assert order.security == (log_type == "SecurityLog")  # N01.FR.03, N01.FR.04
    report(bench, UploadAttempt())
    report(bench, Uploaded())
    assert statuses(bench) == [("Uploading", 7), ("Uploaded", 7)]  # N01.FR.07, N01.FR.08, N01.FR.09


def test_the_csms_sets_the_retries_and_is_notified_once(bench: StationBench) -> None:
    log = {"remoteLocation": "ftp://files.example/logs"}
    request = {"logType": "DiagnosticsLog", "requestId": 1, "retries": 3, "retryInterval": 5, "log": log}
    assert bench.call("GetLog", request)["status"] == "Accepted"
    assert uploads(bench)[0].remote == Remote("ftp://files.example/logs", 3, 5.0)
    for _ in range(3):
        report(bench, UploadAttempt())
    report(bench, NotUploaded("not_found"))
    assert statuses(bench) == [("Uploading", 1), ("UploadFailure", 1)]  # N01.FR.10


@pytest.mark.parametrize(
    ("retries", "interval", "words"),
    [
        (101, 0, "at most 100 retries are allowed"),
        (2**31 - 1, 0, "at most 100 retries are allowed"),
        (1, 24 * 3600 + 1, "the retries may take 24 hours in all"),
        (100, 3600, "the retries may take 24 hours in all"),
    ],
)
def test_an_upload_that_could_go_on_for_days(bench: StationBench, retries: int, interval: int, words: str) -> None:
    """No other can be requested meanwhile (C-57)."""
    log = {"remoteLocation": "https://files.example/"}
    request = {"logType": "DiagnosticsLog", "requestId": 1, "retries": retries, "retryInterval": interval, "log": log}
    answer = bench.call("GetLog", request)
    assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue", "additionalInfo": words}}
    assert uploads(bench) == []
    assert get_log(bench)["status"] == "Accepted"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (NotUploaded("permission"), "PermissionDenied"),
        (NotUploaded("scheme"), "NotSupportedOperation"),
        (NotUploaded("unsupported"), "NotSupportedOperation"),
        (NotUploaded("bad_message"), "BadMessage"),
        (NotUploaded("stalled"), "UploadFailure"),
        (Failed("a bug"), "UploadFailure"),
    ],
)
def test_failures(bench: StationBench, outcome: Report, status: str) -> None:
    get_log(bench)
    report(bench, outcome)
    assert statuses(bench) == [(status, 7)]
    assert get_log(bench, 8)["status"] == "Accepted"


def test_a_second_request_is_refused_where_the_product_can_not_cancel(bench: StationBench) -> None:
    get_log(bench)
    answer = get_log(bench, 8)
    assert answer["status"] == "Rejected"  # C-57 is No
    assert "filename" not in answer
    assert len(bench.tasks) == 1
    assert bench.cancelled == []


def test_a_second_request_cancels_the_first_where_it_can(full: StationBench) -> None:
    get_log(full, 1)
    report(full, UploadAttempt())
    assert get_log(full, 2)["status"] == "AcceptedCanceled"  # N01.FR.12
    first, _second = full.tasks
    assert full.cancelled == [first]
    report(full, Uploaded(), first)  # too late: it was cancelled
    report(full, UploadAttempt())
    assert statuses(full) == [("Uploading", 1), ("AcceptedCanceled", 1), ("Uploading", 2)]  # N01.FR.20


def test_the_end_of_a_cancelled_upload_is_sent_after_an_outage(full: StationBench) -> None:
    get_log(full, 1)
    report(full, UploadAttempt())
    full.answers["LogStatusNotification"] = None  # the link breaks before the CSMS has it
    assert get_log(full, 2)["status"] == "AcceptedCanceled"
    full.link_down()
    full.answers.clear()
    full.link_up()
    assert statuses(full).count(("AcceptedCanceled", 1)) == 2  # N01.FR.20


@pytest.mark.parametrize(
    "location",
    ["file:///etc/shadow", "http://files.example/x", "sftp://files.example/x", "https://", "x", "https://a/.."],
)
def test_urls_that_are_refused(bench: StationBench, location: str) -> None:
    answer = get_log(bench, remoteLocation=location)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidURL")
    assert bench.tasks == []


def test_a_period(bench: StationBench) -> None:
    get_log(bench, oldestTimestamp="2026-11-24T00:00:00Z", latestTimestamp="2026-11-24T02:00:00+01:00")
    begin, end = parse_utc("2026-11-24T00:00:00Z"), parse_utc("2026-11-24T01:00:00Z")
    assert uploads(bench)[0].period == Period(begin, end)


def test_a_period_that_ends_before_it_begins(bench: StationBench) -> None:
    answer = get_log(bench, oldestTimestamp="2026-11-24T02:00:00Z", latestTimestamp="2026-11-24T01:00:00Z")
    assert answer["status"] == "Rejected"  # N01.FR.05
    assert bench.tasks == []


def test_a_period_that_is_yet_to_come(bench: StationBench) -> None:
    answer = get_log(bench, oldestTimestamp=format_utc(bench.clock.utc() + 3600))
    assert answer["status"] == "Rejected"  # N01.FR.05
    assert bench.tasks == []


def test_a_period_before_the_security_log_begins(bench: StationBench) -> None:
    first = bench.sent("SecurityEventNotification")[0]["timestamp"]
    before = format_utc(parse_utc(first) - 3600)
    answer = get_log(bench, log_type="SecurityLog", latestTimestamp=before)
    info = {"reasonCode": "NotFound", "additionalInfo": "there is no log of that time"}
    assert answer == {"status": "Rejected", "statusInfo": info}  # N01.FR.05
    assert bench.tasks == []
    assert get_log(bench, log_type="SecurityLog", oldestTimestamp=before, latestTimestamp=first)["status"] == "Accepted"


def test_diagnostics_are_there_for_any_period(bench: StationBench) -> None:
    """Device model and state go with them, whatever the log files hold."""
    assert get_log(bench, latestTimestamp="2026-11-24T00:00:00Z")["status"] == "Accepted"


@pytest.mark.parametrize(
    ("field", "stamp", "status"),
    [
        ("oldestTimestamp", "0000-01-01T00:00:00Z", "Accepted"),
        ("oldestTimestamp", "0001-01-01T00:00:00+23:59", "Accepted"),
        ("oldestTimestamp", "2016-12-31T23:59:60Z", "Accepted"),
        ("oldestTimestamp", "9999-12-31T23:59:59-23:59", "Rejected"),
        ("latestTimestamp", "9999-12-31T23:59:59-23:59", "Accepted"),
        ("latestTimestamp", "9999-12-31T23:59:59Z", "Accepted"),
    ],
)
def test_times_at_the_end_of_time(bench: StationBench, field: str, stamp: str, status: str) -> None:
    times: dict[str, Any] = {field: stamp}
    assert get_log(bench, **times)["status"] == status


def test_a_time_without_a_zone_is_refused(bench: StationBench) -> None:
    assert get_log(bench, oldestTimestamp="2026-11-24T01:00:00")[2] == "PropertyConstraintViolation"


def test_not_before_the_station_is_accepted(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": "2027-01-15T08:00:00Z", "interval": 100}
    bench.up()
    assert get_log(bench)["statusInfo"]["reasonCode"] == "CSNotAccepted"
    assert statuses(bench) == []  # B02.FR.02


def test_a_restart_ends_it(bench: StationBench) -> None:
    get_log(bench)
    report(bench, UploadAttempt())
    bench.restart_service()
    bench.up()
    assert statuses(bench) == [("Uploading", 7), ("UploadFailure", 7)]
    bench.restart_service()
    bench.up()
    assert len(statuses(bench)) == 2
    trigger(bench)
    assert statuses(bench)[-1] == ("Idle", None)


def test_the_end_is_sent_even_if_it_came_while_offline(bench: StationBench) -> None:
    get_log(bench)
    bench.link_down()
    report(bench, UploadAttempt())
    report(bench, Uploaded())
    bench.link_up()
    assert statuses(bench) == [("Uploaded", 7)]


def test_the_status_on_request(bench: StationBench) -> None:
    trigger(bench)
    get_log(bench)
    trigger(bench)
    report(bench, Uploaded())
    trigger(bench)
    # F06.FR.14, F06.FR.15, N01.FR.13
    assert statuses(bench) == [("Idle", None), ("Uploading", 7), ("Uploaded", 7), ("Idle", None)]


def test_no_secret_is_in_the_order(bench: StationBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, "0123456789abcdef")
    bench.plug(1)
    bench.card("04DEADBEEF0001", 1)
    get_log(bench)
    order = uploads(bench)[0]
    assert "0123456789abcdef" not in str(order.documents)
    assert "0123456789abcdef" in order.secrets
    assert "04DEADBEEF0001" not in str(order.documents)
    assert "pw@" not in repr(order) + caplog.text
    assert "0123456789abcdef" not in repr(order) + caplog.text


def test_any_identity_makes_a_file_name(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    bench.context.model.put(keys.IDENTITY, "*CP|1@x+=" * 5)
    check_name(get_log(bench)["filename"])


# --- N09, N10 -----------------------------------------------------------------------------------------------------


def test_cleared_without_a_report(bench: StationBench) -> None:
    assert customer(bench, clear=True, idToken=TOKEN) == {"status": "Accepted"}  # N10.FR.01
    (request,) = bench.sent("NotifyCustomerInformation")  # N10.FR.06
    assert (request["requestId"], request["seqNo"], request["tbc"]) == (9, 0, False)
    assert "cleared" in request["data"]


@pytest.mark.parametrize("clear", [False, True])
def test_nothing_known(bench: StationBench, clear: bool) -> None:
    customer(bench, report=True, clear=clear, idToken=TOKEN)
    (request,) = bench.sent("NotifyCustomerInformation")  # N09.FR.06, N10.FR.04
    assert (request["seqNo"], request["tbc"]) == (0, False)
    assert request["data"] == "No data about this customer is stored."


def test_nothing_known_about_an_identifier_is_empty(full: StationBench) -> None:
    customer(full, report=True, customerIdentifier="unknown")
    assert [request["data"] for request in full.sent("NotifyCustomerInformation")] == [""]  # TC_N_62_CS


def test_the_cache_is_reported_and_forgotten(full: StationBench) -> None:
    until = format_utc(full.clock.utc() + 3600)
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", "cacheExpiryDateTime": until}}
    full.card(TOKEN["idToken"], 1)
    customer(full, report=True, idToken=TOKEN)
    assert "status Accepted" in notified(full)  # N09.FR.05
    assert until in notified(full)
    full.requests.clear()
    customer(full, report=True, clear=True, idToken={**TOKEN, "idToken": TOKEN["idToken"].lower()})
    assert "status Accepted" in notified(full)  # N10.FR.03
    full.requests.clear()
    customer(full, report=True, idToken=TOKEN)
    assert "cache" not in notified(full)


def test_cleared_data_is_reported_although_the_link_breaks(full: StationBench) -> None:
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}}
    full.card(TOKEN["idToken"], 1)
    full.answers["NotifyCustomerInformation"] = None
    customer(full, report=True, clear=True, idToken=TOKEN)
    full.link_down()
    full.requests.clear()
    del full.answers["NotifyCustomerInformation"]
    full.link_up()
    assert "status Accepted" in notified(full)  # N10.FR.03


def test_a_running_transaction_is_reported_and_continues(bench: StationBench) -> None:
    bench.plug(1)
    bench.card(TOKEN["idToken"], 1)
    transaction = bench.context.hal.evses[1].transaction_id
    assert transaction is not None
    customer(bench, report=True, clear=True, idToken=TOKEN)
    assert transaction in notified(bench)
    assert bench.context.hal.evses[1].transaction_id == transaction
    bench.requests.clear()
    customer(bench, report=True, idToken={"idToken": "04FF", "type": "ISO14443"})
    assert transaction not in notified(bench)


@pytest.mark.parametrize(
    "reference",
    [{}, {"idToken": TOKEN, "customerIdentifier": "x"}, {"idToken": TOKEN, "customerCertificate": CERTIFICATE}],
)
def test_one_reference_and_no_more(bench: StationBench, reference: Any) -> None:
    answer = customer(bench, clear=True, **reference)
    assert answer["status"] == "Invalid"  # N09.FR.09
    assert answer["statusInfo"]["reasonCode"] == ("TooManyElements" if reference else "MissingParam")
    assert bench.sent("NotifyCustomerInformation") == []


def test_no_customer_is_reported_before_the_station_is_accepted(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": "2027-01-15T08:00:00Z", "interval": 100}
    bench.up()
    assert customer(bench, report=True, clear=True, idToken=TOKEN)["status"] == "Rejected"  # N09.FR.03, N10.FR.05
    assert bench.sent("NotifyCustomerInformation") == []


def test_neither_report_nor_clear(bench: StationBench) -> None:
    assert customer(bench, idToken=TOKEN)["status"] == "Rejected"  # N09.FR.07, N10.FR.07


def test_customer_identifiers(bench: StationBench) -> None:
    assert customer(bench, report=True, customerIdentifier="x")["status"] == "Rejected"  # C-14 is No
    assert bench.sent("NotifyCustomerInformation") == []


def test_customer_identifiers_where_the_product_has_them(full: StationBench) -> None:
    """C-14: it is the group of the customer's tokens."""
    group = {"idToken": "FAMILY-7", "type": "Central"}
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
    full.card(TOKEN["idToken"], 1)
    transaction = full.context.hal.evses[1].transaction_id
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}}
    full.card("04FF", 2)
    assert transaction is not None
    assert customer(full, report=True, clear=True, customerIdentifier="family-7")["status"] == "Accepted"
    assert notified(full).count("status Accepted") == 1  # N10.FR.03
    assert transaction in notified(full)
    full.requests.clear()
    assert customer(full, report=True, customerIdentifier="FAMILY-7")["status"] == "Accepted"
    assert notified(full) == f"Transaction {transaction} is running on EVSE 1"
    full.requests.clear()
    customer(full, report=True, idToken={"idToken": "04FF", "type": "ISO14443"})
    assert "status Accepted" in notified(full)


def test_stored_data_is_reported_although_it_is_not_in_use(full: StationBench) -> None:
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}}
    full.card(TOKEN["idToken"], 1)
    full.call("SetVariables", set_variables("AuthCacheCtrlr", "Enabled", "false"))
    customer(full, report=True, clear=True, idToken=TOKEN)
    assert "status Accepted" in notified(full)  # N09.FR.05
    full.call("SetVariables", set_variables("AuthCacheCtrlr", "Enabled", "true"))
    full.requests.clear()
    customer(full, report=True, idToken=TOKEN)
    assert "cache" not in notified(full)


def test_customer_certificates_are_accepted_and_nothing_is_known(bench: StationBench) -> None:
    assert customer(bench, report=True, customerCertificate=CERTIFICATE)["status"] == "Accepted"
    assert len(bench.sent("NotifyCustomerInformation")) == 1
    assert notified(bench) == ""


def test_long_reports_come_in_parts(full: StationBench) -> None:
    """NotifyCustomerInformation carries 512 characters."""
    group = {"idToken": "FAMILY-7", "type": "Central"}
    full.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
    for card in range(10, 25):
        full.card(f"04FF{card}", 1)
        full.card(f"04FF{card}", 1)
    customer(full, report=True, customerIdentifier="FAMILY-7")
    parts = full.sent("NotifyCustomerInformation")
    line = "Authorization cache: status Accepted\nAuthorization cache: group FAMILY-7"
    assert notified(full) == "\n".join([line] * 15)
    assert [(len(part["data"]), part["seqNo"], part["tbc"]) for part in parts] == [
        (512, 0, True),
        (512, 1, True),
        (15 * len(line) + 14 - 2 * 512, 2, False),
    ]


def test_a_reset_on_idle_waits_for_an_upload(bench: StationBench) -> None:
    """Erratum 2.14 of part 2."""
    get_log(bench)
    assert bench.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    bench.advance(300)
    assert not bench.rebooting
    report(bench, Uploaded())
    bench.advance(1)
    assert bench.rebooting
