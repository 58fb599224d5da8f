# SPDX-License-Identifier: Apache-2.0
"""Faults of the cabinet: each one of the contract's list, injected where it would occur.

A fault that a port can see is caused in the hardware behind that port, so that the HAL has to find it. One that only
the board's own sensors see (a broken latch, a residual current) is reported by the board. Without an EVSE, a fault of
EVSEs is raised at all of them, and any fault is cleared everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.simulated.messages import BoardFault
from drivers.simulated.world.evse import Evse
from firmware.contract import Fault

__all__ = ["InjectedFaults"]


class InjectedFaults:
    """The faults that are present now."""

    def __init__(self, evses: Mapping[int, Evse]) -> None:
        self._evses = evses
        self._raised: set[tuple[Fault, int | None]] = set()

    @property
    def emergency_stop(self) -> bool:
        """Whether the button is pressed; it stays pressed until it is released."""
        return self._has(Fault.EMERGENCY_STOP)

    @property
    def door_open(self) -> bool:
        return self._has(Fault.DOOR_OPEN)

    @property
    def card_reader(self) -> bool:
        """Whether the card reader does not answer."""
        return self._has(Fault.CARD_READER)

    def set(self, fault: Fault, evse: int | None, present: bool) -> None:
        """Raise or clear a fault; no effect if it is already raised or cleared."""
        if present:
            self._raised |= {(fault, place) for place in self._places(fault, evse)}
        elif evse is None or fault in _OF_STATION:
            self._raised = {each for each in self._raised if each[0] is not fault}
        else:
            self._raised.discard((fault, evse))
        cause = _IN_HARDWARE.get(fault)
        if cause is not None:
            for each in self._evses.values():
                cause(each, (fault, each.number) in self._raised)

    def _places(self, fault: Fault, evse: int | None) -> list[int | None]:
        if fault in _OF_STATION:
            return [None]
        return list(self._evses) if evse is None and fault in _OF_EVSES else [evse]

    def present(self) -> frozenset[tuple[Fault, int | None]]:
        return frozenset(self._raised)

    def board_faults(self) -> list[BoardFault]:
        """The faults that only the board's own sensors see."""
        return [
            BoardFault(fault=fault, evse=evse, detail="simulated")
            for fault, evse in sorted(self._raised, key=str)
            if not self._seen_by_a_port(fault, evse)
        ]

    def _has(self, fault: Fault) -> bool:
        return (fault, None) in self._raised

    def _seen_by_a_port(self, fault: Fault, evse: int | None) -> bool:
        """A hot plug has a sensor that a port reads, a hot cabinet only the board's; likewise with the modules.

        A contactor that can't close is reported by the board at once: a port shows it only after a command.
        """
        if fault in _ALSO_OF_STATION:
            return evse is not None
        return fault in _OF_STATION or (fault in _IN_HARDWARE and fault is not Fault.CONTACTOR_FAILED)


def _break_meter(evse: Evse, present: bool) -> None:
    evse.meter_failed = present


def _heat_plug(evse: Evse, present: bool) -> None:
    evse.overheated = present


def _weld(evse: Evse, present: bool) -> None:
    evse.contactor.welded = present


def _jam(evse: Evse, present: bool) -> None:
    evse.contactor.failed = present


def _fail_module(evse: Evse, present: bool) -> None:
    evse.bank.failed_modules = 1 if present else 0


def _silence_vehicle(evse: Evse, present: bool) -> None:
    evse.secc_silent = present


_OF_STATION = frozenset({Fault.EMERGENCY_STOP, Fault.DOOR_OPEN})
_ALSO_OF_STATION = frozenset({Fault.OVER_TEMPERATURE, Fault.POWER_MODULE})
_IN_HARDWARE: dict[Fault, Callable[[Evse, bool], None]] = {
    Fault.METER: _break_meter,
    Fault.OVER_TEMPERATURE: _heat_plug,
    Fault.CONTACTOR_WELDED: _weld,
    Fault.CONTACTOR_FAILED: _jam,
    Fault.POWER_MODULE: _fail_module,
    Fault.VEHICLE_LINK: _silence_vehicle,
}
_OF_EVSES = frozenset(_IN_HARDWARE) - _ALSO_OF_STATION
