# SPDX-License-Identifier: Apache-2.0
"""During a session the disk is full, or the database is damaged."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.scenario import Site
from tests.support.sockets import eventually


async def test_full_disk_during_a_session(here: Site) -> None:
    """The session continues and ends as usual; once there is space again, even a power cut loses no event."""
    before = await here.register_wh(1)
    transaction_id = await here.charge(1)
    await here.rig.op("storage", full=True)
    await here.until_more_events(transaction_id, 2)
    await here.csms.until(lambda: "MemoryExhaustion" in here.security_events(), "a security event", timeout=20)
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.energy_wh == pytest.approx(await here.register_wh(1) - before, abs=0.01)
    await here.leave(1)
    second = await here.charge(2)
    await here.rig.op("storage", full=False)
    count = len(here.transaction(second).events)
    await here.csms.until(lambda: "on the disk again" in here.log("ocpp"), "recovery", timeout=20)
    await here.rig.op("power_cycle")
    transaction = await here.end_of(second)
    transaction.check()
    assert transaction.reason == "PowerLoss"
    assert len(transaction.events) > count
    assert transaction.repeated <= 1
    await here.settled()
    assert len(here.transactions) == 2


async def test_an_answered_message_leaves_the_disk(here: Site, tmp_path: Path) -> None:
    """Even if nothing else happens that has to be committed."""
    await here.charge(1)
    (await here.stop_with_card(1)).check()
    await here.settled()
    await eventually(lambda: _queued_on_disk(here.rig.directory / "data", tmp_path / "copy") == 0)


def _queued_on_disk(data: Path, copy: Path) -> int:
    """The messages in the files of the running station."""
    copy.mkdir(exist_ok=True)
    for name in ("station.db", "station.db-wal"):
        shutil.copy(data / name, copy / name)
    with closing(sqlite3.connect(copy / "station.db")) as database:
        return int(database.execute("SELECT count(*) FROM outbox").fetchone()[0])


async def test_power_cut_with_a_full_disk(here: Site) -> None:
    """The disk is full and the power fails: everything stored before is there, and the transaction ends.

    Events sent while the disk was full are not stored, so the last event may repeat one of their seqNo: the price of
    continuing to charge with a full disk.
    """
    transaction_id = await here.charge(2)
    await here.rig.op("storage", full=True)
    await here.until_more_events(transaction_id)
    await here.rig.op("power_off")
    await here.rig.op("storage", full=False)
    await here.rig.op("power_on")
    transaction = await here.end_of(transaction_id)
    ends = [each for each in (*transaction.events, *transaction.conflicts) if each["eventType"] == "Ended"]
    assert [each["transactionInfo"]["stoppedReason"] for each in ends] == ["PowerLoss"]
    assert ends[0]["seqNo"] <= len(transaction.events)
    assert ends[0]["meterValue"][-1]["sampledValue"][0]["value"] >= max(transaction.registers)
    assert len(transaction.conflicts) <= 1
    await here.settled()
    await here.leave(2)


@pytest.mark.parametrize("then", ["killed", "power"])
async def test_damaged_database(here: Site, then: str) -> None:
    """The database is moved aside and reported; the next transaction starts, and no event of the last one conflicts.

    Whether the end of the running transaction is reported depends on what is left of the database: here nothing, so
    the CSMS has to close the transaction. No other event may have a seqNo that was used before.
    """
    transaction_id = await here.charge(1)
    received, since = len(here.csms.received), here.rig.mark
    await here.rig.op("storage", corrupt="database")
    if then == "power":
        await here.rig.op("power_cycle")
    else:
        await here.rig.op("process", kill="ocpp")
        await here.rig.wait("process_restarted", since=since, process="ocpp")
    await here.csms.until(lambda: bool(here.sent("BootNotification", since=received)), "BootNotification", timeout=20)
    await here.csms.until(lambda: "DatabaseReplaced" in here.security_events(since=received), "the event", timeout=20)
    damaged = [file.name for file in (here.rig.directory / "data").iterdir() if ".damaged-" in file.name]
    assert damaged
    assert "damaged" in here.log("ocpp")
    await here.settled()
    here.transaction(transaction_id).check(ended=False)
    assert here.transaction(transaction_id).repeated <= 1
    await here.until_evse(1, lambda it: it["contactor"] == "open")
    await here.plug_out(1)
    await here.free(1)
    assert await here.card(1) == "started"
    await here.until_another(transaction_id)


async def test_factory_settings_outlive_the_database(here: Site) -> None:
    """Without its database the station uses the identity, password and CSMS of the factory settings."""
    await here.rig.op("power_off")
    shutil.rmtree(here.rig.directory / "data")
    (here.rig.directory / "data").mkdir()
    await here.rig.op("power_on")
    await here.settled()
    assert [each.path.rsplit("/", 1)[1] for each in here.csms.handshakes] == ["CP001", "CP001"]
    assert here.csms.handshakes[0].headers["authorization"] == here.csms.handshakes[1].headers["authorization"]
