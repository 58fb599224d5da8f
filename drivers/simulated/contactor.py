# SPDX-License-Identifier: Apache-2.0
"""`Contactor` of one EVSE."""

from __future__ import annotations

from drivers.simulated import messages as wire
from drivers.simulated.bus import EvseOptions, evse_of, send_if_connected

__all__ = ["SimulatedContactor"]


class SimulatedContactor:
    Options = EvseOptions

    def __init__(self, options: EvseOptions) -> None:
        self._bus = options.bus
        self._evse = options.evse

    def command(self, closed: bool) -> None:
        self._bus.send(wire.CommandContactor(evse=self._evse, closed=closed))

    def is_closed(self) -> bool:
        return evse_of(self._bus.readings(), self._evse).contactor_closed

    def connector_voltage_v(self) -> float:
        return evse_of(self._bus.readings(), self._evse).connector_voltage_v

    def close(self) -> None:
        send_if_connected(self._bus, wire.CommandContactor(evse=self._evse, closed=False))
