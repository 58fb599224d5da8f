# SPDX-License-Identifier: Apache-2.0
"""The EV drivers of a demonstration: each visit is one person with one car, who does what people do at a charger.

A person waits for what the station and the car do, and leaves a station that does not charge the car after a while. No
I/O: `Visitors.step(now)` lets everyone do what is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct, field

from drivers.simulated.world.car import Car
from drivers.simulated.world.evse import Evse
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import World
from firmware.contract import Page
from hal.ports import VehicleStage

__all__ = ["USUAL_VISITS", "Visit", "Visitors"]

LOOK_S = 2.0
"""From one thing that a person does to the next."""
PATIENCE_S = 120.0
"""How long a person waits for a free outlet, for the car to charge and for the plug, before doing without."""
HOLD_S = 0.5
_log = logging.getLogger(__name__)

_Seconds = Annotated[float, Meta(ge=0, le=86400)]
_Uid = Annotated[
    str, Meta(pattern=r"^([0-9A-Fa-f]{2}){4,10}$", description="4 to 10 bytes as pairs of hexadecimal digits")
]


class Visit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One person's charge."""

    evse: Annotated[int, Meta(ge=1, le=99)]
    card: _Uid = "04A1B2C3D4E580"
    arrive_s: _Seconds = 0.0
    """From the beginning of the round."""
    first: Literal["card", "plug"] = "card"
    car: CarOrder = field(default_factory=CarOrder)
    pause_s: _Seconds = 0.0
    """The car pauses for so long, soon after its charge has begun."""
    charge_s: Annotated[float, Meta(gt=0, le=86400)] | None = None
    """The charge is ended after so long; None: when the car has reached its target."""
    end: Literal["card", "button", "car"] = "card"
    """How the person ends a charge before the car's target: at the station or in the car."""


USUAL_VISITS = (
    Visit(evse=1),
    Visit(evse=2, arrive_s=60.0, first="plug", card="04D5E6F7081928", pause_s=10.0, charge_s=20.0),
    Visit(evse=1, arrive_s=120.0, card="0466778899AABB", charge_s=15.0, end="button"),
    Visit(evse=2, arrive_s=125.0, first="plug", charge_s=15.0, end="car"),
)
"""One at each outlet, then both at once, with every way to begin and end. At speed 60 a car is full within 30 s."""


class _Wait(NamedTuple):
    """What a person waits for, and when the wait is given up."""

    met: Callable[[float], bool]
    until: float


class Visitors:
    """Everyone of a round, then the next round after a pause; visits are of EVSEs that the world has."""

    def __init__(self, world: World, visits: Sequence[Visit], *, pause_s: float) -> None:
        self.rounds = 0
        """Rounds that are over."""
        self._world = world
        self._visits = visits
        self._pause_s = pause_s
        self._now = 0.0
        self._waits: dict[Iterator[_Wait], _Wait] = {}
        self._next_round: float | None = None

    def step(self, now: float) -> None:
        """Let everyone whose wait is over go on."""
        self._now = now
        if self._next_round is None:
            self._begin()
        for person, wait in list(self._waits.items()):
            while wait.met(now) or now >= wait.until:
                following = next(person, None)
                if following is None:
                    del self._waits[person]
                    break
                self._waits[person] = wait = following
        if not self._waits and self._next_round is None and self._visits:
            self.rounds += 1
            self._next_round = now + self._pause_s
        if self._next_round is not None and now >= self._next_round:
            self._next_round = None

    def _begin(self) -> None:
        if not self._waits:
            self._waits = {self._visit(visit): _Wait(lambda now: True, self._now) for visit in self._visits}

    # --- what a person does -----------------------------------------------------------------------------------

    def _visit(self, visit: Visit) -> Iterator[_Wait]:
        evse = self._world.evses[visit.evse]
        yield self._pause(visit.arrive_s)
        yield _Wait(lambda now: evse.car is None and self._invites(visit.evse), self._now + PATIENCE_S)
        if evse.car is not None:
            _log.info("demonstration: EVSE %d is occupied, a driver leaves", visit.evse)
            return
        steps = [self._plug_in, self._show_card]
        for step in steps if visit.first == "plug" else reversed(steps):
            step(visit)
            yield self._pause(LOOK_S)
        car = evse.car
        assert car is not None
        yield _Wait(lambda now: car.stage is VehicleStage.CHARGE, self._now + PATIENCE_S)
        if car.stage is VehicleStage.CHARGE:
            yield from self._charge(visit, car)
        else:
            _log.info("demonstration: the car at EVSE %d was not charged, its driver leaves", visit.evse)
        yield from self._leave(evse, car)

    def _charge(self, visit: Visit, car: Car) -> Iterator[_Wait]:
        began = self._now
        if visit.pause_s:
            yield self._pause(LOOK_S)
            car.suspended = True
            yield self._pause(visit.pause_s)
            car.suspended = False
        until = float("inf") if visit.charge_s is None else began + visit.charge_s
        yield _Wait(lambda now: car.stage is not VehicleStage.CHARGE, until)
        if car.stage is not VehicleStage.CHARGE:
            return  # it has ended by itself: another card would begin another session
        if visit.end == "card":
            self._show_card(visit)
        elif visit.end == "button":
            self._world.touch(visit.evse, stop=True)
        else:
            car.ready = False
        yield _Wait(lambda now: car.stage is not VehicleStage.CHARGE, self._now + PATIENCE_S)

    def _leave(self, evse: Evse, car: Car) -> Iterator[_Wait]:
        """Unplug; if the station does not react, the charge is ended in the car first."""
        yield self._pause(LOOK_S)
        while evse.holds_plug:
            yield _Wait(lambda now: not evse.holds_plug, self._now + PATIENCE_S)
            car.ready = False
        self._world.plug_out(evse.number, force=False)

    def _invites(self, evse: int) -> bool:
        """Whether the display says that the outlet is free."""
        return self._world.displays[evse].page == Page.IDLE.value

    def _plug_in(self, visit: Visit) -> None:
        _log.info("demonstration: a car comes to EVSE %d", visit.evse)
        self._world.plug_in(visit.evse, visit.car)

    def _show_card(self, visit: Visit) -> None:
        self._world.touch(visit.evse, stop=False)
        self._world.present_card(visit.card.upper(), HOLD_S, self._now)

    def _pause(self, seconds: float) -> _Wait:
        end = self._now + seconds
        return _Wait(lambda now: now >= end, end)
