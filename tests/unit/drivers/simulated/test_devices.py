# SPDX-License-Identifier: Apache-2.0
"""Each stand-in keeps the duties of its port, over the wiring in this process and over the socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.simulated.bus import LocalBus, WorldBus
from drivers.simulated.devices import (
    SimulatedBoard,
    SimulatedCardReader,
    SimulatedContactor,
    SimulatedInputs,
    SimulatedInsulationMonitor,
    SimulatedMeter,
    SimulatedNetworkLinks,
    SimulatedScreen,
    SimulatedShelf,
    SimulatedVehicleLink,
)
from drivers.simulated.garage import CarOrder
from drivers.simulated.link import open_bus
from drivers.simulated.messages import FeedWatchdog
from drivers.simulated.world import Happening, RebootAsked, World
from firmware.clock import SystemClock
from firmware.contract import BootCause, CardProblem, Fault
from firmware.errors import ConfigError, DeviceLost, DeviceRefused
from hal.ports import Pilot, VehicleStage
from tests.support.sockets import eventually
from tests.support.world_bench import new_world
from tools.rig.sockets import listen_unix
from tools.rig.world_server import WorldServer


@dataclass
class Wired:
    """A world and the wiring to it; `until` lets time pass, in the world or for real."""

    world: World
    bus: WorldBus
    happened: list[Happening]
    do: Callable[[], None]
    tick: Callable[[], None] | None

    async def until(self, condition: Callable[[], object]) -> None:
        """Time passes until the condition holds; fails after a while."""
        if self.tick is None:
            await eventually(condition)
            return
        for _ in range(400):
            if condition():
                return
            self.tick()
        raise AssertionError("never")


@pytest.fixture(params=["local", "socket"])
async def wired(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Wired]:
    world = new_world()
    if request.param == "local":
        local = LocalBus(world)

        def tick() -> None:
            local.send(FeedWatchdog())
            local.advance(0.025)

        yield Wired(world, local, world.happened, lambda: None, tick)
        local.close()
        return
    server = WorldServer(world, SystemClock())
    happened: list[Happening] = []
    server.on_happening = happened.append
    await server.start(listen_unix(tmp_path / "world.sock"))
    bus = await open_bus({"path": str(tmp_path / "world.sock")})
    board = SimulatedBoard(bus, {})
    feeding = asyncio.create_task(_feed(board))
    yield Wired(world, bus, happened, server.touch, None)
    feeding.cancel()
    bus.close()
    server.close()


async def _feed(board: SimulatedBoard) -> None:
    while True:
        board.feed_watchdog()
        await asyncio.sleep(0.2)


async def test_shelf_joins_groups_and_brings_the_voltage_up(wired: Wired) -> None:
    shelf = SimulatedShelf(wired.bus, {})
    assert (shelf.groups, shelf.group_power_w, shelf.max_voltage_v, shelf.min_voltage_v) == (10, 40_000, 1000, 150)
    shelf.assign({1: 4, 2: 6})
    await wired.until(lambda: (shelf.reading(1).groups, shelf.reading(2).groups) == (4, 6))
    shelf.set_output(1, 400.0, 2.0)
    await wired.until(lambda: shelf.reading(1).voltage_v > 395)
    assert shelf.reading(2).voltage_v == 0
    shelf.switch_off(1)
    await wired.until(lambda: shelf.reading(1).voltage_v < 60)
    wired.world.accidents.set(Fault.POWER_MODULE, 1, True)
    await wired.until(lambda: shelf.reading(1).failed_modules == 1)


async def test_meter_reads_its_register_and_is_lost_when_it_fails(wired: Wired) -> None:
    meter = SimulatedMeter(wired.bus, {"evse": 2})
    wired.world.outlets[2].energy_wh = 1234.56
    await wired.until(lambda: meter.sample().energy_wh == 1234.5)
    wired.world.accidents.set(Fault.METER, 2, True)
    await wired.until(lambda: wired.bus.readings().outlets[1].meter is None)
    with pytest.raises(DeviceLost):
        meter.sample()
    assert SimulatedMeter(wired.bus, {"evse": 1}).sample().energy_wh == 0


async def test_monitor_settles_then_measures_the_car(wired: Wired) -> None:
    monitor = SimulatedInsulationMonitor(wired.bus, {"evse": 1})
    assert not monitor.reading().valid
    wired.world.plug_in(1, CarOrder())
    car = wired.world.outlets[1].car
    assert car is not None
    car.insulation_kohm = 60
    monitor.enable(True)
    await wired.until(lambda: monitor.reading().valid)
    assert monitor.reading().resistance_kohm == pytest.approx(60)


async def test_self_test_needs_voltage(wired: Wired) -> None:
    monitor = SimulatedInsulationMonitor(wired.bus, {"evse": 1})
    monitor.enable(True)
    monitor.start_self_test()
    await wired.until(lambda: monitor.reading().self_test_passed is not None)
    assert monitor.reading().self_test_passed is False
    shelf, contactor = SimulatedShelf(wired.bus, {}), SimulatedContactor(wired.bus, {"evse": 1})
    shelf.assign({1: 1})
    contactor.command(True)
    await wired.until(lambda: contactor.is_closed() and shelf.reading(1).groups == 1)
    shelf.set_output(1, 400.0, 2.0)
    await wired.until(lambda: contactor.connector_voltage_v() > 390)
    monitor.start_self_test()
    await wired.until(lambda: monitor.reading().self_test_passed is None)
    await wired.until(lambda: monitor.reading().self_test_passed is not None)
    assert monitor.reading().self_test_passed is True


async def test_contactor_follows_its_coil_and_close_opens_it(wired: Wired) -> None:
    contactor = SimulatedContactor(wired.bus, {"evse": 1})
    contactor.command(True)
    await wired.until(contactor.is_closed)
    contactor.close()
    await wired.until(lambda: not contactor.is_closed())


async def test_jammed_contactor_does_not_close(wired: Wired) -> None:
    contactor, other = SimulatedContactor(wired.bus, {"evse": 1}), SimulatedContactor(wired.bus, {"evse": 2})
    wired.world.accidents.set(Fault.CONTACTOR_FAILED, 1, True)
    contactor.command(True)
    other.command(True)
    await wired.until(other.is_closed)
    await wired.until(lambda: not wired.world.outlets[1].contactor.moving)
    assert not contactor.is_closed()


async def test_vehicle_link_tells_each_change_once(wired: Wired) -> None:
    link = SimulatedVehicleLink(wired.bus, {"evse": 1})
    told: list[tuple[Pilot, VehicleStage, str | None]] = []
    link.listen(lambda vehicle: told.append((vehicle.pilot, vehicle.stage, vehicle.evcc_id)))
    wired.world.plug_in(1, CarOrder(evcc_id="AB12"))
    await wired.until(lambda: link.vehicle().stage is VehicleStage.WAITING_AUTHORISATION)
    link.authorise(True)
    await wired.until(lambda: link.vehicle().stage is VehicleStage.CABLE_CHECK)
    link.emergency_stop()
    await wired.until(lambda: link.vehicle().stage is VehicleStage.ENDED)
    wired.world.plug_out(1, force=True)
    await wired.until(lambda: link.vehicle().pilot is Pilot.A)
    stages = [stage for _, stage, _ in told]
    assert stages[-5:] == [
        VehicleStage.NEGOTIATING,
        VehicleStage.WAITING_AUTHORISATION,
        VehicleStage.CABLE_CHECK,
        VehicleStage.ENDED,
        VehicleStage.NONE,
    ]
    assert len(told) == len(set(told))
    assert told[-4][2] == "AB12"


async def test_silent_vehicle_link_grows_old(wired: Wired) -> None:
    link = SimulatedVehicleLink(wired.bus, {"evse": 1})
    wired.world.accidents.set(Fault.VEHICLE_LINK, 1, True)
    await wired.until(lambda: wired.bus.readings().outlets[0].vehicle is None)
    stamp = link.vehicle().mono_s
    await wired.until(lambda: wired.bus.readings().mono_s > stamp + 0.1)
    assert link.vehicle().mono_s == stamp


async def test_card_is_reported_once_and_two_are_a_problem(wired: Wired) -> None:
    reader = SimulatedCardReader(wired.bus, {})
    cards: list[str] = []
    problems: list[CardProblem] = []
    reader.listen(cards.append, problems.append)
    now = wired.bus.readings().mono_s
    wired.world.present_card("04A1B2C3", 0.5, now)
    wired.world.present_card("DEADBEEF", 0.5, now + 0.1)
    wired.world.present_card("DEADBEEF", 0.5, now + 2.0)
    await wired.until(lambda: len(cards) == 2)
    assert cards == ["04A1B2C3", "DEADBEEF"]
    assert problems == [CardProblem.SEVERAL_CARDS]


async def test_inputs_tell_an_edge(wired: Wired) -> None:
    inputs = SimulatedInputs(wired.bus, {})
    told: list[tuple[bool, bool]] = []
    inputs.listen(lambda reading: told.append((reading.emergency_stop, reading.door_open)))
    wired.world.accidents.set(Fault.EMERGENCY_STOP, None, True)
    wired.do()
    await wired.until(lambda: told == [(True, False)])
    wired.world.accidents.set(Fault.DOOR_OPEN, None, True)
    wired.world.accidents.set(Fault.EMERGENCY_STOP, None, False)
    await wired.until(lambda: told[-1] == (False, True))
    wired.world.accidents.set(Fault.OVER_TEMPERATURE, 2, True)
    await wired.until(lambda: inputs.reading().plug_temp_c[2] == 120)
    wired.world.outlets[1].set_plug_temperature(None)
    await wired.until(lambda: inputs.reading().plug_temp_c[1] is None)


async def test_screen_shows_and_is_touched(wired: Wired) -> None:
    screen = SimulatedScreen(wired.bus, {"screen": 2})
    touches: list[str] = []
    screen.listen(lambda: touches.append("select"), lambda: touches.append("stop"))
    screen.show("charging", {"soc": "42 %"})
    await wired.until(lambda: wired.world.displays[2].page == "charging")
    assert wired.world.displays[2].text == {"soc": "42 %"}
    wired.world.touch(1, stop=False)
    wired.world.touch(2, stop=False)
    wired.world.touch(2, stop=True)
    await wired.until(lambda: touches == ["select", "stop"])


async def test_links_tell_a_change(wired: Wired) -> None:
    links = SimulatedNetworkLinks(wired.bus, {})
    told: list[tuple[str, bool]] = []
    links.listen(lambda name, up: told.append((name, up)))
    assert links.links() == {"Wired0": True, "Wireless0": True}
    wired.world.links["Wired0"] = False
    await wired.until(lambda: told == [("Wired0", False)])


async def test_board_tells_clock_steps_and_its_own_faults(wired: Wired) -> None:
    wired.world.accidents.set(Fault.CARD_READER, None, True)
    await wired.until(lambda: wired.bus.readings().faults)
    board = SimulatedBoard(wired.bus, {})
    assert (board.boot_cause, board.serial_number) == (BootCause.POWER_UP, "BW1")
    clocks: list[bool] = []
    faults: list[tuple[Fault, int | None, bool]] = []
    board.listen(
        lambda clock: clocks.append(clock.is_set),
        lambda fault, evse, present, _: faults.append((fault, evse, present)),
    )
    await wired.until(lambda: faults == [(Fault.CARD_READER, None, True)])
    wired.world.accidents.set(Fault.CONNECTOR_LOCK, 2, True)
    wired.world.accidents.set(Fault.CARD_READER, None, False)
    await wired.until(lambda: len(faults) == 3)
    assert set(faults[1:]) == {(Fault.CONNECTOR_LOCK, 2, True), (Fault.CARD_READER, None, False)}
    assert clocks == []
    wired.world.board.set_clock(3600.0)
    await wired.until(lambda: clocks == [True])
    wired.world.board.lose_clock(1_800_000_000.0)
    await wired.until(lambda: clocks == [True, False])
    assert not board.clock().is_set


async def test_reboot_is_asked_for(wired: Wired) -> None:
    SimulatedBoard(wired.bus, {}).reboot()
    await wired.until(lambda: RebootAsked() in wired.happened)


async def test_outlet_that_is_not_there_is_refused(wired: Wired) -> None:
    with pytest.raises(DeviceRefused):
        SimulatedMeter(wired.bus, {"evse": 7}).sample()
    with pytest.raises(ConfigError, match="evse"):
        SimulatedMeter(wired.bus, {})


# --- the socket -------------------------------------------------------------------------------------------------


async def test_world_that_goes_is_a_lost_device(tmp_path: Path) -> None:
    server = WorldServer(new_world(), SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    bus = await open_bus({"path": str(tmp_path / "world.sock")})
    contactor = SimulatedContactor(bus, {"evse": 1})
    meter = SimulatedMeter(bus, {"evse": 1})
    server.unplug_hal()
    await eventually(lambda: _is_lost(meter))
    with pytest.raises(DeviceLost):
        contactor.command(True)
    contactor.close()
    server.close()


def _is_lost(meter: SimulatedMeter) -> bool:
    try:
        meter.sample()
    except DeviceLost:
        return True
    return False


async def test_bus_waits_for_a_world_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "world.sock"
    opening = asyncio.create_task(open_bus({"path": str(path)}))
    await asyncio.sleep(0)
    server = WorldServer(new_world(), SystemClock())
    await server.start(listen_unix(path))
    bus = await opening
    assert bus.hello.serial_number == "BW1"
    bus.close()
    server.close()


async def test_no_world_and_no_path_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost, match="no simulated world"):
        await open_bus({"path": str(tmp_path / "none.sock"), "connect_s": 0.05})
    with pytest.raises(ConfigError, match="path"):
        await open_bus({})


async def test_second_hal_takes_the_wiring_from_the_first(tmp_path: Path) -> None:
    world = new_world()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    first = await open_bus({"path": str(tmp_path / "world.sock")})
    SimulatedContactor(first, {"evse": 1}).command(True)
    await eventually(lambda: world.outlets[1].contactor.closed)
    second = await open_bus({"path": str(tmp_path / "world.sock")})
    await eventually(lambda: _is_lost(SimulatedMeter(first, {"evse": 1})))
    await eventually(lambda: not world.outlets[1].contactor.closed)
    assert world.hal_present
    second.close()
    await eventually(lambda: not world.hal_present)
    server.close()


@pytest.mark.parametrize("garbage", [b"nonsense\n", b'{"kind":"set_output","evse":99,"voltage_v":1,"current_a":1}\n'])
async def test_garbage_on_the_wiring_ends_the_connection_safely(tmp_path: Path, garbage: bytes) -> None:
    world = new_world()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, str(tmp_path / "world.sock"))
    await eventually(lambda: world.hal_present)
    await loop.sock_sendall(client, garbage)
    await eventually(lambda: not world.hal_present)
    client.close()
    server.close()


async def test_board_without_power_has_no_wiring(tmp_path: Path) -> None:
    world = new_world()
    world.power_off()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    with pytest.raises(DeviceLost):
        await open_bus({"path": str(tmp_path / "world.sock"), "connect_s": 0.3})
    server.close()
