# SPDX-License-Identifier: Apache-2.0
"""A station of the fleet, whole, against a scripted CSMS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware import product
from services.ocpp import service
from tests.support.csms import ScriptedCsms
from tests.support.sockets import eventually
from tools.fleet import cabinet
from tools.fleet.cabinet import Outcome
from tools.fleet.ledger import Sample
from tools.fleet.orders import Plan
from tools.fleet.scenario import Scenario
from tools.fleet.station import Station

_UID = "04A1B2C3D4E580"


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cabinet, "_HANDLING_S", 0.01)


@asynccontextmanager
async def _running(csms: ScriptedCsms) -> AsyncIterator[tuple[Station, list[Sample]]]:
    samples: list[Sample] = []
    plan = Plan("", csms.url, "0123456789abcdef")
    station = Station(7, Scenario(), product.load("c7am-400-cc"), plan, samples.append)
    run = asyncio.create_task(station.run())
    await eventually(lambda: station.online)
    yield station, samples
    await station.stop(10.0)
    await run
    assert station.failure is None


async def test_a_session_is_answered_to_its_last_event_before_the_station_is_off() -> None:
    async with ScriptedCsms() as csms:
        async with _running(csms) as (station, samples):
            left: list[Outcome] = []
            station.cabinet.come(1, _UID, 600.0, left.append)
            station.cabinet.come(1, _UID, 600.0, left.append)
            assert left == [Outcome.IN_USE]
            await eventually(lambda: station.cabinet.charging == 1)
        assert left == [Outcome.IN_USE, Outcome.CHARGED]
        (transaction,) = station.ledger.transactions.values()
        assert transaction.ended
        assert transaction.answered == transaction.sent >= 3
        assert (station.ledger.lost, station.left_over) == (0, 0)
        assert {"BootNotification", "Authorize", "TransactionEvent"} <= {each.action for each in samples}
        assert all(each.error is None for each in samples)


async def test_a_refused_card_charges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cabinet, "_PATIENCE_S", 0.2)
    async with ScriptedCsms() as csms:
        csms.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
        async with _running(csms) as (station, _):
            left: list[Outcome] = []
            station.cabinet.come(2, _UID, 600.0, left.append)
            await eventually(lambda: left == [Outcome.NOT_CHARGED])
        assert station.ledger.transactions == {}


async def test_it_comes_back_after_a_reset_with_what_it_had_on_disk() -> None:
    async with ScriptedCsms() as csms, _running(csms) as (station, samples):
        change = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "RetryBackOffWaitMinimum"}}
        await csms.call("SetVariables", {"setVariableData": [{**change, "attributeValue": "77"}]})
        boots = sum(each.action == "BootNotification" for each in samples)
        assert await csms.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
        await eventually(lambda: sum(each.action == "BootNotification" for each in samples) > boots)
        await eventually(lambda: station.online)
        got = await csms.call("GetVariables", {"getVariableData": [change]})
        assert got["getVariableResult"][0]["attributeValue"] == "77"


async def test_it_reports_the_version_that_an_update_has_put_into_its_slot(tmp_path: Path) -> None:
    slot = tmp_path / "FLEET-00007" / "slots" / "a"
    slot.mkdir(parents=True)
    (slot / "manifest.json").write_text('{"version": "7.8.9"}')
    (slot.parent / "boot.json").write_text('{"good": "a", "trial": "", "tries_left": 0, "failed": ""}')
    async with ScriptedCsms() as csms, _running(csms) as (station, _):
        boot = await csms.expect("BootNotification")
        assert boot["chargingStation"]["firmwareVersion"] == station.firmware == "7.8.9"


async def test_a_commit_that_waits_does_not_outlive_the_station(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process goes on, and the database is closed."""
    monkeypatch.setattr(service, "_WAIT_S", 60.0)
    async with ScriptedCsms() as csms:
        async with _running(csms) as (station, _):
            station.cabinet.come(1, _UID, 600.0, lambda _outcome: None)
            await eventually(lambda: station.cabinet.charging == 1)
        assert station._service is not None
        waiting = station._service._waiting
        assert waiting is not None
        assert waiting.cancelled()
