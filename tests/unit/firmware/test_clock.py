# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, SystemClock, format_utc, parse_utc


@given(st.integers(int(CLOCK_FLOOR), int(CLOCK_CEILING) - 1), st.integers(0, 999))
def test_formatted_time_is_read_back(seconds: int, milliseconds: int) -> None:
    assert parse_utc(format_utc(seconds + milliseconds / 1000)) == pytest.approx(
        seconds + milliseconds / 1000, abs=1e-3
    )


def test_format_is_utc_with_milliseconds() -> None:
    assert format_utc(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15t08:00:00.000z", 1_800_000_000),
        ("2027-01-15T09:00:00+01:00", 1_800_000_000),
        ("2027-01-15T08:00:00-00:00", 1_800_000_000),
        ("2027-01-15T08:00:00.25Z", 1_800_000_000.25),
        ("2027-01-15T08:00:00." + "2" * 10_000 + "Z", 1_800_000_000.222222),
        ("2016-12-31T23:59:60Z", 1_483_228_800),
        ("2016-12-31T15:59:60.5-08:00", 1_483_228_800.5),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("0001-01-01T00:00:00+23:59", -62_135_596_800 - 86_340),
        ("0000-02-29T00:00:00Z", -62_162_121_600),
        ("9999-12-31T23:59:59-23:59", 253_402_300_799 + 86_340),
    ],
)
def test_every_date_time_of_rfc_3339(text: str, seconds: float) -> None:
    assert parse_utc(text) == seconds


@given(
    st.datetimes(timezones=st.timezones() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))),
    st.sampled_from(["auto", "seconds", "milliseconds"]),
)
def test_it_agrees_with_the_calendar(moment: datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision)
    assume(len(text.rpartition("T")[2].partition("+")[2]) in (0, 5))  # not the seconds of an old local mean time
    assume(len(text[11:].rpartition("-")[2]) != 8)
    exact = datetime.fromisoformat(text)
    assert parse_utc(text) == pytest.approx((exact - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(), abs=1e-3)


@pytest.mark.parametrize("seconds", [-1e15, -62_135_596_801.0, 253_402_300_800.0, 1e15])
def test_a_time_outside_the_calendar_is_written_as_its_end(seconds: float) -> None:
    text = "0001-01-01T00:00:00.000Z" if seconds < 0 else "9999-12-31T23:59:59.999Z"
    assert format_utc(seconds) == text


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2027-01-15T08:00:00",
        "2027-01-15 08:00:00Z",
        "2027-01-15T08:00Z",
        "2027-01-15T08:00:00,5Z",
        "2027-01-15T08:00:00.Z",
        "2027-01-15T08:00:00+0100",
        "2027-01-15T08:00:00+24:00",
        "2027-01-15T08:00:00+01:60",
        "2027-01-15T24:00:00Z",
        "2027-01-15T08:60:00Z",
        "2027-01-15T23:59:60Z",
        "2027-01-31T23:59:60+01:00",
        "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-W02-5T08:00:00Z",
        "20270115T080000Z",
        "12027-01-15T08:00:00Z",
        "2027-01-15T08:00:00Z\n",
        "२०२७-01-15T08:00:00Z",
    ],
)
def test_no_date_time_of_rfc_3339(text: str) -> None:
    with pytest.raises(ValueError):
        parse_utc(text)


def test_system_clock_is_set_and_runs() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.monotonic() >= before
    assert clock.utc() > 0
