# SPDX-License-Identifier: Apache-2.0
"""A PN532 at the end of a serial line: one command at a time, each with its limits of time."""

from __future__ import annotations

import asyncio
import termios
from contextlib import suppress

import serial

from drivers.serial.pn532_frames import ACK, WAKE_UP, Answer, Command, Receipt, Splitter, encode
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["Pn532Chip"]

ACK_S = 0.1
"""The chip acknowledges a command within 15 ms."""
ANSWER_S = 0.5
"""Two looks for two cards take 0.1 s at most."""
_MAX_READ = 512
_MAX_FRAMES = 8


class Pn532Chip:
    """The chip at an open port. After a `DriverError` close it, and make another one.

    Raises:
        DeviceLost: the port can't be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError, termios.error) as error:
            raise DeviceLost(f"the serial port can't be opened: {error}") from error
        self._splitter = Splitter()
        self._frames: asyncio.Queue[Answer | Receipt | DeviceLost] = asyncio.Queue(_MAX_FRAMES)
        self._heard = False
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._on_readable)

    def close(self) -> None:
        if self._serial.is_open:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            self._serial.close()

    async def wake(self) -> None:
        """Wake the chip and put it into normal mode."""
        await self.execute(Command.SAM_CONFIGURATION, before=WAKE_UP)

    async def execute(self, command: Command, before: bytes = b"") -> bytes:
        """Carry out a command; returns the data of its answer.

        Raises:
            DeviceLost: no acknowledgement or no answer in time, or the port is gone.
            DeviceRefused: the chip does not know the command.
        """
        self._splitter.clear()
        while not self._frames.empty():
            self._frames.get_nowait()
        self._heard = False
        self._write(before + encode(command))
        await self._receipt()
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    frame = await self._next()
                    if isinstance(frame, Answer) and frame.code == command.code:
                        return frame.data
        except TimeoutError:
            self._write(ACK)  # ends the command
            raise DeviceLost("no answer to a command that it has acknowledged") from None

    async def _receipt(self) -> None:
        try:
            async with asyncio.timeout(ACK_S):
                while await self._next() is not Receipt.ACK:
                    pass
        except TimeoutError:
            said = "something else than a PN532 answers: wrong device or baud rate" if self._heard else "no answer"
            raise DeviceLost(said) from None

    async def _next(self) -> Answer | Receipt:
        frame = await self._frames.get()
        if isinstance(frame, DeviceLost):
            raise frame
        if frame is Receipt.ERROR:
            raise DeviceRefused("the chip answers with an error frame")
        return frame

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except OSError as error:
            raise DeviceLost(f"the serial port is gone: {error}") from error

    def _on_readable(self) -> None:
        try:
            data = self._serial.read(_MAX_READ)
        except OSError as error:
            self.close()
            self._put(DeviceLost(f"the serial port is gone: {error}"))
            return
        self._heard = True
        for frame in self._splitter.feed(data):
            self._put(frame)

    def _put(self, frame: Answer | Receipt | DeviceLost) -> None:
        with suppress(asyncio.QueueFull):  # a device that never stops
            self._frames.put_nowait(frame)
