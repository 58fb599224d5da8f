# SPDX-License-Identifier: Apache-2.0
"""How the cost grows: the same figure of a small and of a large station, and the ratio that it may have."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.errors import BaywattError
from tools.benchmark.backlog import fill
from tools.benchmark.csms import BenchCsms, listening
from tools.benchmark.machine import CpuShare, resident_mb
from tools.columns import table
from tools.demo.bench import start_rig
from tools.pki import Authority, server_context
from tools.rig.client import RigClient
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file
from tools.rig.settings_file import to_toml

__all__ = ["Row", "as_json", "lines", "measure"]

_ROOT = Path(__file__).resolve().parents[2]
_SIXTEEN = _ROOT / "tests" / "support" / "sixteen.toml"
_FLAT_MB = 2.0
_BACKLOGS = (10_000, 1_000_000)
_DRAINED = 10_000
_ADDED_VARIABLES = (153, 2_853)
"""To the product's 147."""
_RECONNECTIONS = (100, 1_000)
_CPU_S = 20.0


@dataclass(frozen=True, slots=True)
class Row:
    """`small` and `large` are the figures at the two sizes; met if their ratio is within `bounds`, or, for something
    that is to be flat, if they differ by less than `apart`."""

    name: str
    unit: str
    sizes: tuple[str, str]
    small: float
    large: float
    bounds: tuple[float, float] = (0.0, 1.2)
    apart: float = 0.0

    @property
    def ratio(self) -> float:
        return self.large / self.small if self.small else float("inf")

    @property
    def met(self) -> bool:
        least, most = self.bounds
        return least <= self.ratio <= most or abs(self.large - self.small) <= self.apart


def lines(rows: list[Row]) -> Iterator[str]:
    cells = [
        (
            row.name,
            row.unit,
            f"{row.sizes[0]}: {row.small:.4g}",
            f"{row.sizes[1]}: {row.large:.4g}",
            f"{row.ratio:.2f}",
            _goal(row),
            "yes" if row.met else "MISSED",
        )
        for row in rows
    ]
    yield table(("", "unit", "small", "large", "ratio", "goal", "met"), cells)


def _goal(row: Row) -> str:
    least, most = row.bounds
    bound = f"at least {least:g}" if most == float("inf") else f"at most {most:.3g}"
    return f"{bound}, or {row.apart:g} apart" if row.apart else bound


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            **{"name": row.name, "unit": row.unit, "sizes": row.sizes, "small": row.small, "large": row.large},
            **{"ratio": row.ratio, "bounds": row.bounds, "apart": row.apart, "met": row.met},
        }
        for row in rows
    ]


async def measure(folder: Path, note: Callable[[str], None]) -> list[Row]:
    """Every row; most of the time is a thousand reconnections that are a second apart."""
    parts = (
        ("the backlog", _backlog),
        ("the device model", _device_model),
        ("EVSEs", _evses),
        ("a month", _month),
        ("reconnections over TLS", _reconnections),
    )
    rows: list[Row] = []
    for number, (what, part) in enumerate(parts):
        note(f"measuring {what}")
        home = folder / f"part-{number}"
        home.mkdir()
        rows += await part(home)
    return rows


# --- the backlog ------------------------------------------------------------------------------------------------------


async def _backlog(folder: Path) -> list[Row]:
    found = [await _drain(folder / str(queued), queued) for queued in _BACKLOGS]
    (start, memory, rate), (late, full, slow) = found
    sizes = (f"{_BACKLOGS[0]:,}", f"{_BACKLOGS[1]:,}")
    return [
        Row("power on to BootNotification, backlog", "ms", sizes, start, late),
        Row("resident while it is drained", "MB", sizes, memory, full, apart=_FLAT_MB),
        Row(f"rate of the first {_DRAINED:,} of it", "1/s", sizes, rate, slow, bounds=(0.8, float("inf"))),
    ]


async def _drain(folder: Path, queued: int) -> tuple[float, float, float]:
    """Milliseconds from power-on to BootNotification, MB after the first messages, messages a second."""
    folder.mkdir()
    async with _station(folder, product="c7am-400-cc") as (csms, rig):
        await rig.op("power_off")
        await asyncio.to_thread(fill, folder / "rig" / "data" / "station.db", queued)
        seen, began = len(csms.seen), time.monotonic()
        await rig.op("power_on")
        booted = await csms.wait("BootNotification", after=seen, within=120)
        first = await csms.wait("TransactionEvent", after=seen, seqNo=0)
        last = await csms.wait("TransactionEvent", after=seen, within=300, seqNo=_DRAINED - 1)
        pid = (await rig.state())["processes"]["ocpp"]
        return 1000 * (booted - began), resident_mb(pid), (_DRAINED - 1) / (last - first)


# --- the device model -------------------------------------------------------------------------------------------------


async def _device_model(folder: Path) -> list[Row]:
    found = []
    for added in _ADDED_VARIABLES:
        home = folder / str(added)
        home.mkdir()
        product = home / "product.toml"
        rows = [
            {
                "component": f"Custom{number // 100}",
                "variable": f"Value{number}",
                "mutability": "ReadWrite",
                "value": "7",
            }
            | {"type": "integer", "min": 0, "max": 1000}
            for number in range(added)
        ]
        product.write_text(to_toml({"extends": "c7am-400-cc", "device_model": {"variables": rows}}))
        async with _station(home, product=str(product)) as (csms, rig):
            found.append(await _model_figures(csms, rig))
    (variables, get, report, memory), (more, get_more, report_more, memory_more) = found
    sizes = (f"{variables} variables", f"{more:,} variables")
    grown = more / variables
    return [
        Row("GetVariables, 1 variable", "ms", sizes, get, get_more),
        Row("FullInventory, to the last part", "ms", sizes, report, report_more, bounds=(0.0, 1.2 * grown)),
        Row("resident, OCPP service", "MB", sizes, memory, memory_more, bounds=(0.0, 1.5)),
    ]


