# SPDX-License-Identifier: Apache-2.0
"""`make benchmark`: how fast and how large the station is, beside a floor measured in the same run.

The station is a whole rig (HAL, OCPP service, simulated hardware) with both EVSEs charging and metering at 1 Hz; the
floor is a bare `websockets` client that answers canned text. Times are milliseconds unless a row says otherwise. The
queue is drained by the service alone, over a line of its own as the floor's is: a rig's simulated network is no part of
a station. All other rows are measured through it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tools.benchmark.csms import BenchCsms, listening
from tools.benchmark.emergency_stop import emergency_stops
from tools.demo.bench import start_rig
from tools.rig.client import RigClient
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file

_CARDS = {1: "04A1B2C3D4E580", 2: "04A1B2C3D4E581"}
_QUEUED = 10_000
_SAMPLE_S = 60
"""Between two Updated events of a charging EVSE, for the row about flash."""
_TWELVE = [
    ("OCPPCommCtrlr", "HeartbeatInterval"),
    ("OCPPCommCtrlr", "OfflineThreshold"),
    ("OCPPCommCtrlr", "WebSocketPingInterval"),
    ("OCPPCommCtrlr", "RetryBackOffRepeatTimes"),
    ("TxCtrlr", "EVConnectionTimeOut"),
    ("TxCtrlr", "StopTxOnInvalidId"),
    ("TxCtrlr", "TxStartPoint"),
    ("TxCtrlr", "TxStopPoint"),
    ("AuthCtrlr", "AuthorizeRemoteStart"),
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("AlignedDataCtrlr", "Interval"),
    ("ClockCtrlr", "TimeSource"),
]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured quantity; `floor` is None where the floor has no such thing."""

    name: str
    ours: list[float]
    floor: list[float] | None
    target: str
    unit: str = "ms"


def _variables(names: list[tuple[str, str]]) -> dict[str, Any]:
    data = [{"component": {"name": component}, "variable": {"name": variable}} for component, variable in names]
    return {"getVariableData": data}


_SET = {
    "setVariableData": [
        {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "OfflineThreshold"},
            "attributeValue": "61",
        }
    ]
}


async def _calls(csms: BenchCsms, action: str, payload: Any, count: int) -> list[float]:
    for _ in range(20):
        await csms.call(action, payload)
    return [1000 * await csms.call(action, payload) for _ in range(count)]


async def _triggered(csms: BenchCsms, count: int) -> list[float]:
    """TriggerMessage to the Heartbeat on the wire."""
    times = []
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        call = asyncio.create_task(csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))
        times.append(1000 * (await csms.wait("Heartbeat", after=seen) - began))
        await call
    return times


