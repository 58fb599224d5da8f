# SPDX-License-Identifier: Apache-2.0
"""`PowerShelf`: the power modules of all EVSEs."""

from __future__ import annotations

from drivers.simulated import messages as wire
from drivers.simulated.bus import STALE_AFTER_S, WorldOptions, evse_of, send_if_connected
from firmware.errors import DeviceLost
from hal.ports import PowerReading

__all__ = ["SimulatedShelf"]


class SimulatedShelf:
    stale_after_s = STALE_AFTER_S

    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus
        self.groups = self._bus.hello.groups
        self.group_power_w = self._bus.hello.group_power_w
        self.group_current_a = self._bus.hello.group_current_a
        self.max_voltage_v = self._bus.hello.max_voltage_v
        self.min_voltage_v = self._bus.hello.min_voltage_v

    def reach(self, evse: int) -> int:
        return self.groups

    def assign(self, groups: dict[int, int]) -> None:
        self._bus.send(wire.Assign(groups=groups))

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        self._bus.send(wire.SetOutput(evse=evse, voltage_v=voltage_v, current_a=current_a))

    def switch_off(self, evse: int) -> None:
        self._bus.send(wire.SwitchOff(evse=evse))

    def reading(self, evse: int) -> PowerReading:
        return evse_of(self._bus.readings(), evse).shelf

    def close(self) -> None:
        try:
            evses = self._bus.readings().evses
        except DeviceLost:
            return
        for each in evses:
            send_if_connected(self._bus, wire.SwitchOff(evse=each.evse))
