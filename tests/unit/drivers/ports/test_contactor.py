# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.Contactor`, over each driver."""

from __future__ import annotations

import pytest

from firmware.contract import Fault
from firmware.errors import DeviceLost
from hal.ports import Contactor
from tests.support.station_benches import StationBench, WireStation


def _closed(contactor: Contactor) -> bool | None:
    """State of the mirror contact; None: it is lost."""
    try:
        return contactor.is_closed()
    except DeviceLost:
        return None


async def test_mirror_contact_follows_the_coil_of_its_evse(station: StationBench) -> None:
    first, second = station.contactors[1], station.contactors[2]
    await station.until(lambda: _closed(first) is False)
    first.command(True)
    await station.until(first.is_closed)
    assert not second.is_closed()
    first.command(False)
    await station.until(lambda: not first.is_closed())


async def test_jammed_contactor_does_not_close(station: StationBench) -> None:
    first, second = station.contactors[1], station.contactors[2]
    station.world.faults.set(Fault.CONTACTOR_FAILED, 1, True)
    first.command(True)
    second.command(True)
    await station.until(second.is_closed)
    await station.until(lambda: not station.world.evses[1].contactor.moving)
    assert not first.is_closed()


async def test_welded_contactor_does_not_open(station: StationBench) -> None:
    first, second = station.contactors[1], station.contactors[2]
    first.command(True)
    second.command(True)
    await station.until(lambda: first.is_closed() and second.is_closed())
    station.world.faults.set(Fault.CONTACTOR_WELDED, 1, True)
    first.command(False)
    second.command(False)
    await station.until(lambda: not second.is_closed())
    await station.until(lambda: not station.world.evses[1].contactor.moving)
    assert first.is_closed()


async def test_close_opens(station: StationBench) -> None:
    first = station.contactors[1]
    first.command(True)
    await station.until(first.is_closed)
    first.close()
    await station.until(lambda: not station.world.evses[1].contactor.closed)


async def test_command_to_a_lost_contactor_is_refused(station: StationBench) -> None:
    first = station.contactors[1]
    await station.unplug()
    await station.until(lambda: _closed(first) is None)
    for closed in (True, False):
        with pytest.raises(DeviceLost):
            first.command(closed)


async def test_contactor_that_comes_back_is_open_until_it_is_commanded(wire: WireStation) -> None:
    first = wire.contactors[1]
    first.command(True)
    await wire.until(first.is_closed)
    await wire.unplug()
    await wire.until(lambda: _closed(first) is None)
    with pytest.raises(DeviceLost):
        first.command(True)
    await wire.plug_in()
    await wire.until(lambda: _closed(first) is False)
    first.command(True)
    await wire.until(first.is_closed)


async def test_lost_chip_opens_the_contactor_by_the_watchdog_relay(wire: WireStation) -> None:
    first = wire.contactors[1]
    first.command(True)
    await wire.until(first.is_closed)
    await wire.unplug()
    await wire.until(lambda: not wire.world.evses[1].contactor.closed)
