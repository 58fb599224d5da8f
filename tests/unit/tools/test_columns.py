# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tools.columns import cut, table


def test_a_table() -> None:
    rows = [("CP001", True, None, 1.5), ("CP002", False, "down", 20)]
    assert table(("id", "connected", "why", "s"), rows).splitlines() == [
        "id     connected  why   s",
        "CP001  yes        -     1.5",
        "CP002  no         down  20",
    ]


def test_the_widest_column_gives_way() -> None:
    lines = table(("id", "text"), [("CP001", "x" * 50)], columns=20).splitlines()
    assert lines == ["id     text", "CP001  " + "x" * 12 + "…"]
    assert cut("abc", 3) == "abc"


@given(st.lists(st.tuples(*[st.text(max_size=60)] * 4), max_size=5), st.integers(20, 120))
def test_no_line_is_wider(rows: list[tuple[str, ...]], columns: int) -> None:
    plain = [tuple(cell.replace("\n", "").replace("\r", "") for cell in row) for row in rows]
    assert all(len(line) <= columns for line in table(("a", "b", "c", "d"), plain, columns=columns).split("\n"))
