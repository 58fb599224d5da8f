# SPDX-License-Identifier: Apache-2.0
"""Processes die, start late or in any order, or are of another release; the station keeps its guarantees."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.rig import Rig, is_alive
from tests.support.scenario import Site, site, within
from tests.support.sockets import eventually

BACK_S = 2.0
"""Time in which the OCPP service is back on an idle machine; tests allow the double."""


AWAY_S = 7.0
"""Longer than a HAL takes to restart."""


class LateRig(Rig):
    """A rig whose processes start when `release` is called."""

    def __init__(self, directory: Path, **how: Any) -> None:
        super().__init__(directory, **how)
        self.program = ["-c", "import sys; from tests.support.late import rig; sys.exit(rig())"]


def release(here: Site, process: str) -> None:
    """Let a process of a `LateRig` start."""
    (here.rig.directory / f"{process}.go").touch()


async def test_service_dies_while_a_car_charges(here: Site) -> None:
    """The car charges on, the service is back within 2 s, and the transaction continues with the next seqNo."""
    transaction_id = await here.charge(1)
    received, since = len(here.csms.received), here.rig.mark
    with within(2 * BACK_S):
        await here.rig.op("process", kill="ocpp")
        await here.csms.until(lambda: len(here.boot_reasons(since=received)) == 1, "BootNotification", timeout=20)
    before = await here.register_wh(1)
    await here.until_evse(1, lambda it: it["energy_wh"] > before + 100 and it["transaction_id"] == transaction_id)
    transaction = await here.stop_with_card(1)
    await here.leave(1)

    transaction.check()
    assert transaction.states == ["Idle", "EVConnected", "Charging", "EVConnected"]
    assert transaction.repeated <= 1
    assert here.boot_reasons(since=received)[0] == "ApplicationReset"
    moved = [each for each in here.rig.client.events[since:] if each["event"] == "contactor"]
    assert [each["contactor"] for each in moved] == ["open"], "the contactor opened before the driver stopped"
    assert here.statuses(1) == ["Available", "Occupied", "Occupied", "Available"]
    assert "StartupOfTheDevice" not in here.security_events(since=received)


async def test_service_dies_around_a_session(here: Site) -> None:
    """Whenever the service dies between the card and the last reading, there is one complete transaction."""
    for count, phase in enumerate(("authorised", "cable_check", "stopping"), start=1):
        since = here.rig.mark
        received = len(here.csms.received)
        await here.plug_in(2)
        assert await here.card(2) == "started"
        if phase == "stopping":
            await here.charging(2, since=received)
            await here.rig.op("press_stop", evse=2)
        await here.rig.wait("phase", since=since, evse=2, phase=phase)
        await here.rig.op("process", kill="ocpp")
        await here.rig.wait("process_restarted", since=since, process="ocpp")
        if phase != "stopping":
            await here.rig.wait("phase", since=since, evse=2, phase="charging")
            await here.settled()
            await here.rig.op("press_stop", evse=2)
        (await here.until_ended(count)).check()
        await here.settled()
        await here.leave(2)
    assert len(here.transactions) == 3


async def test_hal_dies_while_a_car_charges(here: Site) -> None:
    """Contactors open at once, the CSMS is notified of the fault and of the end, and charging works again."""
    transaction_id = await here.charge(2)
    received, since = len(here.csms.received), here.rig.mark
    with within(1.0):
        await here.rig.op("process", kill="hal")
        await here.rig.wait("contactor", since=since, evse=2, contactor="open")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert (transaction.reason, transaction.triggers[-1]) == ("Other", "AbnormalCondition")
    await here.until_status(2, "Occupied", since=received)
    assert here.statuses(1, since=received) == ["Faulted", "Available"]
    assert here.statuses(2, since=received) == ["Faulted", "Occupied"]
    assert transaction.registers[-1] == pytest.approx(await here.register_wh(2), abs=0.01)
    assert await here.card(2) == "started"
    await here.charging(2, since=received)
    (await here.stop_with_card(2)).check()
    await here.leave(2)
    assert len(here.sent("BootNotification")) == 1


async def test_hal_dies_in_each_phase(here: Site) -> None:
    """Killed while idle, plugged in, authorised or in the cable check: the EVSE is free for the next EV driver."""
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
    assert len(here.transactions) == 2
    for transaction in here.transactions:
        transaction.check()


async def test_both_die_at_once(here: Site) -> None:
    """Service and HAL die together, as if memory ran out: the transaction ends properly."""
    transaction_id = await here.charge(1)
    since = here.rig.mark
    await asyncio.gather(here.rig.op("process", kill="hal"), here.rig.op("process", kill="ocpp"))
    await here.rig.wait("contactor", since=since, evse=1, contactor="open")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert transaction.reason == "Other"
    await here.settled()
    await here.plug_out(1)
    await here.free(1)


@pytest.mark.parametrize("first", ["hal", "ocpp"])
async def test_any_order_of_starting(tmp_path: Path, first: str) -> None:
    """The first process waits for the second; the boot reason is right, and both EVSEs are Available."""
    second = {"hal": "ocpp", "ocpp": "hal"}[first]
    async with site(tmp_path, rig=LateRig, accepted=False) as here:
        release(here, first)
        await eventually(lambda: "ready" in here.log(first))
        release(here, second)
        await here.rig.wait("booted")
        await here.settled()
        await here.until_status(2, "Available")
        assert here.boot_reasons() == ["PowerUp"]
        assert here.statuses(1) == here.statuses(2) == ["Available"]


async def test_hal_that_starts_late(tmp_path: Path) -> None:
    """Without the HAL the service starts after 3 s, and reports both EVSEs as Faulted."""
    async with site(tmp_path, rig=LateRig, accepted=False) as here:
        release(here, "ocpp")
        await here.csms.until(lambda: here.statuses(1) == here.statuses(2) == ["Faulted"], "Faulted twice", timeout=20)
        assert "starting without it" in here.log("ocpp")
        request = {"idToken": {"idToken": "AA", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
        assert (await here.csms.call("RequestStartTransaction", request))["status"] == "Rejected"
        release(here, "hal")
        await here.until_status(2, "Available")
        assert await here.card(2) == "started"


async def test_hal_that_stays_away_while_the_csms_is_away(tmp_path: Path) -> None:
    """HAL and CSMS are lost together: the transaction waits for the HAL, and ends with the meter's last register."""
    async with site(tmp_path, rig=LateRig, accepted=False) as here:
        release(here, "hal")
        release(here, "ocpp")
        await here.settled()
        charging = await here.charge(1)
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        (here.rig.directory / "hal.go").unlink()
        since = here.rig.mark
        await here.rig.op("process", kill="hal")
        await here.rig.wait("contactor", since=since, evse=1, contactor="open")
        await asyncio.sleep(AWAY_S)  # the HAL does not come back for so long
        release(here, "hal")
        await here.until_evse(1, lambda it: it["transaction_id"] is None)
        await here.rig.op("network", mode="up")
        transaction = await here.end_of(charging)
        transaction.check()
        assert transaction.triggers[-1] == "AbnormalCondition"
        assert transaction.registers[-1] == pytest.approx(await here.register_wh(1), abs=0.01)


