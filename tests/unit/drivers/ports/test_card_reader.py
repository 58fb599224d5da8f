# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.CardReader`, over each driver: what is reported of the cards that are held to it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.pcsc.card_reader import PcscCardReader, PcscOptions
from drivers.serial.pn532 import Pn532CardReader, Pn532Options
from drivers.simulated.bus import WorldOptions
from drivers.simulated.card_reader import SimulatedCardReader
from firmware.contract import CardProblem, Fault
from hal.ports import CardReader
from tests.support.pcscd import Pcscd, one_pcscd
from tests.support.sockets import eventually
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.pn532 import Card, Pn532
from tools.rig.devices.virtual_card import VirtualCard

IGNORE_S = 0.2


class Bench(ABC):
    """A reader, its driver, and what the driver has reported."""

    reader: CardReader

    def __init__(self) -> None:
        self.cards: list[str] = []
        self.problems: list[CardProblem] = []
        self.lost: list[str | None] = []

    def listen(self) -> None:
        self.reader.listen(self.cards.append, self.problems.append, self.lost.append)

    async def reported(self, *cards: str, problems: int = 0) -> None:
        """Wait until these cards and so many problems are reported, in all, and nothing else after a while."""
        await eventually(lambda: (self.cards, len(self.problems)) == (list(cards), problems))
        await self.settle()
        assert (self.cards, len(self.problems)) == (list(cards), problems)

    @abstractmethod
    async def hold(self, *uids: str) -> None:
        """Hold these cards to the reader, and no others."""

    @abstractmethod
    async def settle(self) -> None:
        """Give the driver the time to notice, and `IGNORE_S` more."""

    @abstractmethod
    async def unplug(self) -> None: ...

    @abstractmethod
    async def plug_in(self) -> None: ...

    async def close(self) -> None:
        self.reader.close()


class SimulatedBench(Bench):
    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.bus = LocalBus(new_world())
        self.reader = SimulatedCardReader(WorldOptions(bus=self.bus))

    async def hold(self, *uids: str) -> None:
        self.bus.advance(100.0)
        for uid in uids:
            self.bus.world.present_card(uid, 50.0, self.bus.mono_s)
        self.bus.advance(0.0)

    async def settle(self) -> None:
        self.bus.advance(1.0)

    async def unplug(self) -> None:
        self.bus.world.faults.set(Fault.CARD_READER, None, True)
        self.bus.advance(1.0)

    async def plug_in(self) -> None:
        self.bus.world.faults.set(Fault.CARD_READER, None, False)
        self.bus.advance(1.0)


class Pn532Bench(Bench):
    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.chip = Pn532(tmp_path / "reader")
        self.reader = Pn532CardReader(Pn532Options(port=str(tmp_path / "reader"), poll_s=0.05, ignore_s=IGNORE_S))

    async def hold(self, *uids: str) -> None:
        self.chip.cards = [Card(bytes.fromhex(uid)) for uid in uids]

    async def settle(self) -> None:
        until = self.chip.commands + 6
        await eventually(lambda: self.chip.commands >= until)

    async def unplug(self) -> None:
        self.chip.close()

    async def plug_in(self) -> None:
        await self.chip.start()

    async def close(self) -> None:
        await super().close()
        self.chip.close()
        assert self.chip.violations == []


class PcscBench(Bench):
    """The real pcscd with a virtual reader of two slots; unplugged is what is left without pcscd."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self._folder = tmp_path
        self._resources = AsyncExitStack()
        self._pcscd: Pcscd | None = None
        self._held: list[VirtualCard] = []
        self.reader = self._driver = PcscCardReader(PcscOptions(reader="ACR122U", ignore_s=IGNORE_S))

    async def hold(self, *uids: str) -> None:
        assert self._pcscd is not None
        for card in self._held:
            card.close()
        if self._held:
            await self._noticed(0)
        self._held = [VirtualCard(port, bytes.fromhex(uid)) for port, uid in zip(self._pcscd.slots, uids, strict=False)]
        for card in self._held:
            await card.start()

    async def _noticed(self, cards: int) -> None:
        await eventually(lambda: sum(card is not None for card in self._driver._cards.values()) == cards)

    async def settle(self) -> None:
        await self._noticed(len(self._held))
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * IGNORE_S
        await eventually(lambda: loop.time() > until)

    async def unplug(self) -> None:
        assert self._pcscd is not None
        await self._pcscd.stop()

    async def plug_in(self) -> None:
        if self._pcscd is None:
            self._pcscd = await self._resources.enter_async_context(one_pcscd(self._folder))
        else:
            await self._pcscd.start()

    async def close(self) -> None:
        await super().close()
        for card in self._held:
            card.close()
        await self._resources.aclose()


@pytest.fixture(params=[SimulatedBench, Pn532Bench, PcscBench])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made: Bench = request.param(tmp_path)
    await made.plug_in()
    made.listen()
    yield made
    await made.close()


@pytest.mark.parametrize("uid", ["DEADBEEF", "04A1B2C3D4E580", "04A1B2C3D4E5F6A7B8C9"])
async def test_a_card_that_stays_is_reported_once_in_upper_case_hex(bench: Bench, uid: str) -> None:
    await bench.hold(uid)
    await bench.reported(uid)


async def test_one_card_after_another(bench: Bench) -> None:
    await bench.hold("DEADBEEF")
    await bench.reported("DEADBEEF")
    await bench.hold("04A1B2C3")
    await bench.reported("DEADBEEF", "04A1B2C3")


async def test_the_same_card_again_some_time_after_it_left(bench: Bench) -> None:
    await bench.hold("DEADBEEF")
    await bench.reported("DEADBEEF")
    await bench.hold()
    await bench.settle()
    await bench.hold("DEADBEEF")
    await bench.reported("DEADBEEF", "DEADBEEF")


async def test_two_cards_at_once_are_no_card(bench: Bench) -> None:
    await bench.hold("DEADBEEF", "04A1B2C3")
    await eventually(lambda: CardProblem.SEVERAL_CARDS in bench.problems)
    await bench.hold()
    await bench.settle()
    await bench.hold("04A1B2C3")
    await eventually(lambda: "04A1B2C3" in bench.cards)


async def test_a_phone_has_no_identity(bench: Bench) -> None:
    await bench.hold("08C0FFEE")
    await bench.reported(problems=1)
    assert bench.problems == [CardProblem.NO_IDENTITY]


async def test_a_reader_that_is_unplugged_is_lost_until_it_is_back(bench: Bench) -> None:
    await bench.hold("DEADBEEF")
    await bench.reported("DEADBEEF")
    await bench.unplug()
    await eventually(lambda: bench.lost)
    assert isinstance(bench.lost[0], str)
    await bench.hold()
    await bench.plug_in()
    await eventually(lambda: bench.lost[-1] is None)
    await bench.settle()
    await bench.hold("04A1B2C3")
    await bench.reported("DEADBEEF", "04A1B2C3")


async def test_a_signal_never_fails(bench: Bench) -> None:
    bench.reader.signal(True)
    await bench.unplug()
    bench.reader.signal(False)
