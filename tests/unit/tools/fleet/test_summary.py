# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tools.columns import width
from tools.fleet.orders import Final, Status
from tools.fleet.page import page
from tools.fleet.report import lines
from tools.fleet.summary import Call, Fleet, Moment, Summary, live, slope_per_min

_CALL = Call("SecurityEventNotification", 123456, 12, 123.45, 1234.0, 2345.0, 3456.0, 45678.9)


def _summary(**changes: Any) -> Summary:
    moments = [Moment(5.0 * number, 9, 9, 4, 0, 3.5, 12.0, 40.0, 100.0 + number, 7.0) for number in range(12)]
    whole: dict[str, Any] = {
        "csms": "ws://127.0.0.1:9000/ocpp",
        "scenario": "<b>quiet</b>",
        "stations": 9,
        "workers": 2,
        "length_s": 60.0,
        "ended": "the time is over",
        "calls": [_CALL],
        "errors": {"Heartbeat: no answer in time": 1},
        "visits": {"charged": 4},
        "transactions": 4,
        "events_sent": 12,
        "events_answered": 12,
        "events_repeated": 0,
        "lost": 0,
        "not_ended": 0,
        "left_over": 0,
        "failed": {},
        "missing": 0,
        "memory_mb": 111.0,
        "memory_mb_per_station": 1.0,
        "memory_slope_mb_per_min": 0.1,
        "cpu_percent": 7.0,
        "moments": moments,
    }
    return Summary(**whole | changes)


@pytest.mark.parametrize(
    "bad",
    [
        {"lost": 1},
        {"not_ended": 1},
        {"left_over": 1},
        {"missing": 1},
        {"failed": {"FLEET-00001": "why"}},
        {"verified": {"whole": 3, "missing": 1}},
        {"verified": {"whole": 3, "incomplete": 1}},
    ],
)
def test_one_loss_or_failure_makes_a_run_unsound(bad: dict[str, Any]) -> None:
    assert _summary(verified={"whole": 4}).sound
    assert not _summary(**bad).sound


def test_tables_fit_into_100_columns() -> None:
    moment = _summary().moments[0]
    text = live(msgspec.structs.replace(moment, t_s=99999.0, stations=99999, online=99999, memory_mb=99999.0), [_CALL])
    assert max(map(len, text.splitlines())) <= width()
    assert max(map(len, lines(_summary()))) <= width()


def test_the_page_has_the_figures_and_no_markup_of_others() -> None:
    text = page(_summary())
    assert "12 sent, 12 answered" in text
    assert "&lt;b&gt;quiet&lt;/b&gt;" in text
    assert text.count("<svg") == 6
    assert "<script" not in text


@pytest.mark.parametrize(("most", "end"), [(1.0, "1"), (1.1, "2"), (37.0, "40"), (99.0, "100"), (404.0, "600")])
def test_the_axis_ends_at_a_round_number(most: float, end: str) -> None:
    moments = [msgspec.structs.replace(each, memory_mb=most) for each in _summary().moments]
    assert f'text-anchor="end">{end}</text>' in page(_summary(moments=moments)).split("Memory of the stations")[2]


def test_a_short_run_has_a_page_without_plots() -> None:
    assert "<svg" not in page(_summary(moments=[], memory_slope_mb_per_min=None))


def test_the_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope_per_min([(10.0 * number, 5.0 + number) for number in range(6)]) == pytest.approx(6.0)
    assert slope_per_min([(0.0, 1.0)] * 9) is None
    assert slope_per_min([(0.0, 1.0), (1.0, 2.0)]) is None


def test_the_workers_figures_are_added_up() -> None:
    fleet = Fleet()
    final = Final(1, "F1", {"T": 3}, sent=3, answered=2, repeated=0, gaps=1, not_ended=0, left_over=0)
    for worker in ("a", "b"):
        status = Status(stations=2, online=1, visits={"charged": 2}, memory_mb=40.0)
        report = {"status": msgspec.to_builtins(status), "finals": [msgspec.to_builtins(final)], "gone": worker == "b"}
        fleet.take(worker, report)
    assert (fleet.now().stations, fleet.now().visits, fleet.now().memory_mb) == (4, {"charged": 4}, 80.0)
    assert [each.lost for each in fleet.finals] == [2, 2]
    assert fleet.gone == {"b"}
