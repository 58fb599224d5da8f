# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, or that damages the database, in the middle of a session."""

from __future__ import annotations

import shutil

import pytest

from tests.support.scenario import Site


def kinds(here: Site, *, since: int = 0) -> list[str]:
    return [each["type"] for each in here.sent("SecurityEventNotification", since=since)]


async def test_full_disk_during_a_session(here: Site) -> None:
    """The session goes on and ends as if nothing were; once there is room again, even a power cut loses nothing."""
    before = (await here.rig.evse(1))["energy_wh"]
    transaction = await here.charge(1)
    await here.rig.op("storage", full=True)
    story = here.story(transaction)
    count = len(story.events)
    await here.csms.until(lambda: len(here.story(transaction).events) >= count + 2, "events while full", timeout=20)
    await here.csms.until(lambda: "MemoryExhaustion" in kinds(here), "a security event", timeout=20)
    story = await here.stop_with_card(1)
    story.check()
    assert story.energy_wh == pytest.approx((await here.rig.evse(1))["energy_wh"] - before, abs=0.01)
    await here.leave(1)
    second = await here.charge(2)
    await here.rig.op("storage", full=False)
    count = len(here.story(second).events)
    await here.csms.until(lambda: "on the disk again" in here.log("ocpp"), "recovery", timeout=20)
    await here.rig.op("power_cycle")
    story = await here.end_of(second)
    story.check()
    assert story.reason == "PowerLoss"
    assert len(story.events) > count
    assert story.repeated <= 1
    await here.settled()
    assert len(here.stories) == 2


async def test_power_cut_with_a_full_disk(here: Site) -> None:
    """Full, and then the power goes: what the disk had taken before is all there, and the station serves.

    What was told to the CSMS while the disk took nothing is forgotten, so the end comes under a number that it knows:
    the price of serving with a full disk.
    """
    transaction = await here.charge(2)
    await here.rig.op("storage", full=True)
    count = len(here.story(transaction).events)
    await here.csms.until(lambda: len(here.story(transaction).events) > count, "an event while full", timeout=20)
    await here.rig.op("power_off")
    await here.rig.op("storage", full=False)
    await here.rig.op("power_on")
    story = await here.end_of(transaction)
    ends = [each for each in (*story.events, *story.conflicts) if each["eventType"] == "Ended"]
    assert [each["transactionInfo"]["stoppedReason"] for each in ends] == ["PowerLoss"]
    assert ends[0]["seqNo"] <= len(story.events)
    assert ends[0]["meterValue"][-1]["sampledValue"][0]["value"] >= max(story.registers)
    assert len(story.conflicts) <= 1
    await here.settled()
    await here.leave(2)


@pytest.mark.parametrize("then", ["killed", "power"])
async def test_damaged_database(here: Site, then: str) -> None:
    """Set aside and reported; the station serves, and the transaction that was open is not told twice.

    Whether its end can still be told depends on what the damage left: here nothing is left, and the CSMS will have
    to close it. No event may come again under a number that it had.
    """
    transaction = await here.charge(1)
    heard, since = len(here.csms.received), here.rig.mark
    await here.rig.op("storage", corrupt="database")
    if then == "power":
        await here.rig.op("power_cycle")
    else:
        await here.rig.op("process", kill="ocpp")
        await here.rig.wait("process_restarted", since=since, process="ocpp")
    await here.csms.until(lambda: bool(here.sent("BootNotification", since=heard)), "BootNotification", timeout=20)
    await here.csms.until(lambda: "DatabaseReplaced" in kinds(here, since=heard), "a security event", timeout=20)
    damaged = [file.name for file in (here.rig.directory / "data").iterdir() if ".damaged-" in file.name]
    assert damaged
    assert "damaged" in here.log("ocpp")
    await here.settled()
    here.story(transaction).check(ended=False)
    assert here.story(transaction).repeated <= 1
    await here.until_evse(1, lambda it: it["contactor"] == "open")
    await here.plug_out(1)
    await here.free(1)
    assert await here.card(1) == "started"
    await here.csms.until(lambda: here.stories[-1].id != transaction, "another transaction")


async def test_factory_settings_outlive_the_database(here: Site) -> None:
    """Identity, password and CSMS are known again after the database is gone: no installer has to come."""
    await here.rig.op("power_off")
    shutil.rmtree(here.rig.directory / "data")
    (here.rig.directory / "data").mkdir()
    await here.rig.op("power_on")
    await here.settled()
    assert [each.path.rsplit("/", 1)[1] for each in here.csms.handshakes] == ["CP001", "CP001"]
    assert here.csms.handshakes[0].headers["authorization"] == here.csms.handshakes[1].headers["authorization"]