async def test_hal_of_another_release(tmp_path: Path) -> None:
    """The service does not use a HAL of another contract version: Faulted, and the log names the versions."""
    async with site(tmp_path, rig=LateRig, accepted=False, off=True) as here:
        (here.rig.directory / "hal.alien").touch()
        release(here, "ocpp")
        await here.rig.op("power_on")
        await here.csms.until(lambda: here.statuses(1) == ["Faulted"], "Faulted", timeout=20)
        await eventually(lambda: "version" in here.log("ocpp"))
        release(here, "hal")
        await here.until_status(1, "Available")


async def test_orderly_reboot(here: Site) -> None:
    """The board's reset button: the transaction ends with Reboot, and the next boot reason is LocalReset."""
    transaction_id = await here.charge(2)
    received, since = len(here.csms.received), here.rig.mark
    await here.rig.op("reboot")
    await here.rig.wait("booted", since=since, boot_cause="local_reset")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert transaction.reason == "Reboot", transaction.outline
    assert here.boot_reasons(since=received) == ["LocalReset"]
    await here.settled()
    await here.leave(2)
    service = (await here.rig.state())["processes"]["ocpp"]
    await here.rig.op("process", kill="hal")
    await here.rig.wait("process_restarted", process="hal")
    await here.until_evse(2, lambda it: it["status"] == "Available")
    assert (await here.rig.state())["processes"]["ocpp"] == service, "the end of the HAL ended the service as well"


async def test_reset_by_the_csms(here: Site) -> None:
    """Reset Immediate while a car charges: the transaction ends and its end is reported before the board restarts."""
    transaction_id = await here.charge(1)
    received, since = len(here.csms.received), here.rig.mark
    assert (await here.csms.call("Reset", {"type": "Immediate"}))["status"] == "Accepted"
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert (transaction.reason, transaction.triggers[-1]) == ("ImmediateReset", "ResetCommand")
    await here.rig.wait("booted", since=since, boots=2)
    await here.settled()
    assert here.boot_reasons(since=received) == ["RemoteReset"]
    assert transaction.repeated == 0
    await here.leave(1)


async def test_a_stopped_rig_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM while a car charges: all processes end, and the rig exits with 0."""
    async with site(tmp_path) as here:
        await here.charge(1)
        pids = [pid for pid in (await here.rig.state())["processes"].values() if pid is not None]
        assert here.rig.process is not None
        here.rig.process.send_signal(signal.SIGTERM)
        assert await here.rig.process.wait() == 0
        assert [pid for pid in pids if is_alive(pid)] == []
        assert not here.rig.control.exists()
        directory = str(here.rig.directory)
        assert [pid for pid in _all_pids() if _works_in(pid, directory)] == []


def _all_pids() -> list[int]:
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]


def _works_in(pid: int, directory: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd") == directory
    except OSError:
        return False
