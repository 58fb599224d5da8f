# SPDX-License-Identifier: Apache-2.0
"""With the real pcscd and its virtual reader, which goes by the name of an ACR122U."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drivers.pcsc.card_reader import PcscCardReader, PcscOptions
from firmware.contract import CardProblem
from tests.support.pcscd import Pcscd, one_pcscd
from tests.support.sockets import eventually
from tools.rig.devices.virtual_card import VirtualCard

UID = bytes.fromhex("04A1B2C3D4E580")


class Bench:
    """The reader, its driver, and what the driver has reported."""

    def __init__(self, pcscd: Pcscd) -> None:
        self.pcscd = pcscd
        self.cards: list[str] = []
        self.problems: list[CardProblem] = []
        self.lost: list[str | None] = []
        self.held: list[VirtualCard] = []
        self.reader: PcscCardReader | None = None

    def listen(self, reader: str = "ACR122U") -> PcscCardReader:
        self.reader = PcscCardReader(PcscOptions(reader=reader, ignore_s=0.2, beep=True))
        self.reader.listen(self.cards.append, self.problems.append, self.lost.append)
        return self.reader

    async def hold(self, uid: bytes = UID, slot: int = 0) -> VirtualCard:
        card = VirtualCard(self.pcscd.slots[slot], uid)
        self.held.append(card)
        await card.start()
        return card

    def take_away(self) -> None:
        for card in self.held:
            card.close()
        self.held.clear()

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
        self.take_away()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with one_pcscd(tmp_path) as pcscd:
        bench = Bench(pcscd)
        yield bench
        bench.close()


async def test_two_cards_in_two_slots_are_a_problem(bench: Bench) -> None:
    bench.listen()
    await bench.hold()
    await eventually(lambda: bench.cards)
    await bench.hold(b"\xde\xad\xbe\xef", slot=1)
    await eventually(lambda: bench.problems)
    assert (bench.cards, bench.problems) == (["04A1B2C3D4E580"], [CardProblem.SEVERAL_CARDS])


def _garble_atr(card: VirtualCard) -> None:
    card.garbled_atr = True


def _fail(card: VirtualCard) -> None:
    card.answer = b"\x63\x00"


def _garbage(card: VirtualCard) -> None:
    card.answer = b"\x12"


@pytest.mark.parametrize("break_it", [_garble_atr, _fail, _garbage])
async def test_a_broken_card_is_unreadable(bench: Bench, break_it: Callable[[VirtualCard], None]) -> None:
    bench.listen()
    card = VirtualCard(bench.pcscd.slots[0], UID)
    break_it(card)
    bench.held.append(card)
    await card.start()
    await eventually(lambda: bench.problems)
    assert (bench.cards, bench.problems, bench.lost) == ([], [CardProblem.UNREADABLE], [])


async def test_a_card_that_wants_the_exact_length(bench: Bench) -> None:
    bench.listen()
    (await bench.hold()).asks_length = True
    await eventually(lambda: bench.cards == ["04A1B2C3D4E580"])
    assert bench.reader is not None
    assert [(each.address, each.answers) for each in bench.reader.devices()] == [
        ("ACS ACR122U PICC Interface 00 00", True),
        ("ACS ACR122U PICC Interface 00 01", True),
    ]


async def test_a_card_that_leaves_while_it_is_read_is_nothing(bench: Bench) -> None:
    bench.listen()
    card = await bench.hold()
    card.leaves_at_request = True
    await eventually(lambda: card.reads)
    await bench.hold(b"\xde\xad\xbe\xef", slot=1)
    await eventually(lambda: bench.cards)
    assert (bench.cards, bench.problems) == (["DEADBEEF"], [])


async def test_pcscd_that_restarts(bench: Bench) -> None:
    bench.listen()
    await bench.hold()
    await eventually(lambda: bench.cards)
    bench.take_away()
    await bench.pcscd.stop()
    await eventually(lambda: bench.lost)
    assert "the service pcscd" in str(bench.lost[0])
    await bench.pcscd.start()
    await eventually(lambda: bench.lost[-1] is None)
    await bench.hold(b"\xde\xad\xbe\xef")
    await eventually(lambda: bench.cards == ["04A1B2C3D4E580", "DEADBEEF"])


async def test_pcscd_that_is_not_there_at_the_start(bench: Bench) -> None:
    await bench.pcscd.stop()
    bench.listen()
    await eventually(lambda: bench.lost)
    await bench.pcscd.start()
    await bench.hold()
    await eventually(lambda: bench.cards == ["04A1B2C3D4E580"])
    assert bench.lost[-1] is None


async def test_a_reader_of_another_name(bench: Bench) -> None:
    bench.listen("OMNIKEY")
    await eventually(lambda: bench.lost)
    assert str(bench.lost[0]).startswith("no card reader 'OMNIKEY' is plugged in, only ACS ACR122U PICC Interface")
    assert bench.reader is not None
    assert [(each.address, each.answers) for each in bench.reader.devices()] == [("OMNIKEY", False)]


async def test_the_signal_goes_to_the_reader(bench: Bench) -> None:
    reader = bench.listen()
    card = await bench.hold()
    await eventually(lambda: bench.cards)
    reader.signal(True)
    await eventually(lambda: card.signals)
    reader.signal(False)
    await eventually(lambda: len(card.signals) == 2)
    assert card.signals == [bytes.fromhex("FF00402E0401000101"), bytes.fromhex("FF00405D0402010501")]
    bench.take_away()
    await eventually(lambda: not any(reader._cards.values()))
    reader.signal(True)  # the virtual reader has no command for it without a card
    await bench.hold(b"\xde\xad\xbe\xef")
    await eventually(lambda: len(bench.cards) == 2)
    assert bench.lost == []


async def test_close_ends_the_thread(bench: Bench) -> None:
    reader = bench.listen()
    await bench.hold()
    await eventually(lambda: bench.cards)
    reader.close()
    await eventually(lambda: not reader._thread.is_alive())
