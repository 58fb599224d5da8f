# SPDX-License-Identifier: Apache-2.0
"""`Inputs`: stop button, door, plug temperatures."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.bus import STALE_AFTER_S, WorldOptions
from drivers.simulated.messages import FromWorld, Readings
from hal.ports import InputsReading

__all__ = ["SimulatedInputs"]


class SimulatedInputs:
    stale_after_s = STALE_AFTER_S

    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus

    def reading(self) -> InputsReading:
        return self._bus.readings().inputs

    def listen(self, on_change: Callable[[InputsReading], None]) -> None:
        last = self.reading()

        def on_message(message: FromWorld) -> None:
            nonlocal last
            if not isinstance(message, Readings):
                return
            before, last = last, message.inputs
            if (before.emergency_stop, before.door_open) != (last.emergency_stop, last.door_open):
                on_change(last)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Inputs have no outputs."""
