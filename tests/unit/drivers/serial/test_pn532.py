# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from drivers.serial.pn532 import Pn532CardReader, Pn532Options
from firmware.contract import CardProblem
from tests.support.sockets import eventually
from tools.rig.devices.pn532 import Card, Pn532

A = Card(bytes.fromhex("04A1B2C3D4E580"))
B = Card(bytes.fromhex("DEADBEEF"))
PHONE = Card(bytes.fromhex("08C0FFEE"), ats=bytes.fromhex("75778002"))


class Bench:
    """The reader, its driver, and what the driver has reported."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self.chip = Pn532(port)
        self.cards: list[str] = []
        self.problems: list[CardProblem] = []
        self.lost: list[str | None] = []
        self.reader: Pn532CardReader | None = None

    def listen(self, *, type_b: bool = False) -> None:
        options = Pn532Options(port=str(self.port), poll_s=0.05, ignore_s=0.2, type_b=type_b)
        self.reader = Pn532CardReader(options)
        self.reader.listen(self.cards.append, self.problems.append, self.lost.append)

    def has_reported(self, cards: int) -> bool:
        return len(self.cards) == cards

    async def looks(self, times: int = 5) -> None:
        """Wait until the driver has looked so often."""
        until = self.chip.commands + times
        await eventually(lambda: self.chip.commands >= until)

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
        self.chip.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "reader")
    await bench.chip.start()
    yield bench
    bench.close()
    assert bench.chip.violations == []


@pytest.mark.parametrize("uid", ["04A1B2C3", "04A1B2C3D4E580", "04A1B2C3D4E5F6A7B8C9"])
async def test_uids_of_every_length(bench: Bench, uid: str) -> None:
    bench.listen()
    bench.chip.cards = [Card(bytes.fromhex(uid))]
    await eventually(lambda: bench.cards)
    await bench.looks()
    assert bench.cards == [uid]
    assert bench.reader is not None
    (device,) = bench.reader.devices()
    assert (device.address, device.firmware, device.answers) == (str(bench.port), "1.6", True)
    assert (bench.problems, bench.lost) == ([], [])


async def test_processor_card_and_type_b(bench: Bench) -> None:
    bench.listen(type_b=True)
    bench.chip.cards = [Card(A.uid, ats=bytes.fromhex("75778002"))]
    await eventually(lambda: bench.cards == ["04A1B2C3D4E580"])
    bench.chip.cards = [Card(bytes.fromhex("01020304"), type_b=True)]
    await eventually(lambda: bench.cards == ["04A1B2C3D4E580", "01020304"])


async def test_two_cards_and_a_phone_are_problems(bench: Bench) -> None:
    bench.listen()
    bench.chip.cards = [A, B]
    await eventually(lambda: bench.problems)
    bench.chip.cards = []
    await bench.looks()
    bench.chip.cards = [PHONE]
    await eventually(lambda: len(bench.problems) == 2)
    assert bench.problems == [CardProblem.SEVERAL_CARDS, CardProblem.NO_IDENTITY]
    assert bench.cards == []


async def test_a_chip_that_lists_one_card_only(bench: Bench) -> None:
    bench.chip.lists = 1
    bench.listen()
    bench.chip.cards = [A, B]
    await eventually(lambda: bench.cards)
    await bench.looks()
    assert (bench.cards, bench.problems, bench.lost) == (["04A1B2C3D4E580"], [], [])


async def test_a_card_again_after_it_left(bench: Bench) -> None:
    bench.listen()
    for taps in range(1, 4):
        bench.chip.cards = [A]
        await eventually(partial(bench.has_reported, taps))
        bench.chip.cards = []
        await bench.looks(6)  # 0.3 s


def _noise(chip: Pn532) -> None:
    chip.noise = bytes.fromhex("00FF55AA0000FF")


def _split(chip: Pn532) -> None:
    chip.split = True


def _drop_acks(chip: Pn532) -> None:
    chip.drop_acks = 2


def _corrupt(chip: Pn532) -> None:
    chip.corrupt = 2


def _errors(chip: Pn532) -> None:
    chip.errors = 2


@pytest.mark.parametrize("disturb", [_noise, _split, _drop_acks, _corrupt, _errors, Pn532.cut_power])
async def test_a_disturbance_loses_no_card(bench: Bench, disturb: Callable[[Pn532], None]) -> None:
    bench.listen()
    await bench.looks()
    disturb(bench.chip)
    bench.chip.cards = [A]
    await eventually(lambda: bench.cards)
    await bench.looks()
    assert bench.cards == ["04A1B2C3D4E580"]
    assert (bench.problems, bench.lost) == ([], [])


class Mangler:
    """Loses, doubles, cuts, corrupts and delays frames, one in three."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._kept = b""

    def __call__(self, frame: bytes) -> list[bytes]:
        late, self._kept = self._kept, b""
        at = self._rng.randrange(len(frame))
        match self._rng.randrange(15):
            case 0:
                return [late]
            case 1:
                return [late, frame, frame]
            case 2:
                return [late, frame[:at]]
            case 3:
                return [late, frame[:at] + bytes([frame[at] ^ 1 << self._rng.randrange(8)]) + frame[at + 1 :]]
            case 4:
                self._kept = frame
                return [late]
            case _:
                return [late, frame]


