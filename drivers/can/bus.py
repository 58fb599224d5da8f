# SPDX-License-Identifier: Apache-2.0
"""A CAN bus that several drivers share: CAN 2.0B data frames with 29-bit ids, over any interface of python-can.

    [bus.can0]                                    [bus.can1]
    driver = "can"                                driver = "can"
    interface = "socketcan"                       interface = "slcan"
    channel = "can0"                              channel = "socket://127.0.0.1:43700"
    bitrate = 500000                              bitrate = 125000

With `socketcan` the bit rate is set by the system (systemd-networkd: `BitRate=` and `RestartSec=`, which makes the
controller start again after a bus-off); here it only says what the devices need. `slcan` (`slcan.py`) sets it in the
adapter.

The bus opens again by itself after an error or when its adapter is back, with a back-off of up to 2 s. Frames that
can't be sent are refused with `DeviceLost` and never queued here. Standard, remote and CAN FD frames are ignored.
A bus that takes no frames may still deliver some: it is down until it has been open for a while without refusing what
its drivers send by themselves.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final, Protocol, TypeAlias

import can
from msgspec import Meta, Struct

from drivers.background import Background
from drivers.can.slcan import SlcanBus
from firmware.errors import DeviceLost

__all__ = ["CanBus"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
FULL_S = 2.0
"""A bus that takes no frame for so long is opened again: the far end of an adapter may be gone."""
PROOF_S = 0.5
"""How long a bus that took no frames must be open without refusing any until it is up."""
POLL_S = 0.005
"""How often an interface that has no file descriptor (`virtual`) is read."""
_BURST: Final = 64
"""The most frames that are read before the loop does something else."""
_ERROR_BUS_OFF: Final = 0x40
_ERROR_RESTARTED: Final = 0x100
"""Classes of SocketCAN error frames (linux/can/error.h)."""
_FULL: Final = (None, errno.ENOBUFS, errno.EAGAIN)
_ECHOING: Final = frozenset({"udp_multicast"})
"""Interfaces that deliver to a process what it has sent itself."""

OnFrame: TypeAlias = Callable[[int, bytes, float], None]
OnState: TypeAlias = Callable[[bool, str], None]

_log = logging.getLogger(__name__)


class _Interface(Protocol):
    """What is used of python-can's `BusABC`."""

    def recv(self, timeout: float | None = None) -> can.Message | None: ...

    def send(self, msg: can.Message, timeout: float | None = None) -> None: ...

    def fileno(self) -> int: ...

    def shutdown(self) -> None: ...


