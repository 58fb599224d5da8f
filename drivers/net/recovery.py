# SPDX-License-Identifier: Apache-2.0
"""The recovery ladder of the modem: what is tried when, from the gentle to the rough. Pure: `now` is passed in.

| condition | after | rungs, one after the other |
|---|---|---|
| ABSENT: ModemManager runs and has no modem | 60 s | power cycle |
| FAILED: the modem's state is `failed`, not because of its SIM | 60 s | reset, power cycle |
| UNCONNECTED: registered, and no connection | 3 min | activate the connection again |
| UNREACHABLE: connected, and the connectivity check fails | 5 min | activate again, reset, power cycle |
| SIM: missing, faulty, locked, without a profile | never | none cures it |

After a rung the condition has as long again to pass before the next one; after the last comes the first. Each rung has
a pause of its own before it may be used again, doubled with each use up to a limit; a connection that works for ten
minutes resets pauses and ladder. A modem that disappears because it is reset keeps its place on the ladder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import inf

__all__ = ["RULES", "STEADY_S", "Condition", "Ladder", "Rung", "step"]

STEADY_S = 600.0


class Rung(str, Enum):
    """What can be done; the text is for the log."""

    ACTIVATE = "activate the connection again"
    RESET = "reset the modem"
    POWER_CYCLE = "switch the modem's power off and on"


class Condition(str, Enum):
    """What is wrong with the modem; the text is for the log."""

    GOOD = "connected"
    WAITING = "not registered with a network"
    SIM = "the SIM is missing, faulty, locked or has no profile"
    ABSENT = "no modem"
    FAILED = "the modem has failed"
    UNCONNECTED = "registered, but not connected"
    UNREACHABLE = "connected, but nothing is reachable"


@dataclass(frozen=True, slots=True)
class Rule:
    after_s: float
    rungs: tuple[Rung, ...]


RULES = {
    Condition.ABSENT: Rule(60.0, (Rung.POWER_CYCLE,)),
    Condition.FAILED: Rule(60.0, (Rung.RESET, Rung.POWER_CYCLE)),
    Condition.UNCONNECTED: Rule(180.0, (Rung.ACTIVATE,)),
    Condition.UNREACHABLE: Rule(300.0, (Rung.ACTIVATE, Rung.RESET, Rung.POWER_CYCLE)),
}

PAUSES_S = {
    Rung.ACTIVATE: (180.0, 3600.0),
    Rung.RESET: (600.0, 4 * 3600.0),
    Rung.POWER_CYCLE: (900.0, 8 * 3600.0),
}
"""The first pause after a use of the rung, and the longest."""


@dataclass(frozen=True, slots=True)
class Used:
    """How often a rung was used since the connection last worked, and when it may be used again."""

    times: int = 0
    again_at: float = -inf


@dataclass(frozen=True, slots=True)
class Ladder:
    """The state between two steps; `since` is the beginning of the condition, or the last rung that was tried."""

    condition: Condition = Condition.WAITING
    since: float = -inf
    place: tuple[tuple[Condition, int], ...] = ()
    """How many rungs were tried against each condition."""
    used: tuple[tuple[Rung, Used], ...] = ()


def step(ladder: Ladder, condition: Condition, now: float) -> tuple[Ladder, Rung | None]:
    """The ladder after `condition` was seen at `now`, and the rung to try now, if any."""
    if condition is not ladder.condition:
        return replace(ladder, condition=condition, since=now), None
    if condition is Condition.GOOD and now - ladder.since >= STEADY_S:
        return replace(ladder, place=(), used=()), None
    rule = RULES.get(condition)
    if rule is None or now - ladder.since < rule.after_s:
        return ladder, None
    places, used = dict(ladder.place), dict(ladder.used)
    place = places.get(condition, 0)
    rung = rule.rungs[place % len(rule.rungs)]
    before = used.get(rung, Used())
    if now < before.again_at:
        return ladder, None
    first_s, longest_s = PAUSES_S[rung]
    pause_s = min(first_s * 2.0**before.times, longest_s)
    places[condition] = place + 1
    used[rung] = Used(min(before.times + 1, 16), now + pause_s)
    return replace(ladder, since=now, place=tuple(places.items()), used=tuple(used.items())), rung
