# SPDX-License-Identifier: Apache-2.0
"""The station's UTC and its sources."""

from __future__ import annotations

import pytest

from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, format_utc
from services.ocpp.station_time import StationTime

UTC = CLOCK_FLOOR + 1_000_000.0
NOW = 500.0


def make(board: float = UTC) -> StationTime:
    """A station whose board shows `board` at monotonic NOW."""
    return StationTime(board_offset=board - NOW)


def test_a_board_clock_that_is_set_is_used() -> None:
    time = make()
    assert time.is_known
    assert time.utc(NOW + 10) == UTC + 10
    assert time.provisional_offset(NOW) is None


def test_a_board_clock_that_is_not_set_is_not_used() -> None:
    time = make(0.0)
    time.doubt_board(NOW)
    assert not time.is_known
    assert time.utc(NOW) == CLOCK_FLOOR
    assert time.provisional_offset(NOW) == CLOCK_FLOOR - NOW


def test_a_board_clock_far_in_the_future_is_not_used() -> None:
    time = make(253402300799.0)
    assert format_utc(time.utc(NOW + 10)) == "2200-01-01T00:00:00.000Z"
    time.doubt_board(NOW)
    assert not time.is_known


def test_never_before_the_floor() -> None:
    time = make(CLOCK_FLOOR - 10)
    assert time.utc(NOW) == CLOCK_FLOOR
    assert time.utc(NOW + 20) == CLOCK_FLOOR + 10


def test_the_first_source_that_gave_time_is_used() -> None:
    time = make()
    time.hear("NTP", UTC + 100, NOW)
    assert time.utc(NOW) == UTC + 100
    time.hear("Heartbeat", UTC + 200, NOW)
    assert time.utc(NOW) == UTC + 200  # TimeSource is Heartbeat,NTP
    time.use(("NTP", "Heartbeat"))
    assert time.utc(NOW) == UTC + 100
    time.forget("NTP")
    assert time.utc(NOW) == UTC + 200


@pytest.mark.parametrize("sent", [UTC - 1000, UTC + 100_000])
def test_a_time_that_makes_the_certificate_of_the_csms_invalid_is_ignored(sent: float) -> None:
    time = StationTime(board_offset=UTC - NOW, csms_period=lambda: (UTC - 100, UTC + 10_000))
    time.hear("Heartbeat", sent, NOW)
    assert time.utc(NOW) == UTC
    time.hear("Heartbeat", UTC + 9000, NOW)
    assert time.utc(NOW) == UTC + 9000
    time.hear("NTP", sent, NOW)
    time.use(("NTP",))
    assert time.utc(NOW) == sent


@pytest.mark.parametrize("board", [0.0, UTC - 200])
def test_a_time_of_the_csms_is_accepted_where_the_own_time_is_no_better(board: float) -> None:
    """The clock is not set, or the certificate is not valid at the station's own time, either."""
    time = StationTime(board_offset=board - NOW, csms_period=lambda: (UTC - 100, UTC + 10_000))
    time.doubt_board(NOW)
    time.hear("Heartbeat", UTC + 20_000, NOW)
    assert time.utc(NOW) == UTC + 20_000


def test_a_source_that_is_not_in_use_is_ignored() -> None:
    time = make()
    time.use(("NTP",))
    time.hear("Heartbeat", UTC + 200, NOW)
    assert time.utc(NOW) == UTC


@pytest.mark.parametrize("nonsense", [0.0, CLOCK_FLOOR - 1, -5.0, CLOCK_CEILING, 253402300799.0])
def test_a_time_before_this_firmware_or_far_in_the_future_is_ignored(nonsense: float) -> None:
    time = make()
    time.hear("Heartbeat", nonsense, NOW)
    assert time.utc(NOW) == UTC


def test_jitter_does_not_move_the_clock() -> None:
    time = make()
    time.hear("Heartbeat", UTC, NOW)
    time.hear("Heartbeat", UTC + 59.2, NOW + 60)
    assert time.utc(NOW + 60) == UTC + 60
    time.hear("Heartbeat", UTC + 118.0, NOW + 120)
    assert time.utc(NOW + 120) == UTC + 118


def test_a_csms_that_sends_whole_seconds_does_not_set_a_good_clock_back() -> None:
    time = make()
    time.hear("Heartbeat", UTC - 0.9, NOW)
    assert time.utc(NOW) == UTC
    time.hear("Heartbeat", UTC - 1.1, NOW)
    assert time.utc(NOW) == UTC - 1.1


def test_a_lost_source_leaves_the_last_known_time() -> None:
    time = make()
    time.hear("Heartbeat", UTC + 50, NOW)
    time.forget("Heartbeat")
    assert time.utc(NOW) == UTC
    time.forget("RealTimeClock")
    assert not time.is_known
    assert time.utc(NOW + 1) == UTC + 1


def test_steps_are_reported_once() -> None:
    time = make()
    time.hear("Heartbeat", UTC + 50, NOW)
    time.hear("Heartbeat", UTC + 30, NOW)
    assert time.take_step() == 30
    assert time.take_step() == 0
