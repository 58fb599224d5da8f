# SPDX-License-Identifier: Apache-2.0
"""Settings are written as TOML that reads back the same."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.rig.settings_file import to_toml

scalars = st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=12)
tables = st.recursive(
    st.dictionaries(st.text(max_size=6), scalars | st.lists(scalars, max_size=3), max_size=4),
    lambda inner: st.dictionaries(
        st.text(max_size=6), scalars | inner | st.lists(inner, min_size=1, max_size=3), max_size=4
    ),
    max_leaves=8,
)


@given(tables)
def test_what_is_written_reads_back_the_same(table: dict[str, Any]) -> None:
    try:
        text = to_toml(table).encode().decode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(text) == table


def test_nothing_is_left_out_but_none() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": [], "c": {}})) == {"b": [], "c": {}}
    with pytest.raises(TypeError):
        to_toml({"a": object()})
