# SPDX-License-Identifier: Apache-2.0
"""Processes die, come late, come in any order, or are of another release: the station's promises hold."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.rig import Rig
from tests.support.scenario import Site, site
from tests.support.sockets import eventually

BACK_S = 2.0
"""How soon the OCPP service is back (design, promises); measured on an idle machine, so tests allow the double."""


class LateRig(Rig):
    """A rig whose processes begin only when `release` is called; `alien`: a HAL of another version is there first."""

    def __init__(self, directory: Path, **how: Any) -> None:
        super().__init__(directory, **how)
        self._program = ["-c", "import sys; from tests.support.late import rig; sys.exit(rig())"]

    def release(self, name: str) -> None:
        (self.directory / f"{name}.go").touch()


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_service_dies_while_a_car_charges(here: Site) -> None:
    """The car notices nothing, the service is back within 2 s, and the transaction goes on with the next seqNo."""
    transaction = await here.charge(1)
    heard, since = len(here.csms.received), here.rig.mark
    asked = asyncio.get_running_loop().time()
    await here.rig.op("process", kill="ocpp")
    await here.csms.until(lambda: len(here.sent("BootNotification", since=heard)) == 1, "BootNotification", timeout=20)
    away = asyncio.get_running_loop().time() - asked
    assert away < 2 * BACK_S
    before = (await here.rig.evse(1))["energy_wh"]
    await here.until_evse(1, lambda it: it["energy_wh"] > before + 100 and it["transaction_id"] == transaction)
    story = await here.stop_with_card(1)
    await here.leave(1)

    story.check()
    assert story.states == ["Idle", "EVConnected", "Charging", "EVConnected"]
    assert story.repeated <= 1
    assert here.sent("BootNotification", since=heard)[0]["reason"] == "ApplicationReset"
    moved = [each for each in here.rig.client.events[since:] if each["event"] == "contactor"]
    assert [each["contactor"] for each in moved] == ["open"], "the contactor opened before the driver stopped"
    assert here.statuses(1) == ["Available", "Occupied", "Occupied", "Available"]
    assert "StartupOfTheDevice" not in [each["type"] for each in here.sent("SecurityEventNotification", since=heard)]


async def test_service_dies_around_a_session(here: Site) -> None:
    """From the card to the last reading: wherever the service dies, there is one whole transaction in the end."""
    for phase in ("authorised", "cable_check", "stopping"):
        since = here.rig.mark
        heard = len(here.csms.received)
        await here.plug_in(2)
        assert await here.card(2) == "started"
        if phase == "stopping":
            await here.charging(2, since=heard)
            await here.rig.op("press_stop", evse=2)
        await here.rig.wait("phase", since=since, evse=2, phase=phase)
        await here.rig.op("process", kill="ocpp")
        await here.rig.wait("process_restarted", since=since, process="ocpp")
        if phase != "stopping":
            await here.rig.wait("phase", since=since, evse=2, phase="charging")
            await here.settled()
            await here.rig.op("press_stop", evse=2)
        await here.csms.until(lambda: here.stories[-1].ended, f"the end, killed in {phase}", timeout=20)
        here.stories[-1].check()
        await here.settled()
        await here.leave(2)
    assert len(here.stories) == 3


async def test_hal_dies_while_a_car_charges(here: Site) -> None:
    """Contactors open at once, the CSMS hears of a fault and of the transaction's end, and charging works again."""
    transaction = await here.charge(2)
    heard, since = len(here.csms.received), here.rig.mark
    asked = asyncio.get_running_loop().time()
    await here.rig.op("process", kill="hal")
    await here.rig.wait("contactor", since=since, evse=2, contactor="open")
    assert asyncio.get_running_loop().time() - asked < 1.0
    story = await here.end_of(transaction)
    story.check()
    assert (story.reason, story.triggers[-1]) == ("Other", "AbnormalCondition")
    await here.csms.until(lambda: here.statuses(2, since=heard)[-1:] == ["Occupied"], "Occupied", timeout=20)
    assert here.statuses(1, since=heard) == ["Faulted", "Available"]
    assert here.statuses(2, since=heard) == ["Faulted", "Occupied"]
    register = (await here.rig.evse(2))["energy_wh"]
    assert story.registers[-1] == pytest.approx(register, abs=0.01)
    assert await here.card(2) == "started"
    await here.charging(2, since=heard)
    (await here.stop_with_card(2)).check()
    await here.leave(2)
    assert len(here.sent("BootNotification")) == 1


async def test_hal_dies_again_and_again(here: Site) -> None:
    """A HAL that is killed at idle, while plugging in and while a card waits leaves a station that serves."""
    for moment in ("idle", "plugged", "authorised", "cable_check"):
        since = here.rig.mark
        if moment in ("authorised", "cable_check"):
            assert await here.card(1) == "started"
        if moment != "idle":
            await here.plug_in(1)
            await here.rig.wait("phase", since=since, evse=1, phase=moment)
        await here.rig.op("process", kill="hal")
        await here.rig.wait("process_restarted", since=since, process="hal")
        await here.rig.client.until(lambda state: all(each["status"] != "Faulted" for each in state["evses"]))
        if moment == "idle":
            continue
        if (await here.rig.evse(1))["transaction_id"] is not None:
            await here.rig.op("press_stop", evse=1)
        await here.until_evse(1, lambda it: it["transaction_id"] is None and it["contactor"] == "open")
        await here.plug_out(1)
        await here.free(1)
    assert len(here.stories) == 2
    for story in here.stories:
        story.check()


