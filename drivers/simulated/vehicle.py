# SPDX-License-Identifier: Apache-2.0
"""`VehicleLink` of one EVSE. While the communication controller is silent, the last report ages."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated import messages as wire
from drivers.simulated.bus import STALE_AFTER_S, EvseOptions, evse_of, send_if_connected
from firmware.errors import DeviceLost
from hal.ports import Vehicle

__all__ = ["SimulatedVehicleLink"]


class SimulatedVehicleLink:
    stale_after_s = STALE_AFTER_S

    Options = EvseOptions

    def __init__(self, options: EvseOptions) -> None:
        self._bus = options.bus
        self._evse = options.evse
        self._listeners: list[Callable[[Vehicle], None]] = []
        self._latest: Vehicle | None = None
        self._bus.listen(self._on_message)
        self._update(self._bus.readings())

    def vehicle(self) -> Vehicle:
        self._bus.readings()
        if self._latest is None:
            raise DeviceLost(f"vehicle communication of EVSE {self._evse} has not answered yet")
        return self._latest

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        self._listeners.append(on_change)

    def authorise(self, granted: bool) -> None:
        self._bus.send(wire.Authorise(evse=self._evse, granted=granted))

    def wake(self) -> None:
        self._bus.send(wire.Wake(evse=self._evse))

    def report_output(self, voltage_v: float, current_a: float, insulation_kohm: float | None) -> None:
        self._bus.send(wire.ReportOutput(evse=self._evse, voltage_v=voltage_v, current_a=current_a))

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        self._bus.send(
            wire.AnnounceLimits(
                evse=self._evse,
                max_voltage_v=max_voltage_v,
                max_current_a=max_current_a,
                max_power_w=max_power_w,
            )
        )

    def finish_cable_check(self, passed: bool) -> None:
        self._bus.send(wire.FinishCableCheck(evse=self._evse, passed=passed))

    def request_stop(self) -> None:
        self._bus.send(wire.RequestStop(evse=self._evse))

    def emergency_stop(self) -> None:
        self._bus.send(wire.EmergencyStop(evse=self._evse))

    def set_available(self, available: bool) -> None:
        self._bus.send(wire.SetAvailable(evse=self._evse, available=available))

    def close(self) -> None:
        send_if_connected(self._bus, wire.EmergencyStop(evse=self._evse))

    def _on_message(self, message: wire.FromWorld) -> None:
        if isinstance(message, wire.Readings):
            self._update(message)

    def _update(self, readings: wire.Readings) -> None:
        vehicle = evse_of(readings, self._evse).vehicle
        if vehicle is None:
            return
        before, self._latest = self._latest, vehicle
        if before is not None and wire.vehicle_edges(before) != wire.vehicle_edges(vehicle):
            for listener in self._listeners:
                listener(vehicle)
