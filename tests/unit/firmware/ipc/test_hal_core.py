# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from firmware.contract.messages import (
    CONTRACT_VERSION,
    Acknowledge,
    Done,
    FromHal,
    Greeting,
    Permit,
    Plugged,
    Problem,
    Refused,
    Role,
    SetLimit,
    Stamped,
    Withdraw,
)
from firmware.errors import ContractError
from firmware.ipc.hal_core import HalCore, LinkState, VersionMismatch
from tests.support.sockets import snapshot

GREETING = Greeting(version=CONTRACT_VERSION)


def event(seq: int, *, replayed: bool = False) -> Stamped:
    return Stamped(seq=seq, mono_s=0.0, utc_s=0.0, event=Plugged(evse=1), keep=True, replayed=replayed)


def core_up(seq: int = 0, role: Role = Role.SERVICE) -> HalCore:
    core = HalCore(role, "test 1")
    core.open()
    core.receive(GREETING)
    core.receive(snapshot(seq))
    return core


def test_from_down_to_up() -> None:
    core = HalCore(Role.SERVICE, "test 1")
    assert core.state is LinkState.DOWN
    assert core.open() == Greeting(version=CONTRACT_VERSION, role=Role.SERVICE, software="test 1")
    core.receive(GREETING)
    assert (core.state, core.run_id) == (LinkState.GREETING, None)
    core.receive(snapshot(5, "run-a"))
    assert (core.state, core.run_id) == (LinkState.UP, "run-a")
    core.close()
    assert (core.state, core.run_id) == (LinkState.DOWN, None)


def test_another_version_is_an_error_of_its_own() -> None:
    core = HalCore(Role.OBSERVER, "")
    core.open()
    with pytest.raises(VersionMismatch, match=f"version 99 .* we {CONTRACT_VERSION}"):
        core.receive(Greeting(version=99, software="hal 2"))


@pytest.mark.parametrize("first", [snapshot(), event(1), Done(id=1)])
def test_nothing_comes_before_the_greeting(first: FromHal) -> None:
    core = HalCore(Role.SERVICE, "")
    core.open()
    with pytest.raises(ContractError, match="before the greeting"):
        core.receive(first)


@pytest.mark.parametrize("second", [GREETING, event(1), Done(id=1)])
def test_the_snapshot_comes_next(second: FromHal) -> None:
    core = HalCore(Role.SERVICE, "")
    core.open()
    core.receive(GREETING)
    with pytest.raises(ContractError, match="before the snapshot"):
        core.receive(second)


@pytest.mark.parametrize("again", [GREETING, snapshot()])
def test_greeting_and_snapshot_come_once(again: FromHal) -> None:
    with pytest.raises(ContractError, match="a second"):
        core_up().receive(again)


def test_events_count_on_from_the_snapshot() -> None:
    core = core_up(41)
    core.receive(event(42))
    core.receive(event(43))
    for wrong in (43, 45, 1):
        with pytest.raises(ContractError, match=f"event {wrong} after 43"):
            core.receive(event(wrong))


def test_replays_rise_up_to_the_snapshot_and_come_before_live_events() -> None:
    core = core_up(10)
    core.receive(event(3, replayed=True))
    core.receive(event(10, replayed=True))
    with pytest.raises(ContractError):
        core.receive(event(10, replayed=True))
    core.receive(event(11))
    with pytest.raises(ContractError, match="out of order"):
        core.receive(event(11, replayed=True))


def test_no_replay_beyond_the_snapshot_nor_to_an_observer() -> None:
    with pytest.raises(ContractError):
        core_up(10).receive(event(11, replayed=True))
    with pytest.raises(ContractError, match="out of order"):
        core_up(10, Role.OBSERVER).receive(event(3, replayed=True))


def test_each_request_is_answered_once() -> None:
    core = core_up()
    first, second = core.request(Withdraw(evse=1)), core.request(Withdraw(evse=2))
    assert first.id != second.id
    core.receive(Refused(id=second.id, problem=Problem.BUSY))
    core.receive(Done(id=first.id))
    with pytest.raises(ContractError, match="not requested or is answered"):
        core.receive(Done(id=first.id))


def test_ids_continue_and_old_answers_do_not_count_after_a_reconnection() -> None:
    core = core_up()
    old = core.request(Withdraw(evse=1))
    core.open()
    core.receive(GREETING)
    core.receive(snapshot())
    assert core.request(Withdraw(evse=1)).id > old.id
    with pytest.raises(ContractError):
        core.receive(Done(id=old.id))


def test_no_request_and_no_acknowledgement_unless_up() -> None:
    core = HalCore(Role.SERVICE, "")
    for _ in range(2):
        with pytest.raises(ContractError, match=core.state.value):
            core.request(Withdraw(evse=1))
        with pytest.raises(ContractError, match=core.state.value):
            core.acknowledge(1)
        core.open()


def test_only_what_came_is_acknowledged() -> None:
    core = core_up(4)
    assert core.acknowledge(4) == Acknowledge(seq=4)
    for seq in (0, 5):
        with pytest.raises(ContractError, match="can't be acknowledged"):
            core.acknowledge(seq)
    core.receive(event(5))
    assert core.acknowledge(5) == Acknowledge(seq=5)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_would_lift_the_cap(number: float) -> None:
    core = core_up()
    with pytest.raises(ValueError, match="SetLimit"):
        core.request(SetLimit(evse=1, power_w=number))
    with pytest.raises(ValueError, match="Permit"):
        core.request(Permit(evse=1, session="s", lease_s=number))
    assert core.request(SetLimit(evse=1, power_w=None)).command == SetLimit(evse=1, power_w=None)
