# SPDX-License-Identifier: Apache-2.0
"""The table of a session: every pair is defined or a bug, and the actions lead to the next state."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import pytest

from firmware.contract import Withdraw
from services.ocpp.hal_view import Evse
from services.ocpp.messages import TransactionEventEnumType
from services.ocpp.session import Stop
from services.ocpp.transactions.events import Cause
from services.ocpp.transactions.machine import SessionMachine
from services.ocpp.transactions.table import TRANSITIONS, Action, Input, State, state_of
from tests.support.station_bench import StationBench

PAIRS = list(itertools.product(State, Input))
OPEN = (State.RUNNING, State.STOPPING, State.CLOSING)
"""The states with a transaction."""

IMPOSSIBLE = {
    State.NONE: {Input.DEAUTHORISE, Input.ENERGY_OFF, Input.ALREADY_OFF, Input.END},  # nothing that could end
    State.AUTHORISED: {Input.DEAUTHORISE, Input.ENERGY_OFF, Input.ALREADY_OFF},  # no transaction
    State.RUNNING: {Input.START, Input.ENERGY_OFF, Input.ALREADY_OFF},  # no stop that waits
    State.STOPPING: {Input.START, Input.DEAUTHORISE},  # a reset, the only stop that counts, ends the transaction
    # The HAL has not been seen: no token is accepted, no change observed, no vehicle plugged in.
    State.CLOSING: {Input.AUTHORISE, Input.START, Input.CHANGE, Input.DEAUTHORISE, Input.ENERGY_OFF},
}

SENDS: dict[Action, TransactionEventEnumType] = {
    Action.SEND_STARTED: "Started",
    Action.SEND_UPDATED: "Updated",
    Action.SEND_ENDED: "Ended",
}


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_every_pair_is_defined_or_impossible(state: State, given: Input) -> None:
    assert ((state, given) in TRANSITIONS) is (given not in IMPOSSIBLE[state])


def test_every_state_is_reached() -> None:
    reached, fresh = set(), {State.NONE, State.CLOSING}  # a reboot finds a transaction in the second
    while fresh:
        reached |= fresh
        fresh = {row.to for (start, _), row in TRANSITIONS.items() if start in reached} - reached
    assert reached == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_is_left_for_none(state: State) -> None:
    left, fresh = set(), {state}
    while fresh:
        left |= fresh
        fresh = {row.to for (start, _), row in TRANSITIONS.items() if start in left} - left
    assert State.NONE in left


def test_every_action_and_every_kind_of_event_has_its_use() -> None:
    assert {action for row in TRANSITIONS.values() for action in row.actions} == set(Action)
    assert set(SENDS.values()) == set(get_args(TransactionEventEnumType))


@pytest.mark.parametrize(("state", "given"), TRANSITIONS)
def test_started_and_ended_frame_the_transaction(state: State, given: Input) -> None:
    row = TRANSITIONS[state, given]
    assert (Action.SEND_STARTED in row.actions) is (state not in OPEN and row.to in OPEN)
    assert (Action.SEND_ENDED in row.actions) is (state in OPEN and row.to not in OPEN)
    assert len(SENDS.keys() & set(row.actions)) <= 1  # one input, one event at most


@pytest.mark.parametrize(("state", "given"), TRANSITIONS)
def test_no_permission_outlives_an_authorisation(state: State, given: Input) -> None:
    row = TRANSITIONS[state, given]
    if row.to in (State.NONE, State.STOPPING) and state in (State.AUTHORISED, State.RUNNING):
        assert {Action.REVOKE, Action.CLEAR} & set(row.actions)


# --- the machine follows it --------------------------------------------------------------------------


def put_into(evse: Evse, state: State) -> None:
    session = evse.session
    session.id_token = {"idToken": "04A1B2C3D4E580", "type": "ISO14443"}
    session.id = "transaction" if state in OPEN else ""
    session.authorised = state in (State.AUTHORISED, State.RUNNING)
    session.closing = state is State.CLOSING
    if state is State.STOPPING:
        session.stop = Stop("Deauthorized", "DeAuthorized", None, 9000.0)
    evse.plugged = True
    assert state_of(session) is state


@pytest.mark.parametrize(("state", "given"), TRANSITIONS)
def test_the_actions_lead_to_the_next_state(tmp_path: Path, state: State, given: Input) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    evse, machine = bench.context.hal.evses[1], SessionMachine(bench.context)
    put_into(evse, state)
    bench.commands.clear()
    bench.handle(lambda now: machine.fire(evse, given, Cause("Trigger"), now))
    bench.handle(bench.station.on_time)  # sends what is queued
    row = TRANSITIONS[state, given]
    assert state_of(evse.session) is row.to
    assert [event["eventType"] for event in bench.events] == [SENDS[each] for each in row.actions if each in SENDS]
    assert (Withdraw(1) in bench.commands) is bool({Action.REVOKE, Action.CLEAR} & set(row.actions))


@pytest.mark.parametrize(("state", "given"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_any_other_pair_raises(tmp_path: Path, state: State, given: Input) -> None:
    bench = StationBench(tmp_path)
    machine = SessionMachine(bench.context)
    put_into(bench.context.hal.evses[1], state)
    with pytest.raises(KeyError):
        machine.fire(bench.context.hal.evses[1], given, Cause("Trigger"), 0.0)
