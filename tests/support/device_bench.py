# SPDX-License-Identifier: Apache-2.0
"""A device that measures, and its driver, as tests of a port see them: read, unplugged, plugged in again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from drivers.modbus.bus import ModbusBus
from firmware.errors import DriverError
from tests.support.sockets import eventually
from tools.rig.devices.modbus_slave import SlaveLine

__all__ = ["DeviceBench", "OnLine"]


class _Dated(Protocol):
    @property
    def mono_s(self) -> float: ...


R = TypeVar("R", bound=_Dated)


class DeviceBench(ABC, Generic[R]):
    """`start` makes the driver; `R` is what its port reads."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def unplug(self) -> None: ...

    @abstractmethod
    async def plug_in(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def read(self) -> R:
        """The port's reading; raises `DriverError`."""

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; time passes."""
        await eventually(condition)

    def newest(self) -> R | None:
        """The reading, or None of a lost device."""
        try:
            return self.read()
        except DriverError:
            return None

    async def reads(self, condition: Callable[[R], object]) -> R:
        """Wait for a reading that fulfils the condition."""
        await self.until(lambda: (new := self.newest()) is not None and condition(new))
        return self.read()

    async def next_reading(self) -> R:
        before = self.newest()
        return await self.reads(lambda new: before is None or new.mono_s > before.mono_s)


class OnLine:
    """The part of a bench whose device is on a serial line of Modbus, `line`."""

    line: SlaveLine
    bus: ModbusBus

    async def open_line(self, options: ModbusBus.Options) -> None:
        await self.line.start()
        self.bus = ModbusBus(options)
        await self.bus.open()

    async def unplug(self) -> None:
        self.line.close()

    async def plug_in(self) -> None:
        await self.line.start()

    def close_line(self) -> None:
        self.bus.close()
        self.line.close()
        assert self.line.violations == []
