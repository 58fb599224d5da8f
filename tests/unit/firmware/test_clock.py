# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, SystemClock, format_utc, parse_utc


@given(st.integers(int(CLOCK_FLOOR), int(CLOCK_CEILING) - 1), st.integers(0, 999))
def test_formatted_time_is_read_back(seconds: int, milliseconds: int) -> None:
    assert parse_utc(format_utc(seconds + milliseconds / 1000)) == pytest.approx(
        seconds + milliseconds / 1000, abs=1e-3
    )


def test_format_is_utc_with_milliseconds() -> None:
    assert format_utc(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"


@pytest.mark.parametrize("text", ["2027-01-15T08:00:00Z", "2027-01-15t08:00:00.000z", "2027-01-15T09:00:00+01:00"])
def test_zones_and_lower_case(text: str) -> None:
    assert parse_utc(text) == 1_800_000_000


@pytest.mark.parametrize("text", ["2027-01-15T08:00:00", "yesterday", "", "2027-13-01T00:00:00Z"])
def test_no_date_time_with_a_zone(text: str) -> None:
    with pytest.raises(ValueError):
        parse_utc(text)


def test_system_clock_is_set_and_runs() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.monotonic() >= before
    assert clock.utc() > 0
