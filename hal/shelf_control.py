# SPDX-License-Identifier: Apache-2.0
"""Gives the EVSEs their module groups: what they need to the rules (`module_groups.py`), the outcome to the shelf."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from firmware.errors import DriverError
from firmware.trouble import Trouble
from hal.evse.evse import Evse
from hal.evse.model import Limits
from hal.evse.table import RUNNING, Stage
from hal.module_groups import EvsePower, ModuleGroups
from hal.ports import PowerShelf
from hal.power_sharing import demand_of

__all__ = ["ShelfControl"]

_ENDING = (Stage.ASK_STOP, Stage.RAMP_DOWN)
_POWERED = (Stage.AUTHORISED, *RUNNING, *_ENDING)
"""The stages in which an EVSE needs modules; in `_ENDING` it keeps its modules but gets no more."""
_log = logging.getLogger(__name__)


class ShelfControl:
    """`limit_w`: the most that the station may deliver in all."""

    def __init__(self, shelf: PowerShelf, limit_w: float) -> None:
        self._shelf = shelf
        self._groups = ModuleGroups(limit_w)
        self._unassigned = Trouble(_log, "modules can't be assigned")

    def share_of(self, evse: int) -> Limits | None:
        """What the modules can give this EVSE now; None if it has to wait for some."""
        return None if self._groups.waits(evse) else self._groups.share_of(evse)

    def share(self, evses: Iterable[Evse], now: float) -> None:
        """One round, after all EVSEs were sampled; what the shelf refuses is tried again with the next round."""
        shelf = self._shelf
        group = Limits(shelf.group_current_a, shelf.group_power_w)
        powers = {evse.number: self._power_of(evse, group) for evse in evses}
        groups = self._groups.plan(powers, now, groups=shelf.groups, group=group)
        if groups == self._groups.assigned:
            return
        try:
            shelf.assign(groups)
        except DriverError as error:
            self._unassigned.failed(error)
        else:
            self._unassigned.worked()
            _log.info("module groups: %s", groups)
            self._groups.assigned = groups

    def _power_of(self, evse: Evse, group: Limits) -> EvsePower:
        reading = evse.readings.power if evse.readings is not None else None
        if evse.state.stage not in _POWERED:
            return EvsePower(None, reading=reading)
        vehicle = evse.readings.vehicle if evse.readings is not None else None
        demand = demand_of(evse.state, vehicle, groups=self._shelf.reach(evse.number), group=group)
        return EvsePower(
            demand,
            running=evse.state.stage in RUNNING,
            stopping=evse.state.stage in _ENDING,
            offered=evse.state.offered,
            reading=reading,
        )
