# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a device of a wired rig, besides being unplugged: the name of each fault, and how it is set.

The rig's own faults (`fault`) are of the cabinet, whatever its devices are; these are what one simulator can do on its
wire.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.gpio import CabinetLines
from tools.rig.devices.isocha import IsoCha
from tools.rig.devices.lem_dcbm import LemDcbm
from tools.rig.devices.modbus_slave import Mischief, Slave
from tools.rig.devices.pn532 import Pn532
from tools.rig.devices.secc import SeccBoard
from tools.rig.devices.shelf import SimModule
from tools.rig.devices.shelf_infypower import STATUS_BITS

__all__ = ["Switch", "switches_of"]

Switch: TypeAlias = Callable[[bool], None]
"""Sets a fault, or clears it."""

_STATES = ("dc off", "walk-in", "sleeping")
"""Bits of a module's status that are no fault."""
_HOT_C, _WARM_C = 95.0, 35.0
_OTHER_METER = "99999999999"


def switches_of(device: object) -> dict[str, Switch]:
    """The faults of a simulator by their names."""
    match device:
        case SimModule():
            flags = _flags(device, "silent", "babbling", "stuck_on", "stuck_off")
            alarms = {name: partial(_set_alarm, device, name) for name in STATUS_BITS if name not in _STATES}
            return flags | alarms | {"hot": partial(_heat, device)}
        case Slave():
            mischief = {each.name.lower(): partial(_misbehave, device, each) for each in Mischief}
            own = ("device_error", "ignores_test") if isinstance(device.registers, IsoCha) else ()
            return mischief | _flags(device.registers, *own) | {"twin": partial(_set_twin, device)}
        case LemDcbm():
            return _flags(device, "malformed", "cut", "frozen") | {"exchanged": _exchange(device)}
        case SeccBoard():
            acts = {"garbage": _once(device.send_garbage), "vehicle stops": _once(device.stop_by_vehicle)}
            return _flags(device, "interlock_open") | acts
        case CanHub():
            return _flags(device, "full", "bus_off")
        case CabinetLines():
            daemons = {
                name: partial(_set_all, [_flags(daemon, name)[name] for daemon in device.daemons])
                for name in ("silent", "deaf")
            }
            return _flags(device, "stop_wire_broken") | daemons
        case Pn532():
            return _flags(device, "babbling", "split")
        case _:
            return {}


def _flags(device: object, *names: str) -> dict[str, Switch]:
    return {name: partial(setattr, device, name) for name in names}


def _set_all(switches: list[Switch], present: bool) -> None:
    for switch in switches:
        switch(present)


def _set_alarm(module: SimModule, name: str, present: bool) -> None:
    (module.alarms.add if present else module.alarms.discard)(name)


def _heat(module: SimModule, present: bool) -> None:
    module.temperature_c = _HOT_C if present else _WARM_C


def _misbehave(slave: Slave, mischief: Mischief, present: bool) -> None:
    slave.misbehave(mischief if present else None)


def _set_twin(slave: Slave, present: bool) -> None:
    slave.twin = slave.registers if present else None


def _exchange(meter: LemDcbm) -> Switch:
    own = meter.serial_number

    def switch(present: bool) -> None:
        """Another meter, which has been switched on just now."""
        meter.serial_number = _OTHER_METER if present else own
        meter.power_on()

    return switch


def _once(act: Callable[[], None]) -> Switch:
    return lambda present: act() if present else None
