# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tools.conformance.peer.payload import MISSING, dig, shorten, value_at


def test_a_path_goes_through_objects_and_lists() -> None:
    assert dig([{"x": 1}], "0.x") == 1
    assert dig({"a": [{"b": "c"}]}, "a.0.b") == "c"


def test_a_path_that_leads_nowhere_is_missing() -> None:
    assert [dig({"a": [1]}, path) for path in ("b", "a.1", "a.x", "a.0.b")] == [MISSING] * 4
    assert value_at({"a": None}, "a", 7) is None
    assert value_at({}, "a", 7) == 7


def test_a_long_line_ends_with_an_ellipsis() -> None:
    assert shorten("x" * 10, 10) == "x" * 10
    assert shorten("x" * 11, 10) == "x" * 9 + "…"
