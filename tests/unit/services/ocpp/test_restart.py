# SPDX-License-Identifier: Apache-2.0
"""When and how often the board is asked to restart, and what a restart waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import Reboot
from services.ocpp.context import LinkOrder
from services.ocpp.key_values import Key
from services.ocpp.restart import Restart
from tests.support.station_bench import StationBench


class Board:
    """A restart, and how often it has asked the HAL."""

    def __init__(self, directory: Path) -> None:
        self.bench = StationBench(directory)
        self.bench.up()
        self.context = self.bench.context
        self.queue_is_empty = False
        self.asked = 0
        self.restart = Restart(
            self.context, "RemoteReset", "reset", queue_is_empty=lambda: self.queue_is_empty, repeat_s=60.0
        )

    def at(self, now: float, *, ready: bool = True, attempts: float = 3) -> bool:
        """A unit of work of its own, as each is: its commands are sent at its end."""
        waits = self.restart.advance(now, ready=ready, patience_s=30.0, attempts=attempts)
        commands = self.context.hal.commands
        self.asked += commands.count(Reboot())
        commands.clear()
        return waits


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_it_waits_until_the_csms_has_received_everything(board: Board) -> None:
    board.at(100)
    assert (board.restart.is_certain, board.restart.next_deadline()) == (False, 130)
    board.queue_is_empty = True
    board.at(110)
    assert (board.restart.is_certain, board.restart.next_deadline(), board.asked) == (True, 110.5, 0)
    board.at(110.4)
    assert board.asked == 0
    board.at(110.5)
    assert board.asked == 1
    assert board.context.key_values.get(Key.PLANNED_BOOT) == "RemoteReset"
    assert board.context.link_orders == [LinkOrder("stop", "reset")]


def test_it_waits_for_the_csms_a_limited_time(board: Board) -> None:
    board.at(100)
    board.at(129)
    assert not board.restart.is_certain
    board.at(130)
    board.at(130.5)
    assert board.asked == 1


def test_it_does_not_wait_for_a_csms_that_is_offline(board: Board) -> None:
    board.bench.link_down()
    board.at(100)
    assert board.restart.next_deadline() == 100.5


def test_the_limit_counts_from_when_all_else_is_ready(board: Board) -> None:
    board.at(100, ready=False)
    assert board.restart.next_deadline() is None
    board.at(110)
    board.at(120, ready=False)
    board.at(135)
    assert board.restart.next_deadline() == 165


def test_it_waits_for_a_transaction_of_the_last_moment(board: Board) -> None:
    board.queue_is_empty = True
    board.at(100)
    board.at(100.5, ready=False)
    assert board.asked == 0
    board.at(101)
    assert board.asked == 1


def test_it_waits_for_a_lost_hal(board: Board) -> None:
    board.queue_is_empty = True
    board.at(100)
    board.bench.hal_down()
    assert board.at(100.5, attempts=0)
    assert (board.asked, board.context.link_orders) == (0, [])
    board.bench.hal_up()
    board.at(101)
    assert board.asked == 1


def test_board_that_does_not_restart_is_asked_again(board: Board) -> None:
    board.queue_is_empty = True
    board.at(100)
    answers = [board.at(100.5 + 60 * number) for number in range(4)]
    assert answers == [True, True, True, False]
    assert board.asked == 3
