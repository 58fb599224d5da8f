# SPDX-License-Identifier: Apache-2.0
"""A charging session as a table: its states, what moves it between them, and what each transition does (E).

In OCPP 2.0.1 a transaction and its authorisation are two things. TxStartPoint and TxStopPoint say when the transaction
starts and ends (`points.py`): it may start before any EV driver is authorised, and it may outlast the authorisation. A
session is the two together:

    none          no authorisation and no transaction
    authorised    an EV driver may charge; no start point has been reached
    running       a transaction is open, authorised or not
    stopping      the authorisation has ended; the HAL takes the energy down, and the meter's final reading is to come
    closing       a transaction was found open after a reboot; the HAL has yet to report the meter's register

         ┌────────────────────── start ──────────────────────┐
         │                                                   v
       none ── authorise ──> authorised ──── start ────> running ── deauthorise, stop ──> stopping
         ^                        │                       │   ^                             │  │
         ├────── stop, end ───────┘                       │   └── energy_off, already_off ──┘  │
         ├───────────────────── end ──────────────────────┘                                  │
         ├──────────────────────────────────── end ──────────────────────────────────────────┘
         └──────────────────────────────────── end ─────── closing            (inputs that change no state: not drawn)

Energy stops first (part 2, 2.6.6.2): the Ended event carries the final reading. So a stop revokes the HAL's permission,
is remembered for a bounded time, and is reported when the energy is off. Where the transaction outlasts its
authorisation (E07 alternative, F03.FR.02) the stop is reported at once, and when the energy is off only the new
chargingState. A second stop changes nothing, unless it is a reset, which ends a transaction that would have continued.

An *input* is something that happened. `TRANSITIONS[state, input]` is the state that follows and the actions that lead
there, in order; a pair that is missing is a bug and raises `KeyError`. `machine.py` finds the input and carries out the
actions; only the table knows how one state leads to another.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from services.ocpp.session import Session

__all__ = ["TRANSITIONS", "Action", "Input", "State", "Transition", "state_of"]


class State(Enum):
    """The state of a session."""

    NONE = "none"
    AUTHORISED = "authorised"
    RUNNING = "running"
    STOPPING = "stopping"
    CLOSING = "closing"


class Input(Enum):
    """What happened."""

    AUTHORISE = "authorise"
    """A token was accepted for this EVSE."""
    START = "start"
    """A start point has become true."""
    CHANGE = "change"
    """Something changed that neither starts nor stops a transaction."""
    DEAUTHORISE = "deauthorise"
    """The authorisation ends; the transaction outlasts it."""
    STOP = "stop"
    """The authorisation ends, and with it the transaction, if there is one."""
    ENERGY_OFF = "energy_off"
    """After a stop: the final reading is there, or the wait for it is over."""
    ALREADY_OFF = "already_off"
    """The same, where the CSMS already knows the chargingState that follows."""
    END = "end"
    """A stop point was left, or there is nothing left to wait for."""


class Action(Enum):
    """What a transition does; each is a method of `machine.SessionMachine`."""

    GRANT = "grant"
    """Authorise; energy that was held back because of an earlier token is released."""
    BEGIN = "begin"
    """Give the transaction its id and its first meter value."""
    SEND_STARTED = "send_started"
    SEND_UPDATED = "send_updated"
    SEND_ENDED = "send_ended"
    PERMIT = "permit"
    """Lease energy from the HAL, if the session is authorised."""
    REVOKE = "revoke"
    """End the authorisation and withdraw the HAL's permission."""
    REMEMBER_STOP = "remember_stop"
    """Report the stop once the energy is off."""
    REMEMBER_CHANGE = "remember_change"
    """The stop has been reported; report the new chargingState once the energy is off."""
    FORGET_STOP = "forget_stop"
    CLEAR = "clear"
    """Withdraw the permission, lift the limit, and begin an empty session for the next EV driver."""


class Transition(Struct, frozen=True):
    """The state that follows, and the actions that lead there."""

    to: State
    actions: tuple[Action, ...] = ()


def _to(state: State, *actions: Action) -> Transition:
    return Transition(state, actions)


TRANSITIONS: dict[tuple[State, Input], Transition] = {
    # Without a transaction nothing is sent; a stop withdraws whatever permission the HAL may still hold.
    (State.NONE, Input.AUTHORISE): _to(State.AUTHORISED, Action.GRANT),
    (State.NONE, Input.START): _to(State.RUNNING, Action.BEGIN, Action.SEND_STARTED, Action.PERMIT),
    (State.NONE, Input.CHANGE): _to(State.NONE),
    (State.NONE, Input.STOP): _to(State.NONE, Action.CLEAR),
    (State.AUTHORISED, Input.AUTHORISE): _to(State.AUTHORISED, Action.GRANT),
    (State.AUTHORISED, Input.START): _to(State.RUNNING, Action.BEGIN, Action.SEND_STARTED, Action.PERMIT),
    (State.AUTHORISED, Input.CHANGE): _to(State.AUTHORISED),
    (State.AUTHORISED, Input.STOP): _to(State.NONE, Action.CLEAR),
    (State.AUTHORISED, Input.END): _to(State.NONE, Action.CLEAR),
    # A transaction may be authorised for the first time, or again after a stop that it outlasted (E09.FR.01).
    (State.RUNNING, Input.AUTHORISE): _to(State.RUNNING, Action.GRANT),
    (State.RUNNING, Input.CHANGE): _to(State.RUNNING, Action.SEND_UPDATED),
    (State.RUNNING, Input.DEAUTHORISE): _to(  # E07 alternative, F03.FR.02
        State.STOPPING, Action.REVOKE, Action.SEND_UPDATED, Action.REMEMBER_CHANGE
    ),
    (State.RUNNING, Input.STOP): _to(State.STOPPING, Action.REVOKE, Action.REMEMBER_STOP),
    (State.RUNNING, Input.END): _to(State.NONE, Action.SEND_ENDED, Action.CLEAR),
    # Until the energy is off: a new authorisation waits as well, and the only second stop that counts is a reset.
    (State.STOPPING, Input.AUTHORISE): _to(State.STOPPING, Action.GRANT),
    (State.STOPPING, Input.CHANGE): _to(State.STOPPING, Action.SEND_UPDATED),
    (State.STOPPING, Input.STOP): _to(State.STOPPING, Action.REVOKE, Action.REMEMBER_STOP),  # B12.FR.04
    (State.STOPPING, Input.ENERGY_OFF): _to(State.RUNNING, Action.SEND_UPDATED, Action.FORGET_STOP),
    (State.STOPPING, Input.ALREADY_OFF): _to(State.RUNNING, Action.FORGET_STOP),  # E02.FR.13
    (State.STOPPING, Input.END): _to(State.NONE, Action.SEND_ENDED, Action.CLEAR),
    # Until the HAL has been seen: a request to stop is remembered, and is then the cause of the end.
    (State.CLOSING, Input.STOP): _to(State.CLOSING, Action.REVOKE, Action.REMEMBER_STOP),
    (State.CLOSING, Input.ALREADY_OFF): _to(State.CLOSING, Action.FORGET_STOP),
    (State.CLOSING, Input.END): _to(State.NONE, Action.SEND_ENDED, Action.CLEAR),
}


def state_of(session: Session) -> State:
    """The state, derived from the fields of the session."""
    if not session.has_transaction:
        return State.AUTHORISED if session.authorised else State.NONE
    if session.closing:
        return State.CLOSING
    return State.STOPPING if session.stop is not None else State.RUNNING
