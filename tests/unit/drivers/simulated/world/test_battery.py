# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated.world.battery import Battery

packs = st.builds(
    Battery,
    capacity_wh=st.floats(20_000, 200_000),
    max_voltage_v=st.floats(300, 950),
    soc_percent=st.floats(0, 100),
)


@given(packs, st.floats(0, 400_000))
def test_power_at_the_terminals_is_what_was_asked_for(pack: Battery, power_w: float) -> None:
    current_a = pack.current_for(power_w)
    assert current_a * pack.terminal_v(current_a) == pytest.approx(power_w, rel=1e-6, abs=1e-3)


@given(packs)
def test_no_acceptable_current_takes_the_terminals_past_the_charging_voltage(pack: Battery) -> None:
    assert pack.terminal_v(pack.acceptable_a()) <= pack.max_voltage_v + 1e-6


@given(packs, st.floats(0, 500), st.floats(0, 0.01))
def test_charge_only_rises_and_stores_what_went_in(pack: Battery, current_a: float, hours: float) -> None:
    before, ocv = pack.soc_percent, pack.ocv_v
    pack.charge(current_a, hours)
    gained_wh = (pack.soc_percent - before) / 100 * pack.capacity_wh
    assert 0 <= pack.soc_percent <= 100
    if pack.soc_percent < 100:
        assert gained_wh == pytest.approx(ocv * current_a * hours, rel=1e-6, abs=1e-6)


@given(st.floats(0, 100), st.floats(0, 100))
def test_voltage_rises_with_the_charge_and_taper_falls_in_the_upper_half(a: float, b: float) -> None:
    low, high = sorted((a, b))
    empty, full = Battery(75_000, 420, low), Battery(75_000, 420, high)
    assert empty.ocv_v <= full.ocv_v
    if low >= 50:
        assert empty.taper() >= full.taper()


def test_ordinary_pack_has_ordinary_values() -> None:
    pack = Battery(75_000, 420, 20)
    assert 350 < pack.ocv_v < 370
    assert 0.02 < pack.resistance_ohm < 0.05
