# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.contract.messages import (
    CardPresented,
    Event,
    EvseSelected,
    MeterContext,
    MeterReading,
    Plugged,
    Stamped,
    Unplugged,
)
from firmware.errors import ContractError
from hal.journal import MAX_KEPT, Journal, is_kept

CARD = CardPresented(uid="04AABBCC")
TOUCH = EvseSelected(evse=1)


def reading(context: MeterContext) -> MeterReading:
    return MeterReading(
        evse=1, context=context, energy_wh=1.0, voltage_v=0.0, current_a=0.0, power_w=0.0, offered_a=0.0, offered_w=0.0
    )


def record(journal: Journal, event: Event) -> Stamped:
    stamped = journal.stamp(event, 0.0, 0.0)
    journal.record(stamped)
    return stamped


def numbers(stamped: Iterable[Stamped]) -> list[int]:
    return [each.seq for each in stamped]


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (Plugged(evse=1), True),
        (Unplugged(evse=1), True),
        (CARD, True),
        (reading(MeterContext.START), True),
        (reading(MeterContext.STOP), True),
        (reading(MeterContext.PERIODIC), False),
        (TOUCH, False),
    ],
)
def test_what_matters_for_billing_is_kept(event: Event, kept: bool) -> None:
    journal = Journal()
    stamped = journal.stamp(event, 1.0, 2.0)
    assert stamped == Stamped(seq=1, mono_s=1.0, utc_s=2.0, event=event, keep=kept)
    journal.record(stamped)
    assert is_kept(event) is kept
    assert [each.replayed for each in journal.unacknowledged()] == [True] * kept


def test_numbers_rise_by_one_from_one() -> None:
    journal = Journal()
    assert journal.last_seq == 0
    assert numbers(record(journal, event) for event in (TOUCH, CARD, TOUCH)) == [1, 2, 3]
    assert journal.last_seq == 3


def test_an_event_that_is_not_recorded_takes_no_number() -> None:
    journal = Journal()
    journal.stamp(CARD, 0.0, 0.0)
    assert journal.last_seq == len(journal) == 0
    assert record(journal, TOUCH).seq == 1


def test_acknowledged_up_to_and_including() -> None:
    journal = Journal()
    for event in (CARD, TOUCH, Plugged(evse=1), CARD):
        record(journal, event)
    journal.acknowledge(2)  # an event that is not kept: acknowledges the kept ones before it
    assert numbers(journal.unacknowledged()) == [3, 4]
    journal.acknowledge(3)
    journal.acknowledge(1)
    assert numbers(journal.unacknowledged()) == [4]


@pytest.mark.parametrize("seq", [-1, 0, 2])
def test_a_number_that_was_never_given_is_not_acknowledged(seq: int) -> None:
    journal = Journal()
    record(journal, CARD)
    with pytest.raises(ContractError, match="the last was 1"):
        journal.acknowledge(seq)
    assert len(journal) == 1


def test_a_replay_contains_the_events_kept_when_it_was_requested() -> None:
    journal = Journal()
    record(journal, CARD)
    replay = journal.unacknowledged()
    record(journal, CARD)
    journal.acknowledge(1)
    assert numbers(replay) == [1]


def test_the_oldest_card_goes_first_then_the_oldest_of_any_kind(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(limit=3)
    first: list[Event] = [Plugged(evse=1), CARD, CARD]
    for event in first:
        record(journal, event)
    kept: list[list[int]] = []
    for event in (Unplugged(evse=1), CARD, Plugged(evse=1), Unplugged(evse=1), Plugged(evse=1)):
        record(journal, event)
        kept.append(numbers(journal.unacknowledged()))
    assert kept == [[1, 3, 4], [1, 4, 5], [1, 4, 6], [4, 6, 7], [6, 7, 8]]
    assert "event 2 (CardPresented) is dropped" in caplog.text
    assert "04AABBCC" not in caplog.text


def test_acknowledged_cards_are_not_dropped_in_place_of_others() -> None:
    journal = Journal(limit=2)
    record(journal, CARD)
    journal.acknowledge(1)
    for _ in range(3):
        record(journal, Plugged(evse=1))
    assert numbers(journal.unacknowledged()) == [3, 4]


def test_ten_thousand_are_kept() -> None:
    journal = Journal()
    for _ in range(MAX_KEPT + 1):
        record(journal, Plugged(evse=1))
    assert MAX_KEPT == 10_000
    assert len(journal) == MAX_KEPT
    journal.acknowledge(journal.last_seq)
    assert len(journal) == 0


class Service:
    """A service that dies between any two steps; `safe` are the kept events it wrote to disk, in order."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.up = False
        self.inbox: list[Stamped] = []
        self.seen: list[int] = []
        self.safe: list[int] = []

    def connect(self) -> None:
        self.up = True
        self.seen = []
        self.inbox = list(self.journal.unacknowledged())

    def die(self) -> None:
        self.up = False
        self.inbox = []

    def deliver(self, stamped: Stamped) -> None:
        if self.up:
            self.inbox.append(stamped)

    def work(self, acknowledge: bool) -> None:
        if not self.inbox:
            return
        stamped = self.inbox.pop(0)
        self.seen.append(stamped.seq)
        if stamped.keep and stamped.seq not in self.safe:
            self.safe.append(stamped.seq)
        if acknowledge:
            self.journal.acknowledge(stamped.seq)


STEPS = st.sampled_from(["touch", "plug", "card", "connect", "die", "work", "work and acknowledge"])


@given(st.lists(STEPS, max_size=80))
def test_a_service_that_comes_and_goes_misses_no_kept_event_and_sees_order(steps: list[str]) -> None:
    journal = Journal()
    service = Service(journal)
    happened: list[int] = []
    events: dict[str, Event] = {"touch": TOUCH, "plug": Plugged(evse=1), "card": CARD}
    for step in [*steps, "die", "connect", *["work"] * len(steps)]:
        if step in events:
            stamped = record(journal, events[step])
            happened.extend([stamped.seq] if stamped.keep else [])
            service.deliver(stamped)
        elif step == "connect":
            service.connect()
        elif step == "die":
            service.die()
        else:
            service.work(acknowledge="acknowledge" in step)
        assert service.seen == sorted(set(service.seen))
    assert service.safe == happened


@given(st.lists(st.sampled_from(["card", "plug", "acknowledge"]), max_size=200), st.integers(1, 8))
def test_the_bound_holds_and_the_newest_is_always_there(steps: list[str], limit: int) -> None:
    journal = Journal(limit)
    for step in steps:
        if step == "acknowledge":
            if journal.last_seq:
                journal.acknowledge((journal.last_seq + 1) // 2)
            continue
        record(journal, CARD if step == "card" else Plugged(evse=1))
        kept = numbers(journal.unacknowledged())
        assert len(kept) <= limit
        assert kept == sorted(kept)
