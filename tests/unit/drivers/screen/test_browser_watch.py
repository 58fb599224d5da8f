# SPDX-License-Identifier: Apache-2.0
"""When a kiosk browser is restarted, and when its display counts as lost."""

from __future__ import annotations

from drivers.screen.browser_watch import MOST_RESTARTS, RETRY_S, SILENT_S, START_S, WELL_S, BrowserWatch


def restarts(watch: BrowserWatch, since: int, until: int) -> list[int]:
    """The seconds at which it is restarted, looked at once a second."""
    return [second for second in range(since, until) if watch.check(float(second))]


def test_a_browser_that_beats_is_left_alone() -> None:
    watch = BrowserWatch(0.0, can_restart=True)
    for second in range(0, 3600, 2):
        watch.beat(float(second))
        assert not watch.check(second + 1.9)
    assert watch.lost is None


def test_a_browser_that_dies_is_restarted_once_and_may_take_its_time() -> None:
    watch = BrowserWatch(0.0, can_restart=True)
    watch.beat(20.0)
    assert restarts(watch, 20, 59) == [20 + int(SILENT_S)]
    watch.beat(59.0)
    assert restarts(watch, 59, 69) == []
    assert watch.lost is None


def test_a_browser_that_never_comes_up_is_a_loss_after_three_restarts_and_is_tried_on() -> None:
    watch = BrowserWatch(0.0, can_restart=True)
    start, retry = int(START_S), int(RETRY_S)
    expected = [start * (count + 1) for count in range(MOST_RESTARTS)]
    assert restarts(watch, 0, expected[-1] + 1) == expected
    assert watch.lost is None
    fourth = expected[-1] + start
    assert restarts(watch, expected[-1] + 1, fourth + retry + 1) == [fourth, fourth + retry]
    assert watch.lost == "no browser shows the page, also after 3 restarts"
    watch.beat(fourth + retry + 5.0)
    assert watch.lost is None


def test_a_browser_that_dies_again_and_again_is_a_loss() -> None:
    """It shows the page for a moment after each restart: that is no recovery."""
    watch = BrowserWatch(0.0, can_restart=True)
    now = 0.0
    for _ in range(MOST_RESTARTS):
        watch.beat(now)
        now += SILENT_S
        assert watch.check(now)
        assert watch.lost is None
    watch.beat(now)
    assert watch.check(now + SILENT_S)
    assert watch.lost is not None


def test_a_browser_that_was_well_for_long_may_fail_anew() -> None:
    watch = BrowserWatch(0.0, can_restart=True)
    now = 0.0
    for _ in range(3 * MOST_RESTARTS):
        for _ in range(int(WELL_S) // 2 + 1):
            watch.beat(now)
            now += 2.0
        now += SILENT_S
        assert watch.check(now)
        assert watch.lost is None


def test_where_nothing_can_restart_it_the_first_silence_is_the_loss() -> None:
    watch = BrowserWatch(0.0, can_restart=False)
    assert restarts(watch, 0, 600) == []
    assert watch.lost == "no browser shows the page for 30 s"
    watch.beat(600.0)
    assert watch.lost is None
