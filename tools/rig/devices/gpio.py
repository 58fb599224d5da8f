# SPDX-License-Identifier: Apache-2.0
"""pigpiod, and the cabinet's contacts and coils on its lines.

    daemon = Pigpiod()
    await daemon.start()                    # on `daemon.port`
    daemon.drive(17, True)                  # something outside pulls line 17 up; None: its wire is broken
    daemon.on_output = lambda line, level: ...

Written from the socket interface of the pigpio library. An input that nothing drives follows its pull resistor; an
edge is reported when it has lasted for the line's glitch filter. What a client does that the protocol does not allow
is answered with pigpiod's error and counted in `violations`. Faults: `silent` (takes commands, answers none),
`deaf` (reports no edges), `refused` (lines without permission), `babbling` (sends garbage in place of answers),
`babble()` once, and `close()` with a `start()` later, which keeps the port.

`CabinetLines` is a whole cabinet: stop button, door, watchdog relay, a coil and a mirror contact for each EVSE.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from drivers.simulated.world.world import World

__all__ = ["LINES", "CabinetLines", "Pigpiod", "Pigpiods"]

LINES = 28
"""Lines on the header of a Raspberry Pi: 0 to 27."""
PATIENCE_S = 2.0
"""A simulation on a busy laptop may be delayed longer than a real pigpiod is silent."""
VERSION = 79
HARDWARE = 0xA02082
_COMMAND = struct.Struct("<IIII")
_ANSWER = struct.Struct("<IIIi")
_REPORT = struct.Struct("<HHII")
_BAD_GPIO, _BAD_MODE, _BAD_LEVEL, _BAD_PULL, _BAD_HANDLE, _NOT_PERMITTED = -3, -4, -5, -6, -25, -41
_UNKNOWN_COMMAND, _BAD_FILTER = -88, -125
_LONGEST_FILTER_US = 300_000
_GARBAGE = b"\x5a" * 160
_log = logging.getLogger(__name__)


class Pigpiod:
    """One daemon on the loopback; `port` 0 is any free port, which it then keeps."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.on_output: Callable[[int, bool], None] = lambda line, level: None
        """Called when a client changes the level of an output; `on_write` for each command, changing or not."""
        self.on_write: Callable[[int, bool], None] = lambda line, level: None
        self.silent = False
        self.deaf = False
        self.babbling = False
        self.refused: set[int] = set()
        self.violations: list[str] = []
        self._outputs: dict[int, bool] = {}
        self._pulls: dict[int, int] = {}
        self._filters_us: dict[int, int] = {}
        self._driven: dict[int, bool | None] = {}
        self._filtered: dict[int, bool] = {}
        """The level of each line as it was last reported."""
        self._changes: dict[int, int] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._handles: dict[int, _Client] = {}

    # --- the daemon ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """The daemon dies: its clients are disconnected, its lines stay as they are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._filters_us.clear()
        for client in tuple(self._clients):
            client.abort()

    def babble(self) -> None:
        """Send every client what it has not asked for."""
        for client in self._clients:
            client.send(_GARBAGE)

    @property
    def connected(self) -> bool:
        return bool(self._clients)

    # --- the wires ----------------------------------------------------------------------------------------------

    def drive(self, line: int, level: bool | None) -> None:
        """Let something outside drive a line; None: nothing does."""
        if self._driven.get(line) is not level or line not in self._driven:
            self._driven[line] = level
            self._settle(line)

    def level(self, line: int) -> bool:
        """The level that a voltmeter shows."""
        if line in self._outputs:
            return self._outputs[line]
        driven = self._driven.get(line)
        return driven if driven is not None else self._pulls.get(line) == 2

    def is_output(self, line: int) -> bool:
        return line in self._outputs

    def _settle(self, line: int) -> None:
        """Report the line's level when it has lasted for the glitch filter."""
        wait_us = self._filters_us.get(line, 0)
        self._changes[line] = change = self._changes.get(line, 0) + 1
        if wait_us and self._handles:
            asyncio.get_running_loop().call_later(wait_us / 1e6, self._report, line, change)
        else:
            self._report(line, change)

    def _report(self, line: int, change: int) -> None:
        level = self.level(line)
        if self._changes[line] == change and self._filtered.get(line, False) is not level:
            self._filtered[line] = level
            if not self.deaf:
                for client in self._handles.values():
                    client.report(line)

    def filtered_bank(self) -> int:
        return sum(1 << line for line, level in self._filtered.items() if level)

    # --- commands -----------------------------------------------------------------------------------------------

    def carry_out(self, client: _Client, code: int, first: int, second: int, length: int) -> int:
        """One command; returns its result."""
        run = _COMMANDS.get(code)
        if run is None or length:
            return self._violation(_UNKNOWN_COMMAND, f"command {code} with {length} bytes of extension")
        if code in _OF_LINES and first > 53:
            return self._violation(_BAD_GPIO, f"command {code}: no line {first}")
        if code in _OF_LINES and first in self.refused:
            return _NOT_PERMITTED
        return run(self, client, first, second)

    def _violation(self, result: int, what: str) -> int:
        _log.warning("pigpiod on port %d: %s", self.port, what)
        self.violations.append(what)
        return result

    def _set_mode(self, client: _Client, line: int, mode: int) -> int:
        if mode > 1:
            return self._violation(_BAD_MODE, f"line {line}: mode {mode}")
        if mode == 1:
            self._put(line, self._outputs.get(line, False))
        elif line in self._outputs:
            del self._outputs[line]
            self._settle(line)
        return 0

    def _get_mode(self, client: _Client, line: int, _second: int) -> int:
        return int(line in self._outputs)

    def _set_pull(self, client: _Client, line: int, pull: int) -> int:
        if pull > 2:
            return self._violation(_BAD_PULL, f"line {line}: pull {pull}")
        self._pulls[line] = pull
        self._settle(line)
        return 0

    def _read(self, client: _Client, line: int, _second: int) -> int:
        return self.level(line)

    def _write(self, client: _Client, line: int, level: int) -> int:
        if level > 1:
            return self._violation(_BAD_LEVEL, f"line {line}: level {level}")
        self.on_write(line, bool(level))
        self._put(line, bool(level))
        return 0

    def _put(self, line: int, level: bool) -> None:
        if self._outputs.get(line) is not level:
            self._outputs[line] = level
            self._settle(line)
            self.on_output(line, level)

    def _read_bank(self, client: _Client, _first: int, _second: int) -> int:
        bank = sum(1 << line for line in range(32) if self.level(line))
        return bank - (1 << 32) if bank >> 31 else bank

    def _notify_here(self, client: _Client, _first: int, _second: int) -> int:
        handle = next(number for number in range(32) if number not in self._handles)
        self._handles[handle] = client
        return handle

    def _notify(self, client: _Client, handle: int, bits: int) -> int:
        if handle not in self._handles:
            return self._violation(_BAD_HANDLE, f"no notification {handle}")
        self._handles[handle].bits = bits
        for line in range(32):
            self._filtered[line] = self.level(line)
        return 0

    def _close_notification(self, client: _Client, handle: int, _second: int) -> int:
        if self._handles.pop(handle, None) is None:
            return self._violation(_BAD_HANDLE, f"no notification {handle}")
        return 0

    def _filter(self, client: _Client, line: int, steady_us: int) -> int:
        if steady_us > _LONGEST_FILTER_US:
            return self._violation(_BAD_FILTER, f"line {line}: glitch filter of {steady_us} us")
        self._filters_us[line] = steady_us
        return 0

    def add(self, client: _Client) -> None:
        self._clients.add(client)

    def remove(self, client: _Client) -> None:
        self._clients.discard(client)
        self._handles = {handle: each for handle, each in self._handles.items() if each is not client}