async def _report(csms: BenchCsms, count: int, *, last: dict[str, Any]) -> list[float]:
    """GetBaseReport to the last NotifyReport; `last` is how that one is known."""
    times = []
    for number in range(count):
        seen, began = len(csms.seen), time.monotonic()
        await csms.call("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})
        times.append(1000 * (await csms.wait("NotifyReport", after=seen, **last) - began))
    return times


async def _floor(folder: Path) -> dict[str, list[float]]:
    async with listening() as csms:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tools.benchmark.floor", csms.url)
        try:
            await csms.wait("BootNotification", after=0)
            figures = {
                "get 1": await _calls(csms, "GetVariables", _variables(_TWELVE[:1]), 500),
                "get 12": await _calls(csms, "GetVariables", _variables(_TWELVE), 500),
                "set 1": await _calls(csms, "SetVariables", _SET, 500),
                "trigger": await _triggered(csms, 500),
                "start": await _floor_starts(csms, 50),
                "report": await _floor_reports(csms, 10),
                "drain": [await _floor_drain(csms)],
                "memory": [_resident_mb(process.pid)],
            }
        finally:
            process.terminate()
            await process.wait()
    return figures


async def _floor_starts(csms: BenchCsms, count: int) -> list[float]:
    times = []
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        call = asyncio.create_task(csms.call("RequestStartTransaction", {}))
        times.append(1000 * (await csms.wait("TransactionEvent", after=seen) - began))
        await call
    return times


async def _floor_reports(csms: BenchCsms, count: int) -> list[float]:
    times = []
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        await csms.call("GetBaseReport", {})
        await csms.count(seen + 6)
        times.append(1000 * (csms.seen[seen + 5][0] - began))
    return times


async def _floor_drain(csms: BenchCsms) -> float:
    seen = len(csms.seen)
    await csms.call("DataTransfer", {"data": _QUEUED})
    await csms.count(seen + _QUEUED)
    return (_QUEUED - 1) / (csms.seen[seen + _QUEUED - 1][0] - csms.seen[seen][0])


# --- the station -----------------------------------------------------------------------------------------------


async def _station(folder: Path) -> dict[str, list[float]]:
    async with listening() as csms:
        factory = factory_file(csms.url, identity="BENCH", variables=RETRY_AFTER_1_S)
        began = time.monotonic()
        async with start_rig(folder, factory) as (_process, rig):
            cold = 1000 * (await csms.wait("BootNotification", after=0) - began)
            figures: dict[str, list[float]] = {"boot": [await _service_start(csms, rig)], "cold": [cold]}
            figures["card"] = await _cards(csms, rig)
            figures["start"] = await _remote_starts(csms, rig, 30)
            await _charge_both(csms, rig)
            state = await rig.state()
            processes = state["processes"]
            cpu = _Cpu([processes["hal"], processes["ocpp"]])
            figures |= {
                "get 1": await _calls(csms, "GetVariables", _variables(_TWELVE[:1]), 2000),
                "get 12": await _calls(csms, "GetVariables", _variables(_TWELVE), 500),
                "set 1": await _calls(csms, "SetVariables", _SET, 500),
                "trigger": await _triggered(csms, 2000),
                "report": await _report(csms, 10, last={"tbc": False}),
            }
            cpu = _Cpu([processes["hal"], processes["ocpp"]])
            await asyncio.sleep(20)  # the row is about what happens while nothing is asked
            figures["cpu"] = [cpu.percent()]
            figures["flash"] = [await _flash(csms, processes["ocpp"])]
            figures["memory"] = [_resident_mb(processes["ocpp"])]
            figures["memory hal"] = [_resident_mb(processes["hal"])]
            figures["stop"] = await _remote_stop(csms, rig)
        rate, grown = await _drain(csms, folder)
        figures |= {"drain": [rate], "drain memory": [grown]}
    figures["estop"] = await emergency_stops(folder / "estop", 200)
    return figures


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


async def _remote_starts(csms: BenchCsms, rig: RigClient, count: int) -> list[float]:
    """RequestStartTransaction to TransactionEvent on the wire, without an Authorize between them."""
    await _set(csms, "AuthCtrlr", "AuthorizeRemoteStart", "false")
    times = []
    for number in range(count):
        times.append(1000 * await _remote_start(csms, 1, number))
        await _stop_by_remote(csms, 1)
    return times


async def _remote_start(csms: BenchCsms, evse: int, number: int) -> float:
    seen, began = len(csms.seen), time.monotonic()
    request = {"idToken": {"idToken": _CARDS[evse], "type": "ISO14443"}, "remoteStartId": number, "evseId": evse}
    call = asyncio.create_task(csms.call("RequestStartTransaction", request))
    at = await csms.wait("TransactionEvent", after=seen, eventType="Started")
    await call
    return at - began


async def _stop_by_remote(csms: BenchCsms, evse: int) -> float:
    started = next(
        p for _, a, p in reversed(csms.seen) if a == "TransactionEvent" and p.get("evse", {}).get("id") == evse
    )
    transaction = started["transactionInfo"]["transactionId"]
    seen, began = len(csms.seen), time.monotonic()
    await csms.call("RequestStopTransaction", {"transactionId": transaction})
    return await csms.wait("TransactionEvent", after=seen, eventType="Ended") - began


async def _charge_both(csms: BenchCsms, rig: RigClient) -> None:
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
    seen, written = len(csms.seen), _written(pid)
    await csms.count(seen + 40)
    each = (_written(pid) - written) / (len(csms.seen) - seen)
    await _set(csms, "SampledDataCtrlr", "TxUpdatedInterval", str(_SAMPLE_S))
    return each * 2 * 86400 / _SAMPLE_S / 1e6


async def _set(csms: BenchCsms, component: str, variable: str, value: str) -> None:
    row = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    await csms.call("SetVariables", {"setVariableData": [row]})


async def _remote_stop(csms: BenchCsms, rig: RigClient) -> list[float]:
    return [1000 * await _stop_by_remote(csms, evse) for evse in (1, 2)]


async def _drain(csms: BenchCsms, folder: Path) -> tuple[float, float]:
    """10,000 queued TransactionEvents to the last one at the CSMS: messages a second, and how many MB they cost."""
    from tools.benchmark.backlog import fill

    station = folder / "rig"
    fill(station / "data" / "station.db", _QUEUED)
    seen = len(csms.seen)
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ocpp", "--config", "etc/ocpp.toml", cwd=station
    )
    try:
        await csms.wait("TransactionEvent", after=seen, seqNo=_QUEUED // 100)
        before = _resident_mb(service.pid)
        await csms.wait("TransactionEvent", after=seen, within=180, seqNo=_QUEUED - 1)
        grown = _resident_mb(service.pid) - before
    finally:
        service.terminate()
        await service.wait()
    events = [(at, payload["seqNo"]) for at, action, payload in csms.seen[seen:] if action == "TransactionEvent"]
    if [number for _, number in events[:_QUEUED]] != list(range(_QUEUED)):
        raise RuntimeError("the backlog was not delivered whole and in order")
    return (_QUEUED - 1) / (events[_QUEUED - 1][0] - events[0][0]), grown


# --- the machine -------------------------------------------------------------------------------------------------


class _Cpu:
    """Share of one core that some processes use from now on."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._began = time.monotonic()
        self._ticks = self._read()

    def _read(self) -> int:
        total = 0
        for pid in self._pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def percent(self) -> float:
        spent = (self._read() - self._ticks) / os.sysconf("SC_CLK_TCK")
        return 100 * spent / (time.monotonic() - self._began)


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def _written(pid: int) -> int:
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


# --- the table -----------------------------------------------------------------------------------------------------


_ROWS: list[tuple[str, str, str, str]] = [
    ("get 1", "GetVariables, 1 variable, both charging", "0.4, p99 1, max 50", "ms"),
    ("get 12", "GetVariables, 12 variables", "0.7", "ms"),
    ("set 1", "SetVariables, 1 variable, durable", "0.9, p99 3", "ms"),
    ("trigger", "TriggerMessage to the Heartbeat", "0.6", "ms"),
    ("report", "GetBaseReport FullInventory, to the last part", "12", "ms"),
    ("start", "RequestStartTransaction to TransactionEvent", "2, p99 8", "ms"),
    ("stop", "RequestStopTransaction to Ended, under power", "2000", "ms"),
    ("card", "card presented to Authorize", "5", "ms"),
    ("boot", "OCPP process start to BootNotification", "450", "ms"),
    ("cold", "rig start to BootNotification", "2000", "ms"),
    ("drain", "draining 10,000 queued messages", "1500", "1/s"),
    ("drain memory", "memory that draining them takes", "flat", "MB"),
    ("memory", "resident, OCPP service", "48", "MB"),
    ("memory hal", "resident, HAL", "40", "MB"),
    ("cpu", "CPU of HAL and OCPP service, both charging", "4", "% of a core"),
    ("estop", "e-stop input to contactor command", "p99 10", "ms"),
    ("flash", "written by the OCPP service in a day, a sample a minute", "200", "MB"),
]


def _figure(values: list[float] | None) -> str:
    if not values:
        return ""
    if len(values) < 5:
        return f"{statistics.median(values):.4g}"
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(values):.3g} (p99 {p99:.3g}, max {ordered[-1]:.3g})"


def _print(ours: dict[str, list[float]], floor: dict[str, list[float]]) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_processor()}")
    print(f"{'':<50} {'unit':<12} {'floor':<30} {'ours':<36} {'to floor':<9} target")
    for key, name, target, unit in _ROWS:
        ratio = ""
        if ours.get(key) and floor.get(key):
            ratio = f"{statistics.median(ours[key]) / statistics.median(floor[key]):.2f}"
        print(f"{name:<50} {unit:<12} {_figure(floor.get(key)):<30} {_figure(ours.get(key)):<36} {ratio:<9} {target}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        print("measuring the floor", file=sys.stderr, flush=True)
        floor = await _floor(folder)
        print("measuring the station", file=sys.stderr, flush=True)
        ours = await _station(folder)
    _print(ours, floor)


if __name__ == "__main__":
    asyncio.run(main())
