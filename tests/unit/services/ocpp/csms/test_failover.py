# SPDX-License-Identifier: Apache-2.0
"""Which link a connection goes over, and when it is left."""

from __future__ import annotations

import pytest

from firmware.contract import LinkDetails
from firmware.factory_settings import NetworkProfile
from services.ocpp.csms.failover import FAIL_BACK_S, HOLD_S, PATIENCE_S, FailOver, Leave, News, Why

WIRED = NetworkProfile(slot=1, url="ws://csms.example/", security_profile=1, interface="Wired0")
WIRELESS = NetworkProfile(slot=2, url="ws://csms.example/", security_profile=1, interface="Wireless0")
BOTH = (WIRED, WIRELESS)


class Links:
    """A board with two links, and a station that is connected from the start."""

    def __init__(
        self, *, bound: bool, order: tuple[NetworkProfile, ...] = BOTH, default: str | None = "Wired0"
    ) -> None:
        self.watch = FailOver(bound=bound)
        self.order = order
        self.up = {"Wired0": True, "Wireless0": True}
        self.default = default
        self.now = 1000.0
        self.report()
        self.watch.using(order[0])

    def report(self, **up: bool) -> News:
        self.up |= up
        devices = {"Wired0": "eth0", "Wireless0": "wwan0"}
        details = {name: LinkDetails(default=name == self.default, device=device) for name, device in devices.items()}
        return self.watch.report(self.up, details, self.now, order=self.order)

    def after(self, seconds: float, *, busy: bool = False) -> Leave | None:
        self.now += seconds
        return self.watch.decide(self.order, self.now, busy=busy)

    def deadline(self) -> float | None:
        at = self.watch.next_deadline(self.order, self.now)
        return None if at is None else at - self.now


@pytest.mark.parametrize("bound", [True, False])
def test_nothing_to_do_on_a_good_link(bound: bool) -> None:
    links = Links(bound=bound)
    assert links.after(1e6) is None
    assert links.deadline() is None


@pytest.mark.parametrize("bound", [True, False])
def test_the_link_in_use_goes_down(bound: bool) -> None:
    links = Links(bound=bound)
    links.default = "Wireless0"
    links.report(Wired0=False)
    assert links.after(0.0) == Leave(Why.DOWN, "Wired0", 2)


@pytest.mark.parametrize("bound", [True, False])
def test_no_other_way(bound: bool) -> None:
    links = Links(bound=bound)
    links.default = None
    links.report(Wired0=False, Wireless0=False)
    assert links.after(0.0) == Leave(Why.DOWN, "Wired0", None)


def test_a_slot_may_be_dialled_over_another_link_unless_it_is_bound() -> None:
    links = Links(bound=False, order=(WIRED,))
    links.default = "Wireless0"
    links.report(Wired0=False)
    assert links.after(0.0) == Leave(Why.DOWN, "Wired0", 1)
    links = Links(bound=True, order=(WIRED,))
    links.report(Wired0=False)
    assert links.after(0.0) == Leave(Why.DOWN, "Wired0", None)


@pytest.mark.parametrize("bound", [True, False])
def test_a_link_that_is_reported_down_and_works(bound: bool) -> None:
    links = Links(bound=bound, order=(WIRED,), default=None)
    links.report(Wired0=False, Wireless0=False)
    links.watch.using(WIRED)
    for up in (True, False):
        links.report(Wireless0=up)
        assert links.after(1.0) is None
    links.report(Wired0=True)
    links.report(Wired0=False)
    assert links.after(0.0) == Leave(Why.DOWN, "Wired0", None)


def test_the_other_link_does_not_matter() -> None:
    links = Links(bound=True)
    links.report(Wireless0=False)
    assert links.after(0.0) is None


def test_a_bound_connection_stays_when_the_default_route_moves() -> None:
    links = Links(bound=True)
    links.default = "Wireless0"
    links.report()
    assert links.after(1000.0) is None


def test_a_connection_that_is_not_bound_moves_at_once() -> None:
    links = Links(bound=False)
    links.default = "Wireless0"
    links.report()
    assert links.after(0.0) == Leave(Why.MOVED, "Wireless0", 2)
    assert links.watch.using(WIRELESS) == "Wireless0"


def test_it_does_not_move_with_each_flap() -> None:
    links = Links(bound=False)
    moves = 0
    for second in range(60):
        links.default = ("Wired0", "Wireless0")[second % 2]
        links.report()
        if links.after(1.0) is not None:
            moves += 1
            links.watch.using(WIRED)
    assert moves <= 60 / HOLD_S + 1


