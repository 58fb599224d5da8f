# SPDX-License-Identifier: Apache-2.0
"""The operations of the control socket, except those on the power supply (`rig.py`): one function for each.

Each changes the simulation at once and returns. It raises `OperationError`, or `WorldRefused` if the operation is not
possible in the present state of the world.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from drivers.simulated.world.car import Car
from drivers.simulated.world.evse import Evse
from firmware.contract import Fault
from firmware.update.simulated import arrange
from tools.rig import operations as op
from tools.rig.damage import corrupt_database
from tools.rig.operations import OperationError
from tools.rig.simulation import Simulation
from tools.rig.station_dir import SLOTS

if TYPE_CHECKING:
    from tools.rig.wire import Wire

__all__ = ["ACTIONS", "check_evse"]

_CAR_FIELDS = (
    "ready",
    "suspended",
    "target_soc_percent",
    "max_kw",
    "max_a",
    "insulation_kohm",
    "misbehave",
)


def check_evse(simulation: Simulation, evse: int | None) -> None:
    """Raise `OperationError` for an EVSE that the station does not have."""
    if evse is not None and evse not in simulation.world.evses:
        known = ", ".join(str(each) for each in simulation.world.evses)
        raise OperationError("bad_request", f"no EVSE {evse}; there are {known}")


# --- the EV driver -----------------------------------------------------------------------------------------------


def _touch(simulation: Simulation, screen: int, *, stop: bool) -> None:
    if simulation.wire is None:
        simulation.world.touch(screen, stop=stop)
    else:
        simulation.wire.touch(screen, stop=stop)


def _select_evse(simulation: Simulation, operation: op.SelectEvse) -> None:
    _touch(simulation, operation.evse, stop=False)


def _present_card(simulation: Simulation, operation: op.PresentCard) -> None:
    if operation.evse is not None:
        _touch(simulation, operation.evse, stop=False)
    uid = operation.uid.upper()
    simulation.world.present_card(uid, operation.hold_s, simulation.clock.monotonic())
    if simulation.wire is not None:
        simulation.wire.present_card(uid)


def _press_stop(simulation: Simulation, operation: op.PressStop) -> None:
    _touch(simulation, operation.evse, stop=True)


def _plug_in(simulation: Simulation, operation: op.PlugIn) -> None:
    simulation.world.plug_in(operation.evse, operation.car)


def _plug_out(simulation: Simulation, operation: op.PlugOut) -> None:
    simulation.world.plug_out(operation.evse, force=operation.force)


# --- cars, meters, faults ------------------------------------------------------------------------------------------


def _change_car(simulation: Simulation, operation: op.Car) -> None:
    evse, car = _evse_and_car(simulation, operation.evse)
    if operation.plug_temp_c is not UNSET:
        evse.set_plug_temperature(operation.plug_temp_c)
    if operation.soc_percent is not UNSET:
        car.battery.soc_percent = operation.soc_percent
    for name in _CAR_FIELDS:
        value = getattr(operation, name)
        if value is not UNSET:
            setattr(car, name, value)


def _evse_and_car(simulation: Simulation, number: int) -> tuple[Evse, Car]:
    evse = simulation.world.evses[number]
    if evse.car is None:
        raise OperationError("refused", f"EVSE {number} has no car")
    return evse, evse.car


def _change_meter(simulation: Simulation, operation: op.MeterChange) -> None:
    evse = simulation.world.evses[operation.evse]
    if operation.energy_wh is not UNSET:
        evse.energy_wh = operation.energy_wh
    if operation.stuck is not UNSET:
        evse.meter_stuck = operation.stuck
    if operation.failed is not UNSET:
        simulation.world.faults.set(Fault.METER, operation.evse, operation.failed)


def _raise_fault(simulation: Simulation, operation: op.RaiseFault) -> None:
    simulation.world.faults.set(operation.code, operation.evse, True)


def _clear_fault(simulation: Simulation, operation: op.ClearFault) -> None:
    simulation.world.faults.set(operation.code, operation.evse, False)


# --- network, clock, disk, processes ---------------------------------------------------------------------------------


def _change_network(simulation: Simulation, operation: op.Network) -> None:
    interface, network = operation.interface, simulation.network
    if interface is not None and network.find(interface) is None:
        raise OperationError("unsupported", f"this station has no {interface}")
    if operation.signal_percent is not UNSET:
        _change_signal(simulation, interface, operation.signal_percent)
    if operation.latency_ms is not UNSET:
        network.set_latency(operation.latency_ms / 1000, interface)
    if operation.mode == "close":
        network.close_established(interface)
    elif operation.mode is not UNSET:
        network.set_mode(operation.mode, interface)
        links = simulation.world.links
        for name in [interface] if interface is not None else list(links):
            links[name] = operation.mode != "down"


def _change_signal(simulation: Simulation, interface: str | None, percent: int) -> None:
    signal = simulation.world.signal_percent
    if interface is not None and interface not in signal:
        raise OperationError("unsupported", f"{interface} is not wireless")
    for name in [interface] if interface is not None else list(signal):
        signal[name] = percent


def _change_clock(simulation: Simulation, operation: op.Clock) -> None:
    board = simulation.world.board
    if operation.lost is True:
        board.lose_clock(simulation.clock.utc())
    elif operation.offset_s is not UNSET:
        board.set_clock(operation.offset_s)
    elif operation.lost is False:
        board.set_clock(0.0)
    if operation.synchronised is not UNSET:
        board.synchronised = operation.synchronised
    simulation.save_world()


def _disturb_storage(simulation: Simulation, operation: op.Storage) -> None:
    if operation.full is not UNSET:
        for name in {"ocpp", "commissioning"} & simulation.supervisor.pids.keys():
            simulation.supervisor.set_storage_full(name, operation.full)
        return
    try:
        corrupt_database(simulation.station.path / "data" / "station.db")
    except OSError as error:
        raise OperationError("refused", f"database: {error.strerror}") from error


def _kill_process(simulation: Simulation, operation: op.Process) -> None:
    if operation.kill not in simulation.supervisor.pids:
        raise OperationError("unsupported", f"this rig runs no {operation.kill} process")
    if not simulation.supervisor.kill(operation.kill):
        raise OperationError("refused", f"{operation.kill} is not running")


def _arrange_installation(simulation: Simulation, operation: op.Firmware) -> None:
    arrange(simulation.station.path / SLOTS, operation.next)


def _plug_device(simulation: Simulation, operation: op.Device) -> None:
    _wire_with(simulation, operation.device).plug(operation.device, operation.plugged)


def _disturb_device(simulation: Simulation, operation: op.DeviceFault) -> None:
    switches = _wire_with(simulation, operation.device).switches[operation.device]
    if operation.fault not in switches:
        known = ", ".join(switches) or "none"
        raise OperationError("bad_request", f"no fault {operation.fault[:40]!r} of {operation.device}: {known}")
    switches[operation.fault](operation.present)


def _wire_with(simulation: Simulation, device: str) -> Wire:
    if simulation.wire is None:
        raise OperationError("unsupported", "without rig.wire, devices have no plugs")
    names = simulation.wire.names
    if device not in names:
        raise OperationError("bad_request", f"no device {device[:40]!r}; there are {', '.join(names)}")
    return simulation.wire


ACTIONS: dict[type[op.Operation], Callable[[Simulation, Any], None]] = {
    op.SelectEvse: _select_evse,
    op.PresentCard: _present_card,
    op.PressStop: _press_stop,
    op.PlugIn: _plug_in,
    op.PlugOut: _plug_out,
    op.Car: _change_car,
    op.MeterChange: _change_meter,
    op.RaiseFault: _raise_fault,
    op.ClearFault: _clear_fault,
    op.Network: _change_network,
    op.Clock: _change_clock,
    op.Storage: _disturb_storage,
    op.Process: _kill_process,
    op.Firmware: _arrange_installation,
    op.Device: _plug_device,
    op.DeviceFault: _disturb_device,
}
"""By the operation's class; `State`, `Subscribe` and the power supply are handled elsewhere."""
