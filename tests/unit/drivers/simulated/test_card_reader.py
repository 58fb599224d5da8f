# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import WorldOptions
from drivers.simulated.card_reader import SimulatedCardReader
from firmware.contract import CardProblem
from tests.support.world_bench import WiredWorld


async def test_card_is_reported_once_and_two_are_a_problem(wired: WiredWorld) -> None:
    reader = SimulatedCardReader(WorldOptions(bus=wired.bus))
    cards: list[str] = []
    problems: list[CardProblem] = []
    lost: list[str | None] = []
    reader.listen(cards.append, problems.append, lost.append)
    now = wired.bus.readings().inputs.mono_s
    wired.world.present_card("04A1B2C3", 0.5, now)
    wired.world.present_card("DEADBEEF", 0.5, now + 0.1)
    wired.world.present_card("DEADBEEF", 0.5, now + 2.0)
    await wired.until(lambda: len(cards) == 2)
    assert cards == ["04A1B2C3", "DEADBEEF"]
    assert problems == [CardProblem.SEVERAL_CARDS]
    assert lost == []
