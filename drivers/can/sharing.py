# SPDX-License-Identifier: Apache-2.0
"""How the current of one outlet is shared by its modules, and which groups of modules an outlet gets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from drivers.can.module import LEAST_A, Module

__all__ = ["DEAD", "plan", "share"]

DEAD = 3
"""The rank of a group of which every module has failed."""

_GROW = 1.5
"""Another module is switched on when each has this many times its least current, so that none flutters."""
_G = TypeVar("_G")


def share(total_a: float, modules: Sequence[Module]) -> dict[Module, float]:
    """The current in A of each module that is to be on.

    No module gets less than 1 A: of a small total only as many modules are on as it suffices for, those first that
    are on already. Shares are equal, except that none exceeds what its module can deliver.
    """
    limits = {module: module.available()[0] for module in modules}
    able = sorted((module for module in modules if limits[module] >= LEAST_A), key=lambda each: each.setting is None)
    if not able:
        return {}
    present = sum(module.setting is not None for module in able)
    number = max(min(present, int(total_a / LEAST_A)), int(total_a / (_GROW * LEAST_A)), 1)
    left, shares = total_a, {}
    chosen = sorted(able[:number], key=lambda each: limits[each])
    for index, module in enumerate(chosen):
        amps = max(LEAST_A, min(limits[module], left / (len(chosen) - index)))
        shares[module] = amps
        left -= amps
    return shares


def plan(
    wanted: Mapping[int, int],
    groups: Sequence[_G],
    *,
    present: Callable[[_G], int | None],
    reaches: Callable[[_G, int], bool],
    rank: Callable[[_G], int],
) -> dict[_G, int]:
    """Choose the groups of each outlet; those that are absent from the result belong to none.

    An outlet keeps the groups that it has, except dead ones. What it lacks is filled with the groups of the best rank,
    of these with free ones first, then with those that another outlet gives back.

    Args:
        wanted: number of groups of each outlet.
        present: the outlet that has the group now.
        reaches: whether the group can be joined to an outlet.
        rank: 0 for a group that can be counted on; higher is worse, and `DEAD` is no use.
    """
    chosen: dict[_G, int] = {}
    for outlet, number in wanted.items():
        own = sorted((each for each in groups if present(each) == outlet and rank(each) < DEAD), key=rank)
        chosen |= dict.fromkeys(own[: max(0, number)], outlet)
    for outlet, number in wanted.items():
        lacking = number - sum(each == outlet for each in chosen.values())
        free = [group for group in groups if group not in chosen and reaches(group, outlet)]
        free.sort(key=lambda group: (rank(group), present(group) not in (None, outlet)))
        chosen |= dict.fromkeys(free[: max(0, lacking)], outlet)
    return chosen
