# SPDX-License-Identifier: Apache-2.0
"""One EVSE as a table: its stages, what moves it between them, and how long each may last.

A *stage* is what the power side is doing; the contract's *phase* is what the rest of the station sees of it
(`PHASE_OF`). A *trigger* is something that happened; `TRANSITIONS[stage, trigger]` is the stage it leads to, and a
pair that is not in the table is a bug and raises. `step.py` and `stages.py` decide which trigger fires and what is
done inside a stage; neither knows the way from one stage to another.

    idle ── plug ──> plugged ── permit ──> authorised ── begin ──┐
                        ^                      │ end             v            cable check, 40 s in all
                        └──────────────────────┘        discharge         output below 60 V, pilot C, plug held
                                                             v
                                                           close           contactor, mirror contact within 5 s
                                                             v
                                                        test_voltage       2 A at most, within 10 V in 10 s
                                                             v
                                                         self_test         of the insulation monitor, 30 s
                                                             v
                                                          samples          three good ones in a row, the SECC's own test
                                                             v
                                                           bleed           below 60 V again, then `passed` is sent
                                                             v
                                                          checked          until the vehicle requests pre-charge
                                                             v
                                                         precharge         10 s; within 20 V when the vehicle closes
                                                             v
                                               paused <──> charging        suspend / resume

Four triggers lead out of the running stages, by how much time there is:
- `end` (permission withdrawn or lapsed, or a fault that leaves time): `ask_stop` asks the vehicle to stop and lowers
  the current, then `ramp_down`;
- `leave` (the vehicle ends the session): `ramp_down`, modules off, wait for zero current;
- `fault` (error shutdown): `ramp_down` as well, with a shorter wait and a higher current at which contacts open;
- `cut` (emergency: stop button, door, pilot lost, plug pulled): `open` at once, load or no load.
From `discharge`, where the contactor is not closed yet, all of them lead to `open`.

All of them pass `open` (the mirror contact must follow) and `welding` (the connector's voltage must fall; the `stop`
reading of the meter is taken), and end in `finished`, in `idle` when the plug is gone by then, or in
`faulted`. `faulted` is left only when every fault that stops charging is cleared: to `plugged`, or to `idle`.

`authorised` waits for the vehicle, and so does `finished` for one that did not go on from `checked` while the
permission lasts. A silent vehicle is woken by an interruption of its pilot (`WAKE_AFTER_S`), once under a permission;
if it does not begin then either, the energy flow is `unanswered` (`ANSWER_WITHIN_S`), until it begins after all.

Two rules hold in every stage. The contactor is closed, and current is requested of the modules, only between `close`
and `ramp_down`. Every stage with a closed contactor has a time limit, except `charging` and `paused`, which are
bounded by the lease.
"""

from __future__ import annotations

from enum import Enum

from firmware.contract import Fault, Phase
from hal.ports import VehicleStage

__all__ = [
    "ANSWER_WITHIN_S",
    "CABLE_CHECK",
    "CLOSED",
    "PHASE_OF",
    "RESTING",
    "RUNNING",
    "TIME_LIMIT_S",
    "TRANSITIONS",
    "WAKE_AFTER_S",
    "Stage",
    "StopKind",
    "Trigger",
    "stop_kind_of",
]


class Stage(Enum):
    """What the power side of one EVSE is doing."""

    IDLE = "idle"
    PLUGGED = "plugged"
    AUTHORISED = "authorised"
    DISCHARGE = "discharge"
    CLOSE = "close"
    TEST_VOLTAGE = "test_voltage"
    SELF_TEST = "self_test"
    SAMPLES = "samples"
    BLEED = "bleed"
    CHECKED = "checked"
    PRECHARGE = "precharge"
    CHARGING = "charging"
    PAUSED = "paused"
    ASK_STOP = "ask_stop"
    RAMP_DOWN = "ramp_down"
    OPEN = "open"
    WELDING = "welding"
    FINISHED = "finished"
    FAULTED = "faulted"


class Trigger(Enum):
    """What moves an EVSE to another stage."""

    PLUG = "plug"
    UNPLUG = "unplug"
    PERMIT = "permit"
    BEGIN = "begin"
    DONE = "done"
    SUSPEND = "suspend"
    RESUME = "resume"
    END = "end"
    LEAVE = "leave"
    FAULT = "fault"
    CUT = "cut"
    EMPTY = "empty"
    CLEAR = "clear"


class StopKind(Enum):
    """How much time a stop leaves; ordered by severity."""

    NORMAL = 0
    ERROR = 1
    EMERGENCY = 2


CABLE_CHECK = (
    Stage.DISCHARGE,
    Stage.CLOSE,
    Stage.TEST_VOLTAGE,
    Stage.SELF_TEST,
    Stage.SAMPLES,
    Stage.BLEED,
    Stage.CHECKED,
)
RUNNING = (*CABLE_CHECK, Stage.PRECHARGE, Stage.CHARGING, Stage.PAUSED)
RESTING = (Stage.IDLE, Stage.PLUGGED, Stage.AUTHORISED, Stage.FINISHED)
CLOSED = (*RUNNING[1:], Stage.ASK_STOP, Stage.RAMP_DOWN)
"""The only stages in which the contactor is commanded closed."""

_STOPPING = (Stage.ASK_STOP, Stage.RAMP_DOWN, Stage.OPEN, Stage.WELDING)

