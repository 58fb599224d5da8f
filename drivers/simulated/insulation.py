# SPDX-License-Identifier: Apache-2.0
"""`InsulationMonitor` of one EVSE."""

from __future__ import annotations

from drivers.simulated import messages as wire
from drivers.simulated.bus import STALE_AFTER_S, EvseOptions, evse_of, send_if_connected
from hal.ports import InsulationReading

__all__ = ["SimulatedInsulationMonitor"]


class SimulatedInsulationMonitor:
    stale_after_s = STALE_AFTER_S

    Options = EvseOptions

    def __init__(self, options: EvseOptions) -> None:
        self._bus = options.bus
        self._evse = options.evse

    def enable(self, active: bool) -> None:
        self._bus.send(wire.EnableMonitor(evse=self._evse, active=active))

    def start_self_test(self) -> None:
        self._bus.send(wire.StartSelfTest(evse=self._evse))

    def reading(self) -> InsulationReading:
        return evse_of(self._bus.readings(), self._evse).insulation

    def close(self) -> None:
        send_if_connected(self._bus, wire.EnableMonitor(evse=self._evse, active=False))
