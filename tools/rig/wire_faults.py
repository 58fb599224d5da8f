# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a device of a wired rig, besides being unplugged: the name of each fault, and how it is set.

The rig's own faults (`fault`) are of the cabinet, whatever its devices are; these are what one simulator can do on its
wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from tools.rig.devices.alarms import AlarmContacts
from tools.rig.devices.can_hub import CanHub, Delivery
from tools.rig.devices.gpio import LINES, CabinetLines, Pigpiods
from tools.rig.devices.isocha import INVALID, SMALLER, IsoCha
from tools.rig.devices.kiosk import KioskBrowser
from tools.rig.devices.lem_dcbm import LemDcbm
from tools.rig.devices.modbus_slave import Mischief, Slave, SlaveLine
from tools.rig.devices.nextion import Nextion
from tools.rig.devices.pn532 import Pn532
from tools.rig.devices.secc import SeccBoard
from tools.rig.devices.shelf import SimModule
from tools.rig.devices.shelf_infypower import STATUS_BITS

__all__ = ["OWN_FAULTS", "Switch", "switches_of"]

Switch: TypeAlias = Callable[[bool], None]
"""Sets a fault, or clears it."""

_STATES = ("dc off", "walk-in", "sleeping")
"""Bits of a module's status that are no fault."""
_HOT_C, _WARM_C = 95.0, 35.0
_OTHER_METER = "99999999999"
_SLOW_S = 10.0
_DARK = 4
"""Requests during the start of a meter."""
_OTHER_INDEX = 8
_ALWAYS = 1_000_000
_OTHER_CHIP, _PN532 = 0x07, 0x32
_MEASURING = 3026
_NOISE = bytes(range(0x20, 0x60))
_STEADY = 5
"""A bus that is disturbed spoils each frame of so many."""


def switches_of(device: object) -> dict[str, Switch]:
    """The faults of a simulator by their names."""
    for kind, faults in OWN_FAULTS.items():
        if isinstance(device, kind):
            return faults(device)
    return {}


def _of_module(module: SimModule) -> dict[str, Switch]:
    flags = _flags(module, "silent", "babbling", "stuck_on", "stuck_off")
    alarms = {name: partial(_set_alarm, module, name) for name in STATUS_BITS if name not in _STATES}
    return flags | alarms | {"hot": _between(module, "temperature_c", _HOT_C, _WARM_C)}


def _of_slave(slave: Slave) -> dict[str, Switch]:
    faults: dict[str, Switch] = {each.name.lower(): partial(_misbehave, slave, each) for each in Mischief}
    faults["twin"] = partial(_set_twin, slave)
    monitor = slave.registers
    if isinstance(monitor, IsoCha):
        faults |= _flags(monitor, "device_error", "ignores_test") | {
            "invalid": _between(monitor, "range", INVALID, None),
            "smaller": _between(monitor, "range", SMALLER, None),
            "stays off": _between(monitor, "settings_that_stick", {_MEASURING: 0}, {}),
            "replaced": _once(monitor.replace),
        }
    return faults


def _of_meter(meter: LemDcbm) -> dict[str, Switch]:
    slow = {"slow": _between(meter, "delay_s", _SLOW_S, 0.0)}
    return _flags(meter, "malformed", "cut", "frozen") | slow | {"exchanged": _exchange(meter)}


def _of_board(board: SeccBoard) -> dict[str, Switch]:
    own = board.index
    return _flags(board, "interlock_open", "silent") | {
        "garbage": _once(board.send_garbage),
        "vehicle stops": _once(board.stop_by_vehicle),
        "restarts": _once(board.boot),
        "wrong index": _between(board, "index", own + _OTHER_INDEX, own),
        "plug sensors lost": _between(board, "plug_c", (None, None), None),
        "hot plug": _between(board, "plug_c", (_HOT_C, _HOT_C), None),
    }


