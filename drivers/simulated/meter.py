# SPDX-License-Identifier: Apache-2.0
"""`Meter` of one EVSE."""

from __future__ import annotations

from drivers.simulated.bus import STALE_AFTER_S, EvseOptions, evse_of
from firmware.errors import DeviceLost
from hal.ports import MeterSample

__all__ = ["SimulatedMeter"]


class SimulatedMeter:
    stale_after_s = STALE_AFTER_S
    resolution_wh = 0.1

    Options = EvseOptions

    def __init__(self, options: EvseOptions) -> None:
        self._bus = options.bus
        self.speed = self._bus.hello.speed
        self._evse = options.evse

    def sample(self) -> MeterSample:
        sample = evse_of(self._bus.readings(), self._evse).meter
        if sample is None:
            raise DeviceLost(f"meter of EVSE {self._evse} does not answer")
        return sample

    def close(self) -> None:
        """A meter has no outputs."""
