# SPDX-License-Identifier: Apache-2.0
"""`CardReader`."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated import messages as wire
from drivers.simulated.bus import WorldOptions
from firmware.contract import CardProblem, Fault

__all__ = ["SimulatedCardReader"]


class SimulatedCardReader:
    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        lost: str | None = None

        def on_message(message: wire.FromWorld) -> None:
            nonlocal lost
            if isinstance(message, wire.CardSeen):
                on_card(message.uid)
            elif isinstance(message, wire.CardTrouble):
                on_problem(message.problem)
            elif isinstance(message, wire.Readings):
                before, lost = lost, _lost(message)
                if lost != before:
                    on_lost(lost)

        self._bus.listen(on_message)

    def signal(self, accepted: bool) -> None:
        """The displays of the simulated cabinet show it."""

    def close(self) -> None:
        """A reader has no outputs."""


def _lost(readings: wire.Readings) -> str | None:
    return next((each.detail for each in readings.faults if each.fault is Fault.CARD_READER), None)
