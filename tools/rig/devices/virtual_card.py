# SPDX-License-Identifier: Apache-2.0
"""A contactless card in the virtual PC/SC reader (vpcd of vsmartcard), as that reader's TCP client.

Each message is a length of two bytes and a body. A body of one byte is a command of the reader (off, on, reset, ATR),
a longer one is a command APDU. The card is in the field for as long as the connection exists.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

__all__ = ["ATR", "VirtualCard"]

ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
"""A storage card behind a contactless reader."""
POWER_ON = b"\x01"
GET_ATR = b"\x04"
GET_UID = bytes.fromhex("FFCA0000")
SIGNAL = bytes.fromhex("FF0040")


class VirtualCard:
    """The card; `port` is that of the reader's slot.

    Attributes:
        garbled_atr: its ATR is not one, when the reader has switched it on.
        answer: what it answers to a request of its UID, instead of that.
        asks_length: it wants the exact length in a request of its UID.
        leaves_at_request: it leaves the field when its UID is requested.
        signals: what the reader was told to show, as if this was an ACR122U.
        reads: how often its UID was requested.
    """

    def __init__(self, port: int, uid: bytes) -> None:
        self.uid = uid
        self.garbled_atr = self.asks_length = self.leaves_at_request = False
        self.answer: bytes | None = None
        self.signals: list[bytes] = []
        self.reads = 0
        self._garble_once = False
        self._port = port
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Hold the card to the reader."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._task = asyncio.get_running_loop().create_task(self._serve(reader, self._writer))

    def close(self) -> None:
        """Take it away."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                answer = self._answer_to(await reader.readexactly(length))
                if answer is not None and self._writer is not None:
                    writer.write(len(answer).to_bytes(2) + answer)
        writer.close()

    def _handle(self, command: bytes) -> bytes | None:
        """A command of the reader."""
        if command == POWER_ON:
            self._garble_once = self.garbled_atr
        if command != GET_ATR:
            return None
        garbled, self._garble_once = self._garble_once, False
        return b"\x00\x00" if garbled else ATR

    def _answer_to(self, body: bytes) -> bytes | None:
        if len(body) == 1:
            return self._handle(body)
        if body.startswith(SIGNAL):
            self.signals.append(body)
            return b"\x90\x00"
        if not body.startswith(GET_UID):
            return b"\x6a\x81"
        self.reads += 1
        if self.leaves_at_request:
            self.close()
            return None
        if self.answer is not None:
            return self.answer
        if self.asks_length and body[4:] != bytes([len(self.uid)]):
            return bytes([0x6C, len(self.uid)])
        return self.uid + b"\x90\x00"