class CanBus:
    """One CAN bus."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        interface: Annotated[
            str, Meta(min_length=1, description="interface of python-can: socketcan on a board, slcan for an adapter")
        ]
        channel: Annotated[
            str, Meta(min_length=1, description="can0, or for slcan a serial port or socket://HOST:PORT")
        ]
        bitrate: Annotated[int, Meta(ge=10_000, le=1_000_000, description="bit/s")]
        settings: dict[str, Any] = {}
        """What the interface takes besides, such as `tty_baudrate` of slcan."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._bus: _Interface | None = None
        self._why = "not open yet"
        self._up = False
        self._routes: dict[int, dict[int, tuple[OnFrame, ...]]] = {}
        self._listeners: list[OnState] = []
        self._background = Background(f"CAN bus {options.channel}")
        self._failed = asyncio.Event()
        self._full_since: float | None = None
        self._doubted = False
        """It took no frames when it was open last, and has not yet proved that it does."""
        self._goes_on = False
        """The loop is to read on, as a burst has not emptied the interface."""
        self._worked = False
        """A frame has come in since the bus was opened."""
        self._logged: str | None = None
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=64)

    @property
    def name(self) -> str:
        """Its channel, for texts."""
        return self._options.channel

    @property
    def up(self) -> bool:
        """Whether frames can be sent and received as far as this end can see."""
        return self._up

    # --- the interface of the drivers -----------------------------------------------------------------------

    def require_up(self) -> None:
        """Raise `DeviceLost`, with the reason, while the bus is down."""
        if self._bus is None or not self._up:
            raise DeviceLost(f"CAN bus {self._options.channel}: {self._why}")

    def send(self, can_id: int, data: bytes) -> None:
        """Send a frame of up to 8 bytes now; raises `DeviceLost` if it can't be sent now."""
        if self._bus is None or not self._doubted:
            self.require_up()
        assert self._bus is not None
        try:
            self._bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=True, check=False), timeout=0)
        except (can.CanError, OSError) as error:
            self._not_sent(error)
            raise DeviceLost(f"CAN bus {self._options.channel}: {error}") from error
        self._full_since = None
        if self._options.interface in _ECHOING:
            self._sent.append((can_id, data))

    def listen(self, can_id: int, mask: int, on_frame: OnFrame) -> Callable[[], None]:
        """Call `on_frame(id, data, monotonic seconds)` for each frame whose id is `can_id` in the bits of `mask`.

        Returns a function that ends it.
        """
        key = can_id & mask
        self._route(mask, key, (*self._routes.get(mask, {}).get(key, ()), on_frame))

        def unsubscribe() -> None:
            left = tuple(each for each in self._routes[mask].get(key, ()) if each is not on_frame)
            self._route(mask, key, left)

        return unsubscribe

    def _route(self, mask: int, key: int, listeners: tuple[OnFrame, ...]) -> None:
        """Replace the table, because this may happen while it is read."""
        self._routes = {**self._routes, mask: {**self._routes.get(mask, {}), key: listeners}}

    def on_state(self, listener: OnState) -> None:
        """Call `listener(up, why)` at each change, and once now."""
        self._listeners.append(listener)
        listener(self._up, self._why)

    # --- life ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the bus if it is there now, and keep on trying in the background if not."""
        bus = await self._try()
        if bus is not None:
            self._attach(bus)
        self._background.start("opening", self._keep_open)

    def close(self) -> None:
        self._background.close()
        self._detach("closed")

    async def _keep_open(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            if self._bus is not None:
                await self._failed.wait()
                pause_s = FIRST_PAUSE_S if self._worked and not self._doubted else pause_s
                self._detach(self._why)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            bus = await self._try()
            if bus is not None:
                self._attach(bus)

    async def _try(self) -> _Interface | None:
        """Open the interface in a thread: a lost adapter may block for seconds."""
        opening = asyncio.ensure_future(asyncio.to_thread(_open, self._options))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_shut_down_late)
            raise
        except (can.CanError, OSError, ValueError, TypeError) as error:
            self._set_state(False, str(error))
            return None

    def _attach(self, bus: _Interface) -> None:
        self._bus = bus
        self._failed.clear()
        self._worked, self._full_since = False, None
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(bus.fileno(), self._read)
        except NotImplementedError:
            loop.call_later(POLL_S, self._poll, bus)
        if self._doubted:
            loop.call_later(PROOF_S, self._prove, bus)
        else:
            self._set_state(True, "open")

    def _prove(self, bus: _Interface) -> None:
        """It has been open for a while, and refuses nothing now."""
        if bus is not self._bus or self._failed.is_set():
            return
        if self._full_since is not None or (isinstance(bus, SlcanBus) and bus.refuses):
            asyncio.get_running_loop().call_later(PROOF_S, self._prove, bus)
            return
        self._doubted = False
        self._set_state(True, "frames are sent")

    def _detach(self, why: str) -> None:
        bus, self._bus = self._bus, None
        self._set_state(False, why)
        if bus is not None:
            _forget(bus)
            _shut_down(bus)

    # --- reading ----------------------------------------------------------------------------------------------

    def _poll(self, bus: _Interface) -> None:
        if bus is self._bus:
            self._read()
            asyncio.get_running_loop().call_later(POLL_S, self._poll, bus)

    def _read(self) -> None:
        for _ in range(_BURST):
            try:
                message = self._bus.recv(0) if self._bus is not None else None
            except (can.CanError, OSError) as error:
                self._doubted = self._doubted or getattr(error, "error_code", None) == errno.ENETDOWN
                self._fail(str(error))
                return
            if message is None:
                return
            self._deliver(message)
        if not self._goes_on:  # the descriptor may call as well: one of them in each round of the loop is enough
            self._goes_on = True
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        self._goes_on = False
        self._read()

    def _deliver(self, message: can.Message) -> None:
        can_id = message.arbitration_id
        if message.is_error_frame:
            self._on_error_frame(can_id)
            return
        if not message.is_extended_id or message.is_remote_frame or message.is_fd or not message.is_rx:
            return
        data = bytes(message.data)
        if self._sent and (can_id, data) in self._sent:
            self._sent.remove((can_id, data))
            return
        if not self._worked or not self._up:
            self._worked = True
            if not self._doubted:
                self._set_state(True, "frames are received")
        now = time.monotonic()
        for mask, listeners in self._routes.items():
            for on_frame in listeners.get(can_id & mask, ()):
                on_frame(can_id, data, now)

    # --- trouble ----------------------------------------------------------------------------------------------

    def _on_error_frame(self, classes: int) -> None:
        if classes & _ERROR_RESTARTED:
            self._set_state(True, "restarted after a bus-off")
        elif classes & _ERROR_BUS_OFF:
            self._set_state(False, "bus-off: check the wiring, the termination and the bit rate")

    def _not_sent(self, error: can.CanError | OSError) -> None:
        """A full queue may become empty; after FULL_S, and for any other error, the bus is opened again."""
        if getattr(error, "error_code", None) not in _FULL:
            self._fail(str(error))
            return
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since >= FULL_S:
            self._doubted = True
            self._fail(f"no frame could be sent for {FULL_S:.0f} s: {error}")

    def _fail(self, why: str) -> None:
        if self._bus is not None:
            _forget(self._bus)
        self._set_state(False, why)
        self._failed.set()

    def _set_state(self, up: bool, why: str) -> None:
        """Notify the listeners of a change; log a trouble once, and its end when frames are received again."""
        if not up and why not in (self._logged, "closed"):
            self._logged = why
            _log.warning("CAN bus %s: %s", self._options.channel, why)
        elif up and self._logged is not None and self._worked:
            self._logged = None
            _log.info("CAN bus %s: %s", self._options.channel, why)
        changed = up is not self._up
        self._up, self._why = up, why
        if changed:
            for listener in self._listeners:
                listener(up, why)


def _open(options: CanBus.Options) -> _Interface:
    if options.interface == "slcan":
        return SlcanBus(options.channel, bitrate=options.bitrate, **options.settings)
    bus: _Interface = can.Bus(options.channel, options.interface, bitrate=options.bitrate, **options.settings)
    return bus


def _forget(bus: _Interface) -> None:
    """Stop reading, unless it has no file descriptor, or none any more."""
    with suppress(NotImplementedError, ValueError, can.CanError):
        asyncio.get_running_loop().remove_reader(bus.fileno())


def _shut_down(bus: _Interface) -> None:
    try:
        bus.shutdown()
    except (can.CanError, OSError) as error:
        _log.debug("%s: %s", bus, error)


def _shut_down_late(opening: asyncio.Future[_Interface]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _shut_down(opening.result())
