# SPDX-License-Identifier: Apache-2.0
"""The active faults and their sources: raised once with the first source, cleared once after the last.

A source is a name such as `watch` (what the readings show now), `session` (remains until the plug is out), `board` or
`driver`. `evse` is None for a fault of the whole station.

A fault that lasts may have another cause by now: the modules were silent, and now the bus is down. The cause is that of
the source which has reported it longest. If its words change, other than in their numbers, `FaultRaised` is published
again with the present ones, up to MOST_CAUSES times while the fault lasts.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

from msgspec import Struct, field

from firmware.contract import Event, Fault, FaultCleared, FaultRaised
from firmware.log import fields
from firmware.message_ids import MessageId
from hal.safety import Finding

__all__ = ["MOST_CAUSES", "ActiveFaults"]

MOST_CAUSES = 5
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_log = logging.getLogger(__name__)


class _Active(Struct):
    causes: dict[str, str] = field(default_factory=dict)
    """What each source says of it, in the order in which they began."""
    reported: str | None = None
    """The cause that was published last, without its numbers."""
    reports: int = 0


class ActiveFaults:
    """The faults of the station and of each EVSE."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._active: dict[tuple[Fault, int | None], _Active] = {}

    def add(self, source: str, fault: Fault, evse: int | None, *, detail: str = "") -> None:
        """Note that `source` reports the fault; publishes `FaultRaised` for the first source and for another cause."""
        active = self._active.setdefault((fault, evse), _Active())
        if active.causes.get(source) != detail:
            active.causes[source] = detail
            self._report(active, fault, evse)

    def remove(self, source: str, fault: Fault, evse: int | None) -> None:
        """Note that `source` no longer reports the fault; publishes `FaultCleared` after the last source."""
        active = self._active.get((fault, evse))
        if active is None or active.causes.pop(source, None) is None:
            return
        if active.causes:
            self._report(active, fault, evse)
            return
        del self._active[fault, evse]
        extra = fields(evse=evse, message_id=MessageId.FAULT_CLEARED)
        _log.info("fault %s of %s cleared", fault.value, _whose(evse), extra=extra)
        self._publish(FaultCleared(fault=fault, evse=evse))

    def _report(self, active: _Active, fault: Fault, evse: int | None) -> None:
        detail = next(iter(active.causes.values()))
        words = _NUMBER.sub("", detail)
        if words == active.reported or active.reports >= MOST_CAUSES:
            return
        active.reported, active.reports = words, active.reports + 1
        extra = fields(evse=evse, message_id=MessageId.FAULT_RAISED)
        _log.warning("fault %s of %s: %s", fault.value, _whose(evse), detail, extra=extra)
        self._publish(FaultRaised(fault=fault, evse=evse, detail=detail))

    def replace(self, source: str, evse: int | None, findings: Iterable[Finding]) -> None:
        """Set all faults that `source` reports of this EVSE; those it reported before and not now are removed."""
        present = {finding.fault: finding.detail for finding in findings}
        for fault in self.reported(source, evse):
            if fault not in present:
                self.remove(source, fault, evse)
        for fault, detail in present.items():
            self.add(source, fault, evse, detail=detail)

    def own(self, evse: int | None) -> list[Fault]:
        """The faults of this EVSE alone, or of the station."""
        return [fault for fault, whose in self._active if whose == evse]

    def touching(self, evse: int) -> frozenset[Fault]:
        """The faults that concern this EVSE: its own and the station's."""
        return frozenset(fault for fault, whose in self._active if whose is None or whose == evse)

    def reported(self, source: str, evse: int | None) -> list[Fault]:
        """The faults that this source reports."""
        return [fault for (fault, whose), active in self._active.items() if whose == evse and source in active.causes]


def _whose(evse: int | None) -> str:
    return "the station" if evse is None else f"EVSE {evse}"
