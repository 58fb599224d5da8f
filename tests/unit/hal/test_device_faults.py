# SPDX-License-Identifier: Apache-2.0
"""Every row of docs/device-faults.md, with the real driver of the device in a cabinet whose outlets both charge."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from firmware.clock import SystemClock
from firmware.contract import CardPresented, Phase
from tests.support.device_faults import ROWS, Row
from tests.support.virtual_time import run_in_virtual_time
from tests.support.wire_cabinet import WireCabinet
from tests.support.world_bench import new_world
from tools.rig.wire import Wire

_LINES = ("inputs", "contactor", "vehicle", "board")
KINDS = {
    "meter": ("meter",),
    "modbus": ("meter", "insulation"),
    "insulation": ("insulation",),
    "module": ("shelf",),
    "vehicle": _LINES,
    "lines": _LINES,
    "alarms": _LINES,
}
"""The ports with real drivers, by the first word of the device's name."""
BRIDGED_S = 12.0
"""Longer than any device may be silent without a report, but modules."""
READER = "card reader"
IN_REAL_TIME = (READER, "display 1", "display 2")
"""The displays are played by tests/scenario/test_wire_faults.py and test_wire_displays.py."""
DEVICES = dict.fromkeys(row.device for row in ROWS)


async def play(here: WireCabinet, row: Row) -> None:
    """Both outlets are free before and after."""
    evse = _evse_of(row)
    other = 3 - evse
    here.events.clear()
    if row.when == "before":
        here.disturb(row.device, row.fault)
        here.begin(1, 2)
        await here.until(lambda: here.charges(other), "charging at the other outlet")
    else:
        await here.charge(1, 2)
        here.disturb(row.device, row.fault)
        if row.when == "end":
            await here.stop(evse)
    await _reaction(here, row, evse)
    if row.session != "all":
        assert here.charges(other), f"{row}: the other outlet has stopped"
        assert _is_shared(row) or not here.reported(other), f"{row}: the other outlet reports {here.reported(other)}"
    here.disturb(row.device, row.fault, present=False)
    if row.by_plug:
        await asyncio.sleep(2.0)
        assert here.status(evse).phase is Phase.FAULTED, f"{row}: free while the plug is in"
    elif row.report is not None:
        await here.until(lambda: not here.faults(evse), f"{row}: the end of its report")
    await asyncio.gather(here.end(1), here.end(2))


async def _reaction(here: WireCabinet, row: Row, evse: int) -> None:
    fault = row.report
    if fault is not None:
        places = (evse, None) if _is_shared(row) else (evse,)

        def is_reported() -> bool:
            return any(row.words in detail for place in places for detail in here.details(fault, place))

        await here.until(is_reported, f"{row}: its report")
    if row.session in ("ends", "all", "fails"):
        for each in (1, 2) if row.session == "all" else (evse,):
            await here.until(partial(here.is_over, each), f"{row}: the end of the session")
    elif row.session == "goes on":
        await here.until(lambda: here.charges(evse), f"{row}: the session")


def _kinds_of(device: str) -> tuple[str, ...]:
    return KINDS[device.partition(" ")[0]]


def _is_shared(row: Row) -> bool:
    """Both outlets need the device."""
    return not row.device[-1].isdecimal()


def _evse_of(row: Row) -> int:
    number = row.device.rpartition(" ")[2]
    return int(number) if number in ("1", "2") else 1


def test_every_fault_of_every_simulator_has_a_row(tmp_path: Path) -> None:
    """Devices that are alike have the same faults."""
    wire = Wire(new_world(), SystemClock(), tmp_path, lambda _: None)
    rows = {device: [row.fault for row in ROWS if row.device == device] for device in DEVICES}
    like = {"module": "module 0", "vehicle": "vehicle 1", "insulation": "insulation 1"}
    for name, switches in wire.switches.items():
        kind, _, number = name.partition(" ")
        described = like[kind] if kind in like and number.isdecimal() else name
        assert set(rows.get(described, [])) == set(switches), name
        assert len(rows.get(described, [])) == len(switches), name


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_has_the_code_of_its_fault(row: Row) -> None:
    assert row.code == (row.report.mrec(_evse_of(row)) if row.report is not None else None)
    ends = row.report is not None and row.report.stops_charging
    assert (row.session in ("ends", "all", "fails", "over")) is (ends or row.fault == "vehicle stops")


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_bridged and row.device not in IN_REAL_TIME], ids=str)
def test_the_reaction_of_a_row(tmp_path: Path, row: Row) -> None:
    async def story() -> None:
        async with WireCabinet(tmp_path, *_kinds_of(row.device)) as here:
            await play(here, row)

    run_in_virtual_time(story())


@pytest.mark.slow
@pytest.mark.parametrize(
    "device", dict.fromkeys(row.device for row in ROWS if row.is_bridged and row.device not in IN_REAL_TIME)
)
def test_what_is_bridged(tmp_path: Path, device: str) -> None:
    """All of them in one session at each outlet."""

    async def story() -> None:
        async with WireCabinet(tmp_path, *_kinds_of(device)) as here:
            await here.charge(1, 2)
            for row in ROWS:
                if row.is_bridged and row.device == device:
                    await _bridge(here, row)
            await asyncio.gather(here.end(1), here.end(2))

    run_in_virtual_time(story())


async def _bridge(here: WireCabinet, row: Row) -> None:
    here.disturb(row.device, row.fault)
    await asyncio.sleep(BRIDGED_S)
    assert not here.reported(1) + here.reported(2), str(row)
    here.disturb(row.device, row.fault, present=False)
    assert here.charges(1), str(row)
    assert here.charges(2), str(row)


@pytest.mark.slow
async def test_the_card_reader(tmp_path: Path) -> None:
    """A pseudo terminal has no virtual time: all of its rows in one session at each outlet, which go on."""
    async with WireCabinet(tmp_path, "card_reader") as here:
        await here.charge(1, 2)
        for row in ROWS:
            if row.device == READER:
                await _card_reader(here, row)


async def _card_reader(here: WireCabinet, row: Row) -> None:
    here.events.clear()
    here.disturb(row.device, row.fault)
    if row.report is not None:
        fault, words = row.report, row.words
        await here.until(lambda: any(words in each for each in here.details(fault, None)), f"{row}: its report")
        here.disturb(row.device, row.fault, present=False)
        await here.until(lambda: not here.faults(1), f"{row}: the end of its report")
    else:
        here.wire.present_card(f"04A1B2C3D4E5{ROWS.index(row):02X}")
        await here.until(lambda: any(isinstance(each, CardPresented) for each in here.events), f"{row}: a card")
        assert not here.reported(1)
        here.disturb(row.device, row.fault, present=False)
    assert here.charges(1)
    assert here.charges(2)
