# SPDX-License-Identifier: Apache-2.0
"""The table: every stage can be reached, left, and brought to rest."""

from __future__ import annotations

import pytest

from firmware.contract import Fault, Phase
from hal.evse.stages import HANDLERS
from hal.evse.table import (
    CABLE_CHECK,
    CLOSED,
    PHASE_OF,
    RESTING,
    RUNNING,
    TIME_LIMIT_S,
    TRANSITIONS,
    Stage,
    StopKind,
    Trigger,
    stop_kind_of,
)


def test_every_stage_has_a_phase_and_a_handler() -> None:
    assert set(PHASE_OF) == set(Stage) == set(HANDLERS)
    assert set(PHASE_OF.values()) == set(Phase)


def test_every_stage_is_reached_from_idle() -> None:
    reached, fresh = set(), {Stage.IDLE}
    while fresh:
        reached |= fresh
        fresh = {end for (start, _), end in TRANSITIONS.items() if start in reached} - reached
    assert reached == set(Stage)


@pytest.mark.parametrize("stage", RUNNING)
@pytest.mark.parametrize("trigger", [Trigger.END, Trigger.LEAVE, Trigger.FAULT, Trigger.CUT])
def test_every_running_stage_can_be_stopped_in_every_way(stage: Stage, trigger: Trigger) -> None:
    assert PHASE_OF[TRANSITIONS[stage, trigger]] is Phase.STOPPING


@pytest.mark.parametrize("stage", [Stage.ASK_STOP, Stage.RAMP_DOWN, Stage.OPEN])
def test_stopping_only_moves_forward(stage: Stage) -> None:
    ends = {end for (start, _), end in TRANSITIONS.items() if start is stage}
    assert ends <= {Stage.RAMP_DOWN, Stage.OPEN, Stage.WELDING}


def test_the_contactor_closes_on_one_way_only() -> None:
    """The only transition into the closed stages is `discharge` done."""
    ways_in = {
        (start, trigger) for (start, trigger), end in TRANSITIONS.items() if end in CLOSED and start not in CLOSED
    }
    assert ways_in == {(Stage.DISCHARGE, Trigger.DONE)}


def test_every_closed_stage_but_energy_transfer_is_bounded() -> None:
    assert set(CLOSED) - {Stage.CHARGING, Stage.PAUSED} <= set(TIME_LIMIT_S)
    assert not set(RESTING) & set(TIME_LIMIT_S)
    assert set(CABLE_CHECK) <= set(RUNNING)


def test_kinds_of_stop() -> None:
    assert stop_kind_of(Fault.EMERGENCY_STOP) is StopKind.EMERGENCY
    assert stop_kind_of(Fault.ISOLATION) is StopKind.ERROR
    assert stop_kind_of(Fault.METER) is StopKind.NORMAL
