# SPDX-License-Identifier: Apache-2.0
"""Whether the watchdog relay, through which the coils of all contactors are fed, is still pulsed.

The relay is the last means against a contactor that stays closed: it opens all others as well, under load, and switches
the modules off. So it is used only against energy that nothing else can stop: the contactor of an EVSE is closed, as
far as is known, though it is to be open, and current flows through it, or neither it nor the modules can be commanded.
Without current, and with modules that are off, it is left to its own fault: a weld is opened by no relay, and the
other EVSEs go on.

Once cut, the supply stays cut until every such contactor has been seen open. The board itself is fed all the time: its
hardware watchdog is for a HAL that hangs, and a reset would mend nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable

from firmware.contract import Fault
from hal.active_faults import ActiveFaults
from hal.evse.evse import Evse
from hal.safety import Hold

__all__ = ["STUCK_S", "CoilSupply"]

STUCK_S = 1.0
"""Longer than a contactor takes to open (0.3 s), and than an opening command is lost by chance."""
_SOURCE = "coil supply"


class CoilSupply:
    """Decides with each control cycle; while it is cut, the whole station has the fault `contactor_failed`."""

    def __init__(self, faults: ActiveFaults) -> None:
        self._faults = faults
        self._holds: dict[int, Hold] = {}
        self._defiant: dict[int, str] = {}
        """The EVSEs because of which it is cut, and why."""

    def allowed(self, evses: Iterable[Evse], now: float) -> bool:
        """Whether the relay is to be pulsed."""
        for evse in evses:
            why = evse.defiance
            lasts = self._holds.setdefault(evse.number, Hold(STUCK_S))(bool(why), now)
            if not evse.closed_against_command:
                self._defiant.pop(evse.number, None)
            elif lasts:
                self._defiant.setdefault(evse.number, f"the contactor of EVSE {evse.number} does not open: {why}")
        if not self._defiant:
            self._faults.remove(_SOURCE, Fault.CONTACTOR_FAILED, None)
            return True
        detail = f"no coil has its supply, because {', '.join(self._defiant.values())}"
        self._faults.add(_SOURCE, Fault.CONTACTOR_FAILED, None, detail=detail)
        return False