@pytest.mark.parametrize("seed", range(1, 4))
async def test_frames_lost_doubled_cut_corrupted_and_late(bench: Bench, seed: int) -> None:
    bench.listen()
    bench.chip.mangle = Mangler(seed)
    bench.chip.cards = [A]
    await bench.looks(15)
    bench.chip.mangle = lambda frame: [frame]
    await eventually(lambda: bench.cards)
    bench.chip.cards = [B]
    await eventually(lambda: bench.cards[-1] == "DEADBEEF")
    assert bench.cards == ["04A1B2C3D4E580", "DEADBEEF"], "and nothing that no card has"
    assert bench.problems == []
    assert [each for each in bench.lost if each is None] == bench.lost[1::2]


async def test_a_silent_chip_is_lost_and_comes_back(bench: Bench) -> None:
    bench.listen()
    await bench.looks()
    bench.chip.silent = True
    await eventually(lambda: bench.lost)
    assert bench.lost == [f"card reader at {bench.port}: no answer"]
    assert bench.reader is not None
    assert (bench.reader.devices()[0].answers, bench.reader.devices()[0].state) == (False, "no answer")
    bench.chip.silent = False
    bench.chip.cards = [A]
    await eventually(lambda: bench.cards)
    assert bench.lost[1:] == [None]


async def test_a_port_that_vanishes_and_comes_back(bench: Bench) -> None:
    bench.listen()
    bench.chip.cards = [A]
    await eventually(lambda: bench.cards)
    bench.chip.close()
    await eventually(lambda: bench.lost)
    assert "the serial port can't be opened" in str(bench.lost[0])
    await bench.chip.start()
    await eventually(lambda: len(bench.lost) == 2)
    await bench.looks()
    assert bench.lost[1] is None
    assert bench.cards == ["04A1B2C3D4E580"], "the card has stayed in the field"


async def test_a_port_that_is_not_there_at_the_start(bench: Bench) -> None:
    bench.chip.close()
    bench.listen()
    await eventually(lambda: bench.lost)
    await bench.chip.start()
    bench.chip.cards = [B]
    await eventually(lambda: bench.cards == ["DEADBEEF"])


async def test_another_device_at_the_port(bench: Bench) -> None:
    bench.chip.chip = 0x33
    bench.listen()
    await eventually(lambda: bench.lost)
    assert bench.lost == [f"card reader at {bench.port}: a PN532 is expected, the chip says 33010607"]


async def test_a_babbling_device(bench: Bench) -> None:
    bench.chip.close()
    bench.chip.babbling = True
    await bench.chip.start()
    bench.listen()
    await eventually(lambda: bench.lost)
    assert "wrong device or baud rate" in str(bench.lost[0])
    bench.chip.close()
    bench.chip.babbling = False
    await bench.chip.start()
    await eventually(lambda: bench.lost[1:] == [None])
    assert bench.cards == []


async def test_close_ends_everything_at_any_time(bench: Bench) -> None:
    bench.listen()
    await bench.looks(1)
    assert bench.reader is not None
    bench.reader.close()
    bench.reader.signal(True)
    bench.reader.close()
