# SPDX-License-Identifier: Apache-2.0
"""The modem's recovery ladder, with a day played in a loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from drivers.net.recovery import PAUSES_S, RULES, STEADY_S, Condition, Ladder, Rung, step


def play(condition: Callable[[float], Condition], hours: float) -> list[tuple[float, Rung]]:
    """What is tried when, in s, with a look each 10 s."""
    ladder, tried, now = Ladder(), [], 0.0
    while now <= hours * 3600.0:
        ladder, rung = step(ladder, condition(now), now)
        if rung is not None:
            tried.append((now, rung))
        now += 10.0
    return tried


def always(condition: Condition) -> Callable[[float], Condition]:
    return lambda _now: condition


@pytest.mark.parametrize(
    ("condition", "first"),
    [
        (Condition.ABSENT, (60.0, Rung.POWER_CYCLE)),
        (Condition.FAILED, (60.0, Rung.RESET)),
        (Condition.UNCONNECTED, (180.0, Rung.ACTIVATE)),
        (Condition.UNREACHABLE, (300.0, Rung.ACTIVATE)),
    ],
)
def test_the_first_rung(condition: Condition, first: tuple[float, Rung]) -> None:
    assert play(always(condition), 0.2)[0] == first


@pytest.mark.parametrize("condition", [Condition.GOOD, Condition.WAITING, Condition.SIM])
def test_what_nothing_is_tried_against(condition: Condition) -> None:
    assert play(always(condition), 24) == []


def test_unreachable_climbs_from_gentle_to_rough() -> None:
    tried = play(always(Condition.UNREACHABLE), 0.5)
    assert tried[:3] == [(300.0, Rung.ACTIVATE), (600.0, Rung.RESET), (900.0, Rung.POWER_CYCLE)]


@pytest.mark.parametrize("condition", list(RULES))
def test_no_rung_before_its_pause_and_each_pause_grows_to_a_limit(condition: Condition) -> None:
    tried = play(always(condition), 72)
    for rung, (first_s, longest_s) in PAUSES_S.items():
        times = [at for at, each in tried if each is rung]
        gaps = [after - before for before, after in pairwise(times)]
        assert all(gap >= min(first_s * 2**index, longest_s) for index, gap in enumerate(gaps))
        assert len(times) <= 72 * 3600.0 / longest_s + 10
    assert tried[-1][0] > 60 * 3600.0, "it never gives up"


def test_power_cycles_are_at_least_a_quarter_of_an_hour_apart_whatever_the_modem_does() -> None:
    conditions = list(Condition)
    tried = play(lambda now: conditions[int(now // 400.0) % len(conditions)], 72)
    cycles = [at for at, rung in tried if rung is Rung.POWER_CYCLE]
    assert len(cycles) > 2
    assert all(after - before >= 900.0 for before, after in pairwise(cycles))


def test_a_reset_that_takes_the_modem_away_does_not_start_the_ladder_again() -> None:
    def unreachable_but_for_the_reset(now: float) -> Condition:
        return Condition.ABSENT if 600.0 < now < 640.0 else Condition.UNREACHABLE

    tried = play(unreachable_but_for_the_reset, 0.4)
    assert [rung for _, rung in tried[:3]] == [Rung.ACTIVATE, Rung.RESET, Rung.POWER_CYCLE]


def test_a_connection_that_works_for_ten_minutes_starts_anew() -> None:
    def good_in_the_middle(now: float) -> Condition:
        return Condition.GOOD if 700.0 <= now < 710.0 + STEADY_S + 10.0 else Condition.UNREACHABLE

    tried = play(good_in_the_middle, 1.0)
    assert [rung for _, rung in tried[:3]] == [Rung.ACTIVATE, Rung.RESET, Rung.ACTIVATE]


def test_a_connection_that_works_for_a_moment_does_not() -> None:
    def flapping(now: float) -> Condition:
        return Condition.GOOD if 700.0 <= now < 720.0 else Condition.UNREACHABLE

    tried = play(flapping, 0.4)
    assert [rung for _, rung in tried[:3]] == [Rung.ACTIVATE, Rung.RESET, Rung.POWER_CYCLE]
