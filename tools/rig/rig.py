# SPDX-License-Identifier: Apache-2.0
"""The rig: the simulation, its power supply and the control socket.

Every operation is carried out at once and without waiting; the station's reaction follows as events. On `power_on` the
board boots first (a new `boot_id`, the count of boots goes up); the processes start as soon as those of the previous
boot have ended.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drivers.simulated.world.world import (
    ContactorMoved,
    Happening,
    PageShown,
    PowerOffRequested,
    RebootRequested,
    WorldRefused,
)
from firmware.clock import Clock
from firmware.contract import BootCause
from tools.rig import operations as op
from tools.rig.actions import ACTIONS, check_evse
from tools.rig.control import ControlServer
from tools.rig.operations import OperationError
from tools.rig.simulation import Simulation
from tools.rig.snapshot import state_of
from tools.rig.station_dir import StationDir
from tools.rig.supervisor import WRONG_SETTINGS, Supervisor
from tools.rig.trial import Trial
from tools.rig.view import StationView
from tools.rig.world_server import WorldServer

if TYPE_CHECKING:
    from tools.rig.wire import Wire

__all__ = ["Rig"]

AFTER_BOOT_S = 0.5
"""From the report of HAL and OCPP service to the start of what is not needed for charging."""
WITHOUT_BOOT_S = 5.0
_NEED_POWER = (op.PowerOff, op.PowerCycle, op.Reboot, op.SelectEvse, op.PresentCard, op.PressStop, op.Process)
_log = logging.getLogger(__name__)


class Rig:
    """One station on one machine: `start` serves it, `stop` ends it, `finished` becomes the exit status."""

    def __init__(self, station: StationDir, supervisor: Supervisor, clock: Clock) -> None:
        self.finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_boot: Callable[[], None] = lambda: None
        self.on_power_off: Callable[[], None] = lambda: None
        self._simulation = Simulation.create(station, supervisor, clock, self.emit)
        if station.settings.rig.wire:
            self._simulation = self._simulation.with_wire(self._on_happening)
            self._simulation.view.on_screen = self._simulation.world.show
        self._wire = self._simulation.wire
        self._world = self._simulation.world
        self._supervisor = supervisor
        self._clock = clock
        self._server = WorldServer(self._world, clock, wired=self._wire is not None)
        self._control = ControlServer(self.execute)
        self._trial = Trial(lambda: self._simulation.slots.on_trial, lambda: self._restart_board(BootCause.WATCHDOG))
        self._last_event_s = 0.0
        self._network_server: asyncio.Server | None = None
        self._power_timer: asyncio.TimerHandle | None = None
        self._late_timer: asyncio.TimerHandle | None = None
        self._booting = False
        self._server.runner.on_happening = self._on_happening
        self._server.runner.on_push = self._simulation.save_world
        supervisor.on_restart = lambda name: self.emit("process_restarted", None, process=name)
        supervisor.on_exit = self._on_exit

    @property
    def view(self) -> StationView:
        """What the station reports."""
        return self._simulation.view

    async def start(self, *, world: socket.socket, dial: socket.socket, control: socket.socket, powered: bool) -> None:
        """Serve. With `powered`, this is the boot of the processes: they run already, but for a station with wires."""
        loop = asyncio.get_running_loop()
        self._supervisor.attach(loop)
        if self._wire is not None:
            await self._start_wire(self._wire)
        if powered:
            self._boot(BootCause.POWER_UP)
            if self._wire is not None:
                self._spawn()
        await self._server.start(world)
        self._network_server = await loop.create_unix_server(self._simulation.network.protocol, sock=dial)
        await self._control.start(control)

    async def _start_wire(self, wire: Wire) -> None:
        """Only then is it known where the HAL finds its devices."""
        await wire.start()
        self._simulation.station.write_hal_settings(wire)
        runner = self._server.runner
        runner.before_step, runner.after_step = wire.before_step, wire.after_step

    async def close(self) -> None:
        """After `finished`: end what the rig has started besides the processes."""
        if self._wire is not None:
            await self._wire.close()

    def stop(self) -> None:
        """End all processes in order; `finished` becomes 0 when they have ended."""
        self._cancel_power_timer()
        self._trial.end()
        self._supervisor.stop_all()
        self._supervisor.when_clear(lambda: self._finish(0))

    def _finish(self, code: int) -> None:
        self._server.close()
        self._simulation.network.cut()
        if self._network_server is not None:
            self._network_server.close()
        self._simulation.save_world()
        self._control.close()
        if not self.finished.done():
            self.finished.set_result(code)

    def emit(self, name: str, mono_s: float | None, **fields: Any) -> None:
        """Send an event to the subscribers; an older time stamp of the HAL is raised to that of the event before."""
        self._last_event_s = max(self._last_event_s, self._clock.monotonic() if mono_s is None else mono_s)
        self._control.emit({"event": name, "t": round(self._last_event_s, 4), **fields})

    def execute(self, operation: op.Operation) -> dict[str, Any]:
        """Carry out an operation; returns the fields of the answer besides `ok`. Raises `OperationError`."""
        if isinstance(operation, op.State):
            self._simulation.save_world()  # before a higher register is reported
            return {"state": state_of(self._simulation)}
        check_evse(self._simulation, getattr(operation, "evse", None))
        if isinstance(operation, _NEED_POWER) and not self._world.board.powered:
            raise OperationError("powered_off", "the station has no power")
        try:
            if type(operation) in _POWER:
                _POWER[type(operation)](self, operation)
            else:
                ACTIONS[type(operation)](self._simulation, operation)
        except WorldRefused as error:
            raise OperationError("refused", str(error)) from error
        self._server.touch()
        return {}

    def saw_station(self) -> None:
        """The boot is complete when both processes have reported."""
        if self._booting and self.view.hal_up and self.view.status is not None:
            self._booting = False
            self._start_late(AFTER_BOOT_S)
            board = self._world.board
            self.emit("booted", None, boots=board.boots, boot_cause=board.boot_cause.value)

    def _start_late(self, after_s: float) -> None:
        if self._late_timer is not None:
            self._late_timer.cancel()
        self._late_timer = asyncio.get_running_loop().call_later(after_s, self._supervisor.spawn_late)

    # --- power ------------------------------------------------------------------------------------------------

    def _boot(self, cause: BootCause) -> None:
        was_powered = self._world.board.powered
        self._world.power_on(cause)
        if self._wire is not None:
            self._wire.boot()
        self._simulation.save_world()
        self._booting = True
        self._start_late(WITHOUT_BOOT_S)
        self._trial.begin()
        _log.info("boot %d, %s", self._world.board.boots, cause.value)
        if not was_powered:
            self.emit("powered", None, powered=True)
        self.on_boot()

    def _power_on(self, _operation: op.PowerOn | None = None) -> None:
        if self._world.board.powered:
            raise OperationError("refused", "the station has power")
        self._cancel_power_timer()
        self._boot(BootCause.POWER_UP)
        self._supervisor.when_clear(self._spawn)

    def _spawn(self) -> None:
        self._simulation.station.clear_sockets()
        self._supervisor.run_from(self._simulation.slots.select())
        self._supervisor.spawn()

    def _power_off(self, _operation: op.PowerOff | op.PowerCycle | None = None) -> None:
        self._cancel_power_timer()
        self._trial.end()
        self._supervisor.kill_all()
        self._simulation.network.cut()
        self._server.unplug_hal()
        self._world.power_off()
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
        if not self._world.board.powered:
            self._power_on()

    def _cancel_power_timer(self) -> None:
        if self._power_timer is not None:
            self._power_timer.cancel()
            self._power_timer = None

    def _reboot(self, _operation: op.Reboot) -> None:
        self._restart_board(BootCause.LOCAL_RESET)

    def _restart_board(self, cause: BootCause) -> None:
        """All processes end in order, within 3 s, and start again."""
        _log.info("board restarts: %s", cause.value)
        self._trial.end()
        self._supervisor.stop_all()
        self._supervisor.when_clear(lambda: self._board_restarted(cause))

    def _board_restarted(self, cause: BootCause) -> None:
        self._server.unplug_hal()
        self._boot(cause)
        self._spawn()

    # --- what happens in the station --------------------------------------------------------------------------------

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case ContactorMoved(evse=evse, closed=closed):
                self.emit("contactor", None, evse=evse, contactor="closed" if closed else "open")
            case PageShown(screen=screen, page=page):
                self.emit("screen", None, screen=screen, page=page)
            case RebootRequested():
                self._restart_board(BootCause.REQUESTED)
            case PowerOffRequested():
                _log.info("board switches itself off")
                self._supervisor.stop_all()
                self._supervisor.when_clear(self._power_off)

    def _on_exit(self, name: str, code: int, first: bool) -> None:
        """A new station is not restarted if a process rejects its settings."""
        if first and code == WRONG_SETTINGS and self._simulation.station.fresh and not self.finished.done():
            _log.error("%s rejects the factory settings; see the line above", name)
            self._simulation.station.forget_settings()
            self._supervisor.stop_all()
            self._supervisor.when_clear(lambda: self._finish(WRONG_SETTINGS))
        elif self._supervisor.wanted:
            self._trial.process_crashed()


_POWER: dict[type[op.Operation], Callable[[Rig, Any], None]] = {
    op.PowerOff: Rig._power_off,
    op.PowerOn: Rig._power_on,
    op.PowerCycle: Rig._power_cycle,
    op.Reboot: Rig._reboot,
}