_COMMANDS: dict[int, Callable[[Pigpiod, Any, int, int], int]] = {
    0: Pigpiod._set_mode,
    1: Pigpiod._get_mode,
    2: Pigpiod._set_pull,
    3: Pigpiod._read,
    4: Pigpiod._write,
    10: Pigpiod._read_bank,
    16: lambda daemon, client, first, second: client.tick_us(),
    17: lambda daemon, client, first, second: HARDWARE,
    19: Pigpiod._notify,
    21: Pigpiod._close_notification,
    26: lambda daemon, client, first, second: VERSION,
    97: Pigpiod._filter,
    99: Pigpiod._notify_here,
}
_OF_LINES = frozenset({0, 1, 2, 3, 4, 97})


class _Client(asyncio.Protocol):
    """One connection: answers each command, and after NOIB also carries reports."""

    def __init__(self, daemon: Pigpiod) -> None:
        self.bits = 0
        self._daemon = daemon
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._daemon.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _COMMAND.size:
            frame = bytes(self._buffer[: _COMMAND.size])
            del self._buffer[: _COMMAND.size]
            if self._daemon.babbling:
                self.send(_GARBAGE)
            elif not self._daemon.silent:
                result = self._daemon.carry_out(self, *_COMMAND.unpack(frame))
                self.send(_ANSWER.pack(*_COMMAND.unpack(frame)[:3], result))

    def connection_lost(self, error: Exception | None) -> None:
        self._daemon.remove(self)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def report(self, line: int) -> None:
        if self.bits >> line & 1:
            self.send(_REPORT.pack(self._number, 0, self.tick_us(), self._daemon.filtered_bank()))
            self._number = (self._number + 1) & 0xFFFF

    @staticmethod
    def tick_us() -> int:
        return int(asyncio.get_running_loop().time() * 1e6) & 0x7FFF_FFFF


