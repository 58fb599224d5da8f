# SPDX-License-Identifier: Apache-2.0
"""The board is restarted or switched off: once every contactor is open, or has had its time to open."""

from __future__ import annotations

import logging
from collections.abc import Callable

from firmware.contract import PowerOff, Reboot
from firmware.errors import DriverError
from firmware.log import fields
from firmware.message_ids import MessageId
from hal.ports import Board

__all__ = ["REBOOT_PATIENCE_S", "BoardEnd"]

REBOOT_PATIENCE_S = 5.0
_log = logging.getLogger(__name__)


class BoardEnd:
    """`all_open`: whether every contactor is; `cut_power` opens those that are not."""

    def __init__(self, board: Board, *, all_open: Callable[[], bool], cut_power: Callable[[], None]) -> None:
        self._board = board
        self._all_open = all_open
        self._cut_power = cut_power
        self._command: Reboot | PowerOff | None = None
        self._since = 0.0

    @property
    def under_way(self) -> bool:
        return self._command is not None

    def begin(self, command: Reboot | PowerOff, now: float) -> None:
        """The caller ends what runs; `go_on` does the rest."""
        what = "reboot" if isinstance(command, Reboot) else "power-off"
        _log.info("%s requested: contactors open first", what, extra=fields(message_id=MessageId.REBOOT))
        self._command, self._since = command, now

    def go_on(self, now: float) -> None:
        """Called with every tick."""
        command = self._command
        if command is None or (not self._all_open() and now - self._since < REBOOT_PATIENCE_S):
            return
        self._cut_power()
        self._command = None
        try:
            if isinstance(command, Reboot):
                self._board.reboot()
            else:
                self._board.power_off()
        except DriverError as error:
            what = "restarted" if isinstance(command, Reboot) else "switched off"
            _log.error("the board can't be %s: %s", what, error)
