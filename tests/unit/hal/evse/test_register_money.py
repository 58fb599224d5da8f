# SPDX-License-Identifier: Apache-2.0
"""Whatever a meter says, the bills are right.

Two rules, each for any sequence of deliveries and pauses:

- A meter with outliers, gaps and resets, each of more than the slack: every delivery bills what has flowed up to the
  last believed reading, within one step of the register. What has flowed after it is not billed; that is nothing when
  the meter is sound at the end.
- A meter that reads anything: no delivery bills less than nothing, or more than what the modules can have delivered
  plus the slack.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.evse.register import DOUBT_S, ERROR_A, ERROR_SHARE, LAG_S
from hal.ports import MeterSample
from tests.support.metered import MAX_POWER_W, PERIOD_S, VOLTS, Metered

RAMP_DOWN_S = 1.0
RESETS_WH = itertools.cycle(1e5 * step for step in range(1, 40_000, 7))
"""Registers that are far from each other: a meter that is replaced by one with the same reading is no contradiction."""


@dataclass
class Step:
    """Some seconds of one kind; `wh` is what an outlier adds to the true register."""

    kind: str
    seconds: float
    amps: float = 0.0
    wh: float = 0.0


SECONDS = st.floats(0.3, 8.0)
FAR = st.one_of(st.floats(1e3, 5e9), st.floats(-9e5, -1e3), st.sampled_from([math.nan, math.inf, -5e9]))
AMPS = st.sampled_from([0.0, 1.0, 30.0, 200.0, 500.0])
TROUBLE = st.one_of(
    st.builds(Step, st.just("flow"), SECONDS, AMPS),
    st.builds(Step, st.just("outlier"), SECONDS, wh=FAR),
    st.builds(Step, st.just("gap"), SECONDS),
    st.builds(Step, st.just("reset"), st.just(PERIOD_S)),
)
DELIVERY = st.builds(
    lambda before, amps, during: [*before, Step("begin", PERIOD_S), Step("flow", 1.0, amps), *during, Step("end", 0.1)],
    st.lists(TROUBLE, max_size=3),
    AMPS,
    st.lists(TROUBLE, max_size=6),
)
"""A pause and a delivery; none begins while the meter is faulted."""


class Site:
    """An EVSE that ends its delivery when the register reports a fault, and counts what can't be vouched for."""

    def __init__(self, resolution_wh: float) -> None:
        self.meter = Metered(resolution_wh=resolution_wh, start_wh=1e6)
        self.meter.run(1.0)
        self._believed_at = self._began_at = 0.0
        """What had flowed at the last believed reading, and at the beginning of the delivery."""
        self.vouched: list[float] = []
        self.lost: list[float] = []

    def take(self, step: Step) -> None:
        meter = self.meter
        match step.kind:
            case "begin" if not meter.closed and meter.register.fault is None and meter.register.energy_wh is not None:
                meter.begin()
                self._began_at = meter.flowed_wh
            case "end" if meter.closed:
                self._end()
            case "reset":
                meter.true_wh = next(RESETS_WH)
            case "gap":
                meter.lost = True
        if step.kind == "flow" and meter.closed:
            meter.amps = step.amps
        self._pass(step)
        meter.lost, meter.shown_wh = False, None

    def _pass(self, step: Step) -> None:
        meter = self.meter
        for _ in range(round(step.seconds / PERIOD_S)):
            if step.kind == "outlier":
                meter.shown_wh = meter.true_wh + step.wh
            self._round()
            if meter.closed and meter.register.fault is not None:
                for _ in range(round(RAMP_DOWN_S / PERIOD_S)):
                    self._round()
                self._end()

    def _round(self) -> None:
        self.meter.run(PERIOD_S)
        self._note()

    def _note(self) -> None:
        if self.meter.register.trusts(self.meter.sample()):
            self._believed_at = self.meter.flowed_wh

    def _end(self) -> None:
        self.meter.end()
        self._note()
        known = max(self._began_at, self._believed_at)
        self.vouched.append(known - self._began_at)
        self.lost.append(self.meter.flowed_wh - known)


@settings(max_examples=150, deadline=None)
@given(deliveries=st.lists(DELIVERY, min_size=1, max_size=4), resolution_wh=st.sampled_from([0.1, 1.0, 10.0, 100.0]))
def test_what_is_billed_has_flowed(deliveries: list[list[Step]], resolution_wh: float) -> None:
    site = Site(resolution_wh)
    for step in itertools.chain(*deliveries):
        site.take(step)
    bills = site.meter.bills
    assert bills == pytest.approx(site.vouched, abs=resolution_wh + 1e-3)
    assert sum(bills) + sum(site.lost) == pytest.approx(site.meter.flowed_wh, abs=len(bills) * resolution_wh + 1e-3)


@settings(max_examples=50, deadline=None)
@given(amps=st.sampled_from([30.0, 200.0, 500.0]), seconds=st.floats(0.3, 60.0), wh=FAR)
def test_little_is_lost_when_the_meter_fails(amps: float, seconds: float, wh: float) -> None:
    """At most what flows until the contradiction is a fault and the delivery has ended."""
    site = Site(1.0)
    for step in (Step("begin", PERIOD_S), Step("flow", seconds, amps), Step("outlier", 20.0, wh=wh)):
        site.take(step)
    assert len(site.lost) == 1
    assert site.lost[0] <= VOLTS * amps * (DOUBT_S + RAMP_DOWN_S + 3 * PERIOD_S) / 3600.0


@settings(max_examples=100, deadline=None)
@given(
    shown=st.lists(st.one_of(st.floats(allow_nan=True), st.floats(900.0, 1300.0)), min_size=1, max_size=300),
    amps=st.lists(st.floats(0.0, 500.0), min_size=1, max_size=20),
)
def test_no_delivery_bills_more_than_was_possible(shown: list[float], amps: list[float]) -> None:
    meter = Metered()
    meter.run(1.0)
    meter.begin()
    possible = highest = 0.0
    last = meter.energy_wh
    for reading, current in zip(shown, itertools.cycle(amps), strict=False):
        meter.shown_wh, meter.amps = reading, current
        power_w = min(VOLTS * (current * (1 + ERROR_SHARE) + ERROR_A), MAX_POWER_W * (1 + ERROR_SHARE))
        possible, highest = possible + power_w * PERIOD_S / 3600.0, max(highest, power_w)
        meter.run(PERIOD_S)
        assert last <= meter.energy_wh
        last = meter.energy_wh
        slack = meter.register.resolution_wh + highest * LAG_S / 3600.0
        assert meter.energy_wh - meter.begin_wh <= possible + slack + 1e-6


def test_the_readings_of_the_rule_are_those_that_are_billed() -> None:
    """The bound above is not met by billing nothing."""
    site = Site(0.1)
    for step in (
        Step("begin", PERIOD_S),
        Step("flow", 8.0, 200.0),
        Step("outlier", 1.3, wh=4e9),
        Step("flow", 8.0, 200.0),
    ):
        site.take(step)
    site.take(Step("end", PERIOD_S))
    assert site.meter.bills == pytest.approx([site.meter.flowed_wh], abs=0.2)
    sample: MeterSample = site.meter.sample()
    assert site.meter.register.trusts(sample)
