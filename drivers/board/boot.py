# SPDX-License-Identifier: Apache-2.0
"""The cause of this boot: by a record that outlives it, and by what the board's hardware remembers.

The record is a small file with the boot in which it was written, that boot's cause, whether the HAL has requested a
restart since, and whether it has stopped in the orderly way. A HAL that is started again in the same boot reports the
same cause. Sources of the rest: `/sys/class/watchdog/*/bootstatus` (Documentation/watchdog/watchdog-api.rst) and
`power_on_reason` (Documentation/ABI/testing/sysfs-platform-power-on-reason), which few boards have.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from firmware.contract import BootCause
from firmware.files import replace

__all__ = ["BootRecord", "Evidence", "Recorder", "boot_cause"]

CARD_RESET = 0x20
"""WDIOF_CARDRESET: the watchdog has reset the board."""
_REASONS = {
    "regular power-up": BootCause.POWER_UP,
    "brown-out reset": BootCause.POWER_UP,
    "watchdog timeout": BootCause.WATCHDOG,
    "reset button action": BootCause.LOCAL_RESET,
    "software reset": BootCause.LOCAL_RESET,
}
_log = logging.getLogger(__name__)


class BootRecord(Struct, frozen=True):
    """What was known in the boot `boot_id`."""

    boot_id: str
    cause: BootCause
    requested: bool = False
    orderly: bool = False


class Evidence(Struct, frozen=True):
    """What the hardware remembers of the reset: `power_on_reason`, and the watchdogs' `bootstatus` together."""

    reason: str | None = None
    watchdog_status: int = 0

    @classmethod
    def collect(cls, root: Path) -> Evidence:
        status = 0
        for path in root.glob("sys/class/watchdog/watchdog*/bootstatus"):
            try:
                status |= int(path.read_text(), 0)
            except (OSError, ValueError):
                continue
        for path in root.glob("sys/devices/platform/*/power_on_reason"):
            try:
                return cls(path.read_text().strip(), status)
            except OSError:
                continue
        return cls(None, status)


def boot_cause(before: BootRecord | None, boot_id: str, found: Evidence) -> BootCause:
    """The cause of the boot `boot_id`, by the record of an earlier moment.

    A restart that was requested counts first: many boards carry it out by their watchdog. A HAL that had stopped in the
    orderly way was not ended by its watchdog either; somebody has restarted the board.
    """
    if before is not None and before.boot_id == boot_id:
        return before.cause
    if before is not None and before.requested:
        return BootCause.REQUESTED
    if found.reason in _REASONS:
        return _REASONS[found.reason]
    if before is not None and before.orderly:
        return BootCause.LOCAL_RESET
    return BootCause.WATCHDOG if found.watchdog_status & CARD_RESET else BootCause.POWER_UP


class Recorder:
    """Keeps the record in a file, from the first note on.

    A file that can't be written or read is logged, and costs the cause of the next boot.
    """

    def __init__(self, path: Path, boot_id: str, found: Evidence) -> None:
        self._path = path
        self._record = BootRecord(boot_id, boot_cause(self._load(), boot_id, found))

    @property
    def cause(self) -> BootCause:
        return self._record.cause

    def note(self, *, requested: bool = False, orderly: bool = False) -> None:
        """Write down what is true of this boot now."""
        self._record = BootRecord(self._record.boot_id, self._record.cause, requested, orderly)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace(self._path, msgspec.json.encode(self._record))
        except OSError as error:
            _log.warning("the record of this boot can't be written: %s", error)

    def _load(self) -> BootRecord | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=BootRecord)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("the record of the last boot can't be read: %s", error)
            return None