PHASE_OF: dict[Stage, Phase] = {
    Stage.IDLE: Phase.IDLE,
    Stage.PLUGGED: Phase.PLUGGED,
    Stage.AUTHORISED: Phase.AUTHORISED,
    **dict.fromkeys(CABLE_CHECK, Phase.CABLE_CHECK),
    Stage.PRECHARGE: Phase.PRECHARGE,
    Stage.CHARGING: Phase.CHARGING,
    Stage.PAUSED: Phase.PAUSED,
    **dict.fromkeys(_STOPPING, Phase.STOPPING),
    Stage.FINISHED: Phase.FINISHED,
    Stage.FAULTED: Phase.FAULTED,
}

TRANSITIONS: dict[tuple[Stage, Trigger], Stage] = {
    (Stage.IDLE, Trigger.PLUG): Stage.PLUGGED,
    (Stage.PLUGGED, Trigger.UNPLUG): Stage.IDLE,
    (Stage.PLUGGED, Trigger.PERMIT): Stage.AUTHORISED,
    (Stage.AUTHORISED, Trigger.UNPLUG): Stage.IDLE,
    (Stage.AUTHORISED, Trigger.END): Stage.PLUGGED,
    (Stage.AUTHORISED, Trigger.BEGIN): Stage.DISCHARGE,
    (Stage.DISCHARGE, Trigger.DONE): Stage.CLOSE,
    (Stage.CLOSE, Trigger.DONE): Stage.TEST_VOLTAGE,
    (Stage.TEST_VOLTAGE, Trigger.DONE): Stage.SELF_TEST,
    (Stage.SELF_TEST, Trigger.DONE): Stage.SAMPLES,
    (Stage.SAMPLES, Trigger.DONE): Stage.BLEED,
    (Stage.BLEED, Trigger.DONE): Stage.CHECKED,
    (Stage.CHECKED, Trigger.DONE): Stage.PRECHARGE,
    (Stage.PRECHARGE, Trigger.DONE): Stage.CHARGING,
    (Stage.CHARGING, Trigger.SUSPEND): Stage.PAUSED,
    (Stage.PAUSED, Trigger.RESUME): Stage.CHARGING,
    **{(Stage.DISCHARGE, trigger): Stage.OPEN for trigger in (Trigger.END, Trigger.LEAVE, Trigger.FAULT)},
    **{(stage, Trigger.END): Stage.RAMP_DOWN for stage in (*CABLE_CHECK[1:], Stage.PRECHARGE)},
    (Stage.CHARGING, Trigger.END): Stage.ASK_STOP,
    (Stage.PAUSED, Trigger.END): Stage.ASK_STOP,
    **{(stage, Trigger.LEAVE): Stage.RAMP_DOWN for stage in RUNNING[1:]},
    **{(stage, Trigger.FAULT): Stage.RAMP_DOWN for stage in (*RUNNING[1:], Stage.ASK_STOP)},
    **{(stage, Trigger.CUT): Stage.OPEN for stage in (*RUNNING, Stage.ASK_STOP, Stage.RAMP_DOWN)},
    (Stage.ASK_STOP, Trigger.DONE): Stage.RAMP_DOWN,
    (Stage.RAMP_DOWN, Trigger.DONE): Stage.OPEN,
    (Stage.OPEN, Trigger.DONE): Stage.WELDING,
    (Stage.WELDING, Trigger.DONE): Stage.FINISHED,
    (Stage.WELDING, Trigger.EMPTY): Stage.IDLE,
    (Stage.WELDING, Trigger.FAULT): Stage.FAULTED,
    (Stage.FINISHED, Trigger.PERMIT): Stage.AUTHORISED,
    (Stage.FINISHED, Trigger.UNPLUG): Stage.IDLE,
    **{(stage, Trigger.FAULT): Stage.FAULTED for stage in RESTING},
    (Stage.FAULTED, Trigger.CLEAR): Stage.PLUGGED,
    (Stage.FAULTED, Trigger.EMPTY): Stage.IDLE,
}

TIME_LIMIT_S: dict[Stage, float] = {
    Stage.DISCHARGE: 10.0,
    Stage.CLOSE: 5.0,
    Stage.TEST_VOLTAGE: 10.0,
    Stage.SELF_TEST: 30.0,
    Stage.SAMPLES: 15.0,
    Stage.BLEED: 10.0,
    Stage.CHECKED: 60.0,
    Stage.PRECHARGE: 10.0,
    Stage.ASK_STOP: 1.5,
    Stage.RAMP_DOWN: 2.0,
    Stage.OPEN: 0.5,
    Stage.WELDING: 5.0,
}
"""The longest time in a stage; `stages.py` decides what follows."""

_TALKING = (VehicleStage.WAITING_AUTHORISATION, VehicleStage.CABLE_CHECK)
WAKE_AFTER_S = {stage: 30.0 for stage in VehicleStage if stage not in _TALKING} | {VehicleStage.ENDED: 5.0}
"""How long an authorised vehicle may stay in each of these stages before its pilot is interrupted.

A vehicle that has ended a session sleeps; one that has just been plugged in takes up to 20 s to set up its
communication. One that waits for its authorisation is not silent: it suspends energy transfer for as long as it likes.
"""
ANSWER_WITHIN_S = 60.0
"""How long a silent vehicle may take to begin in all, until the energy flow counts as `unanswered`."""

_EMERGENCIES = frozenset(
    {
        Fault.EMERGENCY_STOP,
        Fault.DOOR_OPEN,
        Fault.GROUND_FAULT,
        Fault.PILOT,
        Fault.PROXIMITY,
        Fault.CONTACTOR_FAILED,
    }
)


def stop_kind_of(fault: Fault) -> StopKind:
    """How a fault ends a session: a lost meter leaves time for an orderly end, a pressed stop button none."""
    if fault in _EMERGENCIES:
        return StopKind.EMERGENCY
    return StopKind.NORMAL if fault is Fault.METER else StopKind.ERROR
