# SPDX-License-Identifier: Apache-2.0
"""The rig: the simulated world, the station's processes and the control socket, put together.

Every operation is carried out at once and without waiting; what the station makes of it comes as events. The order of
things on `power_on`: the board boots (another `boot_id`, the count of boots goes up), then the processes start,
as soon as those of the boot before are gone. Text for people in refusals, codes for programs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from drivers.simulated.world.board import BoardState
from drivers.simulated.world.car import Car
from drivers.simulated.world.evse import Evse
from drivers.simulated.world.world import ContactorMoved, Happening, PageShown, RebootRequested, World, WorldRefused
from firmware.clock import Clock
from firmware.contract import BootCause, Fault
from firmware.update.simulated import arrange
from firmware.update.slot_directory import SlotDirectory
from tools.rig import operations as op
from tools.rig.control import ControlServer
from tools.rig.damage import corrupt_database
from tools.rig.operations import OperationError
from tools.rig.persistence import Ledger
from tools.rig.proxy import Network
from tools.rig.snapshot import state_of
from tools.rig.station_dir import SLOTS, StationDir
from tools.rig.supervisor import WRONG_SETTINGS, Supervisor
from tools.rig.view import StationView
from tools.rig.world_server import WorldServer

__all__ = ["Rig"]

CRASHES = 3
"""So many ends of processes in one boot, and a version on trial has failed it."""
TRIAL_S = 1200.0
"""So long may a version be on trial before it is restarted: it may hang."""
_log = logging.getLogger(__name__)


class Rig:
    """One station on one machine. `start` serves it, `stop` ends it; `finished` becomes the exit code."""

    def __init__(self, station: StationDir, supervisor: Supervisor, clock: Clock) -> None:
        self.station = station
        self.supervisor = supervisor
        self.clock = clock
        self.slots = SlotDirectory(station.path / SLOTS)
        self.ledger = Ledger(station.path / "world.json")
        self.world = World(self.ledger.board(), speed=station.settings.rig.speed)
        self.ledger.restore(self.world)
        self.network = Network(list(self.world.links))
        self.view = StationView(list(self.world.evses), self.emit)
        self.server = WorldServer(self.world, clock)
        self.control = ControlServer(self.execute)
        self.finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_boot: Callable[[], None] = lambda: None
        self.on_power_off: Callable[[], None] = lambda: None
        self._told_s = 0.0
        self._network_server: asyncio.Server | None = None
        self._power_timer: asyncio.TimerHandle | None = None
        self._booting = False
        self._crashes = 0
        self._trial_timer: asyncio.TimerHandle | None = None
        self.server.on_happening = self._on_happening
        self.server.on_push = lambda: self.ledger.keep(self.world)
        supervisor.on_restart = lambda name: self.emit("process_restarted", None, process=name)
        supervisor.on_exit = self._on_exit

    async def start(self, *, world: socket.socket, dial: socket.socket, control: socket.socket, powered: bool) -> None:
        """Serve; with `powered`, the processes run already and this is their boot."""
        loop = asyncio.get_running_loop()
        self.supervisor.attach(loop)
        if powered:
            self._boot(BootCause.POWER_UP)
        await self.server.start(world)
        self._network_server = await loop.create_unix_server(self.network.protocol, sock=dial)
        await self.control.start(control)

    def stop(self) -> None:
        """End everything in order; `finished` becomes 0 when all are gone."""
        self._cancel_power_timer()
        self._end_trial()
        self.supervisor.stop_all()
        self.supervisor.when_clear(lambda: self._finish(0))

    def _finish(self, code: int) -> None:
        self.server.close()
        self.network.cut()
        if self._network_server is not None:
            self._network_server.close()
        self.ledger.keep(self.world)
        self.control.close()
        if not self.finished.done():
            self.finished.set_result(code)

    def emit(self, name: str, mono_s: float | None, **fields: Any) -> None:
        """An event for whoever subscribed; what the HAL stamped before the last one that was told gets its time."""
        self._told_s = max(self._told_s, self.clock.monotonic() if mono_s is None else mono_s)
        self.control.emit({"event": name, "t": round(self._told_s, 4), **fields})

    def execute(self, operation: op.Operation) -> dict[str, Any]:
        """Carry out an operation; what the answer holds besides `ok`. Raises `OperationError`."""
        if isinstance(operation, op.State):
            self.ledger.keep(self.world)  # before a higher register is told
            return {"state": state_of(self)}
        self._check_evse(getattr(operation, "evse", None))
        if isinstance(operation, _NEED_POWER) and not self.world.board.powered:
            raise OperationError("powered_off", "the station has no power")
        try:
            _EXECUTE[type(operation)](self, operation)
        except WorldRefused as error:
            raise OperationError("refused", str(error)) from error
        self.server.touch()
        return {}

    def saw_station(self) -> None:
        """Both processes have shown themselves since the boot: it is done."""
        if self._booting and self.view.hal_up and self.view.status is not None:
            self._booting = False
            board = self.world.board
            self.emit("booted", None, boots=board.boots, boot_cause=board.boot_cause.value)

    # --- power ------------------------------------------------------------------------------------------------

    def _boot(self, cause: BootCause) -> None:
        was_powered = self.world.board.powered
        self.world.power_on(cause)
        self.ledger.keep(self.world)
        self._booting = True
        self._begin_trial()
        _log.info("boot %d, %s", self.world.board.boots, cause.value)
        if not was_powered:
            self.emit("powered", None, powered=True)
        self.on_boot()

    def _power_on(self, _operation: op.PowerOn | None = None) -> None:
        if self.world.board.powered:
            raise OperationError("refused", "the station has power")
        self._cancel_power_timer()
        self._boot(BootCause.POWER_UP)
        self.supervisor.when_clear(self._spawn)

    def _spawn(self) -> None:
        self.station.clear_sockets()
        self.supervisor.run_from(self.slots.select())
        self.supervisor.spawn()

    def _power_off(self, _operation: op.PowerOff | op.PowerCycle) -> None:
        self._cancel_power_timer()
        self._end_trial()
        self.supervisor.kill_all()
        self.network.cut()
        self.server.unplug_hal()
        self.world.power_off()
        self.on_power_off()
        self.view.forget()
        self._booting = False
        _log.info("power off")
        self.emit("powered", None, powered=False)

    def _power_cycle(self, operation: op.PowerCycle) -> None:
        self._power_off(operation)
        self._power_timer = asyncio.get_running_loop().call_later(operation.off_s, self._power_back)

    def _power_back(self) -> None:
        self._power_timer = None
        if not self.world.board.powered:
            self._power_on()

    def _cancel_power_timer(self) -> None:
        if self._power_timer is not None:
            self._power_timer.cancel()
            self._power_timer = None

    def _reboot(self, _operation: op.Reboot) -> None:
        self._restart_board(BootCause.LOCAL_RESET)

    def _restart_board(self, cause: BootCause) -> None:
        """Everything ends in order, within 3 s, and starts again."""
        _log.info("board restarts: %s", cause.value)
        self._end_trial()
        self.supervisor.stop_all()
        self.supervisor.when_clear(lambda: self._board_restarted(cause))

    def _board_restarted(self, cause: BootCause) -> None:
        self.server.unplug_hal()
        self._boot(cause)
        self._spawn()

    # --- what the station does --------------------------------------------------------------------------------

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case ContactorMoved(evse=evse, closed=closed):
                self.emit("contactor", None, evse=evse, contactor="closed" if closed else "open")
            case PageShown(screen=screen, page=page):
                self.emit("screen", None, screen=screen, page=page)
            case RebootRequested():
                self._restart_board(BootCause.REQUESTED)

    def _on_exit(self, name: str, code: int, first: bool) -> None:
        """A new station whose settings a process finds impossible is not started again and again."""
        if first and code == WRONG_SETTINGS and self.station.fresh and not self.finished.done():
            _log.error("%s finds the factory settings impossible; see the line above", name)
            self.station.forget_settings()
            self.supervisor.stop_all()
            self.supervisor.when_clear(lambda: self._finish(WRONG_SETTINGS))
        elif self.supervisor.wanted and self.slots.on_trial:
            self._crashes += 1
            if self._crashes >= CRASHES:
                _log.error("the version on trial ended %d times", self._crashes)
                self._restart_board(BootCause.WATCHDOG)

    # --- a version on trial: what the boot loader and its watchdog do in life -------------------------------

    def _begin_trial(self) -> None:
        self._end_trial()
        self._trial_timer = asyncio.get_running_loop().call_later(TRIAL_S, self._trial_over)

    def _end_trial(self) -> None:
        self._crashes = 0
        if self._trial_timer is not None:
            self._trial_timer.cancel()
            self._trial_timer = None

    def _trial_over(self) -> None:
        if self.slots.on_trial:
            _log.error("the version on trial did not prove itself in %g s", TRIAL_S)
            self._restart_board(BootCause.WATCHDOG)

    # --- people, cars, weather ---------------------------------------------------------------------------

    def _check_evse(self, evse: int | None) -> None:
        if evse is not None and evse not in self.world.evses:
            known = ", ".join(str(each) for each in self.world.evses)
            raise OperationError("bad_request", f"no EVSE {evse}; there are {known}")

    def _car(self, number: int) -> tuple[Evse, Car]:
        evse = self.world.evses[number]
        if evse.car is None:
            raise OperationError("refused", f"EVSE {number} has no car")
        return evse, evse.car

    def _select(self, operation: op.SelectEvse) -> None:
        self.world.touch(operation.evse, stop=False)

    def _present_card(self, operation: op.PresentCard) -> None:
        if operation.evse is not None:
            self.world.touch(operation.evse, stop=False)
        self.world.present_card(operation.uid.upper(), operation.hold_s, self.clock.monotonic())

    def _press_stop(self, operation: op.PressStop) -> None:
        self.world.touch(operation.evse, stop=True)

    def _plug_in(self, operation: op.PlugIn) -> None:
        self.world.plug_in(operation.evse, operation.car)

    def _plug_out(self, operation: op.PlugOut) -> None:
        self.world.plug_out(operation.evse, force=operation.force)

    def _change_car(self, operation: op.Car) -> None:
        evse, car = self._car(operation.evse)
        if operation.plug_temp_c is not UNSET:
            evse.set_plug_temperature(operation.plug_temp_c)
        if operation.soc_percent is not UNSET:
            car.battery.soc_percent = operation.soc_percent
        for name in _CAR_FIELDS:
            value = getattr(operation, name)
            if value is not UNSET:
                setattr(car, name, value)

    def _change_meter(self, operation: op.MeterChange) -> None:
        if operation.energy_wh is not UNSET:
            self.world.evses[operation.evse].energy_wh = operation.energy_wh
        if operation.failed is not UNSET:
            self.world.faults.set(Fault.METER, operation.evse, operation.failed)

    def _raise_fault(self, operation: op.RaiseFault) -> None:
        self.world.faults.set(operation.code, operation.evse, True)

    def _clear_fault(self, operation: op.ClearFault) -> None:
        self.world.faults.set(operation.code, operation.evse, False)

    def _change_network(self, operation: op.Network) -> None:
        interface = operation.interface
        if interface is not None and self.network.find(interface) is None:
            raise OperationError("unsupported", f"this station has no {interface}")
        if operation.latency_ms is not UNSET:
            self.network.set_latency(operation.latency_ms / 1000, interface)
        if operation.mode == "close":
            self.network.close_established(interface)
        elif operation.mode is not UNSET:
            self.network.set_mode(operation.mode, interface)
            for name in [interface] if interface is not None else list(self.world.links):
                self.world.links[name] = operation.mode != "down"

    def _change_clock(self, operation: op.Clock) -> None:
        board: BoardState = self.world.board
        if operation.lost is True:
            board.lose_clock(self.clock.utc())
        elif operation.offset_s is not UNSET:
            board.set_clock(operation.offset_s)
        elif operation.lost is False:
            board.set_clock(0.0)
        if operation.synchronised is not UNSET:
            board.synchronised = operation.synchronised
        self.ledger.keep(self.world)

    def _harm_storage(self, operation: op.Storage) -> None:
        if operation.full is not UNSET:
            self.supervisor.set_storage_full("ocpp", operation.full)
        else:
            database = self.station.path / "data" / "station.db"
            try:
                corrupt_database(database)
            except OSError as error:
                raise OperationError("refused", f"database: {error.strerror}") from error

    def _kill(self, operation: op.Process) -> None:
        if operation.kill not in self.supervisor.pids:
            raise OperationError("unsupported", f"this station has no {operation.kill} process yet")
        if not self.supervisor.kill(operation.kill):
            raise OperationError("refused", f"{operation.kill} does not run at the moment")

    def _firmware(self, operation: op.Firmware) -> None:
        arrange(self.station.path / SLOTS, operation.next)


_CAR_FIELDS = (
    "ready",
    "suspended",
    "target_soc_percent",
    "max_kw",
    "max_a",
    "insulation_kohm",
    "misbehave",
)
_NEED_POWER = (
    op.PowerOff,
    op.PowerCycle,
    op.Reboot,
    op.SelectEvse,
    op.PresentCard,
    op.PressStop,
    op.Process,
)
_EXECUTE: dict[type[Any], Callable[[Rig, Any], None]] = {
    op.PowerOff: Rig._power_off,
    op.PowerOn: Rig._power_on,
    op.PowerCycle: Rig._power_cycle,
    op.Reboot: Rig._reboot,
    op.SelectEvse: Rig._select,
    op.PresentCard: Rig._present_card,
    op.PressStop: Rig._press_stop,
    op.PlugIn: Rig._plug_in,
    op.PlugOut: Rig._plug_out,
    op.Car: Rig._change_car,
    op.MeterChange: Rig._change_meter,
    op.RaiseFault: Rig._raise_fault,
    op.ClearFault: Rig._clear_fault,
    op.Network: Rig._change_network,
    op.Clock: Rig._change_clock,
    op.Storage: Rig._harm_storage,
    op.Process: Rig._kill,
    op.Firmware: Rig._firmware,
}