async def _model_figures(csms: BenchCsms, rig: RigClient) -> tuple[int, float, float, float]:
    """How many variables there are; median ms of GetVariables and of a report; MB."""
    asked = {"getVariableData": [{"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}]}
    get = [1000 * await csms.call("GetVariables", asked) for _ in range(500)]
    reports, variables = [], 0
    for number in range(5):
        seen, began = len(csms.seen), time.monotonic()
        await csms.call("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})
        reports.append(1000 * (await csms.wait("NotifyReport", after=seen, tbc=False) - began))
        variables = sum(len(part["reportData"]) for _, name, part in csms.seen[seen:] if name == "NotifyReport")
    pid = (await rig.state())["processes"]["ocpp"]
    return variables, statistics.median(get), statistics.median(reports), resident_mb(pid)


# --- EVSEs ------------------------------------------------------------------------------------------------------------


async def _evses(folder: Path) -> list[Row]:
    found = []
    for count, product in ((2, "full"), (16, str(_SIXTEEN))):
        home = folder / str(count)
        home.mkdir()
        async with _station(home, product=product) as (csms, rig):
            found.append(await _charging_figures(csms, rig, count))
    (cpu, memory, hal), (cpu_16, memory_16, hal_16) = found
    sizes = ("2 charging", "16 charging")
    return [
        Row("CPU of HAL and OCPP service", "% core", sizes, cpu, cpu_16, bounds=(0.0, 8.0)),
        Row("resident, OCPP service", "MB", sizes, memory, memory_16, bounds=(0.0, 1.3)),
        Row("resident, HAL", "MB", sizes, hal, hal_16, bounds=(0.0, 1.3)),
    ]


async def _charging_figures(csms: BenchCsms, rig: RigClient, count: int) -> tuple[float, float, float]:
    for evse in range(1, count + 1):
        token = {"idToken": f"04A1B2C3D4E5{evse:02X}", "type": "ISO14443"}
        await csms.call("RequestStartTransaction", {"idToken": token, "remoteStartId": evse, "evseId": evse})
        await rig.op("plug_in", evse=evse)
    await rig.until(lambda state: all(each["phase"] == "charging" for each in state["evses"]), timeout_s=120)
    processes = (await rig.state())["processes"]
    cpu = CpuShare([processes["hal"], processes["ocpp"]])
    await asyncio.sleep(_CPU_S)
    return cpu.percent(), resident_mb(processes["ocpp"]), resident_mb(processes["hal"])


# --- a month ----------------------------------------------------------------------------------------------------------


async def _month(folder: Path) -> list[Row]:
    """Played by the station bench of the tests, which has manual time, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.month", str(folder / "station"), "30"),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise BaywattError("the month could not be played to its end")
    days = [json.loads(line) for line in output.splitlines()]
    early, late = days[4], days[-1]
    sizes = ("day 5", "day 30")
    return [
        Row("resident, station without I/O", "MB", sizes, early["memory_mb"], late["memory_mb"], apart=_FLAT_MB),
        Row("database, write-ahead log, logs", "MB", sizes, early["disk_mb"], late["disk_mb"], apart=_FLAT_MB),
    ]


# --- reconnections ----------------------------------------------------------------------------------------------------


async def _reconnections(folder: Path) -> list[Row]:
    """The CSMS closes each connection as soon as it is there; the station waits a second between two attempts."""
    root = Authority("benchmark root")
    (folder / "root.pem").write_text(root.pem)
    tls = server_context(root.server(), folder)
    async with listening(tls) as csms:
        profile = {"security_profile": 2}
        certificates = {"csms_root": [str(folder / "root.pem")]}
        factory = factory_file(
            csms.url, identity="BENCH", profile=profile, certificates=certificates, variables=RETRY_AFTER_1_S
        )
        async with start_rig(folder, factory, "--direct") as (_process, rig):
            pid = (await rig.state())["processes"]["ocpp"]
            found = []
            for total in _RECONNECTIONS:
                while csms.connections < total:
                    await csms.hang_up()
                found.append((resident_mb(pid), csms.connections))
            if (await rig.state())["processes"]["ocpp"] != pid:
                raise BaywattError("the OCPP service was restarted meanwhile")
    (small, _), (large, _) = found
    sizes = (f"after {_RECONNECTIONS[0]}", f"after {_RECONNECTIONS[1]:,}")
    return [Row("resident, reconnected over TLS", "MB", sizes, small, large, apart=_FLAT_MB)]


@asynccontextmanager
async def _station(folder: Path, *, product: str) -> AsyncIterator[tuple[BenchCsms, RigClient]]:
    async with listening() as csms:
        factory = factory_file(csms.url, identity="BENCH", variables=RETRY_AFTER_1_S, product=product)
        async with start_rig(folder, factory, "--direct") as (_process, rig):
            await csms.wait("BootNotification", after=0)
            yield csms, rig
