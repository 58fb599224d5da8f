# SPDX-License-Identifier: Apache-2.0
"""One Modbus line, shared by the devices on it: one transaction at a time, first come, first served.

Its `port` is one of

    /dev/ttyS1                a serial port: Modbus RTU
    rtu://192.168.1.20:4001   RTU through a serial device server
    tcp://192.168.1.20:502    Modbus TCP

Rules
- Between two transactions the line is silent for 10 ms, after a write for 20 ms: an insulation monitor drops requests
  that follow one another faster.
- A transaction lasts at most `reply_s` and the time that its bytes need on the line. A device that is silent costs the
  others this time and no more: no driver has two requests in the queue.
- What arrives while no transaction is going on is dropped, so nothing grows. It is looked at once before: an address
  that answers `TWICE` requests in a row a second time is that of two devices, and neither is believed.
- An adapter that is unplugged is opened again, with a growing pause; until then every request ends at once with
  `DeviceLost`.

Why pymodbus's codec and not its client (3.16.1, measured on an x86-64 machine, CPython 3.11): the client costs 3.2 MB
and 40 ms to import and 0.2 ms a transaction, the codec 1.5 MB and 20 ms and, with `lines.py`, 0.1 ms. More important,
the client believes any frame of the right address, so that a late reply to one register is taken for that of another;
drops a good frame that follows a damaged one; logs an error for every frame of another address; and makes no pause
between transactions.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.modbus.frames import DAMAGED, EXCEPTIONS, Framing, Reply, Request, Rtu, StreamBroken, Tcp
from drivers.modbus.lines import Line, Rs485, Serial, Users, open_serial, open_tcp
from firmware.errors import DeviceLost, DeviceRefused
from firmware.trouble import Trouble

__all__ = ["ModbusBus"]

READ_PAUSE_S = 0.010
WRITE_PAUSE_S = 0.020
OPEN_WITHIN_S = 1.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 5.0
MOST_WAITS = 5
MOST_BYTES = 1024
"""More than any reply and the noise round it."""
TWICE = 3
ALONE = "damaged answers, while others on this line are understood: two devices with this address, or its own setting"
TRY_AGAIN = frozenset({5, 6, 10, 11})
"""Exceptions that say no more than `not now`."""
_REMOTE = re.compile(r"(rtu|tcp)://([^:/\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_log = logging.getLogger(__name__)


class ModbusBus:
    """A line; devices use it through `drivers/modbus/device.py`."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        port: Annotated[str, Meta(min_length=1)]
        baud: Annotated[int, Meta(ge=1200, le=115200)] = 9600
        parity: Literal["N", "E", "O"] = "N"
        stop_bits: Literal[1, 2] = 1
        rs485: Rs485 = "off"
        """Off: the transceiver or the device tree switches its direction."""
        reply_s: Annotated[float, Meta(ge=0.2, le=0.5)] = 0.3

        def __post_init__(self) -> None:
            if "://" in self.port and _REMOTE.fullmatch(self.port) is None:
                raise ValueError("port: expected a device such as /dev/ttyS1, rtu://HOST:PORT or tcp://HOST:PORT")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._remote = _REMOTE.fullmatch(options.port)
        self._framing: Framing = Tcp() if self._remote is not None and self._remote[1] == "tcp" else Rtu()
        self._line: Line | None = None
        self._closed_because = "not open yet"
        self._lost = asyncio.Event()
        self._turn = asyncio.Lock()
        self._request: tuple[Request, int, asyncio.Future[Reply]] | None = None
        self._number = 0
        self._received = b""
        self._answered: tuple[Request, int] | None = None
        """The last transaction, if it was answered."""
        self._since = b""
        """What has come since it began."""
        self._understood: set[int] = set()
        """Addresses whose last answer was a good one."""
        self._doubled: Counter[int] = Counter()
        """How many requests in a row each address has answered twice."""
        self._quiet_until = 0.0
        self._background = Background(f"line {options.port}")
        self._trouble = Trouble(_log, f"Modbus line {options.port}", device=options.port)

    def __str__(self) -> str:
        """The port with its setting, as an electrician compares it with the devices'."""
        if self._remote is not None:
            return self._options.port
        return f"{self._options.port}, {self._options.baud} baud 8{self._options.parity}{self._options.stop_bits}"

    @property
    def is_open(self) -> bool:
        return self._line is not None

    @property
    def received_bytes(self) -> int:
        """What is kept of what was received."""
        return len(self._received)

    async def open(self) -> None:
        """Open the line; goes on in the background if that fails."""
        await self._open_once()
        self._background.start("line", self._keep_open)

    def close(self) -> None:
        self._background.close()
        if self._line is not None:
            self._line.close()
        self._lose("closed")

    # --- transactions --------------------------------------------------------------------------------------------

    async def transact(self, request: Request) -> tuple[int, ...]:
        """Send the request when the line is free; returns the registers of the reply.

        Raises:
            DeviceLost: the line is not open, or nothing that answers this request came in time.
            DeviceRefused: the device answered with an exception.
        """
        async with self._turn:
            await self._silence()
            reply = await self._exchange(request)
        if self._doubled[request.unit] >= TWICE:
            raise DeviceLost("two answers to each request: do two devices have this address?")
        if not reply.exception:
            return reply.registers
        why = f"{EXCEPTIONS.get(reply.exception, 'unknown')} (exception {reply.exception}, register {request.address})"
        raise DeviceLost(why) if reply.exception in TRY_AGAIN else DeviceRefused(why)

    def post(self, request: Request) -> None:
        """Send without waiting for the reply: for a driver's `close`. Blocks for up to a pause of the line."""
        if self._line is not None:
            time.sleep(min(WRITE_PAUSE_S, max(0.0, self._quiet_until - time.monotonic())))
            self._line.write(self._framing.encode(request, self._next_number()))
            self._quiet_until = time.monotonic() + WRITE_PAUSE_S

    async def _silence(self) -> None:
        """Wait until the line was silent for a pause, but not for ever: it may babble."""
        for _ in range(MOST_WAITS):
            left_s = self._quiet_until - time.monotonic()
            if left_s <= 0.0:
                return
            await asyncio.sleep(left_s)

    async def _exchange(self, request: Request) -> Reply:
        line = self._line
        if line is None:
            raise DeviceLost(self._closed_because)
        if self._answered is not None and _look_alike(self._answered[0], request):
            self._note_doubled()  # now, as the next answer could be taken for the second one
        number = self._next_number()
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._request = (request, number, future)
        self._discard()
        frame = self._framing.encode(request, number)
        line.write(frame)
        try:
            async with asyncio.timeout(self._limit_s(len(frame) + request.reply_bytes)):
                reply = await future
            self._understood.add(request.unit)
            return reply
        except TimeoutError:
            self._understood.discard(request.unit)
            why = self._framing.describe(self._received, request)
            raise DeviceLost(ALONE if why == DAMAGED and self._understood else why) from None
        finally:
            self._request = None
            pause = WRITE_PAUSE_S if request.values else READ_PAUSE_S
            self._quiet_until = time.monotonic() + pause

    def _note_doubled(self, refused: Request | None = None) -> None:
        """Whether the last request that was answered has been answered twice.

        An exception does not say which request it answers: that of `refused`, which has just come, is not counted.
        """
        if self._answered is not None:
            request, number = self._answered
            answers = len(list(self._framing.replies(self._since, request, number)))
            if refused is not None and (refused.unit, refused.function) == (request.unit, request.function):
                answers -= 1
            self._doubled[request.unit] = self._doubled[request.unit] + 1 if answers > 1 else 0
        self._answered = None

    def _next_number(self) -> int:
        self._number = self._number % 0xFFFF + 1
        return self._number

    def _limit_s(self, size: int) -> float:
        on_the_line = 0.0 if self._remote is not None else size * 11 / self._options.baud
        return self._options.reply_s + on_the_line

    # --- the line --------------------------------------------------------------------------------------------------

    async def _keep_open(self) -> None:
        pause = FIRST_RETRY_S
        while True:
            if self._line is not None:
                pause = FIRST_RETRY_S
                await self._lost.wait()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_S)
            await self._open_once()

    async def _open_once(self) -> None:
        self._lost.clear()
        users = Users(self._on_data, self._on_lost)
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                self._line = await self._connect(users)
        except TimeoutError:
            self._on_lost("no connection")
        except OSError as error:
            self._on_lost(error.strerror or str(error))
        else:
            self._trouble.worked()
            self._received = b""
            self._quiet_until = time.monotonic() + WRITE_PAUSE_S

    async def _connect(self, users: Users) -> Line:
        options = self._options
        if self._remote is not None:
            return await open_tcp(self._remote[2].strip("[]"), int(self._remote[3]), users)
        return open_serial(options.port, Serial(options.baud, options.parity, options.stop_bits, options.rs485), users)

    def _on_data(self, data: bytes) -> None:
        self._received += data
        self._since = (self._since + data)[-MOST_BYTES:]
        if self._remote is not None and len(self._received) > MOST_BYTES:
            self._drop("it sends more than was asked for")
            return
        self._received = self._received[-MOST_BYTES:]
        try:
            if self._request is None or self._request[2].done():
                self._discard()
                self._quiet_until = max(self._quiet_until, time.monotonic() + READ_PAUSE_S)
                return
            request, number, future = self._request
            reply = next(self._framing.replies(self._received, request, number), None)
        except StreamBroken as error:
            self._drop(str(error))
            return
        if reply is not None:
            self._note_doubled(request if reply.exception else None)
            self._answered, self._since = (request, number), self._received
            future.set_result(reply)

    def _discard(self) -> None:
        self._received = self._framing.rest(self._received)

    def _on_lost(self, reason: str) -> None:
        self._trouble.failed(DeviceLost(reason))
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._line = None
        self._closed_because = f"the line can't be used: {reason}"
        self._lost.set()
        if self._request is not None and not self._request[2].done():
            self._request[2].set_exception(DeviceLost(self._closed_because))

    def _drop(self, reason: str) -> None:
        """Close the line because of what it delivers."""
        if self._line is not None:
            self._line.close()
        self._on_lost(reason)


def _look_alike(first: Request, second: Request) -> bool:
    """Whether an answer to one could be taken for an answer to the other."""
    return (first.unit, first.function, first.reply_bytes) == (second.unit, second.function, second.reply_bytes)