def _of_hub(hub: CanHub) -> dict[str, Switch]:
    return _flags(hub, "full", "bus_off") | {
        "loses frames": _between(hub, "fault", _Disturbance(lambda _can_id, _data: ()), None),
        "doubles frames": _between(hub, "fault", _Disturbance(lambda *frame: ((0.0, *frame), (0.01, *frame))), None),
        "delays frames": _between(hub, "fault", _Disturbance(lambda *frame: ((0.05, *frame),)), None),
    }


def _of_lines(lines: Pigpiods) -> dict[str, Switch]:
    faults: dict[str, Switch] = {
        name: partial(_set_all, [_flags(daemon, name)[name] for daemon in lines.daemons])
        for name in ("silent", "deaf", "babbling")
    }
    refused = [_between(daemon, "refused", set(range(LINES)), set()) for daemon in lines.daemons]
    return faults | {"refused": partial(_set_all, refused)}


def _of_cabinet_lines(lines: CabinetLines) -> dict[str, Switch]:
    return _flags(lines, "stop_wire_broken") | _of_lines(lines)


def _of_reader(reader: Pn532) -> dict[str, Switch]:
    return _flags(reader, "split") | {
        "babbling": reader.babble,
        "noise": _between(reader, "noise", b"\x00\xff\x13", b""),
        "acks lost": _between(reader, "drop_acks", _ALWAYS, 0),
        "corrupt": _between(reader, "corrupt", _ALWAYS, 0),
        "errors": _between(reader, "errors", _ALWAYS, 0),
        "another chip": partial(_exchange_chip, reader),
    }


def _of_panel(panel: Nextion) -> dict[str, Switch]:
    return _flags(panel, "silent", "split") | {"babbling": panel.babble, "restart": _once(panel.restart)}


def _of_browser(browser: KioskBrowser) -> dict[str, Switch]:
    return _flags(browser, "silent", "garbage") | {"crash": _once(browser.crash)}


OWN_FAULTS: dict[type, Callable[[Any], dict[str, Switch]]] = {
    SimModule: _of_module,
    Slave: _of_slave,
    LemDcbm: _of_meter,
    SeccBoard: _of_board,
    CanHub: _of_hub,
    CabinetLines: _of_cabinet_lines,
    AlarmContacts: _of_lines,
    SlaveLine: lambda line: {"babbling": _once(partial(line.babble, _NOISE))},
    Pn532: _of_reader,
    Nextion: _of_panel,
    KioskBrowser: _of_browser,
}
"""The faults of each kind of simulator."""


def _flags(device: object, *names: str) -> dict[str, Switch]:
    return {name: partial(setattr, device, name) for name in names}


def _set_all(switches: list[Switch], present: bool) -> None:
    for switch in switches:
        switch(present)


def _set_alarm(module: SimModule, name: str, present: bool) -> None:
    (module.alarms.add if present else module.alarms.discard)(name)


def _between(device: object, name: str, present: object, absent: object) -> Switch:
    """Set an attribute to one of two values."""
    return lambda is_present: setattr(device, name, present if is_present else absent)


def _misbehave(slave: Slave, mischief: Mischief, present: bool) -> None:
    slave.misbehave(mischief if present else None)


def _set_twin(slave: Slave, present: bool) -> None:
    slave.twin = slave.registers if present else None


def _exchange(meter: LemDcbm) -> Switch:
    own = meter.serial_number

    def switch(present: bool) -> None:
        """Another meter, which has been switched on just now."""
        meter.serial_number = _OTHER_METER if present else own
        meter.dark = _DARK
        meter.power_on()

    return switch


def _exchange_chip(reader: Pn532, present: bool) -> None:
    reader.chip = _OTHER_CHIP if present else _PN532
    reader.cut_power()


class _Disturbance:
    """What becomes of each `_STEADY`-th frame of a bus."""

    def __init__(self, becomes: Callable[[int, bytes], Iterable[Delivery]]) -> None:
        self._becomes = becomes
        self._frames = 0

    def __call__(self, can_id: int, data: bytes) -> Iterable[Delivery]:
        self._frames += 1
        return self._becomes(can_id, data) if self._frames % _STEADY == 0 else ((0.0, can_id, data),)


def _once(act: Callable[[], None]) -> Switch:
    return lambda present: act() if present else None
