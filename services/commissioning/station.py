# SPDX-License-Identifier: Apache-2.0
"""What the station's processes say of themselves, kept up to date: the HAL's snapshot and events, the OCPP status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from firmware.contract.messages import (
    ClockChanged,
    ContactorChanged,
    EnergyFlowChanged,
    EvseStatus,
    FaultCleared,
    FaultRaised,
    LatchChanged,
    LinkChanged,
    MeterReading,
    PhaseChanged,
    Plugged,
    ScreenShown,
    Snapshot,
    Stamped,
    Unplugged,
)
from firmware.contract.status import FromService, ServiceStatus

__all__ = ["Station"]


class Station:
    """The watcher of both sockets. `on_change` is called after each change."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.hal: Snapshot | None = None
        """The HAL's state; None while there is no connection."""
        self.service: ServiceStatus | None = None
        self.serial_number = ""
        """Of the last snapshot."""

    # --- firmware.ipc.hal_link.HalWatcher -----------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self.hal = snapshot
        self.serial_number = snapshot.serial_number
        self._on_change()

    def on_hal_down(self, reason: str) -> None:
        self.hal = None
        self._on_change()

    def on_hal_event(self, stamped: Stamped) -> None:
        if self.hal is None or stamped.replayed:
            return
        match stamped.event:
            case PhaseChanged(evse=evse, phase=phase):
                self._change(evse, phase=phase)
            case Plugged(evse=evse):
                self._change(evse, plugged=True)
            case Unplugged(evse=evse):
                self._change(evse, plugged=False)
            case ContactorChanged(evse=evse, closed=closed):
                self._change(evse, contactor_closed=closed)
            case LatchChanged(evse=evse, locked=locked):
                self._change(evse, locked=locked)
            case EnergyFlowChanged(evse=evse, flow=flow):
                self._change(evse, flow=flow)
            case MeterReading(evse=evse) as reading:
                self._change(evse, reading=reading)
            case FaultRaised(fault=fault, evse=evse):
                self._set_faults(evse, lambda faults: [*faults, fault] if fault not in faults else faults)
            case FaultCleared(fault=fault, evse=evse):
                self._set_faults(evse, lambda faults: [each for each in faults if each is not fault])
            case LinkChanged(interface=name, up=up, details=details):
                links, known = {**self.hal.links, name: up}, {**self.hal.link_details, name: details}
                self.hal = replace(self.hal, links=links, link_details=known)
            case ClockChanged(is_set=is_set, synchronised=synchronised):
                now = replace(
                    self.hal.clock,
                    mono_s=stamped.mono_s,
                    utc_s=stamped.utc_s,
                    is_set=is_set,
                    synchronised=synchronised,
                )
                self.hal = replace(self.hal, clock=now)
            case ScreenShown(screen=screen) as shown:
                others = [each for each in self.hal.screens if each.screen != screen]
                self.hal = replace(self.hal, screens=sorted([*others, shown], key=lambda each: each.screen))
            case _:
                return
        self._on_change()

    def _change(self, number: int, **changes: Any) -> None:
        self._replace(number, lambda evse: replace(evse, **changes))

    def _set_faults(self, number: int | None, change: Callable[[list[Any]], list[Any]]) -> None:
        assert self.hal is not None
        if number is None:
            self.hal = replace(self.hal, faults=change(self.hal.faults))
        else:
            self._replace(number, lambda evse: replace(evse, faults=change(evse.faults)))

    def _replace(self, number: int, change: Callable[[EvseStatus], EvseStatus]) -> None:
        assert self.hal is not None
        evses = [change(each) if each.evse == number else each for each in self.hal.evses]
        self.hal = replace(self.hal, evses=evses)

    # --- firmware.ipc.status.StatusWatcher ----------------------------------------------------------------------

    def on_service_message(self, message: FromService) -> None:
        if isinstance(message, ServiceStatus):
            self.service = message
            self._on_change()

    def on_service_down(self, reason: str) -> None:
        self.service = None
        self._on_change()
