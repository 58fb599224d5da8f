# SPDX-License-Identifier: Apache-2.0
"""What is asked on one CAN bus, and when. Pure, `now` is an argument.

Every module in turn is asked the family's questions, once a second, half as often while nothing is joined. The output
of an EVSE is asked for more often: of its groups as a whole, or of its modules one by one.
docs/hardware/power-modules.md has the frames a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

from drivers.can.family import Family, Frame, Query
from drivers.can.module import Module

__all__ = ["Poll"]

GROUP_S = 0.2
SINGLE_S = 0.25
BUSY_S = 1.0
IDLE_S = 2.0
FACTS_S = 60.0
FACTS_RETRY_S = 2.0
_MOST = 8
"""The most questions of the round at once, after a delay."""


class Poll:
    """The questions on one bus; `modules` are those configured there."""

    def __init__(self, family: Family, modules: Sequence[Module]) -> None:
        self._family = family
        self._modules = modules
        self._round = cycle([(module, query) for query in family.queries for module in modules])
        self._length = len(modules) * len(family.queries)
        self._singles: Sequence[Module] = ()
        self._credit = 0.0
        self._at: float | None = None
        self._groups_at = self._singles_at = -math.inf
        self._facts_at = dict.fromkeys(modules, -math.inf)
        self._scan = cycle(family.addresses)

    def due(self, now: float, *, groups: Iterable[int], singles: Sequence[Module], joined: bool) -> Iterator[Frame]:
        """The questions that are due.

        Args:
            now: monotonic seconds.
            groups: group numbers of which the total is read.
            singles: joined modules that are read one by one.
            joined: whether any module of the bus is joined to an EVSE.
        """
        if now - self._groups_at >= GROUP_S - 0.01:
            self._groups_at = now
            for number in groups:
                yield from self._family.ask_group(number)
        if now - self._singles_at >= SINGLE_S - 0.01:
            self._singles_at = max(self._singles_at + SINGLE_S, now - SINGLE_S)
            yield from self._ask_singles(singles, now)
        self._singles = singles
        elapsed_s = 0.0 if self._at is None else now - self._at
        self._at = now
        self._credit = min(self._credit + elapsed_s * self._length / (BUSY_S if joined else IDLE_S), _MOST)
        while self._credit >= 1.0:
            self._credit -= 1.0
            yield from self._ask_next(now)
        yield from self._look_for_bar_codes()

    def _ask_singles(self, singles: Sequence[Module], now: float) -> Iterator[Frame]:
        first = True
        for module in singles:
            if module.address is None or module.quiet(now):
                continue
            yield from self._family.ask(Query.OUTPUT, module.address)
            if first:
                yield from self._family.ask(Query.VOLTAGE, module.address)
            first = False

    def _ask_next(self, now: float) -> Iterator[Frame]:
        module, query = next(self._round)
        if module.address is None or (query is Query.OUTPUT and module in self._singles):
            return
        if query is Query.GROUP and module.number is None:
            return
        yield from self._family.ask(query, module.address)
        if query is not Query.STATUS:
            return
        module.note_asked()
        typed = module.capability.max_voltage_v is not None or Query.CAPABILITY not in self._family.facts
        known = module.serial is not None and typed
        if not module.quiet(now) and now - self._facts_at[module] >= (FACTS_S if known else FACTS_RETRY_S):
            self._facts_at[module] = now
            for fact in self._family.facts:
                yield from self._family.ask(fact, module.address)

    def forget(self, module: Module) -> None:
        """Ask for the facts of a module again: it has come back, and may be another one."""
        self._facts_at[module] = -math.inf

    def _look_for_bar_codes(self) -> Iterator[Frame]:
        """Ask one more address for its bar code while a module is known by nothing else."""
        if any(module.address is None for module in self._modules):
            address = next(self._scan)
            if all(module.address != address for module in self._modules):
                yield from self._family.ask(Query.SERIAL, address)
