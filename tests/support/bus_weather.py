# SPDX-License-Identifier: Apache-2.0
"""What may happen to the frames of a CAN bus, for the hub's `fault`: one draw a frame."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tools.rig.devices.can_hub import Delivery

__all__ = ["Weather"]


class Weather:
    """What happens to frames: `lost`, `late`, `doubled` and `corrupted` are shares of all frames."""

    def __init__(self, seed: int, *, lost: float, late: float, doubled: float, corrupted: float) -> None:
        self._random = Random(seed)
        self._shares = (lost, late, doubled, corrupted)
        self.damages, self.delays = corrupted > 0.0, late > 0.0

    def __call__(self, can_id: int, data: bytes) -> Iterable[Delivery]:
        random, (lost, late, doubled, corrupted) = self._random, self._shares
        if random.random() < lost:
            return
        if random.random() < corrupted:
            place = random.randrange(8 * len(data) + 29)
            if place < 29:
                can_id ^= 1 << place
            else:
                data = _flip(data, place - 29)
        delay_s = random.choice((0.03, 0.15, 0.6)) if random.random() < late else 0.0
        yield delay_s, can_id, data
        if random.random() < doubled:
            yield delay_s + 0.025, can_id, data


def _flip(data: bytes, place: int) -> bytes:
    flipped = bytearray(data)
    flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped)
