# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tools.benchmark import growth
from tools.benchmark.table import ROWS, Goal, as_json, lines


@pytest.mark.parametrize(
    ("goal", "ours", "floor", "met"),
    [
        (Goal(floors=1.2), [1.1, 1.2, 1.3], [1.0], True),
        (Goal(floors=1.2), [1.2, 1.3, 1.3], [1.0], False),
        (Goal(floors=1.2), [1.0], None, False),  # without a floor there is no ratio that could be met
        (Goal(median=5), [4.0, 5.0, 9.0], None, True),
        (Goal(median=5), [5.1], None, False),
        (Goal(p99=10), [1.0] * 99 + [11.0], None, False),
        (Goal(p99=10), [1.0] * 199 + [11.0], None, True),
        (Goal(worst=50), [1.0, 50.1], None, False),
        (Goal(at_least=2500), [2500.0], None, True),
        (Goal(at_least=2500), [2499.0], None, False),
        (Goal(floors=2.0, worst=3), [1.0, 4.0], [1.0], False),
    ],
)
def test_a_goal_is_met_or_missed(goal: Goal, ours: list[float], floor: list[float] | None, met: bool) -> None:
    assert goal.is_met(ours, floor) is met


def test_each_row_says_whether_its_goal_is_met() -> None:
    station = {"get 1": [0.2] * 30, "drain": [1000.0], "disk flush": [0.25]}
    floor = {"get 1": [0.25], "drain": [4000.0]}
    printed = "\n".join(lines(station, floor)).splitlines()
    found = {line.split("  ")[0].rstrip("…"): line.split()[-1] for line in printed[2 : 2 + len(ROWS)]}
    assert [met for name, met in found.items() if "GetVariables, 1 variable".startswith(name[:24])] == ["yes"]
    assert [met for name, met in found.items() if name.startswith("draining 10,000")] == ["MISSED"]
    assert max(map(len, printed[1:])) <= 120
    assert printed[-1].endswith("would drain 2000 of them in a second.")
    rows = {row["key"]: row for row in as_json(station, floor)}
    assert rows["get 1"]["ours"] == {"median": 0.2, "p99": 0.2, "max": 0.2, "count": 30}
    assert (rows["drain"]["met"], rows["drain"]["goal"]) == (False, ">= 2500")
    assert (rows["disk flush"]["met"], rows["disk flush"]["ours"]["median"]) == (None, 0.25)
    assert (rows["boot"]["met"], rows["boot"]["ours"]) == (None, None)


@pytest.mark.parametrize(
    ("small", "large", "how", "met"),
    [
        (10.0, 11.9, {}, True),
        (10.0, 12.1, {}, False),
        (2000.0, 1601.0, {"bounds": (0.8, float("inf"))}, True),
        (2000.0, 1599.0, {"bounds": (0.8, float("inf"))}, False),
        (4.0, 5.9, {"apart": 2.0}, True),
        (40.0, 49.0, {"apart": 2.0}, False),
    ],
)
def test_growth_is_within_its_bounds(small: float, large: float, how: dict[str, object], met: bool) -> None:
    row = growth.Row("a row", "MB", ("1", "2"), small, large, **how)  # type: ignore[arg-type]
    assert row.met is met
    assert next(iter(growth.lines([row]))).splitlines()[1].endswith("yes" if met else "MISSED")
    assert growth.as_json([row])[0]["met"] is met
