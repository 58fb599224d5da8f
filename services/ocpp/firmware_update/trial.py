# SPDX-License-Identifier: Apache-2.0
"""Whether the version that runs is kept (L01.FR.28, L01.FR.32); for people: "Which version stays", docs/operations.md.

| the version that runs                      | is kept when                                                            |
|---|---|
| any                                        | it has reached the HAL, and the CSMS has accepted the station or has it |
|                                            | wait (Pending)                                                          |
| was kept in this slot before               | it has reached the HAL                                                  |
| is new, and the station was offline before | `TRIAL_S` are over, and it has had the HAL for `STEADY_S` without a     |
|                                            | break                                                                   |

A CSMS that is not reached says nothing about a new version where it was not reached before: the site's network may be
out of order for weeks, and going back would not mend it. And it says nothing about a version that has proved itself
already: boards whose boot loader counts every start (RAUC) ask again at each of them, and would otherwise leave a good
version after a few starts without a network.

*Offline before* is what the version before has written down: the CSMS was not reached for `OFFLINE_S`. Only a version
that is kept writes it, so that a version on trial is never its own witness. A shorter interruption does not count.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from services.ocpp.device_model import keys
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.firmware_update.conditions import Conditions

__all__ = ["OFFLINE_S", "STEADY_S", "TRIAL_S", "Trial"]

_log = logging.getLogger(__name__)

TRIAL_S = 900.0
"""How long a new version may take to be accepted by the CSMS."""
OFFLINE_S = 900.0
STEADY_S = 300.0


class _Record(msgspec.Struct):
    """What is on disk, for the next version, too."""

    offline: bool = True
    """As long as the CSMS was never reached, the station counts as offline."""
    proven: dict[str, str] = {}
    """Slot -> the version that was kept in it."""


class Trial:
    """The trial of the version that runs. `begin` once at the start, then `look` at every event."""

    def __init__(self, context: Context, conditions: Conditions) -> None:
        self.context = context
        self._conditions = conditions
        self._record = _Record()
        self._until: float | None = None
        """The end of the time for which the CSMS is waited for; None while nothing is on trial."""
        self._hal_since: float | None = None
        self._reached_at = 0.0
        self._offline_at: float | None = None
        """When the station counts as offline; None while it is not, or counts already."""
        self.passed = False
        """The slot that runs may be kept."""
        self.failed = False
        """It has had its time; the board should go back."""

    def begin(self, now: float) -> None:
        saved = self.context.key_values.get(Key.FIRMWARE_TRIAL)
        self._record = _Record() if saved is None else msgspec.convert(saved, _Record)
        self._reached_at = now

    def look(self, now: float, *, slot: str, on_trial: bool, settled: bool) -> None:
        """`slot` is the one that runs, `on_trial` whether it is to be kept now.

        `settled`: it is kept, and no update is about to replace it.
        """
        present = self.context.hal.present
        if not present or self._hal_since is None:
            self._hal_since = now if present else None
        self._note_reach(now, settled=settled)
        if not on_trial:
            self._until, self.passed, self.failed = None, False, False
            return
        if self._until is None:
            self._until = now + TRIAL_S
        proven = self._record.proven.get(slot) == self._version
        waits_for_hal = self._record.offline and present
        steady_at = self._steady_at
        steady = steady_at is not None and now >= steady_at
        if steady and not self.passed:
            _log.warning("the new version is kept without the CSMS, which was not reached before it, either")
        self.passed = self._conditions.healthy or (present and proven) or steady
        failed = not self.passed and now >= self._until and not waits_for_hal
        if failed and not self.failed:
            _log.error("the new version was not accepted by the CSMS within %g s", TRIAL_S)
        self.failed = failed

    def keep(self, slot: str) -> None:
        """The board has kept the slot that runs."""
        self._write(_Record(self._record.offline, {**self._record.proven, slot: self._version}))

    def forget(self, slot: str) -> None:
        """Another version is in this slot now."""
        rest = {name: version for name, version in self._record.proven.items() if name != slot}
        self._write(_Record(self._record.offline, rest))

    def next_deadline(self) -> float | None:
        """When `look` may find something else without an event."""
        if self._until is None:
            return self._offline_at
        return None if self.passed or self.failed else self._steady_at or self._until

    @property
    def _steady_at(self) -> float | None:
        """When a station that was offline before has proved enough without the CSMS."""
        if not self._record.offline or self._until is None or self._hal_since is None:
            return None
        return max(self._until, self._hal_since + STEADY_S)

    @property
    def _version(self) -> str:
        return str(self.context.model.get(keys.FIRMWARE_VERSION))

    def _note_reach(self, now: float, *, settled: bool) -> None:
        if self._conditions.accepted:
            self._reached_at = now
            self._write(_Record(False, self._record.proven))
        may_turn = settled and not self._conditions.accepted and not self._record.offline
        self._offline_at = self._reached_at + OFFLINE_S if may_turn else None
        if self._offline_at is not None and now >= self._offline_at:
            self._offline_at = None
            self._write(_Record(True, self._record.proven))

    def _write(self, record: _Record) -> None:
        if record != self._record:
            self._record = record
            self.context.key_values.put(Key.FIRMWARE_TRIAL, msgspec.to_builtins(record))
