# SPDX-License-Identifier: Apache-2.0
"""Which link a connection goes over, and when to leave it for another. Pure: time is passed in.

A station with `bound` connections opens each over the interface of its slot. Otherwise the kernel's default route
decides, whatever the slot says; the slot's interface only says when to prefer it.

- The link in use goes down: the connection is dropped, and another way dialled at once, if there is one. A link that
  was down when it was dialled, and worked, stays in use: the report is wrong.
- Not bound, and the default route moves to another link: likewise, because a TCP connection does not move and hangs.
  Not more often than every `HOLD_S`, as a link may be flapping.
- A slot of higher priority has had its link back for `FAIL_BACK_S`: its slot is dialled as soon as no message waits for
  its answer, or after `PATIENCE_S`.

Going back is tried once for each return of a link: if that slot's CSMS does not answer, the slots rotate as always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from firmware.contract import LinkDetails
from firmware.factory_settings import NetworkProfile

__all__ = ["FAIL_BACK_S", "HOLD_S", "PATIENCE_S", "FailOver", "Leave", "News", "Why"]

HOLD_S: Final = 10.0
FAIL_BACK_S: Final = 90.0
PATIENCE_S: Final = 300.0
_BUSY_RECHECK_S: Final = 1.0


class News(Enum):
    """What a report means for a station that waits to connect."""

    NONE = auto()
    LINK_UP = auto()
    NEW_WAY = auto()
    """Connections now go over another link than the last one did, also if that way was not known at its loss."""


class Why(Enum):
    """Why to leave a link; over all but RETURNED, what is sent does not arrive."""

    DOWN = auto()
    MOVED = auto()
    RETURNED = auto()


class Leave(Struct, frozen=True):
    """Give up the connection, and dial `slot` at once; None: as after any loss. `interface` is the link it is about."""

    why: Why
    interface: str
    slot: int | None


class FailOver:
    """Report the links and the connection to it; `decide` returns what to do now."""

    def __init__(self, *, bound: bool) -> None:
        self._bound = bound
        self._up: dict[str, bool] = {}
        self._devices: dict[str, str | None] = {}
        self._default: str | None = None
        self._returned: dict[str, float] = {}
        """Links that came up after they had been down, and when."""
        self._profile: NetworkProfile | None = None
        self._used = ""
        self._was_up = True
        """The link in use has been up since the attempt began."""
        self._moved_at = float("-inf")

    def report(
        self,
        up: Mapping[str, bool],
        details: Mapping[str, LinkDetails],
        now: float,
        *,
        order: Sequence[NetworkProfile],
    ) -> News:
        """Note the state of the links; one that isn't named is assumed to be up. `order`: the slots by priority."""
        lost = self.is_up(self._used) and not up.get(self._used, True)
        knew_a_way = self._preferred(order) is not None
        came_up = [name for name, was_up in self._up.items() if not was_up and up.get(name, True)]
        self._returned = {name: since for name, since in self._returned.items() if up.get(name, True)}
        self._returned |= dict.fromkeys(came_up, now)
        self._up = dict(up)
        self._was_up = self._was_up or self.is_up(self._used)
        self._devices = {name: link.device for name, link in details.items()}
        before = self._default
        self._default = next((name for name, link in details.items() if link.default and up.get(name)), None)
        moved = not self._bound and self._default not in (None, before, self._used) and now >= self._moved_at + HOLD_S
        has_another = not self.is_up(self._used) and self._preferred(order) is not None
        if moved or (has_another and (lost or not knew_a_way)):
            return News.NEW_WAY
        return News.LINK_UP if came_up else News.NONE

    def is_up(self, interface: str) -> bool:
        return self._up.get(interface, True)

    def device(self, profile: NetworkProfile) -> str | None:
        """The kernel's interface that a connection of this slot is bound to; None: to none."""
        return self._devices.get(profile.interface) if self._bound else None

    def using(self, profile: NetworkProfile) -> str:
        """An attempt to connect begins; returns the interface that it goes over."""
        self._profile, self._used = profile, self._way(profile)
        self._was_up = self.is_up(self._used)
        return self._used

    def unused(self) -> None:
        """There is neither a connection nor an attempt."""
        self._profile = None

    def decide(self, order: Sequence[NetworkProfile], now: float, *, busy: bool) -> Leave | None:
        """What to do with the connection or attempt in use; `order`: the slots by priority; `busy`: a message waits."""
        profile = self._profile
        if profile is None:
            return None
        if self._was_up and not self.is_up(self._used):
            return Leave(Why.DOWN, self._used, self._preferred(order))
        way = self._way(profile)
        if way != self._used:
            if now < self._moved_at + HOLD_S:
                return None
            self._moved_at = now
            return Leave(Why.MOVED, way, self._preferred(order))
        back = self._to_go_back_to(order)
        if back is None or now < self._returned[back.interface] + FAIL_BACK_S:
            return None
        if busy and now < self._returned[back.interface] + FAIL_BACK_S + PATIENCE_S:
            return None
        del self._returned[back.interface]
        return Leave(Why.RETURNED, back.interface, back.slot)

    def next_deadline(self, order: Sequence[NetworkProfile], now: float) -> float | None:
        """When to ask `decide` again, if nothing is reported before."""
        if self._profile is None:
            return None
        if self._way(self._profile) != self._used:
            return self._moved_at + HOLD_S
        back = self._to_go_back_to(order)
        return None if back is None else max(self._returned[back.interface] + FAIL_BACK_S, now + _BUSY_RECHECK_S)

    def _way(self, profile: NetworkProfile) -> str:
        """The link that a connection of this slot would go over."""
        return profile.interface if self._bound or self._default is None else self._default

    def _preferred(self, order: Sequence[NetworkProfile]) -> int | None:
        """The slot to dial when the link in use is lost: one whose link is up; None if that would be in vain."""
        candidates = [each for each in order if self.is_up(each.interface)]
        if not self._bound and self._default is not None:
            own = [each for each in candidates if each.interface == self._default]
            candidates = own or candidates or list(order)
        return candidates[0].slot if candidates else None

    def _to_go_back_to(self, order: Sequence[NetworkProfile]) -> NetworkProfile | None:
        """The slot of the highest priority, above that in use, whose link has returned."""
        for each in order:
            if self._profile is not None and each.slot == self._profile.slot:
                return None
            reached = self._bound or self._default in (None, each.interface)
            if each.interface in self._returned and reached:
                return each
        return None
