# SPDX-License-Identifier: Apache-2.0
"""The simulated power modules, by literal frames of the vendors' protocols."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from drivers.simulated.world.battery import Battery
from drivers.simulated.world.shelf import ModuleBank, ShelfRating
from tools.rig.devices.shelf import SILENCE_S, RectifierShelf, SimModule, new_modules
from tools.rig.devices.shelf_infypower import InfypowerModules
from tools.rig.devices.shelf_uugreen import UugreenModules

STEP_S = 0.025
ON, OFF = "0000000000000000", "0100000000000000"


class Bench:
    """Four modules, of which a frame is asked and answers are collected."""

    def __init__(self, make: Callable[[RectifierShelf], InfypowerModules | UugreenModules], first: int = 0) -> None:
        self.bank = ModuleBank(ShelfRating())
        self.battery: Battery | None = None
        self.shelf = RectifierShelf(new_modules(4, first=first), {1: self.bank})
        self.wire = make(self.shelf)
        self.wire.send = lambda can_id, data: self.answers.append((f"{can_id:08X}", data.hex().upper()))
        self.answers: list[tuple[str, str]] = []

    def ask(self, can_id: int, data: str = ON) -> list[tuple[str, str]]:
        self.answers = []
        self.wire.on_frame(can_id, bytes.fromhex(data))
        return self.answers

    def step(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.shelf.step(STEP_S)
            if isinstance(self.wire, UugreenModules):
                self.wire.step(STEP_S)
            self.bank.step(STEP_S, self.battery)

    @property
    def first(self) -> SimModule:
        return self.shelf.modules[0]


@pytest.fixture
def infypower() -> Bench:
    return Bench(InfypowerModules)


@pytest.fixture
def uugreen() -> Bench:
    return Bench(UugreenModules, first=1)


def test_an_infypower_module_answers_what_it_is_asked(infypower: Bench) -> None:
    assert infypower.ask(0x028900F0) == [("0289F000", "0000000000000000")]
    assert infypower.ask(0x028A02F0) == [("028AF002", "03E8009605350FA0")]
    assert infypower.ask(0x028B02F0) == [("028BF002", "4130000000000002")]
    infypower.first.temperature_c = -10.0
    assert infypower.ask(0x028400F0) == [("0284F000", "00000000F6000100")]
    infypower.first.alarms |= {"fan", "power limited", "output short"}
    infypower.first.error = 7
    assert infypower.ask(0x028400F0) == [("1E84F000", "00000000F6010901")]


def test_a_group_answers_as_a_whole_and_a_status_is_that_of_each(infypower: Bench) -> None:
    for module in infypower.shelf.modules[:2]:
        module.group = 1
    assert infypower.ask(0x02C801F0) == [("02C8F001", "0000000000000000")]
    assert infypower.ask(0x028208F0) == []
    assert infypower.ask(0x02823FF0) == [("0282F03F", "0000040000000000")]
    assert [can_id for can_id, _ in infypower.ask(0x02C401F0)] == ["02C4F000", "02C4F001"]


def test_infypower_modules_share_a_total_and_charge_a_battery(infypower: Bench) -> None:
    for address in range(4):
        infypower.ask(0x029600F0 | address << 8, "0100000000000000")
    infypower.ask(0x029A3FF0, OFF)
    infypower.step(0.1)
    infypower.ask(0x02DB01F0, struct.pack(">II", 420_000, 200_000).hex())
    infypower.battery = Battery(75_000.0, 420.0, 30.0)
    infypower.ask(0x02DA01F0, ON)
    infypower.step(3.0)
    ((_, total),) = infypower.ask(0x02C801F0)
    assert struct.unpack(">II", bytes.fromhex(total))[1] == pytest.approx(200_000, rel=0.01)
    assert [round(module.current_a) for module in infypower.shelf.modules] == [50, 50, 50, 50]
    assert not infypower.shelf.violations


def test_a_module_without_frames_switches_itself_off_after_10_s(infypower: Bench) -> None:
    infypower.ask(0x029A3FF0, OFF)
    infypower.ask(0x029C00F0, struct.pack(">II", 400_000, 5_000).hex())
    infypower.ask(0x029A00F0, ON)
    infypower.step(SILENCE_S - 0.1)
    assert infypower.first.on
    infypower.ask(0x028401F0)
    infypower.step(SILENCE_S - 0.1)
    assert infypower.first.on, "any frame of the controller counts"
    infypower.step(0.2)
    assert not infypower.first.on


@pytest.mark.parametrize(
    ("can_id", "data", "violation"),
    [
        (0x029A00F0, ON, "switched on before it was switched off once"),
        (0x029A00F0, "0200000000000000", "command 0x1a with 0200000000000000"),
        (0x029C00F0, struct.pack(">II", 100_000, 5_000).hex(), "voltage out of range: 100 V"),
        (0x029C00F0, struct.pack(">II", 400_000, 500).hex(), "current out of range: 0.5 A"),
        (0x029C00F0, struct.pack(">II", 400_000, 200_000).hex(), "current out of range: 200.0 A"),
        (0x028400F0, OFF, "a read request that is not all zeros"),
        (0x02BE00F0, ON, "unknown command 0x3e"),
        (0x029A00F0, "00", "1 bytes"),
    ],
)
def test_what_a_driver_must_not_do_is_noted(infypower: Bench, can_id: int, data: str, violation: str) -> None:
    infypower.ask(can_id, data)
    assert violation in infypower.shelf.violations


def test_modules_that_are_silent_or_babble(infypower: Bench) -> None:
    infypower.first.silent = True
    assert infypower.ask(0x028900F0) == []
    infypower.first.silent, infypower.first.babbling = False, True
    assert len(infypower.ask(0x028900F0)) == 6
    infypower.shelf.add(SimModule(1, serial="41300000000000FF"))
    assert [data for _, data in infypower.ask(0x028B01F0)] == ["4130000000000001", "41300000000000FF"]


def test_an_uugreen_module_answers_with_date_and_serial_number_in_its_identifier(uugreen: Bench) -> None:
    assert uugreen.ask(0x02204000, "0200000000000000") == [("02206AA7", "0300000000000000")]
    assert uugreen.ask(0x02208000, "0205000000000000") == [("0220AAA7", "0405000000000001")]
    assert uugreen.ask(0x02204000, "0260000000000000") == [("02206AA7", "0360000000000001")]
    assert uugreen.ask(0x02200000, "0004000000000001") == [], "a broadcast is not answered"


def test_an_uugreen_module_changes_its_range_only_while_it_is_off(uugreen: Bench) -> None:
    uugreen.ask(0x02200000, "0004000000000001")
    uugreen.ask(0x02204000, "005F000000000002")
    assert uugreen.first.range == 2
    uugreen.ask(0x02204000, struct.pack(">BBHI", 0, 2, 0, 400_000).hex())
    uugreen.ask(0x02204000, struct.pack(">BBHI", 0, 3, 0, 10_000).hex())
    uugreen.ask(0x02204000, "0004000000000000")
    assert uugreen.shelf.violations == {"switched on too soon after a change of range": 1}
    uugreen.step(2.1)
    uugreen.ask(0x02204000, "0004000000000000")
    uugreen.step(1.0)
    uugreen.ask(0x02204000, "005F000000000001")
    uugreen.ask(0x02204000, struct.pack(">BBHI", 0, 2, 0, 600_000).hex())
    assert uugreen.first.range == 2
    assert uugreen.shelf.violations["range changed too soon after the module was on"] == 1
    assert uugreen.shelf.violations["600 V in the low range"] == 1


def test_a_module_that_moves_under_load_is_a_violation() -> None:
    place: dict[str, int | None] = {"outlet": 1}
    shelf = RectifierShelf(new_modules(1), {1: ModuleBank(ShelfRating())}, outlet_of=lambda _module: place["outlet"])
    shelf.step(STEP_S)
    (module,) = shelf.modules
    module.switch(False)
    shelf.set_voltage(module, 400.0)
    shelf.set_current(module, 5.0)
    shelf.switch(module, True)
    place["outlet"] = None
    shelf.step(STEP_S)
    assert shelf.violations == {"module 0 moved under load: 0 A": 1}
