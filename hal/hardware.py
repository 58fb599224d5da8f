# SPDX-License-Identifier: Apache-2.0
"""The devices of one cabinet as ports: made by the registry from the settings, used by the cabinet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field

from hal.evse.model import Rating
from hal.ports import (
    Board,
    CardReader,
    Contactor,
    Inputs,
    InsulationMonitor,
    Meter,
    NetworkLinks,
    PowerShelf,
    Screen,
    VehicleLink,
)

__all__ = ["Closable", "EvseHardware", "Hardware", "ScreenHardware"]


class Closable(Protocol):
    def close(self) -> None: ...


class EvseHardware(Struct, frozen=True):
    """The devices of one EVSE, with their common rating."""

    evse: int
    connector: int
    rating: Rating
    meter: Meter
    insulation: InsulationMonitor
    contactor: Contactor
    vehicle: VehicleLink


class ScreenHardware(Struct, frozen=True):
    """A display; `evse` is the EVSE that a touch selects or stops."""

    screen: int
    evse: int
    port: Screen


class Hardware(Struct, frozen=True):
    """Every port of the cabinet."""

    shelf: PowerShelf
    board: Board
    inputs: Inputs
    links: NetworkLinks
    evses: Sequence[EvseHardware]
    card_reader: CardReader | None = None
    screens: Sequence[ScreenHardware] = field(default_factory=tuple)

    def ports(self) -> list[Closable]:
        """All ports, those that can move energy first."""
        found: list[Closable] = [evse.contactor for evse in self.evses]
        found.append(self.shelf)
        for evse in self.evses:
            found += [evse.vehicle, evse.insulation, evse.meter]
        found += [screen.port for screen in self.screens]
        found += [self.links, self.inputs]
        if self.card_reader is not None:
            found.append(self.card_reader)
        return [*found, self.board]
