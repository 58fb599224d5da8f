# SPDX-License-Identifier: Apache-2.0
"""The rig with the real HAL, and `permit_all` in place of the OCPP service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.rig import ROOT, Rig, is_alive
from tests.support.sockets import eventually
from tools.rig.client import RigClient, RigRefused

pytestmark = pytest.mark.slow

STATE_KEYS = {
    "powered",
    "boots",
    "identity",
    "firmware_version",
    "ocpp",
    "evses",
    "screens",
    "links",
    "commissioning",
    "label",
    "processes",
    "message_log",
}
EVSE_KEYS = {
    "evse",
    "connector",
    "availability",
    "status",
    "phase",
    "selected",
    "plugged",
    "locked",
    "contactor",
    "voltage_v",
    "current_a",
    "power_kw",
    "energy_wh",
    "soc_percent",
    "offered_kw",
    "transaction_id",
    "charging_state",
    "id_token",
    "faults",
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(tmp_path / "cp", stand_in=True, off=True) as rig:
        await rig.op("power_on")  # not before somebody listens: a quick boot is over by then
        await rig.wait("booted")
        yield rig


async def refused(rig: Rig, name: str, **fields: Any) -> str:
    """The code with which an operation is refused."""
    with pytest.raises(RigRefused) as caught:
        await rig.op(name, **fields)
    return caught.value.code


async def charge(rig: Rig, evse: int = 1) -> None:
    since = rig.mark
    await rig.op("plug_in", evse=evse)
    await rig.wait("phase", since=since, evse=evse, phase="charging")


async def test_snapshot_has_every_field_of_the_contract(rig: Rig) -> None:
    state = await rig.state()
    assert state.keys() >= STATE_KEYS
    assert [each["evse"] for each in state["evses"]] == [1, 2]
    for each in state["evses"]:
        assert each.keys() >= EVSE_KEYS
        assert (each["phase"], each["plugged"], each["contactor"], each["soc_percent"]) == ("idle", False, "open", None)
    assert (state["powered"], state["boots"], state["identity"]) == (True, 1, "CP001")
    assert state["firmware_version"] == "9.9.9"
    assert state["ocpp"]["registration"] == "Accepted"
    assert state["links"] == {"Wired0": "up", "Wireless0": "up"}
    assert state["processes"].keys() == {"hal", "ocpp", "commissioning"}
    assert rig.process is not None
    assert rig.ready.decode() == f'{{"rig":"ready","control":"{rig.control}","pid":{rig.process.pid}}}\n'


async def test_car_charges_within_seconds_and_leaves(rig: Rig) -> None:
    await charge(rig)
    phases = [each["phase"] for each in rig.client.events if each["event"] == "phase" and each["evse"] == 1]
    assert phases == ["plugged", "authorised", "cable_check", "precharge", "charging"]
    assert await refused(rig, "plug_out", evse=1) == "refused"
    state = await rig.client.until(lambda state: state["evses"][0]["current_a"] > 20)
    evse = state["evses"][0]
    assert (evse["plugged"], evse["locked"], evse["contactor"]) == (True, True, "closed")
    assert evse["power_kw"] == pytest.approx(evse["voltage_v"] * evse["current_a"] / 1000, rel=0.01)
    assert evse["soc_percent"] >= 20
    await rig.op("present_card", uid="04a1b2c3")
    assert (await rig.wait("card"))["uid"] == "04A1B2C3"
    await rig.wait("phase", evse=1, phase="finished")
    await rig.wait("contactor", evse=1, contactor="open")
    before = (await rig.evse(1))["energy_wh"]
    assert before > 0
    await rig.op("plug_out", evse=1)
    await rig.wait("phase", evse=1, phase="idle")
    assert (await rig.evse(1))["energy_wh"] == before


async def test_plug_has_moved_when_the_operation_is_answered(rig: Rig) -> None:
    await charge(rig)
    await rig.op("plug_out", evse=1, force=True)
    out = await rig.evse(1)
    assert (out["plugged"], out["locked"], out["soc_percent"]) == (False, False, None)
    await rig.op("plug_in", evse=1)
    assert (await rig.evse(1))["plugged"]


async def test_time_of_events_never_goes_back(rig: Rig) -> None:
    await charge(rig)
    await rig.op("present_card", uid="04A1B2C3")
    await rig.wait("phase", evse=1, phase="finished")
    times = [each["t"] for each in rig.client.events]
    assert times == sorted(times)


async def test_refusals_have_their_codes(rig: Rig) -> None:
    assert await refused(rig, "power_on") == "refused"
    assert await refused(rig, "plug_out", evse=1) == "refused"
    assert await refused(rig, "car", evse=1, ready=True) == "refused"
    assert await refused(rig, "select_evse", evse=3) == "bad_request"
    assert await refused(rig, "network", mode="down", interface="Wired3") == "unsupported"
    assert await refused(rig, "storage", corrupt="database") == "refused"
    await rig.op("power_off")
    for name, fields in (
        ("power_off", {}),
        ("power_cycle", {}),
        ("reboot", {}),
        ("select_evse", {"evse": 1}),
        ("present_card", {"uid": "AABB"}),
        ("press_stop", {"evse": 1}),
        ("process", {"kill": "hal"}),
    ):
        assert await refused(rig, name, **fields) == "powered_off"


async def test_power_cut_kills_all_and_the_next_boot_counts(rig: Rig) -> None:
    await charge(rig)
    pids = (await rig.state())["processes"]
    since = rig.mark
    await rig.op("power_off")
    state = await rig.state()
    assert (state["powered"], state["evses"][0]["transaction_id"], state["evses"][0]["plugged"]) == (False, None, True)
    assert {each["page"] for each in state["screens"]} == {"off"}
    await eventually(lambda: not any(is_alive(pids[name]) for name in ("hal", "ocpp")))
    await rig.wait("contactor", since=since, evse=1, contactor="open")
    energy = (await rig.evse(1))["energy_wh"]
    await rig.op("power_on")
    booted = await rig.wait("booted", since=since)
    assert (booted["boots"], booted["boot_cause"]) == (2, "power_up")
    await rig.wait("phase", since=since, evse=1, phase="charging")
    assert (await rig.evse(1))["energy_wh"] >= energy


async def test_power_cycle_and_reboot(rig: Rig) -> None:
    since = rig.mark
    await rig.op("power_cycle", off_s=0.05)
    assert (await rig.wait("powered", since=since))["powered"] is False
    await rig.wait("booted", since=since, boots=2, boot_cause="power_up")
    await rig.op("reboot")
    await rig.wait("booted", since=since, boots=3, boot_cause="local_reset")
    assert (await rig.state())["boots"] == 3


@pytest.mark.parametrize("process", ["hal", "ocpp"])
async def test_killed_process_comes_back(rig: Rig, process: str) -> None:
    pid = (await rig.state())["processes"][process]
    await rig.op("process", kill=process)
    await rig.wait("process_restarted", process=process)
    state = await rig.client.until(lambda state: state["processes"][process] not in (None, pid))
    assert state["boots"] == 1


async def test_hal_that_dies_opens_contactors_and_the_car_stays(rig: Rig) -> None:
    await charge(rig, 2)
    since = rig.mark
    await rig.op("process", kill="hal")
    await rig.wait("contactor", since=since, evse=2, contactor="open")
    state = await rig.state()
    assert state["evses"][1]["soc_percent"] is not None
    await rig.wait("phase", since=since, evse=2, phase="charging")


async def test_emergency_stop_is_seen_and_cleared(rig: Rig) -> None:
    await charge(rig)
    since = rig.mark
    await rig.op("fault", code="emergency_stop")
    await rig.wait("fault", since=since, code="emergency_stop")
    await rig.wait("contactor", since=since, evse=1, contactor="open")
    await rig.client.until(lambda state: state["faults"] == ["emergency_stop"])
    await rig.op("clear_fault", code="emergency_stop")
    await rig.wait("fault_cleared", since=since, code="emergency_stop")


FAULTS = [
    "ground_fault",
    "isolation",
    "over_temperature",
    "over_current",
    "over_voltage",
    "under_voltage",
    "contactor_welded",
    "contactor_failed",
    "pilot",
    "proximity",
    "connector_lock",
    "power_module",
    "vehicle_link",
    "screen",
]


async def test_every_fault_of_an_evse_is_raised_and_cleared(rig: Rig) -> None:
    await rig.op("meter", evse=1, failed=True)
    await rig.op("clear_fault", code="meter", evse=2)  # EVSE 1 keeps its fault
    for code in FAULTS:
        await rig.op("fault", code=code, evse=2)
    await rig.client.until(lambda state: set(state["evses"][1]["faults"]) >= set(FAULTS))
    await rig.client.until(lambda state: state["evses"][0]["faults"] == ["meter"])
    await rig.op("meter", evse=1, failed=False)
    for code in FAULTS:
        await rig.op("clear_fault", code=code, evse=2)
    await rig.client.until(lambda state: state["evses"][1]["faults"] == [])
    assert (await rig.evse(1))["faults"] == []


async def test_meter_and_clock_outlive_the_rig(tmp_path: Path) -> None:
    async with Rig(tmp_path / "cp", stand_in=True, off=True) as rig:
        assert not (await rig.state())["powered"]
        assert (await rig.state())["processes"]["hal"] is None
        await rig.op("meter", evse=2, energy_wh=4321.5)
        await rig.op("clock", offset_s=-86400)
        serial = (await rig.state())["label"]["serial_number"]
    async with Rig(tmp_path / "cp", stand_in=True) as rig:
        await rig.wait("booted")
        state = await rig.state()
        assert state["evses"][1]["energy_wh"] == 4321.5
        assert state["label"]["serial_number"] == serial
        assert state["boots"] == 1
    assert json.loads((tmp_path / "cp" / "world.json").read_text())["clock_offset_s"] == -86400


async def test_killed_rig_leaves_no_process_and_can_be_started_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "cp", stand_in=True)
    await rig.start()
    await rig.wait("booted")
    await charge(rig)
    await rig.client.until(lambda state: state["evses"][0]["energy_wh"] > 5)
    state = await rig.state()
    await rig.kill()
    await eventually(lambda: not any(is_alive(state["processes"][name]) for name in ("hal", "ocpp")))
    async with Rig(tmp_path / "cp", stand_in=True) as again:
        await again.wait("booted", boots=2)
        assert (await again.evse(1))["energy_wh"] >= state["evses"][0]["energy_wh"]


async def test_two_rigs_at_deep_paths(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("d" * 50 for _ in range(4)))
    deep.mkdir(parents=True)
    async with Rig(deep / "a", stand_in=True) as one, Rig(deep / "b", stand_in=True) as two:
        await one.wait("booted")
        await two.wait("booted")
        await one.op("plug_in", evse=1)
        await one.wait("phase", evse=1, phase="plugged")
        assert (await two.evse(1))["phase"] == "idle"


async def test_every_operation_is_answered_under_load(rig: Rig) -> None:
    """Many connections, some with garbage, and reboots: each request gets its answer, and the rig survives."""

    async def hammer(number: int) -> None:
        async with await RigClient.connect(rig.control) as client:
            for count in range(20):
                with contextlib.suppress(RigRefused):
                    await client.op(["state", "reboot", "plug_in", "plug_out", "nope"][(number + count) % 5], evse=1)

    async def garbage() -> None:
        reader, writer = await asyncio.open_unix_connection(str(rig.control))
        writer.write(os.urandom(70_000).replace(b"\n", b""))
        assert json.loads(await reader.readline())["error"] == "bad_request"
        writer.write(b'\n{"id": 1.0, "op": "state", "more": 1}\n')
        answer = json.loads(await reader.readline())
        assert (answer["id"], answer["error"]) == (1.0, "bad_request")
        writer.close()

    await asyncio.gather(*(hammer(number) for number in range(8)), garbage(), garbage())
    assert (await rig.state())["powered"]


async def test_interrupt_ends_all_processes_with_0(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "cp", stand_in=True)
    await rig.start()
    await rig.wait("booted")
    pids = (await rig.state())["processes"]
    assert rig.process is not None
    rig.process.send_signal(signal.SIGINT)
    assert await rig.process.wait() == 0
    assert not any(is_alive(pids[name]) for name in ("hal", "ocpp"))
    assert not rig.control.exists()
    await rig.client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_is_orderly_during_the_start(tmp_path: Path, number: signal.Signals) -> None:
    up = [sys.executable, "-m", "tools.rig", "up", "--state", str(tmp_path / "cp")]
    with (tmp_path / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*up, cwd=ROOT, stdout=output, stderr=output)
    await eventually((tmp_path / "cp" / "control.sock").exists)
    process.send_signal(number)
    assert await process.wait() == 0
    assert not (tmp_path / "cp" / "control.sock").exists()
    assert "Traceback" not in (tmp_path / "output").read_text()


async def test_standard_output_may_be_closed(tmp_path: Path) -> None:
    up = f'exec "$0" -m tools.rig up --off --state "{tmp_path / "cp"}" >&-'
    process = await asyncio.create_subprocess_exec("sh", "-c", up, sys.executable, cwd=ROOT)
    await eventually((tmp_path / "cp" / "control.sock").exists)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
