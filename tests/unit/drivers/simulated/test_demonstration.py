# SPDX-License-Identifier: Apache-2.0
"""The world inside the HAL's process: drivers on it, what survives a restart, and the restart of its board."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import EvseOptions, WorldOptions
from drivers.simulated.demonstration import DemonstrationBus, DemonstrationOptions
from drivers.simulated.messages import SwitchOff
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.vehicle import SimulatedVehicleLink
from drivers.simulated.visits import Visit
from firmware.contract import BootCause
from firmware.errors import DeviceLost, DeviceRefused
from hal.ports import Pilot
from tests.support.sockets import eventually


@asynccontextmanager
async def demonstration(**options: Any) -> AsyncIterator[DemonstrationBus]:
    """An open bus whose board restarts nothing, and to which no car comes if the test does not say so."""
    bus = DemonstrationBus(DemonstrationOptions(**{"visit": [], **options}), restart=lambda: None)
    await bus.open()
    yield bus
    bus.close()


async def test_drivers_work_on_it() -> None:
    async with demonstration(evses=[1, 2, 3], max_power_w=200_000.0) as bus:
        shelf, board = SimulatedShelf(WorldOptions(bus=bus)), SimulatedBoard(WorldOptions(bus=bus))
        assert shelf.groups == 5
        shelf.assign({3: 2})

        def energised() -> bool:
            board.feed_watchdog(coils=True)
            shelf.set_output(3, 400.0, 2.0)
            return shelf.reading(3).groups == 2 and shelf.reading(3).voltage_v > 390.0

        await eventually(energised)
        with pytest.raises(DeviceRefused):
            bus.send(SwitchOff(evse=4))
    with pytest.raises(DeviceLost):
        shelf.reading(3)
    with pytest.raises(DeviceLost):
        shelf.switch_off(3)


async def test_a_real_board_feeds_no_simulated_watchdog_relay() -> None:
    for real_board in (False, True):
        async with demonstration(real_board=real_board) as bus:
            for _ in range(20):
                bus.world.board.step(1.0)
            assert bus.world.board.watchdog_expired is not real_board


async def test_it_says_loudly_that_it_is_a_simulation(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with demonstration():
        assert any(each.levelno == logging.WARNING and "SIMULATED" in each.message for each in caplog.records)


async def test_cars_come_by_themselves() -> None:
    async with demonstration(visit=[Visit(evse=2, first="plug")]) as bus:
        bus.world.displays[2].page = "idle"
        vehicle = SimulatedVehicleLink(EvseOptions(bus=bus, evse=2))
        await eventually(lambda: vehicle.vehicle().pilot is Pilot.B)
        assert bus.world.evses[1].car is None


def test_usual_visits_are_those_of_the_evses_there_are() -> None:
    assert {visit.evse for visit in DemonstrationOptions(evses=[2]).visits} == {2}
    assert DemonstrationOptions(evses=[7]).visits == []
    assert len(DemonstrationOptions().visits) == 4


async def test_registers_serial_number_and_boot_survive_a_restart_of_the_process(tmp_path: Path) -> None:
    state = str(tmp_path / "world.json")
    async with demonstration(state=state) as bus:
        before = bus.hello
        assert before.boot_cause is BootCause.POWER_UP
        bus.world.evses[1].energy_wh = 4321.0
    async with demonstration(state=state) as bus:
        assert (bus.hello.boot_id, bus.hello.serial_number) == (before.boot_id, before.serial_number)
        assert bus.world.evses[1].energy_wh == 4321.0
        assert bus.world.board.boots == 1
        assert bus.world.chain_closed


async def test_without_a_file_each_start_is_another_boot() -> None:
    boots = set()
    for _ in range(2):
        async with demonstration() as bus:
            boots.add(bus.hello.boot_id)
    assert len(boots) == 2


async def test_restart_of_the_board_is_a_new_boot_of_a_new_process(tmp_path: Path) -> None:
    ended: list[str] = []
    options = DemonstrationOptions(visit=[], state=str(tmp_path / "world.json"))
    bus = DemonstrationBus(options, restart=lambda: ended.append("ended"))
    await bus.open()
    SimulatedBoard(WorldOptions(bus=bus)).reboot()
    assert ended == ["ended"]
    bus.close()
    async with demonstration(state=options.state) as later:
        assert later.hello.boot_cause is BootCause.REQUESTED
        assert later.hello.boot_id != bus.hello.boot_id
        assert later.world.board.boots == 2


async def test_a_state_that_cannot_be_written_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with demonstration(state=str(tmp_path / "nowhere" / "world.json")) as bus:
        assert bus.readings().evses
    assert "nowhere" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"evses": []}, "length"),
        ({"visit": [{"evse": 3}]}, "no EVSE 3"),
        ({"speed": 0.0}, "> 0"),
        ({"cars": 2}, "cars"),
    ],
)
def test_wrong_options_are_refused_with_the_reason(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(wrong, DemonstrationOptions)
