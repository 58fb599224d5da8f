# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tools.conformance.run.catalogue import load
from tools.conformance.run.registry import case, collect


def test_every_case_of_block_b_is_written() -> None:
    written = collect()
    assert [e.id for e in load() if e.applies and e.block == "B" and e.id not in written] == []


def test_every_written_case_is_in_the_catalogue_and_states_what_turns_it_red() -> None:
    known = {entry.id for entry in load()}
    for id, written in collect().items():
        assert id in known
        assert (written.run.__doc__ or "").startswith("Red when"), id


def test_a_case_is_written_once() -> None:
    collect()
    with pytest.raises(ValueError, match="written twice"):
        case("TC_B_01_CS")(_other)


async def _other(t: object) -> None:
    """Another function of the same id."""