async def test_both_die_at_once(here: Site) -> None:
    """Service and HAL die together, as with a kernel that runs out of memory; the transaction is closed properly."""
    transaction = await here.charge(1)
    since = here.rig.mark
    await asyncio.gather(here.rig.op("process", kill="hal"), here.rig.op("process", kill="ocpp"))
    await here.rig.wait("contactor", since=since, evse=1, contactor="open")
    story = await here.end_of(transaction)
    story.check()
    assert story.reason == "Other"
    await here.settled()
    await here.plug_out(1)
    await here.free(1)


@pytest.mark.parametrize("first", ["hal", "ocpp"])
async def test_any_order_of_starting(tmp_path: Path, first: str) -> None:
    """Whoever comes first waits for the other; the boot is told as what it was, and both outlets are free."""
    second = {"hal": "ocpp", "ocpp": "hal"}[first]
    async with site(tmp_path, rig=LateRig, accepted=False) as here:
        assert isinstance(here.rig, LateRig)
        here.rig.release(first)
        await eventually(lambda: "ready" in here.log(first))
        here.rig.release(second)
        await here.rig.wait("booted")
        await here.settled()
        await here.csms.until(lambda: here.statuses(2)[-1:] == ["Available"], "Available")
        assert [each["reason"] for each in here.sent("BootNotification")] == ["PowerUp"]
        assert here.statuses(1) == here.statuses(2) == ["Available"]


async def test_hal_that_is_absent_for_long(tmp_path: Path) -> None:
    """Without its HAL the service starts after 3 s all the same, and says that the outlets are faulted."""
    async with site(tmp_path, rig=LateRig, accepted=False) as here:
        assert isinstance(here.rig, LateRig)
        here.rig.release("ocpp")
        await here.csms.until(lambda: here.statuses(1) == here.statuses(2) == ["Faulted"], "Faulted twice", timeout=20)
        assert "starting without it" in here.log("ocpp")
        asked = {"idToken": {"idToken": "AA", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
        assert (await here.csms.call("RequestStartTransaction", asked))["status"] == "Rejected"
        here.rig.release("hal")
        await here.csms.until(lambda: here.statuses(2)[-1] == "Available", "Available", timeout=20)
        assert await here.card(2) == "started"


async def test_hal_of_another_release(tmp_path: Path) -> None:
    """A HAL that speaks another version is not talked to: Faulted, and a log that names both versions."""
    async with site(tmp_path, rig=LateRig, accepted=False, off=True) as here:
        assert isinstance(here.rig, LateRig)
        (here.rig.directory / "hal.alien").touch()
        here.rig.release("ocpp")
        await here.rig.op("power_on")
        await here.csms.until(lambda: here.statuses(1) == ["Faulted"], "Faulted", timeout=20)
        await eventually(lambda: "version" in here.log("ocpp"))
        here.rig.release("hal")
        await here.csms.until(lambda: here.statuses(1)[-1] == "Available", "Available", timeout=20)


async def test_orderly_reboot(here: Site) -> None:
    """The board's reset button: the transaction ends with Reboot, and the next boot is a LocalReset."""
    transaction = await here.charge(2)
    heard, since = len(here.csms.received), here.rig.mark
    await here.rig.op("reboot")
    await here.rig.wait("booted", since=since, boot_cause="local_reset")
    story = await here.end_of(transaction)
    story.check()
    assert story.reason == "Reboot", story.outline
    assert [each["reason"] for each in here.sent("BootNotification", since=heard)] == ["LocalReset"]
    await here.settled()
    await here.leave(2)
    service = (await here.rig.state())["processes"]["ocpp"]
    await here.rig.op("process", kill="hal")
    await here.rig.wait("process_restarted", process="hal")
    await here.until_evse(2, lambda it: it["status"] == "Available")
    assert (await here.rig.state())["processes"]["ocpp"] == service, "one process took another with it"


async def test_reset_by_the_csms(here: Site) -> None:
    """Reset Immediate while a car charges: the transaction ends and is told before the board restarts."""
    transaction = await here.charge(1)
    heard, since = len(here.csms.received), here.rig.mark
    assert (await here.csms.call("Reset", {"type": "Immediate"}))["status"] == "Accepted"
    story = await here.end_of(transaction)
    story.check()
    assert (story.reason, story.triggers[-1]) == ("ImmediateReset", "ResetCommand")
    await here.rig.wait("booted", since=since, boots=2)
    await here.settled()
    assert [each["reason"] for each in here.sent("BootNotification", since=heard)] == ["RemoteReset"]
    assert story.repeated == 0
    await here.leave(1)


async def test_end_of_a_rig_leaves_nothing_behind(tmp_path: Path) -> None:
    """A rig that is told to end while a car charges opens the contactor, ends every process, and exits with 0."""
    async with site(tmp_path) as here:
        await here.charge(1)
        pids = [pid for pid in (await here.rig.state())["processes"].values() if pid is not None]
        assert here.rig.process is not None
        here.rig.process.send_signal(signal.SIGTERM)
        assert await here.rig.process.wait() == 0
        assert [pid for pid in pids if alive(pid)] == []
        assert not here.rig.control.exists()
        ours = str(here.rig.directory)
        assert [pid for pid in _all_pids() if _lives_in(pid, ours)] == []


def _all_pids() -> list[int]:
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]


def _lives_in(pid: int, directory: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd") == directory
    except OSError:
        return False
