# SPDX-License-Identifier: Apache-2.0
"""The process dies, or the power fails, at each line of each unit of work: the CSMS gets each message, in order, and at
most one of them twice (docs/decisions/0004)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.support.station_bench import Instant, StationBench

TRANSACTION = "11111111-1111-4111-8111-111111111111"
INSTANTS: tuple[Instant | None, ...] = (*get_args(Instant), None)
"""None: after all of it, while nothing happens."""


class MortalBench(StationBench):
    """It dies in, or after, the unit of work of this number, counted from the call of `die_in`."""

    def __init__(self, directory: Path) -> None:
        self.left = -1
        self.instant: Instant | None = None
        self.waited: list[bool] = []
        """After each unit of work: whether it was left uncommitted."""
        super().__init__(directory)

    def die_in(self, unit: int, instant: Instant | None) -> None:
        """-1: in none."""
        self.left, self.instant = unit, instant

    def _unit(self, event: Callable[[float], None]) -> None:
        last, self.left = self.left == 0, self.left - 1
        if last:
            self.dies = self.instant
        super()._unit(event)
        self.waited.append(self.database.waits)
        if last and self.alive:
            self.die()


def queue(bench: StationBench, numbers: range) -> None:
    """As if a transaction had been offline."""

    def add(now: float) -> None:
        for number in numbers:
            bench.context.outbox.send_durable("TransactionEvent", _event(number), TRANSACTION)
        bench.station.on_time(now)

    bench.handle(add)


def _event(number: int) -> Any:
    return {
        "eventType": "Updated",
        "timestamp": "2027-01-15T08:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": number,
        "transactionInfo": {"transactionId": TRANSACTION},
    }


def arrived(bench: StationBench) -> list[int]:
    return [event["seqNo"] for event in bench.events if event["transactionInfo"]["transactionId"] == TRANSACTION]


def check(numbers: list[int], count: int, *, deaths: int) -> None:
    """All in order; each death costs at most one repetition, of the message that was the last before it."""
    repeated = sum(after == before for before, after in itertools.pairwise(numbers))
    assert repeated <= deaths, numbers
    assert [number for number, _ in itertools.groupby(numbers)] == list(range(count)), numbers


@pytest.mark.parametrize("instant", INSTANTS)
def test_death_in_the_middle_of_a_backlog(tmp_path: Path, instant: Instant | None) -> None:
    for unit in range(10):
        directory = tmp_path / str(unit)
        directory.mkdir()
        bench = MortalBench(directory)
        bench.hal_up()
        queue(bench, range(6))
        bench.die_in(unit, instant)
        bench.link_up()
        bench.power_cut()
        bench.die_in(-1, None)
        bench.up()
        check(arrived(bench), 6, deaths=1)
        assert len(bench.context.outbox) == 0
        bench.database.close()


@pytest.mark.parametrize("instant", INSTANTS)
def test_death_between_messages_that_come_one_by_one(tmp_path: Path, instant: Instant | None) -> None:
    """Nothing is sent after each answer, so that the deletion of the message waits; then the next one is made."""
    for unit in range(8):
        directory = tmp_path / str(unit)
        directory.mkdir()
        bench = MortalBench(directory)
        bench.up()
        bench.die_in(unit, instant)
        made = 0
        while bench.alive and made < 3:
            queue(bench, range(made, made + 1))
            made += 1
        bench.die_in(-1, None)
        if instant == "before the commit" and len(arrived(bench)) < made:
            made -= 1  # the unit of work that made it was not committed: it never was
        bench.restart_service()
        bench.up()
        check(arrived(bench), made, deaths=1)
        bench.database.close()


def test_only_the_last_answer_costs_no_commit_before_something_leaves(tmp_path: Path) -> None:
    bench = MortalBench(tmp_path)
    bench.hal_up()
    queue(bench, range(3))
    bench.waited.clear()
    bench.link_up()
    assert arrived(bench) == [0, 1, 2]
    assert bench.waited == [*[False] * (len(bench.waited) - 1), True]
    bench.power_cut()
    bench.up()
    assert arrived(bench) == [0, 1, 2], "it has not waited for long"
