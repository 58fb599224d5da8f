# SPDX-License-Identifier: Apache-2.0
"""The slots that the settings name; the libraries of a kind are imported only for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from firmware.update.slot_directory import SlotDirectory

if TYPE_CHECKING:
    from firmware.update.slots import Slots

__all__ = ["SlotsSettings", "open_slots"]


class SlotsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which kind of slots the board has; `path` is the directory of the kinds that have one."""

    driver: Literal["rauc", "directory", "simulated"]
    path: str = "/var/lib/baywatt/slots"


def open_slots(settings: SlotsSettings) -> Slots:
    """The slots; nothing is read or connected yet."""
    match settings.driver:
        case "rauc":
            from firmware.update.rauc import RaucSlots

            return RaucSlots()
        case "simulated":
            from firmware.update.simulated import SimulatedSlots

            return SimulatedSlots(Path(settings.path))
        case "directory":
            return SlotDirectory(Path(settings.path))
