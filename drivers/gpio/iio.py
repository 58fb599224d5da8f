# SPDX-License-Identifier: Apache-2.0
"""Analogue inputs through Linux IIO: a value of `/sys/bus/iio/devices`, and how often it is read.

Source: the kernel's Documentation/ABI/testing/sysfs-bus-iio. A channel such as `temp0` has its value in
`in_temp0_input`, or as (`in_temp0_raw` + `in_temp0_offset`) x `in_temp0_scale`, where offset and scale may belong to
all channels of the kind (`in_temp_scale`). Units: millidegrees Celsius, millivolts, ohms.

A read lasts as long as the conversion, which may be longer than the event loop may be blocked: it is done on a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from drivers.background import Background
from firmware.errors import DeviceLost
from firmware.trouble import Trouble

__all__ = ["Channel", "ChannelOptions", "Sampler"]

_Value = TypeVar("_Value")
_log = logging.getLogger(__name__)


class ChannelOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`device`: the name or label of an IIO device, or its folder such as "iio:device0"; `channel`: such as "temp0"."""

    device: str
    channel: Annotated[
        str, Meta(pattern=r"^(temp|resistance|voltage)\d*$", description='"temp0", "resistance0" or "voltage0"')
    ]

    @property
    def kind(self) -> str:
        return self.channel.rstrip("0123456789")


class Channel:
    """One channel; `root` is the folder that has `sys`."""

    def __init__(self, options: ChannelOptions, root: str = "/") -> None:
        self.options = options
        self._devices = Path(root, "sys/bus/iio/devices")
        self._folder: Path | None = None

    def read(self) -> float:
        """In the unit of its kind; blocks for a conversion. Raises `DeviceLost`."""
        try:
            return self._read(self._folder or self._find())
        except (OSError, ValueError) as error:
            self._folder = None
            described = error.strerror or error if isinstance(error, OSError) else error
            raise DeviceLost(f"{self.options.device} {self.options.channel}: {described}") from error

    def _find(self) -> Path:
        """The folder of the device, whose number may change with each boot."""
        folder = self._devices / self.options.device
        if folder.is_dir():
            self._folder = folder
            return folder
        for folder in sorted(self._devices.glob("iio:device*")):
            if self.options.device in (_text(folder / "name"), _text(folder / "label")):
                self._folder = folder
                return folder
        raise DeviceLost(f"no IIO device {self.options.device}")

    def _read(self, folder: Path) -> float:
        channel = self.options.channel
        value = _text(folder / f"in_{channel}_input")
        if value is not None:
            return float(value)
        raw = float((folder / f"in_{channel}_raw").read_text())
        return (raw + self._factor(folder, "offset", 0.0)) * self._factor(folder, "scale", 1.0)

    def _factor(self, folder: Path, name: str, default: float) -> float:
        for channel in (self.options.channel, self.options.kind):
            value = _text(folder / f"in_{channel}_{name}")
            if value is not None:
                return float(value)
        return default


class Sampler(Generic[_Value]):
    """Calls `read` every `every_s` on a thread; `value` is None before the first value and after `lost_after_s`."""

    def __init__(self, what: str, read: Callable[[], _Value], *, every_s: float, lost_after_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self._lost_after_s = lost_after_s
        self._value: _Value | None = None
        self._read_at = 0.0
        self._error = "no reading yet"
        self._trouble = Trouble(_log, f"{what} can't be read")
        self._background = Background(what)
        self._background.start("samples", self._run)

    @property
    def value(self) -> _Value | None:
        age_s = asyncio.get_running_loop().time() - self._read_at
        return self._value if age_s <= self._lost_after_s else None

    @property
    def error(self) -> str:
        """Why there is no value; empty if it was read."""
        return self._error

    def close(self) -> None:
        self._background.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._value = await asyncio.to_thread(self._read)
            except DeviceLost as error:
                self._value = None
                self._error = str(error)
                self._trouble.failed(error)
            else:
                self._error = ""
                self._trouble.worked()
            self._read_at = loop.time()
            await asyncio.sleep(self._every_s)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
