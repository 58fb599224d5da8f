# SPDX-License-Identifier: Apache-2.0
"""Measures the station: a rig with both EVSEs charging and metering at 1 Hz.

Times are milliseconds unless a row says otherwise. The station dials the benchmark's CSMS itself, as the floor does: a
rig's simulated network is no part of a station.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from tools.benchmark.backlog import fill
from tools.benchmark.csms import BenchCsms, listening
from tools.benchmark.emergency_stop import emergency_stops
from tools.benchmark.machine import CpuShare, bytes_written, flushes, resident_mb
from tools.benchmark.requests import QUEUED, answer_and_message, common_figures
from tools.benchmark.table import Figures
from tools.benchmark.wire_station import wire_figures
from tools.demo.bench import start_rig
from tools.rig.client import RigClient
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file

__all__ = ["charge_both", "measure_station"]

_CARDS = {1: "04A1B2C3D4E580", 2: "04A1B2C3D4E581"}
_BOOTS = 5
_SAMPLE_S = 60
"""Between two Updated events of a charging EVSE, for the row about flash."""


async def measure_station(folder: Path) -> Figures:
    folder.mkdir(parents=True)
    async with listening() as csms:
        factory = factory_file(csms.url, identity="BENCH", variables=RETRY_AFTER_1_S)
        began = time.monotonic()
        async with start_rig(folder, factory, "--direct") as (_process, rig):
            cold = 1000 * (await csms.wait("BootNotification", after=0) - began)
            figures: Figures = {"boot": [await _service_start(csms, rig) for _ in range(_BOOTS)], "cold": [cold]}
            figures["card"] = await _cards(csms, rig)
            figures |= await _sessions(csms, 30)
            await charge_both(csms, rig)
            figures |= await common_figures(csms, count=2000)
            figures |= await _reports(csms, 10)
            processes = (await rig.state())["processes"]
            cpu = CpuShare([pid for pid in processes.values() if pid is not None])
            await asyncio.sleep(20)  # the row is about charging alone, without requests
            figures["cpu"] = [cpu.percent()]
            figures["flash"] = [await _flash(csms, processes["ocpp"])]
            figures["memory"] = [resident_mb(processes["ocpp"])]
            figures["memory hal"] = [resident_mb(processes["hal"])]
            if processes["commissioning"] is not None:
                figures["memory page"] = [resident_mb(processes["commissioning"])]
            figures["stop power"] = [(await _stop(csms, evse))[1] for evse in (1, 2)]
        rate, grown = await _drain(csms, folder)
        figures |= {"drain": [rate], "drain memory": [grown], "disk flush": flushes(folder, 500)}
    figures["estop"] = await emergency_stops(folder / "estop", 200)
    figures |= await wire_figures(folder / "wire", 60)
    return figures


async def _reports(csms: BenchCsms, count: int) -> Figures:
    """GetBaseReport to its answer, and to the last NotifyReport."""
    found = []
    for number in range(count):
        request = {"requestId": number, "reportBase": "FullInventory"}
        found.append(await answer_and_message(csms, "GetBaseReport", request, "NotifyReport", tbc=False))
    return {"report answer": [answer for answer, _ in found], "report": [last for _, last in found]}


async def _service_start(csms: BenchCsms, rig: RigClient) -> float:
    """The OCPP process alone, from its start to its BootNotification."""
    await rig.subscribe()
    seen, mark = len(csms.seen), rig.mark
    await rig.op("process", kill="ocpp")
    restarted = await rig.wait("process_restarted", since=mark)
    return 1000 * (await csms.wait("BootNotification", after=seen) - float(restarted["t"]))


async def _cards(csms: BenchCsms, rig: RigClient) -> list[float]:
    times = []
    for _ in range(20):
        seen, began = len(csms.seen), time.monotonic()
        await rig.op("present_card", uid=_CARDS[1], evse=1, hold_s=0.1)
        times.append(1000 * (await csms.wait("Authorize", after=seen) - began))
        await csms.wait("TransactionEvent", after=seen)
        await asyncio.sleep(0.3)  # the card leaves the field
        seen = len(csms.seen)
        await rig.op("present_card", uid=_CARDS[1], evse=1, hold_s=0.1)
        await csms.wait("TransactionEvent", after=seen, eventType="Ended")
        await asyncio.sleep(0.3)
    return times


async def _sessions(csms: BenchCsms, count: int) -> Figures:
    """Remote starts and stops in turn, without an Authorize between them, and without a car."""
    await _set(csms, "AuthCtrlr", "AuthorizeRemoteStart", "false")
    figures: Figures = {"start": [], "start answer": [], "stop": [], "stop answer": []}
    for number in range(count):
        answer, started = await _remote_start(csms, 1, number)
        figures["start answer"].append(answer)
        figures["start"].append(started)
        answer, ended = await _stop(csms, 1)
        figures["stop answer"].append(answer)
        figures["stop"].append(ended)
    return figures


async def _remote_start(csms: BenchCsms, evse: int, number: int) -> tuple[float, float]:
    request = {"idToken": {"idToken": _CARDS[evse], "type": "ISO14443"}, "remoteStartId": number, "evseId": evse}
    return await answer_and_message(csms, "RequestStartTransaction", request, "TransactionEvent", eventType="Started")


async def _stop(csms: BenchCsms, evse: int) -> tuple[float, float]:
    started = next(
        p for _, a, p in reversed(csms.seen) if a == "TransactionEvent" and p.get("evse", {}).get("id") == evse
    )
    request = {"transactionId": started["transactionInfo"]["transactionId"]}
    return await answer_and_message(csms, "RequestStopTransaction", request, "TransactionEvent", eventType="Ended")


async def charge_both(csms: BenchCsms, rig: RigClient) -> None:
    for evse in (1, 2):
        await _remote_start(csms, evse, 1000 + evse)
        await rig.op("plug_in", evse=evse)
    for evse in (1, 2):
        await rig.until(partial(_is_charging, evse), timeout_s=60)


def _is_charging(evse: int, state: dict[str, Any]) -> bool:
    return any(found["evse"] == evse and found["phase"] == "charging" for found in state["evses"])


async def _flash(csms: BenchCsms, pid: int) -> float:
    """MB that the service writes in a day with both EVSEs charging, from what a few events cost it."""
    await _set(csms, "SampledDataCtrlr", "TxUpdatedInterval", "1")
    await csms.count(len(csms.seen) + 2)
    seen, written = len(csms.seen), bytes_written(pid)
    await csms.count(seen + 40)
    each = (bytes_written(pid) - written) / (len(csms.seen) - seen)
    await _set(csms, "SampledDataCtrlr", "TxUpdatedInterval", str(_SAMPLE_S))
    return each * 2 * 86400 / _SAMPLE_S / 1e6


async def _set(csms: BenchCsms, component: str, variable: str, value: str) -> None:
    row = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    await csms.call("SetVariables", {"setVariableData": [row]})


async def _drain(csms: BenchCsms, folder: Path) -> tuple[float, float]:
    """10,000 queued TransactionEvents to the last one at the CSMS: messages a second, and how many MB they cost."""
    station = folder / "rig"
    fill(station / "data" / "station.db", QUEUED)
    seen = len(csms.seen)
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ocpp", "--config", "etc/ocpp.toml", cwd=station
    )
    try:
        await csms.wait("TransactionEvent", after=seen, seqNo=QUEUED // 100)
        before = resident_mb(service.pid)
        await csms.wait("TransactionEvent", after=seen, within=180, seqNo=QUEUED - 1)
        grown = resident_mb(service.pid) - before
    finally:
        service.terminate()
        await service.wait()
    events = [(at, payload["seqNo"]) for at, action, payload in csms.seen[seen:] if action == "TransactionEvent"]
    if [number for _, number in events[:QUEUED]] != list(range(QUEUED)):
        raise RuntimeError("the backlog was not delivered whole and in order")
    return (QUEUED - 1) / (events[QUEUED - 1][0] - events[0][0]), grown
