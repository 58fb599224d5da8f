# SPDX-License-Identifier: Apache-2.0
"""The slots that the settings name; what a kind needs is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from firmware.update.slot_directory import SlotDirectory

if TYPE_CHECKING:
    from firmware.config import SlotsSettings
    from firmware.update.slots import Slots

__all__ = ["open_slots"]


def open_slots(settings: SlotsSettings) -> Slots:
    """Cheap: nothing is read or connected yet."""
    match settings.driver:
        case "rauc":
            from firmware.update.rauc import RaucSlots

            return RaucSlots()
        case "simulated":
            from firmware.update.simulated import SimulatedSlots

            return SimulatedSlots(Path(settings.path))
        case "directory":
            return SlotDirectory(Path(settings.path))
