# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the cabinet: each fault of the contract's list, brought about where it would happen.

A fault that a port can see is caused in the hardware behind that port, so that the HAL has to find it. One
that only the board's own sensors see (a broken latch, a residual current, a card reader that does not answer) is
reported by the board. Without an EVSE, a fault of the outlets hits all of them, and a fault is mended wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.simulated.messages import BoardFault
from drivers.simulated.outlet import Outlet
from firmware.contract import Fault

__all__ = ["Accidents"]


class Accidents:
    """The faults that are present."""

    def __init__(self, outlets: Mapping[int, Outlet]) -> None:
        self._outlets = outlets
        self._raised: set[tuple[Fault, int | None]] = set()

    @property
    def emergency_stop(self) -> bool:
        """The button is pressed; it stays in until it is released."""
        return self._has(Fault.EMERGENCY_STOP)

    @property
    def door_open(self) -> bool:
        return self._has(Fault.DOOR_OPEN)

    def set(self, fault: Fault, evse: int | None, present: bool) -> None:
        """Bring a fault about or mend it; without effect when it is so already."""
        if present:
            self._raised |= {(fault, place) for place in self._places(fault, evse)}
        elif evse is None or fault in _OF_STATION:
            self._raised = {each for each in self._raised if each[0] is not fault}
        else:
            self._raised.discard((fault, evse))
        cause = _IN_HARDWARE.get(fault)
        if cause is not None:
            for outlet in self._outlets.values():
                cause(outlet, (fault, outlet.evse) in self._raised)

    def _places(self, fault: Fault, evse: int | None) -> list[int | None]:
        if fault in _OF_STATION:
            return [None]
        return list(self._outlets) if evse is None and fault in _OF_OUTLETS else [evse]

    def present(self) -> frozenset[tuple[Fault, int | None]]:
        return frozenset(self._raised)

    def board_faults(self) -> list[BoardFault]:
        """What the board's own sensors see now."""
        return [
            BoardFault(fault=fault, evse=evse, detail="simulated")
            for fault, evse in sorted(self._raised, key=str)
            if not self._seen_by_a_port(fault, evse)
        ]

    def _has(self, fault: Fault) -> bool:
        return (fault, None) in self._raised

    def _seen_by_a_port(self, fault: Fault, evse: int | None) -> bool:
        """A hot plug has a sensor that a port reads, a hot cabinet only the board's; so with the modules.

        A contactor that will not close is reported at once: no port shows it before it is asked to.
        """
        if fault in _ALSO_OF_STATION:
            return evse is not None
        return fault in _OF_STATION or (fault in _IN_HARDWARE and fault is not Fault.CONTACTOR_FAILED)


def _break_meter(outlet: Outlet, present: bool) -> None:
    outlet.meter_failed = present


def _heat_plug(outlet: Outlet, present: bool) -> None:
    outlet.overheated = present


def _weld(outlet: Outlet, present: bool) -> None:
    outlet.contactor.welded = present


def _jam(outlet: Outlet, present: bool) -> None:
    outlet.contactor.failed = present


def _fail_module(outlet: Outlet, present: bool) -> None:
    outlet.bank.failed_modules = 1 if present else 0


def _silence_vehicle(outlet: Outlet, present: bool) -> None:
    outlet.secc_silent = present


_OF_STATION = frozenset({Fault.EMERGENCY_STOP, Fault.DOOR_OPEN})
_ALSO_OF_STATION = frozenset({Fault.OVER_TEMPERATURE, Fault.POWER_MODULE})
_IN_HARDWARE: dict[Fault, Callable[[Outlet, bool], None]] = {
    Fault.METER: _break_meter,
    Fault.OVER_TEMPERATURE: _heat_plug,
    Fault.CONTACTOR_WELDED: _weld,
    Fault.CONTACTOR_FAILED: _jam,
    Fault.POWER_MODULE: _fail_module,
    Fault.VEHICLE_LINK: _silence_vehicle,
}
_OF_OUTLETS = frozenset(_IN_HARDWARE) - _ALSO_OF_STATION
