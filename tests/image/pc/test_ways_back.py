# SPDX-License-Identifier: Apache-2.0
"""Slot A is on trial and ill, and the first in order; slot B is good, and is what the board comes back to.

The tests use one disk and depend on their order: what is changed in slot A stays, so it becomes worse each time.
How slot B comes up does not depend on why: the last test waits until it is registered.
"""

from __future__ import annotations

import pytest

from tests.support.board_image import Changes
from tests.support.image_lab import GOOD, EmulatedBoard, Lab, Started

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]

ONE_LEFT = GOOD.replace("A_TRY=0", "A_TRY=2").format("A B")
"""Slot A has used two of its three attempts."""


@pytest.fixture(scope="module")
def board(lab: Lab, started: Started) -> EmulatedBoard:
    board = lab.board("ways-back", started.disk, password=started.password)
    board.flash.fill_slot("B", lab.slot)
    board.flash.edit_slot("A", {"/usr/lib/baywatt/build": "a version that does not work\n"})
    return board


def start_ill(board: EmulatedBoard, changes: Changes, environment: str, expected: str) -> None:
    """Switch the board off, make these changes in slot A, and start it."""
    board.power_cut()
    if changes:
        board.flash.edit_slot("A", changes)
    board.start(expected, prepare=lambda: board.flash.set_boot_environment(environment))


def test_a_slot_that_is_never_marked_good_is_left_after_three_attempts(board: EmulatedBoard) -> None:
    """As by a watchdog that bites in each attempt."""
    start_ill(board, {}, GOOD.format("A B"), "slot A, attempt 1")
    for expected in ("slot A, attempt 2", "slot A, attempt 3", "slot B, attempt 1"):
        board.until_shown("Linux version")
        board.reset()
        board.until_shown(expected)
    board.until_shown("Linux version")


def test_a_slot_without_init_restarts_until_its_attempts_are_used_up(board: EmulatedBoard) -> None:
    start_ill(board, {"/usr/lib/systemd/systemd": None}, ONE_LEFT, "slot A, attempt 3")
    board.until_shown("this slot has no init")
    assert board.until_shown("slot (A|B), attempt") == "B"
    board.until_shown("Linux version")


def test_a_slot_without_a_kernel_is_left_at_once(board: EmulatedBoard) -> None:
    start_ill(board, {"/vmlinuz": None}, GOOD.format("A B"), "slot A, attempt 1[^#]*slot B, attempt 1")
    board.until_started()
    board.until_registered()
