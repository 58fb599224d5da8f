# SPDX-License-Identifier: Apache-2.0
"""Which meter each EVSE has, by its serial number: the bill of another one is another one's.

The first meter that answers with a number is that of its EVSE, and is kept in a file. From then on another number is
not believed, whatever its register says, also after a restart: a technician has exchanged two cables, or the meter was
replaced. A new meter is accepted by its number in the settings, which count before the file:

    [[evse]]
    meter = { driver = "lem_dcbm", host = "192.0.2.20", serial_number = "12024072805" }

A meter that gives no number is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from firmware.files import replace
from firmware.trouble import Trouble

__all__ = ["KnownMeters"]

RETRY_S = 60.0
_log = logging.getLogger(__name__)


class KnownMeters:
    """The meters of the station.

    Args:
        path: the file; None: they are forgotten at the end of the process.
        commissioned: the serial numbers in the settings, by EVSE.
    """

    def __init__(self, path: Path | None, commissioned: Mapping[int, str] | None = None) -> None:
        self._path = path
        self._commissioned = commissioned or {}
        self._known = _load(path) if path is not None else {}
        self._write_at: float | None = None
        """When the file is to be written; None: it says what is known."""
        self._unwritten = Trouble(_log, f"the meters can't be kept in {path}", logging.ERROR)

    def objection(self, evse: int, serial_number: str, now: float) -> str | None:
        """Why this meter is not believed at this EVSE, for an electrician; None for its own, which is kept.

        The file is written when a meter is seen for the first time, which may block for as long as a disk takes.
        """
        known = self._commissioned.get(evse) or self._known.get(evse)
        if known in (None, serial_number):
            if self._known.get(evse) != serial_number:
                _log.info("EVSE %d has meter %s", evse, serial_number)
                self._known[evse], self._write_at = serial_number, now
            if self._write_at is not None and now >= self._write_at:
                self._write(now)
            return None
        where = next(
            (other for other, number in self._known.items() if number == serial_number and other != evse), None
        )
        whose = "" if where is None else f", which is that of EVSE {where}"
        return (
            f"it is meter {serial_number}{whose}, but meter {known} belongs here: check the cables; a new meter is"
            " accepted by its serial_number in the settings"
        )

    def _write(self, now: float) -> None:
        self._write_at = None
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace(self._path, msgspec.json.encode(self._known))
        except OSError as error:
            self._write_at = now + RETRY_S
            self._unwritten.failed(error)
        else:
            self._unwritten.worked()


def _load(path: Path) -> dict[int, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[int, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        _log.error("which meters the station has can't be read, they are taken as they are: %s: %s", path, error)
        return {}
