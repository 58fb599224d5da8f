# SPDX-License-Identifier: Apache-2.0
"""Alarm contacts: what the cabinet's own monitors report, one contact for each fault, closed while all is well."""

from __future__ import annotations

from drivers.simulated.world.world import World
from firmware.contract import Fault
from tools.rig.devices.gpio import LINES, Pigpiods

__all__ = ["AlarmContacts"]

_OF_STATION = (Fault.GROUND_FAULT, Fault.OVER_TEMPERATURE, Fault.POWER_LOSS, Fault.POWER_MODULE, Fault.SCREEN)
_OF_EVSES = (
    Fault.GROUND_FAULT,
    Fault.ISOLATION,
    Fault.OVER_CURRENT,
    Fault.OVER_VOLTAGE,
    Fault.UNDER_VOLTAGE,
    Fault.PILOT,
    Fault.PROXIMITY,
    Fault.CONNECTOR_LOCK,
    Fault.CABLE_CHECK,
    Fault.PRECHARGE,
    Fault.CONTACTOR_FAILED,
)
"""Faults that no other device of the cabinet sees (`drivers/simulated/world/faults.py`)."""


class AlarmContacts(Pigpiods):
    """As many daemons of 28 lines as the contacts need."""

    def __init__(self, world: World) -> None:
        self._world = world
        faults = [(fault, None) for fault in _OF_STATION] + [
            (fault, evse) for evse in world.evses for fault in _OF_EVSES
        ]
        self._places = {fault: divmod(index, LINES) for index, fault in enumerate(faults)}
        super().__init__("alarms", 1 + max(daemon for daemon, _ in self._places.values()))

    async def start(self) -> None:
        self.step()
        await super().start()

    def step(self) -> None:
        """Open the contacts of the faults that are present now."""
        present = {(each.fault, each.evse) for each in self._world.faults.board_faults()}
        for fault, (daemon, line) in self._places.items():
            self.daemons[daemon].drive(line, None if fault in present else True)

    def settings(self) -> dict[str, object]:
        """What the table `[board]` needs for the contacts."""
        return {
            "alarm": [
                {"fault": fault.value, "evse": evse, "lines": self.bus(daemon), "line": line}
                for (fault, evse), (daemon, line) in self._places.items()
            ]
        }
