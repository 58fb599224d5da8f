# SPDX-License-Identifier: Apache-2.0
"""What of the simulated hardware outlives the rig."""

from __future__ import annotations

from pathlib import Path

from drivers.simulated.world.world import World
from drivers.simulated.world_file import WorldFile
from firmware.contract import BootCause


def test_registers_clock_and_boots_outlive_the_rig(tmp_path: Path) -> None:
    file = WorldFile(tmp_path / "world.json")
    world = World(file.board())
    world.power_on(BootCause.POWER_UP)
    world.evses[2].energy_wh = 1234.5678
    world.board.set_clock(-86_400)
    file.save(world)

    later = WorldFile(tmp_path / "world.json")
    again = World(later.board())
    later.restore(again)
    assert again.evses[2].energy_wh == 1234.5678
    assert (again.board.boots, again.board.clock_offset_s) == (1, -86_400)
    assert again.board.serial_number == world.board.serial_number
    assert not again.board.powered


def test_unchanged_world_is_not_written(tmp_path: Path) -> None:
    file = WorldFile(tmp_path / "world.json")
    world = World(file.board())
    file.save(world)
    (tmp_path / "world.json").unlink(missing_ok=True)
    file.save(world)
    assert not (tmp_path / "world.json").exists()


def test_damaged_file_is_a_new_cabinet(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("{")
    assert WorldFile(tmp_path / "world.json").board().boots == 0
