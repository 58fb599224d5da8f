# SPDX-License-Identifier: Apache-2.0
"""The last frames in memory: bounded whatever arrives."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.ocpp.message_log.ring import LARGE, Kind, Ring


def test_records_leave_in_their_order() -> None:
    ring = Ring()
    for number in range(3):
        ring.add(float(number), Kind.SENT, str(number))
    assert [ring.take()[2] for _ in range(3)] == ["0", "1", "2"]
    assert (len(ring), ring.held, ring.dropped) == (0, 0, 0)


def test_the_oldest_are_dropped_and_counted() -> None:
    ring = Ring(2000)
    for number in range(100):
        ring.add(float(number), Kind.SENT, str(number))
    kept = len(ring)
    assert 0 < kept < 10
    assert ring.dropped == 100 - kept
    assert ring.take()[2] == str(100 - kept)
    assert ring.dropped == 0


def test_of_a_large_frame_the_beginning_is_kept() -> None:
    ring = Ring()
    for frame in ("x" * (LARGE + 1), b"x" * (256 * 1024)):
        ring.add(0.0, Kind.RECEIVED, frame)
        _, _, text, size, _ = ring.take()
        assert (len(text), size) == (256, len(frame))
    ring.add(0.0, Kind.RECEIVED, "x" * LARGE)
    assert len(ring.take()[2]) == LARGE


@given(st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=60))
def test_memory_is_bounded(frames: list[str | bytes]) -> None:
    ring = Ring(3000)
    for frame in frames:
        ring.add(0.0, Kind.RECEIVED, frame)
        with suppress(msgspec.MsgspecError, UnicodeError):
            msgspec.json.decode(frame)  # CPython then keeps the text's UTF-8 with it: the account must not change
        assert ring.held <= 3000
    while len(ring):
        ring.take()
    assert ring.held == 0
