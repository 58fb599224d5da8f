# SPDX-License-Identifier: Apache-2.0
"""A PN532 card reader on a pseudo terminal, after the chip's manual (UM0701-02) and not after the driver.

The chip sleeps until it is woken, then knows no other command until SAMConfiguration, and waits for a card for ever
until it is given a limit. What a host does wrong is logged and kept in `violations`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.rig.devices.pty_device import PtyDevice

__all__ = ["Card", "Pn532"]

PREAMBLE = b"\x00\x00\xff"
ACK = bytes.fromhex("0000FF00FF00")
ERROR = bytes.fromhex("0000FF01FF7F8100")
NO_LIMIT = 0xFF
LOOK_S = 0.03
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Card:
    """A card: UID (type A) or PUPI (type B); one with an `ats` is a processor card, as phones are."""

    uid: bytes
    ats: bytes = b""
    type_b: bool = False

    def as_target(self, number: int) -> bytes:
        if self.type_b:
            return bytes([number, 0x50]) + self.uid + bytes(7) + b"\x01\x00"
        sens_res = {7: b"\x00\x44", 10: b"\x03\x44"}.get(len(self.uid), b"\x00\x04")
        sel_res = 0x20 if self.ats else 0x08
        ats = bytes([len(self.ats) + 1]) + self.ats if self.ats else b""
        return bytes([number]) + sens_res + bytes([sel_res, len(self.uid)]) + self.uid + ats


class Pn532(PtyDevice):
    """The reader.

    Args:
        port: the link to be made.
        field: the cards of type B, or of type A, in the field now; without it, those in `cards`.

    Attributes:
        noise: bytes before each frame.
        drop_acks: how many acknowledgements get lost from now.
        corrupt: how many answers have a wrong checksum.
        errors: how many commands are answered by an error frame.
        lists: how many cards it can list at once.
        chip: the first byte of the firmware version, 0x32 in a PN532.
        commands: how many commands were carried out.
    """

    def __init__(self, port: Path, field: Callable[[bool], Sequence[Card]] | None = None) -> None:
        super().__init__(port)
        self.cards: list[Card] = []
        self.noise = b""
        self.drop_acks = self.corrupt = self.errors = self.commands = 0
        self.chip = 0x32
        self.lists = 2
        self._field = field or (lambda type_b: [card for card in self.cards if card.type_b is type_b])
        self._looking: asyncio.Task[None] | None = None
        self.cut_power()

    def cut_power(self) -> None:
        """The chip begins anew, while the port stays."""
        self._awake = self._normal_mode = False
        self._retries = NO_LIMIT
        self._input = b""
        self._stop_looking()

    # --- the line ------------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        self._input = (self._input + data)[-1024:]
        if self.silent or self.babbling:
            self._input = b""
        if not self._awake:
            woken, _, rest = self._input.partition(b"\x55\x55")
            if len(woken) == len(self._input):
                return
            self._awake, self._input = True, rest
        while (body := self._next_frame()) is not None:
            self._handle(body)

    def _next_frame(self) -> bytes | None:
        """The data of the next command from TFI on; empty for an ACK."""
        while (start := self._input.find(PREAMBLE)) >= 0:
            rest = self._input[start + 3 :]
            if len(rest) < 2:
                return None
            length = rest[0]
            if rest[:2] == b"\x00\xff":
                self._input = rest[2:]
                return b""
            if len(rest) < length + 3:
                return None
            body, self._input = rest[2 : 2 + length], rest[3 + length :]
            if (length + rest[1]) % 256 or sum(rest[2 : 3 + length]) % 256 or body[:1] != b"\xd4":
                self._violated(f"a broken frame: {rest[: length + 3].hex()}")
                continue
            return body
        return None

    def _send(self, frame: bytes) -> None:
        self._write(self.noise + frame)

    def _answer(self, code: int, data: bytes) -> None:
        body = bytes([0xD5, code + 1]) + data
        check = -sum(body) % 256
        if self.corrupt:
            self.corrupt -= 1
            check ^= 0x55
        self._send(PREAMBLE + bytes([len(body), -len(body) % 256]) + body + bytes([check, 0]))

    def _violated(self, what: str) -> None:
        _log.warning("PN532: %s", what)
        super()._violated(what)

    # --- the commands --------------------------------------------------------------------------------------------

    def _handle(self, body: bytes) -> None:
        if not body:
            self._stop_looking()
            return
        if self._looking is not None:
            self._violated(f"command {body[1]:02X} while another one runs")
            self._stop_looking()
        if self.drop_acks:
            self.drop_acks -= 1
        else:
            self._send(ACK)
        code, data = body[1], body[2:]
        command = _COMMANDS.get(code)
        if command is None or not (self._normal_mode or code in _BEFORE_NORMAL_MODE):
            self._violated(f"command {code:02X} is unknown, or comes before SAMConfiguration")
            self._send(ERROR)
        elif self.errors:
            self.errors -= 1
            self._send(ERROR)
        else:
            self.commands += 1
            command(self, data)

    def _get_firmware_version(self, data: bytes) -> None:
        self._answer(0x02, bytes([self.chip, 0x01, 0x06, 0x07]))

    def _sam_configuration(self, data: bytes) -> None:
        if data[:1] != b"\x01":
            self._violated(f"SAM mode {data.hex()}")
        self._normal_mode = True
        self._answer(0x14, b"")

    def _rf_configuration(self, data: bytes) -> None:
        if data[:1] == b"\x05" and len(data) == 4:
            self._retries = data[3]
        else:
            self._violated(f"RFConfiguration {data.hex()}")
        self._answer(0x32, b"")

    def _list_targets(self, data: bytes) -> None:
        most, kind = data[0], data[1]
        if most > self.lists:
            self._send(ERROR)
            return
        if most not in (1, 2) or (kind, len(data)) not in ((0, 2), (3, 3)):
            self._violated(f"InListPassiveTarget {data.hex()}")
        self._looking = asyncio.get_running_loop().create_task(self._look(most, type_b=kind == 3))

    async def _look(self, most: int, *, type_b: bool) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            found = self._field(type_b)[:most]
            looks += 1
            if found or (self._retries != NO_LIMIT and looks > self._retries):
                break
        self._looking = None
        targets = [card.as_target(number) for number, card in enumerate(found, 1)]
        self._answer(0x4A, bytes([len(targets)]) + b"".join(targets))

    def _release(self, data: bytes) -> None:
        self._answer(0x52, b"\x00")

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = None


_COMMANDS: dict[int, Callable[[Pn532, bytes], None]] = {
    0x02: Pn532._get_firmware_version,
    0x14: Pn532._sam_configuration,
    0x32: Pn532._rf_configuration,
    0x4A: Pn532._list_targets,
    0x52: Pn532._release,
}
_BEFORE_NORMAL_MODE = (0x02, 0x14)
