# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.card_field import CardField, Sighting, identity
from firmware.contract import CardProblem

SEVERAL, UNREADABLE, NO_IDENTITY = CardProblem.SEVERAL_CARDS, CardProblem.UNREADABLE, CardProblem.NO_IDENTITY
A, B = "04A1B2C3", "DEADBEEF"


def reports(*looks: tuple[float, list[Sighting]], misses: int = 1) -> list[tuple[float, Sighting]]:
    """What is reported of these looks, each at its time."""
    field = CardField(ignore_s=2.5, misses=misses)
    found = [(now, field.see(cards, now)) for now, cards in looks]
    return [(now, report) for now, report in found if report is not None]


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("deadbeef", "DEADBEEF"),
        ("04a1b2c3d4e580", "04A1B2C3D4E580"),
        ("04a1b2c3d4e5f6a7b8c9", "04A1B2C3D4E5F6A7B8C9"),
        ("08123456", NO_IDENTITY),
        ("08123456789abc", "08123456789ABC"),
        ("", UNREADABLE),
        ("0102030405", UNREADABLE),
    ],
)
def test_identity(uid: str, expected: Sighting) -> None:
    assert identity(bytes.fromhex(uid)) == expected


def test_a_card_that_stays_is_reported_once() -> None:
    assert reports((0, []), (1, [A]), (2, [A]), (900, [A])) == [(1, A)]


def test_the_same_card_is_ignored_for_a_while_after_it_left() -> None:
    assert reports((0, [A]), (60, [A]), (61, []), (62, [A]), (63, []), (65.6, [A])) == [(0, A), (65.6, A)]


def test_it_counts_from_the_removal_where_only_changes_are_seen() -> None:
    assert reports((0, [A]), (60, []), (62, [A]), (70, []), (72.6, [A])) == [(0, A), (72.6, A)]


def test_another_card_is_not_ignored() -> None:
    assert reports((0, [A]), (1, []), (1.2, [B]), (1.4, [])) == [(0, A), (1.2, B)]
    assert reports((0, [A]), (1, [B])) == [(0, A), (1, B)]


def test_a_card_has_left_after_the_second_miss() -> None:
    assert reports((0, [A]), (5, []), (9, [A]), misses=2) == [(0, A)]
    assert reports((0, [A]), (5, []), (6, []), (9, [A]), misses=2) == [(0, A), (9, A)]


def test_after_several_cards_the_field_has_to_be_empty() -> None:
    assert reports((0, [A, B]), (1, [A]), (2, [A]), (3, []), (4, [A])) == [(0, SEVERAL), (4, A)]
    assert reports((0, [A]), (1, [A, B]), (2, [A, B]), (3, [B])) == [(0, A), (1, SEVERAL)]


def test_a_card_that_is_being_taken_away_is_no_problem() -> None:
    assert reports((0, [A]), (1, [UNREADABLE]), (2, [])) == [(0, A)]


def test_a_card_that_is_read_at_last_is_reported() -> None:
    assert reports((0, [UNREADABLE]), (1, [UNREADABLE]), (2, [A])) == [(0, UNREADABLE), (2, A)]


def test_a_phone_has_no_identity_however_often_it_changes_its_number() -> None:
    looks = [(now / 4, [identity(bytes([8, now, 0, 0]))]) for now in range(100)]
    assert reports(*looks) == [(0, NO_IDENTITY)]


def test_it_remembers_no_more_cards_than_fit_into_the_time() -> None:
    field = CardField(ignore_s=2.5)
    for number in range(10_000):
        field.see([f"{number:08X}"], number / 4)
    assert len(field._seen_at) < 20
