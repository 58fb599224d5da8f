# SPDX-License-Identifier: Apache-2.0
"""The status that local observers get."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from firmware.contract import Offline, Page
from firmware.contract.status import CardNotice, LinkFailure, ServiceStatus, TransactionNotice
from firmware.message_ids import MessageId
from services.ocpp.no_connection import Cause, NoConnection
from services.ocpp.signals import TransactionChanged
from services.ocpp.status import StatusPublisher, log_transaction, notice, status, summary
from tests.support.station_bench import StationBench, charge
from tests.support.timer import ManualTimer

CARD = "04A1B2C3D4E580"


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    return StationBench(tmp_path)


def now(bench: StationBench) -> ServiceStatus:
    return status(bench.station, firmware_version="1.2.3")


def test_before_anything(bench: StationBench) -> None:
    state = now(bench)
    assert (state.connected, state.registration, state.slot, state.security_profile) == (False, None, None, None)
    assert state.last_contact_mono_s is None
    assert [evse.status for evse in state.evses] == ["Faulted", "Faulted"]  # the HAL has not reported yet


def test_connected_and_charging(bench: StationBench) -> None:
    bench.up()
    bench.clock.advance(0.7)
    bench.select(2)
    assert [evse.selected for evse in now(bench).evses] == [False, True]
    bench.card(CARD)
    bench.plug(2)
    bench.energy_on(2)
    state = now(bench)
    assert (state.connected, state.registration, state.slot, state.security_profile) == (True, "Accepted", 1, 1)
    assert state.firmware_version == "1.2.3"
    assert state.queued_messages == 0
    assert state.last_contact_mono_s == 1000.0
    evse = state.evses[1]
    assert evse.transaction_id == bench.events[0]["transactionInfo"]["transactionId"]
    assert (evse.charging_state, evse.id_token, evse.status, evse.availability) == (
        "Charging",
        CARD,
        "Occupied",
        "Operative",
    )
    assert state.evses[0].id_token is None
    assert summary(state) == "connected to slot 1 over Wired0, Accepted; EVSE 1 Available; EVSE 2 Charging"


def test_a_summary_says_why_there_is_no_connection(bench: StationBench) -> None:
    assert summary(now(bench)) == "not connected; EVSE 1 Faulted; EVSE 2 Faulted; messages queued: 1"
    bench.up()
    bench.link_down(NoConnection(Cause.LINK_DOWN, 1, "csms.example:80", "Wired0"))
    assert summary(now(bench)).startswith("not connected: the interface Wired0 has no link; ")


def test_out_of_service_and_offline(bench: StationBench) -> None:
    bench.up()
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    bench.card(CARD, 2)
    bench.link_down()
    bench.card(CARD, 2)
    state = now(bench)
    assert [evse.availability for evse in state.evses] == ["Inoperative", "Operative"]
    assert (state.connected, state.slot) == (False, None)
    assert state.queued_messages == 1


def test_the_last_failure_stays_when_the_connection_is_back(bench: StationBench) -> None:
    failure = NoConnection(Cause.PORT_CLOSED, 2, "127.0.0.1:9000")
    assert now(bench).last_failure is None
    bench.hal_up()
    bench.handle(lambda mono: bench.station.on_link_failed(failure, mono))
    at = bench.context.time.text(bench.clock.monotonic())
    bench.clock.advance(60)
    bench.up()
    expected = LinkFailure(at, 2, "refused", "nothing listens at 127.0.0.1:9000")
    assert (now(bench).connected, now(bench).last_failure) == (True, expected)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("Rejected", "the CSMS answered BootNotification with Rejected: NotFound ask for *** <"),
        ("Pending", "the CSMS answered BootNotification with Pending: NotFound ask for *** <"),
    ],
)
def test_a_station_that_is_not_registered(bench: StationBench, status: str, text: str) -> None:
    info = {"reasonCode": "NotFound", "additionalInfo": "ask\nfor 04A1B2C3D4E580 <"}
    time = bench.context.time.text(bench.clock.monotonic())
    bench.answers["BootNotification"] = {"currentTime": time, "interval": 300, "status": status, "statusInfo": info}
    bench.up()
    failure = now(bench).last_failure
    assert failure is not None
    assert (failure.slot, failure.kind, failure.text) == (1, "registration", text)
    assert (bench.shown[1].page, bench.shown[1].offline) == (Page.OFFLINE, Offline(status.lower()))


def test_a_boot_without_an_answer(bench: StationBench) -> None:
    bench.answers["BootNotification"] = None
    bench.up()
    bench.advance(31)
    failure = now(bench).last_failure
    assert failure is not None
    assert failure.kind == "registration"
    assert failure.text.endswith("no answer in time")


def test_notices(bench: StationBench) -> None:
    bench.up()
    bench.card(CARD, 1)
    notices = [notice(each) for each in bench.notices]
    transaction_id = bench.events[0]["transactionInfo"]["transactionId"]
    assert notices == [CardNotice(CARD, "started"), TransactionNotice(1, transaction_id, "started")]


def test_transactions_are_logged(bench: StationBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.up()
    charge(bench, 2, CARD)
    caplog.clear()
    with caplog.at_level(logging.INFO, "services.ocpp.status"):
        for signal in bench.notices:
            if isinstance(signal, TransactionChanged):
                log_transaction(signal)
    transaction_id = bench.events[0]["transactionInfo"]["transactionId"]
    first, second = caplog.records[:2]
    assert first.message == "EVSE 2: transaction started (Authorized, seqNo 0)"
    assert second.message == "EVSE 2: transaction updated (CablePluggedIn, seqNo 1)"
    assert vars(first)["fields"] == {
        "EVSE": 2,
        "TRANSACTION": transaction_id,
        "MESSAGE_ID": MessageId.TRANSACTION_STARTED.value,
    }
    assert "MESSAGE_ID" not in vars(second)["fields"]


def test_an_event_is_published_at_once_and_counters_together(bench: StationBench) -> None:
    published: list[ServiceStatus] = []
    timer = ManualTimer(bench.clock)
    publisher = StatusPublisher(published.append, timer, firmware_version="1")
    publisher.update(bench.station)
    bench.up()
    publisher.update(bench.station)
    assert [each.connected for each in published] == [False, True]
    for _ in range(3):
        bench.clock.advance(1.0)
        bench.call("DataTransfer", {"vendorId": "x"})
        publisher.update(bench.station)
    assert len(published) == 2
    timer.advance(0.2)
    assert [each.last_contact_mono_s for each in published] == [None, 1000.0, 1003.0]
    assert timer.pending == []
