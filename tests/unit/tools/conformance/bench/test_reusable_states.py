# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tools.conformance.bench import reusable_states
from tools.conformance.checks.expected import CaseFailed


async def test_a_whole_session_passes_every_state(make_bench: Callable[..., Any]) -> None:
    t = await make_bench()
    await reusable_states.energy_transfer_started(t)
    session = await reusable_states.stop_authorized(t)
    await reusable_states.ev_connected_post_session(t)
    await reusable_states.ev_disconnected(t)
    t.finish()
    assert session.ended
    assert t.failures == []
    assert t.sessions == {}


async def test_booted_requires_every_connector(make_bench: Callable[..., Any]) -> None:
    t = await make_bench()
    boot = await reusable_states.booted(t)
    assert boot.get("reason") == "PowerUp"
    t.station.faults.add("silent_evse_2")
    t.patience = 0.02
    with pytest.raises(CaseFailed, match="EVSE 2"):
        await reusable_states.booted(t, how="reset")


async def test_booted_requires_the_security_event(make_bench: Callable[..., Any]) -> None:
    t = await make_bench("no_security_event")
    t.patience = 0.02
    with pytest.raises(CaseFailed, match="StartupOfTheDevice"):
        await reusable_states.booted(t)


async def test_a_gap_in_the_sequence_is_found_at_the_end(make_bench: Callable[..., Any]) -> None:
    t = await make_bench("seq_gaps")
    await reusable_states.energy_transfer_started(t)
    t.finish()
    assert [failure.requirement for failure in t.failures] == ["E01.FR.07"]