def test_a_move_that_was_held_comes_later_if_it_lasts() -> None:
    links = Links(bound=False)
    links.default = "Wireless0"
    links.report()
    assert links.after(0.0) is not None
    links.watch.using(WIRELESS)
    links.default = "Wired0"
    links.report()
    assert links.after(1.0) is None
    assert links.deadline() == HOLD_S - 1.0
    assert links.after(HOLD_S - 1.0) == Leave(Why.MOVED, "Wired0", 1)


def test_a_default_route_that_is_lost_moves_nothing() -> None:
    links = Links(bound=False)
    links.default = None
    links.report()
    assert links.after(100.0) is None


def away(*, bound: bool, default: str | None) -> Links:
    """The station is on the second link; the first one has just returned."""
    links = Links(bound=bound, default=default)
    links.report(Wired0=False)
    links.watch.using(WIRELESS)
    links.now += 10.0
    assert links.report(Wired0=True) is News.LINK_UP
    return links


@pytest.mark.parametrize(("bound", "default"), [(True, "Wireless0"), (False, None)])
def test_back_to_a_link_that_has_been_good_for_a_while(bound: bool, default: str | None) -> None:
    links = away(bound=bound, default=default)
    assert links.after(0.0) is None
    assert links.deadline() == FAIL_BACK_S
    assert links.after(FAIL_BACK_S - 1.0) is None
    assert links.after(1.0) == Leave(Why.RETURNED, "Wired0", 1)


def test_a_link_that_flaps_begins_its_time_again() -> None:
    links = away(bound=True, default=None)
    links.now += FAIL_BACK_S - 1.0
    links.report(Wired0=False)
    links.report(Wired0=True)
    assert links.after(FAIL_BACK_S - 1.0) is None
    assert links.after(1.0) is not None


def test_not_while_a_message_waits_but_not_for_ever() -> None:
    links = away(bound=True, default=None)
    assert links.after(FAIL_BACK_S, busy=True) is None
    assert links.deadline() == 1.0
    assert links.after(PATIENCE_S - 1.0, busy=True) is None
    assert links.after(1.0, busy=True) == Leave(Why.RETURNED, "Wired0", 1)


def test_back_only_once_for_each_return() -> None:
    links = away(bound=True, default=None)
    assert links.after(FAIL_BACK_S) is not None
    links.watch.using(WIRELESS)  # the first slot's CSMS does not answer
    assert links.after(1e6) is None


def test_a_link_that_was_never_down_is_not_gone_back_to() -> None:
    links = Links(bound=True)
    links.watch.using(WIRELESS)
    assert links.after(1e6) is None


def test_only_to_a_slot_of_higher_priority() -> None:
    links = Links(bound=True)
    links.report(Wireless0=False)
    links.report(Wireless0=True)
    assert links.after(1e6) is None


def test_the_device_to_bind_to() -> None:
    assert Links(bound=True).watch.device(WIRELESS) == "wwan0"
    assert Links(bound=False).watch.device(WIRELESS) is None
    assert FailOver(bound=True).device(WIRED) is None


def test_a_station_that_waits_hears_of_a_new_way() -> None:
    links = Links(bound=False, order=(WIRED,))
    links.watch.unused()
    links.default = None
    assert links.report(Wired0=False) is News.NONE
    links.default = "Wireless0"
    assert links.report() is News.NEW_WAY
    assert links.report() is News.NONE
    assert links.after(0.0) is None


def test_a_connection_that_broke_before_its_link_was_reported_down() -> None:
    links = Links(bound=True)
    links.watch.unused()
    assert links.report(Wired0=False) is News.NEW_WAY
    assert links.report(Wireless0=False) is News.NONE
    alone = Links(bound=True, order=(WIRED,))
    alone.watch.unused()
    assert alone.report(Wired0=False) is News.NONE


def test_a_station_that_knew_no_other_way_hears_of_the_first() -> None:
    """The HAL may read a modem later than it notices that the cable is gone."""
    links = Links(bound=True)
    links.report(Wireless0=False)
    assert links.report(Wired0=False) is News.NONE
    links.watch.unused()
    assert links.report(Wireless0=True) is News.NEW_WAY
    assert links.report() is News.NONE
    links.watch.using(WIRELESS)
    links.watch.unused()
    links.report(Wireless0=False)
    assert links.report(Wireless0=True) is News.LINK_UP, "it may be flapping"


def test_a_link_that_is_not_named_is_up() -> None:
    watch = FailOver(bound=True)
    watch.report({"Wired0": False}, {}, 0.0, order=BOTH)
    assert watch.report({}, {}, 1.0, order=BOTH) is News.LINK_UP
    assert watch.is_up("Wired0")
