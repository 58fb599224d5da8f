# SPDX-License-Identifier: Apache-2.0
"""`Contactor` on digital lines: coil and mirror contact, of both poles if they have contactors of their own.

    contactor = { driver = "gpio", lines = "io", coil = 7, mirror = 8 }

A mirror contact (IEC 60947-4-1, annex F) is closed while the main contacts are open, and then makes its line active: a
broken wire reads as a contactor that does not open. `mirror_normally_open` is for an auxiliary contact that is closed
with the main contacts; its broken wire reads as one that does not close.

The coil's supply comes through the watchdog relay (`[board]`), because neither pigpiod nor most chips switch an output
off when the HAL's process dies or the link to the chip is lost.
"""

from __future__ import annotations

from contextlib import suppress

from msgspec import Struct

from drivers.gpio.iio import Channel, ChannelOptions, Sampler
from drivers.gpio.lines import Lines, LineSpec
from firmware.errors import DeviceLost

__all__ = ["GpioContactor"]

VOLTAGE_S = 0.1
VOLTAGE_LOST_S = 0.5


class Voltage(ChannelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An IIO channel for the voltage on the vehicle's side; `ratio`: volts there for one volt at the channel."""

    ratio: float


class ContactorOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`root`: the folder that has `sys`."""

    evse: int
    lines: Lines
    coil: LineSpec
    mirror: LineSpec
    negative_coil: LineSpec | None = None
    negative_mirror: LineSpec | None = None
    mirror_normally_open: bool = False
    voltage: Voltage | None = None
    root: str = "/"


class GpioContactor:
    Options = ContactorOptions

    def __init__(self, options: ContactorOptions) -> None:
        lines = options.lines
        self._coils = [lines.output(each) for each in (options.coil, options.negative_coil) if each is not None]
        self._mirrors = [lines.input(each) for each in (options.mirror, options.negative_mirror) if each is not None]
        self._closed_value = options.mirror_normally_open
        self._commanded = False
        self._voltage = _sampler(options.evse, options.voltage, options.root) if options.voltage is not None else None

    def command(self, closed: bool) -> None:
        self._commanded = closed
        for coil in self._coils:
            coil.set(closed)

    def is_closed(self) -> bool:
        """Of two poles, the one that does not follow the command."""
        closed = [mirror.read() is self._closed_value for mirror in self._mirrors]
        return all(closed) if self._commanded else any(closed)

    def connector_voltage_v(self) -> float | None:
        return self._voltage.value if self._voltage is not None else None

    def close(self) -> None:
        with suppress(DeviceLost):
            self.command(False)
        if self._voltage is not None:
            self._voltage.close()


def _sampler(evse: int, voltage: Voltage, root: str) -> Sampler[float]:
    channel = Channel(voltage, root)
    return Sampler(
        f"the voltage at EVSE {evse}",
        lambda: channel.read() / 1000.0 * voltage.ratio,
        every_s=VOLTAGE_S,
        lost_after_s=VOLTAGE_LOST_S,
    )
