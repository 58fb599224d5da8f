# SPDX-License-Identifier: Apache-2.0
"""Which slot is dialled next, and when: B10 and part 4, section 5.3."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ocpp.csms.policy import Attempt, ConnectionPolicy, RetryRules

RULES = RetryRules(attempts_per_slot=3, wait_minimum_s=10.0, random_range_s=0.0, repeat_times=2)


def _policy(order: tuple[int, ...], rules: RetryRules = RULES, chance: float = 0.0) -> ConnectionPolicy:
    policy = ConnectionPolicy(lambda: chance)
    policy.configure(order, rules)
    return policy


def _dial(
    policy: ConnectionPolicy, count: int, *, order: tuple[int, ...], start: float = 0.0
) -> list[tuple[int, float]]:
    """(slot, seconds waited) of `count` attempts in a row, all of which fail at once."""
    now, attempts = start, []
    for _ in range(count):
        attempt = policy.next(order)
        assert attempt is not None
        attempts.append((attempt.slot, max(0.0, attempt.at - now)))
        now = max(now, attempt.at)
        policy.began(now)
        policy.failed(attempt.slot, now)
    return attempts


def _slots(attempts: list[tuple[int, float]]) -> list[int]:
    return [slot for slot, _ in attempts]


def test_without_slots_there_is_nothing_to_dial() -> None:
    assert _policy(()).next(()) is None


def test_after_a_start_the_first_slot_is_dialled_at_once() -> None:
    assert _dial(_policy((2, 1)), 1, order=(2, 1)) == [(2, 0.0)]


def test_each_slot_gets_its_attempts_in_rotation() -> None:  # B10.FR.08, B10.FR.09
    attempts = _dial(_policy((2, 1, 5)), 12, order=(1, 2, 5))
    assert _slots(attempts) == [2, 2, 2, 1, 1, 1, 5, 5, 5, 2, 2, 2]


def test_the_back_off_doubles_and_then_stays() -> None:
    """TC_B_57: minimum, doubled after each failure, RetryBackOffRepeatTimes times."""
    policy = _policy((1,))
    policy.connected(1)
    policy.lost(100.0)
    assert [wait for _, wait in _dial(policy, 5, order=(1,), start=100.0)] == [10.0, 20.0, 40.0, 40.0, 40.0]


def test_with_no_doublings_the_back_off_is_always_the_minimum() -> None:
    rules = RetryRules(attempts_per_slot=1, wait_minimum_s=10.0, random_range_s=0.0, repeat_times=0)
    attempts = _dial(_policy((1, 2), rules), 4, order=(1, 2))
    assert attempts == [(1, 0.0), (2, 10.0), (1, 10.0), (2, 10.0)]


def test_every_increase_gets_a_random_part_and_the_last_back_off_stays() -> None:
    rules = RetryRules(attempts_per_slot=9, wait_minimum_s=10.0, random_range_s=4.0, repeat_times=2)
    attempts = _dial(_policy((1,), rules, chance=0.5), 6, order=(1,))
    assert [wait for _, wait in attempts] == [0.0, 12.0, 26.0, 54.0, 54.0, 54.0]


def test_a_connection_resets_the_back_off() -> None:
    policy = _policy((1,))
    _dial(policy, 4, order=(1,))
    policy.connected(1)
    policy.lost(1000.0)
    attempt = policy.next((1,))
    assert attempt is not None
    assert attempt.at == 1010.0


def test_the_proven_slot_comes_first_after_a_loss_with_all_its_attempts() -> None:
    policy = _policy((1, 2))
    _dial(policy, 5, order=(1, 2))
    policy.connected(2)
    policy.lost(1000.0)
    assert _slots(_dial(policy, 7, order=(1, 2), start=1000.0)) == [2, 2, 2, 1, 1, 1, 2]


def test_new_priorities_keep_the_proven_slot_first_while_it_exists() -> None:
    policy = _policy((1, 2))
    policy.connected(2)
    policy.configure((3, 2), RULES)
    policy.lost(0.0)
    assert _slots(_dial(policy, 4, order=(2, 3))) == [2, 2, 2, 3]
    policy.configure((3, 4), RULES)
    assert _slots(_dial(policy, 4, order=(3, 4))) == [3, 3, 4, 4]


@pytest.mark.parametrize(
    ("usable", "slots"),
    [((2, 3), [2, 2, 2, 3, 3, 3, 2]), ((3,), [3, 3, 3, 3]), ((), [1, 1, 1, 2])],
    ids=["first is down", "two are down", "all are down"],
)
def test_slots_whose_interface_is_down_are_skipped(usable: tuple[int, ...], slots: list[int]) -> None:
    assert _slots(_dial(_policy((1, 2, 3)), len(slots), order=usable)) == slots


def test_a_restart_dials_at_once_the_given_the_proven_or_the_first_slot() -> None:
    policy = _policy((1, 2, 3))
    for now, slot, expected in ((100.0, None, 1), (200.0, 3, 3), (300.0, 9, 1)):
        policy.failed(1, now)
        policy.restart(slot)
        assert _dial(policy, 1, order=(1, 2, 3), start=now) == [(expected, 0.0)]
    policy.connected(2)
    policy.restart()
    assert _dial(policy, 1, order=(1, 2, 3), start=400.0) == [(2, 0.0)]


def test_an_interface_that_comes_up_shortens_a_long_back_off_to_the_first_one() -> None:
    policy = _policy((1,))
    _dial(policy, 4, order=(1,))  # at 0, 10, 30 and 70; the next would be at 110
    policy.link_up(75.0)
    attempt = policy.next((1,))
    assert attempt is not None
    assert attempt.at == 80.0
    policy.link_up(95.0)
    assert policy.next((1,)) == attempt


def test_an_interface_that_comes_up_late_is_used_at_once() -> None:
    policy = _policy((1,))
    _dial(policy, 4, order=(1,))
    policy.link_up(100.0)
    attempt = policy.next((1,))
    assert attempt is not None
    assert attempt.at == 100.0


def test_an_interface_that_flaps_gives_one_attempt_per_first_back_off() -> None:
    policy = _policy((1,))
    attempts = 0
    for second in range(1, 60):
        policy.link_up(float(second))
        attempt = policy.next((1,))
        assert attempt is not None
        if attempt.at <= second:
            policy.failed(1, float(second))
            attempts += 1
    assert attempts <= 7


@pytest.mark.parametrize("rules", [RetryRules(0, 0.0, 0.0, 0), RetryRules(-1, -5.0, -5.0, -5)])
def test_values_out_of_range_neither_spin_nor_stop(rules: RetryRules) -> None:
    attempts = _dial(_policy((1, 2), rules), 4, order=(1, 2))
    assert _slots(attempts) == [1, 2, 1, 2]
    assert [wait for _, wait in attempts] == [0.0, 1.0, 1.0, 1.0]


def test_orders_to_dial_again_do_not_spin() -> None:
    """A CSMS that sets a new password on each connection, or closes each: one connection a second."""
    policy = _policy((1,), RetryRules(1, 0.0, 0.0, 0))
    for second in range(5):
        attempt = policy.next((1,))
        assert attempt is not None
        assert attempt.at <= second
        policy.began(float(second))
        policy.connected(1)
        if second % 2:
            policy.restart()
        else:
            policy.lost(second + 0.1)
        assert policy.next((1,)) == Attempt(1, second + 1.0)


def test_doubling_ends_at_a_day() -> None:
    rules = RetryRules(repeat_times=10_000)
    assert _dial(_policy((1,), rules), 3000, order=(1,))[-1][1] == pytest.approx(86_400.0)


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True),
    st.builds(RetryRules, st.integers(1, 5), st.floats(0, 100), st.floats(0, 100), st.integers(0, 8)),
    st.lists(st.floats(0, 0.999), min_size=1, max_size=50),
)
def test_no_slot_is_starved_and_the_back_off_never_shrinks(
    order: list[int], rules: RetryRules, chances: list[float]
) -> None:
    dice = itertools.cycle(chances)
    policy = ConnectionPolicy(lambda: next(dice))
    policy.configure(tuple(order), rules)
    attempts = _dial(policy, 2 * len(order) * rules.attempts_per_slot, order=tuple(order))
    expected = [slot for slot in order for _ in range(rules.attempts_per_slot)]
    assert _slots(attempts) == expected * 2
    waits = [wait for _, wait in attempts[1:]]
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(waits))
    assert all(wait >= max(rules.wait_minimum_s, 1.0) - 1e-6 for wait in waits)
    assert max(waits) <= max(1.0, (rules.wait_minimum_s + 2 * rules.random_range_s) * 2**rules.repeat_times) + 1e-6
