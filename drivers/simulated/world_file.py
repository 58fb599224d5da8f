# SPDX-License-Identifier: Apache-2.0
"""The state of the simulated hardware that survives its process: meter registers, clock error, boots, serial number.

The file is replaced atomically, and before a higher register is reported: no real meter shows less after a restart
than before.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import msgspec

from drivers.simulated.world.board import BoardState
from drivers.simulated.world.world import World
from firmware import files
from firmware.contract import BootCause
from firmware.type_words import decode_json

__all__ = ["WorldFile"]

_log = logging.getLogger(__name__)


class SavedWorld(msgspec.Struct, forbid_unknown_fields=True):
    """The file's content."""

    serial_number: str
    boots: int = 0
    boot_id: str = ""
    boot_cause: BootCause = BootCause.UNKNOWN
    machine_boot_id: str = ""
    """The boot of this machine in which the board's last boot was."""
    clock_offset_s: float = 0.0
    clock_lost: bool = False
    registers: dict[int, float] = msgspec.field(default_factory=dict)


class WorldFile:
    """Saves and restores the state of a world. Without a path nothing is kept."""

    def __init__(self, path: Path | None, *, machine_boot_id: str = "") -> None:
        self._path = path
        self._machine_boot_id = machine_boot_id
        self._saved = self._load()

    @property
    def booted(self) -> bool:
        """Whether the board has booted since this machine has: its process was started again, nothing else."""
        return bool(self._saved.boot_id) and self._saved.machine_boot_id == self._machine_boot_id

    def board(self) -> BoardState:
        """The board as it was saved, without power."""
        saved = self._saved
        return BoardState(
            serial_number=saved.serial_number,
            boots=saved.boots,
            boot_id=saved.boot_id,
            boot_cause=saved.boot_cause,
            clock_offset_s=saved.clock_offset_s,
            clock_lost=saved.clock_lost,
        )

    def restore(self, world: World) -> None:
        for number, evse in world.evses.items():
            evse.energy_wh = self._saved.registers.get(number, 0.0)

    def save(self, world: World) -> None:
        """Write the file if anything in it has changed."""
        board = world.board
        content = SavedWorld(
            serial_number=board.serial_number,
            boots=board.boots,
            boot_id=board.boot_id,
            boot_cause=board.boot_cause,
            machine_boot_id=self._machine_boot_id,
            clock_offset_s=board.clock_offset_s,
            clock_lost=board.clock_lost,
            registers={number: evse.energy_wh for number, evse in world.evses.items()},
        )
        if content == self._saved or self._path is None:
            return
        try:
            files.replace(self._path, msgspec.json.encode(content), mode=0o644, durable=False)
        except OSError as error:
            _log.error("%s: %s", self._path, error.strerror)
        else:
            self._saved = content

    def _load(self) -> SavedWorld:
        try:
            if self._path is not None:
                return decode_json(self._path.read_bytes(), SavedWorld)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or error
            _log.warning("%s: starting with a new cabinet: %s", self._path, problem)
        return SavedWorld(serial_number=f"BW{secrets.randbelow(10**8):08d}")
