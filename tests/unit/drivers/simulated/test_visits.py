# SPDX-License-Identifier: Apache-2.0
"""The EV drivers of a demonstration, at a station that is polite to cars."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from drivers.simulated.messages import CardSeen, ShowPage, Touched
from drivers.simulated.visits import LOOK_S, PATIENCE_S, USUAL_VISITS, Visit, Visitors
from drivers.simulated.world.garage import CarOrder
from firmware.contract import Page, PageModel
from hal.ports import VehicleStage
from tests.support.world_bench import PoliteStation, WorldBench

QUICK_CAR = CarOrder(soc_percent=79.0, target_soc_percent=80.0)


class Watched:
    """A round of visits at EVSE 2, and what an onlooker sees of it."""

    def __init__(self, *visits: Visit, speed: float = 60.0) -> None:
        self.bench = WorldBench(2, speed=speed)
        self.station: PoliteStation | None = PoliteStation(self.bench)
        self.bench.world.apply(ShowPage(screen=2, model=PageModel(page=Page.IDLE)))
        self.visitors = Visitors(self.bench.world, visits, pause_s=5.0)
        self.seen: list[str] = []
        self.has_button = True
        self.bench.bus.listen(self._on_message)

    def _on_message(self, message: Any) -> None:
        if isinstance(message, CardSeen):
            self.seen.append("card")
        elif isinstance(message, Touched):
            self.seen.append("button" if message.stop else "touch")
            self.bench.evse.secc.stop_requested = message.stop and self.has_button

    def run(self, seconds: float) -> None:
        end = self.bench.bus.mono_s + seconds
        while self.bench.bus.mono_s < end - 1e-9:
            before = self._state()
            self.visitors.step(self.bench.bus.mono_s)
            if self.station is not None:
                self.station.play(0.05)
            else:
                self.bench.advance(0.05)
            after = self._state()
            self.seen += [each for each in (after[0], after[1]) if each and each not in before]

    def _state(self) -> tuple[str, str]:
        car = self.bench.evse.car
        if car is None:
            return "free", ""
        paused = "paused" if car.suspended else ""
        return "plugged", paused or ("charging" if car.stage is VehicleStage.CHARGE else "")

    def until_rounds(self, rounds: int, *, limit_s: float = 300.0) -> None:
        end = self.bench.bus.mono_s + limit_s
        while self.visitors.rounds < rounds:
            assert self.bench.bus.mono_s < end, f"not over; seen {self.seen}"
            self.run(0.5)


def test_card_first_to_the_car_s_target() -> None:
    watched = Watched(Visit(evse=2, car=QUICK_CAR))
    watched.until_rounds(1)
    assert watched.seen == ["touch", "card", "plugged", "charging", "free"], "no second card: that is another session"


def test_out_with_the_card() -> None:
    watched = Watched(Visit(evse=2, charge_s=5.0), speed=1.0)
    watched.until_rounds(1, limit_s=3 * PATIENCE_S)
    assert watched.seen == ["touch", "card", "plugged", "charging", "touch", "card", "free"]


def test_plug_first_with_a_pause_and_the_button() -> None:
    watched = Watched(Visit(evse=2, first="plug", pause_s=3.0, charge_s=8.0, end="button"), speed=1.0)
    watched.until_rounds(1)
    assert watched.seen[:3] == ["plugged", "touch", "card"]
    assert [each for each in watched.seen[3:] if each != "charging"] == ["paused", "button", "free"]


def test_a_station_that_does_not_stop_makes_no_one_wait_for_ever() -> None:
    """The charge is ended in the car after all."""
    watched = Watched(Visit(evse=2, charge_s=8.0, end="button"), speed=1.0)
    watched.has_button = False
    watched.until_rounds(1, limit_s=3 * PATIENCE_S)
    assert watched.seen[-2:] == ["button", "free"]


def test_a_driver_may_end_it_in_the_car() -> None:
    watched = Watched(Visit(evse=2, charge_s=3.0, end="car"), speed=1.0)
    watched.until_rounds(1)
    assert watched.seen == ["touch", "card", "plugged", "charging", "free"]


def test_a_station_that_does_not_charge_is_left() -> None:
    watched = Watched(Visit(evse=2))
    watched.station = None
    watched.run(PATIENCE_S / 2)
    assert watched.seen == ["touch", "card", "plugged"]
    watched.until_rounds(1)
    assert watched.seen[-1] == "free"


def test_an_outlet_that_is_occupied_is_waited_for_and_then_left() -> None:
    watched = Watched(Visit(evse=2))
    watched.bench.world.plug_in(2, CarOrder(ready=False))
    watched.until_rounds(1)
    assert watched.seen == []


def test_a_display_that_does_not_invite_is_waited_for() -> None:
    watched = Watched(Visit(evse=2))
    watched.bench.world.apply(ShowPage(screen=2, model=PageModel(page=Page.OFFLINE)))
    watched.run(PATIENCE_S / 2)
    assert watched.seen == []
    watched.bench.world.apply(ShowPage(screen=2, model=PageModel(page=Page.IDLE)))
    watched.run(1.0)
    assert watched.seen == ["touch", "card"]


def test_rounds_repeat_after_a_pause() -> None:
    watched = Watched(Visit(evse=2, car=QUICK_CAR))
    watched.until_rounds(1)
    watched.run(4.0)
    assert watched.bench.evse.car is None
    watched.until_rounds(2)
    assert watched.seen.count("plugged") == 2


def test_several_come_at_their_times() -> None:
    bench = WorldBench(2)
    for screen in (1, 2):
        bench.world.apply(ShowPage(screen=screen, model=PageModel(page=Page.IDLE)))
    visitors = Visitors(
        bench.world, [Visit(evse=1, first="plug"), Visit(evse=2, first="plug", arrive_s=6.0)], pause_s=0.0
    )
    for seconds, expected in ((1.0, [True, False]), (4.0, [True, False]), (2.0 + LOOK_S, [True, True])):
        end = bench.bus.mono_s + seconds
        while bench.bus.mono_s < end:
            visitors.step(bench.bus.mono_s)
            bench.advance(0.05)
        assert [evse.car is not None for evse in bench.world.evses.values()] == expected


def test_without_visits_no_one_comes() -> None:
    watched = Watched()
    watched.run(60.0)
    assert (watched.seen, watched.visitors.rounds) == ([], 0)


def test_usual_visits_use_both_outlets_at_once_and_every_way() -> None:
    assert {visit.evse for visit in USUAL_VISITS} == {1, 2}
    assert {visit.first for visit in USUAL_VISITS} == {"card", "plug"}
    assert {visit.end for visit in USUAL_VISITS} == {"card", "button", "car"}
    assert any(visit.pause_s for visit in USUAL_VISITS)


@pytest.mark.parametrize(
    "wrong", [{"evse": 0}, {"evse": 1, "card": "04"}, {"evse": 1, "end": "never"}, {"card": "04A1B2C3"}]
)
def test_a_visit_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Visit)
