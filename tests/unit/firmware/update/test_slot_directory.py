# SPDX-License-Identifier: Apache-2.0
"""Slots in a directory: installing, booting on trial, keeping, rolling back; also with a power cut in between."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from firmware.errors import ImageError
from firmware.update.__main__ import main as select_main
from firmware.update.simulated import SimulatedSlots, arrange
from firmware.update.slot_directory import FACTORY, TRIES, SlotDirectory
from firmware.update.slots import RebootNeeded, SlotError, SlotStatus
from tests.support.firmware import FAMILY, FILES, image, proof


class Board:
    """A slot directory, an image, and boots."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "slots"
        self.image = folder / "image"
        self.slots = SlotDirectory(self.path)

    async def install(self, data: bytes | None = None, *, running: str = "1.0.0", signed: bytes | None = None) -> str:
        content = image() if data is None else data
        self.image.write_bytes(content)
        by = proof(content if signed is None else signed)
        return await self.slots.install(self.image, by, family=FAMILY, running=running, rollback=False)

    async def install_and_boot(self, version: str = "1.0.1") -> str:
        slot = await self.install(image(version=version))
        await self.slots.activate(slot)
        self.slots.select()
        return slot

    def boot(self) -> str:
        """Boot once more; returns the slot that runs."""
        self.slots = SlotDirectory(self.path)
        tree = self.slots.select()
        return FACTORY if tree is None else tree.name


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def test_without_a_directory_the_factory_version_runs(board: Board) -> None:
    assert board.boot() == FACTORY
    assert not board.path.exists()
    assert board.slots.version() is None


async def test_installation_is_complete_and_changes_nothing_that_runs(board: Board) -> None:
    assert await board.install() == "a"
    assert tree_of(board.path / "a") == FILES
    assert await board.slots.status() == SlotStatus(FACTORY)
    assert board.boot() == FACTORY


async def test_new_slot_runs_on_trial_until_it_is_kept(board: Board) -> None:
    slot = await board.install_and_boot()
    assert await board.slots.status() == SlotStatus("a", trial=True)
    assert board.slots.on_trial
    assert board.slots.tree() == board.path / "a"
    assert board.slots.version() == "1.0.1"
    await board.slots.keep()
    assert await board.slots.status() == SlotStatus(slot)
    assert [board.boot() for _ in range(TRIES + 2)] == ["a"] * (TRIES + 2)


async def test_slot_that_is_never_kept_is_abandoned(board: Board) -> None:
    await board.install_and_boot()
    assert [board.boot() for _ in range(TRIES)] == ["a"] * (TRIES - 1) + [FACTORY]
    assert await board.slots.status() == SlotStatus(FACTORY, failed="a")


async def test_slots_alternate_and_go_back_to_the_one_before(board: Board) -> None:
    await board.install_and_boot("1.0.1")
    await board.slots.keep()
    assert await board.install_and_boot("1.0.2") == "b"
    assert board.slots.version() == "1.0.2"
    await board.slots.roll_back()
    assert board.boot() == "a"
    assert board.slots.version() == "1.0.1"
    assert await board.install_and_boot("1.0.3") == "b"
    await board.slots.keep()
    assert await board.install_and_boot("1.0.4") == "a"


async def test_neither_a_trial_nor_the_version_before_it_is_overwritten(board: Board) -> None:
    await board.install_and_boot("1.0.1")
    await board.slots.keep()
    assert await board.install_and_boot("1.0.2") == "b"
    with pytest.raises(SlotError, match="on trial"):
        await board.install(image(version="1.0.3"))
    assert (board.path / "a").is_dir()


async def test_running_slot_is_never_written_to(board: Board) -> None:
    await board.install_and_boot()
    before = tree_of(board.path / "a")
    assert await board.install(image({**FILES, "hal/new.py": b"new"}, version="1.0.2")) == "b"
    assert tree_of(board.path / "a") == before


