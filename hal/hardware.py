# SPDX-License-Identifier: Apache-2.0
"""The devices of one cabinet, as ports: what the registry makes of a configuration and the cabinet runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

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

__all__ = ["Closable", "Hardware", "OutletHardware", "ScreenHardware"]


class Closable(Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OutletHardware:
    """The devices of one EVSE, with what they are rated for."""

    evse: int
    connector: int
    rating: Rating
    meter: Meter
    insulation: InsulationMonitor
    contactor: Contactor
    vehicle: VehicleLink


@dataclass(frozen=True, slots=True)
class ScreenHardware:
    """A display; `evse` is the outlet that a touch means."""

    screen: int
    evse: int
    port: Screen


@dataclass(frozen=True, slots=True)
class Hardware:
    """Every port of the cabinet."""

    shelf: PowerShelf
    board: Board
    inputs: Inputs
    links: NetworkLinks
    outlets: Sequence[OutletHardware]
    card_reader: CardReader | None = None
    screens: Sequence[ScreenHardware] = field(default_factory=tuple)

    def ports(self) -> list[Closable]:
        """All of them, those that can move energy first."""
        found: list[Closable] = [outlet.contactor for outlet in self.outlets]
        found.append(self.shelf)
        for outlet in self.outlets:
            found += [outlet.vehicle, outlet.insulation, outlet.meter]
        found += [screen.port for screen in self.screens]
        found += [self.links, self.inputs]
        if self.card_reader is not None:
            found.append(self.card_reader)
        return [*found, self.board]
