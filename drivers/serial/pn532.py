# SPDX-License-Identifier: Apache-2.0
"""`CardReader`: an NXP PN532 on a serial port (HSU, 115200 baud 8N1), as on most boards with that chip.

    [card_reader]
    driver = "pn532"
    port = "/dev/serial/by-id/usb-..."   # a name that survives unplugging, not ttyUSB0

The chip is asked for cards of type A (by option B, too) each `poll_s`, and answers at once also without a card, so that
a dead one is noticed: after three failures in a row the reader is lost. After each failure the port is opened and the
chip set up anew, so it recovers from a power cut of its own and from a port that vanishes and comes back. It has
neither LED nor beeper.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.card_field import IGNORE_S, CardField, CardListener, Sighting
from drivers.serial.pn532_chip import Pn532Chip
from drivers.serial.pn532_frames import Command, cards_of_type_a, cards_of_type_b
from firmware.contract import CardProblem
from firmware.errors import DeviceLost, DeviceRefused, DriverError
from hal.ports import DeviceInfo

__all__ = ["Pn532CardReader"]

LOST_AFTER = 3
RETRY_S = 1.0
_WAKE_TRIES = 3
_MISSES = 2
"""A card that is listed may miss the next look."""
_PN532 = 0x32
_log = logging.getLogger(__name__)


class Pn532Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    port: str
    baud: Annotated[int, Meta(ge=9600, le=1_288_000, description="bits per second")] = 115_200
    poll_s: Annotated[float, Meta(ge=0.05, le=1.0)] = 0.25
    type_b: bool = False
    """Read cards of ISO 14443 type B, too."""
    ignore_s: Annotated[float, Meta(ge=0.0, le=60.0, description="for how long a card that has left is ignored")] = (
        IGNORE_S
    )


class Pn532CardReader:
    Options = Pn532Options

    def __init__(self, options: Pn532Options) -> None:
        self._options = options
        self._field = CardField(ignore_s=options.ignore_s, misses=_MISSES)
        self._chip: Pn532Chip | None = None
        self._firmware = ""
        self._lists_two: bool | None = None
        """Whether the chip lists two cards at once; None until it was asked since its set-up."""
        self._failures = 0
        """Failed looks in a row."""
        self._trouble = "no answer yet"
        """Why the last look failed; empty if it did not."""
        self._background = Background(f"card reader at {options.port}")

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        self._background.start("look", partial(self._watch, CardListener(on_card, on_problem, on_lost)))

    def signal(self, accepted: bool) -> None:
        """A bare chip has nothing to show it with."""

    def devices(self) -> list[DeviceInfo]:
        """For `hal.ports.Described`."""
        state = self._trouble or "PN532, looks for cards"
        return [DeviceInfo(address=self._options.port, firmware=self._firmware, answers=not self._trouble, state=state)]

    def close(self) -> None:
        self._background.close()
        self._drop_chip()

    async def _watch(self, listener: CardListener) -> None:
        while True:
            try:
                cards = await self._look()
            except DriverError as error:
                self._drop_chip()
                self._failures += 1
                self._trouble = str(error)
                if self._failures == LOST_AFTER:
                    listener.on_lost(f"card reader at {self._options.port}: {error}")
            else:
                if self._failures >= LOST_AFTER:
                    listener.on_lost(None)
                self._failures = 0
                self._trouble = ""
                listener.report(self._field.see(cards, asyncio.get_running_loop().time()))
            await asyncio.sleep(RETRY_S if self._failures >= LOST_AFTER else self._options.poll_s)

    # --- the chip -----------------------------------------------------------------------------------------------

    async def _look(self) -> list[Sighting]:
        """The cards in the field now; raises `DriverError`."""
        if self._chip is None:
            self._chip = Pn532Chip(self._options.port, self._options.baud)
            await self._set_up(self._chip)
        cards = cards_of_type_a(await self._list_type_a(self._chip))
        if self._options.type_b:
            cards += cards_of_type_b(await self._chip.execute(Command.LIST_TYPE_B))
        if cards:
            await self._chip.execute(Command.RELEASE)  # or it would not answer the next look
        return cards

    async def _list_type_a(self, chip: Pn532Chip) -> bytes:
        """Look for two cards; a chip that can't, which its first answer shows, is asked for one."""
        if self._lists_two is not False:
            try:
                answer = await chip.execute(Command.LIST_TWO_TYPE_A)
            except DriverError:
                if self._lists_two:
                    raise
                self._lists_two = False
            else:
                self._lists_two = True
                return answer
        return await chip.execute(Command.LIST_TYPE_A)

    async def _set_up(self, chip: Pn532Chip) -> None:
        for left in reversed(range(_WAKE_TRIES)):
            try:
                await chip.wake()
                break
            except DeviceLost:
                if not left:
                    raise
        version = await chip.execute(Command.GET_FIRMWARE_VERSION)
        if len(version) < 3 or version[0] != _PN532:
            raise DeviceRefused(f"a PN532 is expected, the chip says {version.hex().upper()}")
        await chip.execute(Command.MAX_RETRIES)
        self._lists_two = None
        firmware, self._firmware = self._firmware, f"{version[1]}.{version[2]}"
        if firmware != self._firmware:
            _log.info("card reader at %s: PN532 with firmware %s", self._options.port, self._firmware)

    def _drop_chip(self) -> None:
        if self._chip is not None:
            self._chip.close()
            self._chip = None