class Pigpiods:
    """As many daemons as lines are needed; each is a bus `NAME0`, `NAME1` ... of the HAL's settings.

    `options` are those of the bus besides its address.
    """

    def __init__(self, name: str, count: int, **options: object) -> None:
        self.daemons = [Pigpiod() for _ in range(count)]
        self._name = name
        self._options = options

    async def start(self) -> None:
        for daemon in self.daemons:
            await daemon.start()

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.close()

    def bus(self, index: int) -> str:
        return f"{self._name}{index}"

    def buses(self) -> dict[str, dict[str, object]]:
        """The tables `[bus.NAME]`."""
        return {
            self.bus(index): {"driver": "pigpio", "host": "127.0.0.1", "port": daemon.port, **self._options}
            for index, daemon in enumerate(self.daemons)
        }


class CabinetLines(Pigpiods):
    """The world's contacts and coils on as many daemons as they need.

    A contact of stop button and door is closed while all is well, and then drives its line high. A mirror contact is
    closed while its contactor is open. Each change of the watchdog relay's line feeds the world's watchdog.
    """

    STOP, DOOR, WATCHDOG, FIRST = 4, 5, 6, 7

    def __init__(self, world: World) -> None:
        self._world = world
        places = [(index, line) for index in range(4) for line in range(self.FIRST if index == 0 else 0, LINES - 1, 2)]
        self._places = dict(zip(world.evses, places, strict=False))
        super().__init__("lines", 1 + max(index for index, _ in self._places.values()), answer_s=PATIENCE_S)
        self.stop_wire_broken = False
        for index, daemon in enumerate(self.daemons):
            daemon.on_output = partial(self._on_output, index)

    async def start(self) -> None:
        self.step()
        await super().start()

    def step(self) -> None:
        """Bring lines and world together: after each step of the world, and at once after a change from outside."""
        world, station = self._world, self.daemons[0]
        station.drive(self.STOP, None if self.stop_wire_broken or world.faults.emergency_stop else True)
        station.drive(self.DOOR, None if world.faults.door_open else True)
        for number, (index, coil) in self._places.items():
            contactor = world.evses[number].contactor
            contactor.command(self._fed(index, coil))
            self.daemons[index].drive(coil + 1, None if contactor.closed else True)

    def coil(self, evse: int) -> int:
        """The line of an EVSE's coil, on its daemon."""
        return self._places[evse][1]

    def mirror(self, evse: int) -> int:
        return self._places[evse][1] + 1

    def inputs(self) -> dict[str, object]:
        """The table `[inputs]`."""
        lines = {"lines": self.bus(0), "emergency_stop": self.STOP, "door": self.DOOR}
        return {"driver": "gpio", **lines, "stale_after_s": PATIENCE_S}

    def contactor(self, evse: int) -> dict[str, object]:
        """The table `contactor` of an EVSE."""
        lines = self.bus(self._places[evse][0])
        return {"driver": "gpio", "lines": lines, "coil": self.coil(evse), "mirror": self.mirror(evse)}

    def watchdog(self) -> dict[str, object]:
        """What the table `[board]` needs for the watchdog relay."""
        return {"lines": self.bus(0), "watchdog_relay": self.WATCHDOG}

    def _fed(self, index: int, coil: int) -> bool:
        return self._world.chain_closed and self.daemons[index].is_output(coil) and self.daemons[index].level(coil)

    def _on_output(self, index: int, line: int, level: bool) -> None:
        if (index, line) == (0, self.WATCHDOG):
            self._world.board.feed_watchdog()
        for number, place in self._places.items():
            if place == (index, line):
                self._world.evses[number].contactor.command(self._fed(index, line))
