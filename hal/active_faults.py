# SPDX-License-Identifier: Apache-2.0
"""The active faults and their sources: raised once with the first source, cleared once after the last.

A source is a name such as `watch` (what the readings show now), `session` (remains until the plug is out), `board` or
`driver`. `evse` is None for a fault of the whole station.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from firmware.contract import Event, Fault, FaultCleared, FaultRaised
from firmware.log import fields
from firmware.message_ids import MessageId
from hal.safety import Finding

__all__ = ["ActiveFaults"]

_log = logging.getLogger(__name__)


class ActiveFaults:
    """The faults of the station and of each EVSE."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._sources: dict[tuple[Fault, int | None], set[str]] = {}

    def add(self, source: str, fault: Fault, evse: int | None, *, detail: str = "") -> None:
        """Note that `source` reports the fault; publishes `FaultRaised` for the first source."""
        sources = self._sources.get((fault, evse))
        if sources is not None:
            sources.add(source)
            return
        self._sources[fault, evse] = {source}
        extra = fields(evse=evse, message_id=MessageId.FAULT_RAISED)
        _log.warning("fault %s of %s: %s", fault.value, _whose(evse), detail, extra=extra)
        self._publish(FaultRaised(fault=fault, evse=evse, detail=detail))

    def remove(self, source: str, fault: Fault, evse: int | None) -> None:
        """Note that `source` no longer reports the fault; publishes `FaultCleared` after the last source."""
        sources = self._sources.get((fault, evse))
        if sources is None or source not in sources:
            return
        sources.discard(source)
        if not sources:
            del self._sources[fault, evse]
            extra = fields(evse=evse, message_id=MessageId.FAULT_CLEARED)
            _log.info("fault %s of %s cleared", fault.value, _whose(evse), extra=extra)
            self._publish(FaultCleared(fault=fault, evse=evse))

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
        return [fault for fault, whose in self._sources if whose == evse]

    def touching(self, evse: int) -> frozenset[Fault]:
        """The faults that concern this EVSE: its own and the station's."""
        return frozenset(fault for fault, whose in self._sources if whose is None or whose == evse)

    def reported(self, source: str, evse: int | None) -> list[Fault]:
        """The faults that this source reports."""
        return [fault for (fault, whose), sources in self._sources.items() if whose == evse and source in sources]


def _whose(evse: int | None) -> str:
    return "the station" if evse is None else f"EVSE {evse}"
