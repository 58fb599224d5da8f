# SPDX-License-Identifier: Apache-2.0
"""Updates over OCPP with a real RAUC: bundles that are refused, a power cut, a version that is on trial and kept.

The tests use one board and depend on their order.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.board_image import NEXT
from tests.support.image_lab import FILE_PORT, EmulatedBoard, Lab, Started
from tools.disk_image.signing import development_signer

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def small(lab: Lab) -> Path:
    """For bundles that are never installed."""
    file = lab.folder / "small.ext4"
    file.write_bytes(os.urandom(1 << 20))
    return file


@pytest.mark.parametrize(
    ("name", "ends", "reason"),
    [
        (
            "other-board",
            "InstallVerificationFailed",
            "the bundle is for OCPP_C7_STA@arm64, this board is OCPP_C7_STA@pc",
        ),
        ("other-product", "InstallVerificationFailed", "the bundle is for TOASTER@pc, this board is "),
        ("wrong-signer", "InstallationFailed", "signature verification failed"),
        ("cut", "InstallationFailed", "Invalid bundle format"),
    ],
)
def test_a_bundle_that_is_not_for_this_board_is_refused_with_the_reason(
    board: EmulatedBoard, lab: Lab, small: Path, name: str, ends: str, reason: str
) -> None:
    """Signed as OCPP wants it, each of them: it is RAUC that refuses."""
    boards = {"other-board": "OCPP_C7_STA@arm64", "other-product": "TOASTER@pc"}
    by = development_signer(lab.folder / "stranger") if name == "wrong-signer" else None
    file = lab.offer(name, small, board=boards.get(name, ""), by=by)
    if name == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    lab.bench.update(file.name, FILE_PORT)
    board.until(lambda: ends in lab.bench.statuses(), ends)
    assert "Installing" in lab.bench.statuses()
    assert reason in board.journal("baywatt-ocpp", "rauc")
    assert board.environment()["ORDER"] == "A B"


def test_a_bundle_that_was_changed_on_its_way_does_not_get_to_rauc(board: EmulatedBoard, lab: Lab, small: Path) -> None:
    file = lab.offer("changed", small)
    lab.bench.update(file.name, FILE_PORT, served=file.read_bytes()[:-1] + b"x")
    board.until(lambda: "InvalidSignature" in lab.bench.statuses(), "InvalidSignature")
    assert "Installing" not in lab.bench.statuses()


def test_after_a_power_cut_in_the_middle_the_old_version_installs_again(board: EmulatedBoard, lab: Lab) -> None:
    lab.offer("next", lab.next_slot())
    lab.bench.update("next.raucb", FILE_PORT)
    board.until(lambda: board.flash.written("B", 64), "the other slot is being written", limit_s=900.0)
    assert "InstallRebooting" not in lab.bench.statuses()
    board.power_cut()
    board.start("slot A, attempt 1")
    board.until(lambda: "InstallRebooting" in lab.bench.statuses(), "the new slot is to be started", limit_s=1200.0)


def test_a_version_is_kept_once_the_csms_accepts_the_station(board: EmulatedBoard, lab: Lab, started: Started) -> None:
    lab.bench.answer_boot("Rejected")
    board.until_shown("slot B, attempt 1")
    board.until_started()
    board.log_in()
    board.until(lambda: lab.bench.version == NEXT, "a BootNotification of the next version")
    assert board.environment()["B_TRY"] != "0"
    assert "is on trial" in board.journal("baywatt-trial")
    lab.bench.answer_boot("Accepted")
    board.until(lambda: "Installed" in lab.bench.statuses(), "Installed", limit_s=300.0)
    board.until_kept("B")
    kept = board.environment()
    assert (kept["ORDER"], kept["A_OK"]) == ("B A", "1")
    assert board.run("cat /etc/machine-id").strip() == started.machine_id