@pytest.mark.parametrize("signed", [b"another image", image() + b" "])
async def test_bytes_that_were_not_signed_never_become_a_slot(board: Board, signed: bytes) -> None:
    """The file was replaced between verification and installation."""
    with pytest.raises(ImageError, match="signature"):
        await board.install(signed=signed)
    assert sorted(path.name for path in board.path.iterdir()) == []
    with pytest.raises(SlotError):
        await board.slots.activate("a")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (image()[:-1], "cut short"),
        (image(family="OTHER"), "for OTHER"),
        (image(version="0.9.0"), "older"),
        (image(min_version="1.0.1"), "replaces only"),
        (b"#!/bin/sh\nrm -rf /\n", "not a firmware image"),
    ],
)
async def test_refused_image_leaves_nothing_behind(board: Board, data: bytes, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        await board.install(data)
    assert list(board.path.iterdir()) == []


async def test_image_must_be_a_plain_file(board: Board) -> None:
    real = board.image.with_name("real")
    real.write_bytes(image())
    board.image.symlink_to(real)
    with pytest.raises(SlotError):
        await board.slots.install(board.image, proof(image()), family=FAMILY, running="1.0.0", rollback=False)
    board.image.unlink()
    os.mkfifo(board.image)
    with pytest.raises((ImageError, SlotError)):
        await board.slots.install(board.image, proof(image()), family=FAMILY, running="1.0.0", rollback=False)


async def test_remains_of_an_interrupted_installation_are_removed(board: Board, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (board.path / "a.new" / "hal").mkdir(parents=True)
    (board.path / "a").symlink_to(outside)
    assert await board.install() == "a"
    assert tree_of(board.path / "a") == FILES
    assert list(outside.iterdir()) == []


async def test_activation_survives_a_power_cut_at_each_step(board: Board) -> None:
    await board.install()
    await board.slots.activate("a")
    (board.path / "boot.json.new").write_text("half a")
    assert board.boot() == "a"
    (board.path / "current.new").symlink_to("nowhere")
    await board.slots.roll_back()
    assert board.boot() == FACTORY


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"good": 7}', '{"good":"../x","trial":"","tries_left":0,"failed":""}']
)
async def test_damaged_boot_file_does_not_keep_the_station_down(board: Board, content: str) -> None:
    await board.install_and_boot()
    await board.slots.keep()
    (board.path / "boot.json").write_text(content)
    assert board.boot() in ("a", FACTORY)


async def test_damaged_slot_gives_way_to_the_factory_version(board: Board) -> None:
    await board.install_and_boot()
    await board.slots.keep()
    shutil.rmtree(board.path / "a")
    assert board.boot() == FACTORY


def test_link_that_leads_elsewhere_is_not_followed(board: Board, tmp_path: Path) -> None:
    board.path.mkdir()
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "manifest.json").write_text("{}")
    (board.path / "current").symlink_to("../evil")
    assert board.slots.tree() is None
    assert board.boot() == FACTORY


async def test_unwritable_directory_is_the_boards_trouble(board: Board) -> None:
    board.path.write_text("a file in its place")
    with pytest.raises(SlotError):
        await board.install()


async def test_boot_step_prints_the_tree(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    await board.install()
    await board.slots.activate("a")
    assert select_main([str(board.path)]) == 0
    assert capsys.readouterr().out == f"{board.path / 'a'}\n"
    assert select_main([]) == 2


async def test_arrangements_of_a_simulated_board(board: Board) -> None:
    board.slots = SimulatedSlots(board.path)
    arrange(board.path, "install_fails")
    with pytest.raises(SlotError):
        await board.install()
    arrange(board.path, "needs_reboot_first")
    with pytest.raises(RebootNeeded):
        await board.slots.prepare()
    await board.slots.prepare()
    assert tree_of(board.path / await board.install()) == FILES
    arrange(board.path, "boot_fails")
    slot = await board.install()
    assert b"raise SystemExit" in (board.path / slot / "hal" / "__main__.py").read_bytes()
    assert json.loads((board.path / slot / "manifest.json").read_text())["version"] == "1.0.1"
