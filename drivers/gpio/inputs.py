# SPDX-License-Identifier: Apache-2.0
"""`Inputs` on digital lines and IIO: emergency stop, door, temperatures of the plugs.

    [inputs]
    driver = "gpio"
    lines = "io"
    emergency_stop = 17
    door = 27

    [[inputs.temperature]]                  # one for each sensor; the hottest of an EVSE counts
    evse = 1
    device = "max31865"
    channel = "temp"

The contacts are normally closed and make their line active while all is well. Several stop buttons are wired in series.
Edges call the listener at once; the levels are read again ten times a second.

An EVSE whose plug has no sensor here has no temperature in the reading (its SECC may read one). Of an EVSE with several
sensors, one that is broken makes the temperature None: the others can't speak for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from drivers.gpio.iio import Channel, Sampler
from drivers.gpio.lines import Lines, LineSpec
from drivers.gpio.thermometers import Sensor, temperature_c
from firmware.errors import DeviceLost
from hal.ports import DeviceInfo, InputsReading

__all__ = ["GpioInputs"]

TEMPERATURES_S = 1.0
TEMPERATURES_LOST_S = 5.0
STALE_AFTER_S = 0.5
_OnChange = Callable[[InputsReading], None]


class InputsOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`root`: the folder that has `sys`. `stale_after_s`: levels that are older count as a pressed stop button."""

    lines: Lines
    emergency_stop: LineSpec
    door: LineSpec | None = None
    temperature: tuple[Sensor, ...] = ()
    root: str = "/"
    stale_after_s: Annotated[float, Meta(gt=0.1, le=5.0)] = STALE_AFTER_S


class GpioInputs:
    Options = InputsOptions

    def __init__(self, options: InputsOptions) -> None:
        self.stale_after_s = options.stale_after_s
        self._lines = options.lines
        self._stop = self._lines.input(options.emergency_stop)
        self._door = self._lines.input(options.door) if options.door is not None else None
        self._temperatures = [(sensor, _sampler(sensor, options.root)) for sensor in options.temperature]

    def reading(self) -> InputsReading:
        return InputsReading(
            mono_s=self._lines.read_at,
            emergency_stop=not self._stop.read(),
            door_open=self._door is not None and not self._door.read(),
            plug_temp_c=self._plug_temp_c(),
        )

    def listen(self, on_change: _OnChange) -> None:
        """The edge itself is reported, even if the level is back before it can be read."""

        def on_stop(closed: bool, mono_s: float) -> None:
            self._report(on_change, lambda reading: replace(reading, mono_s=mono_s, emergency_stop=not closed))

        def on_door(closed: bool, mono_s: float) -> None:
            self._report(on_change, lambda reading: replace(reading, mono_s=mono_s, door_open=not closed))

        self._stop.listen(on_stop)
        if self._door is not None:
            self._door.listen(on_door)

    def devices(self) -> list[DeviceInfo]:
        return [self._contacts(), *(_thermometer(sensor, sampler) for sensor, sampler in self._temperatures)]

    def close(self) -> None:
        for _, sampler in self._temperatures:
            sampler.close()

    def _report(self, on_change: _OnChange, with_edge: Callable[[InputsReading], InputsReading]) -> None:
        try:
            reading = self.reading()
        except DeviceLost:
            return  # which the next reading says, and which counts as a pressed stop button
        on_change(with_edge(reading))

    def _contacts(self) -> DeviceInfo:
        try:
            reading = self.reading()
        except DeviceLost as error:
            return DeviceInfo(name="contacts", address=self._lines.chip, answers=False, state=str(error))
        stop, door = reading.emergency_stop, reading.door_open
        state = f"emergency stop {'pressed' if stop else 'released'}, door {'open' if door else 'closed'}"
        return DeviceInfo(name="contacts", address=self._lines.chip, state=state)

    def _plug_temp_c(self) -> dict[int, float | None]:
        found: dict[int, float | None] = {}
        for sensor, sampler in self._temperatures:
            value, before = sampler.value, found.get(sensor.evse, -math.inf)
            found[sensor.evse] = max(value, before) if value is not None and before is not None else None
        return found


def _thermometer(sensor: Sensor, sampler: Sampler[float | None]) -> DeviceInfo:
    value = sampler.value
    return DeviceInfo(
        name=f"temperature of EVSE {sensor.evse}",
        address=f"{sensor.device} {sensor.channel}",
        answers=value is not None,
        state=f"{value:.1f} °C" if value is not None else sampler.error or "open, shorted or out of range",
    )


def _sampler(sensor: Sensor, root: str) -> Sampler[float | None]:
    channel = Channel(sensor, root)
    return Sampler(
        f"the temperature of EVSE {sensor.evse}",
        lambda: temperature_c(sensor, channel.read()),
        every_s=TEMPERATURES_S,
        lost_after_s=TEMPERATURES_LOST_S,
    )
