# SPDX-License-Identifier: Apache-2.0
"""Bender isoCHA425HV on Modbus RTU.

    [bus.imd]
    driver = "modbus"
    port = "/dev/ttyS1"
    baud = 19200                  # its factory setting: 19200 or, of other deliveries, 9600
    parity = "E"

    insulation = { driver = "isocha425hv", bus = "imd", address = 3 }

States: *starting* (identify, write all settings, read them back), then *off* or *measuring*, and within the latter
*settling* and *self test*. A lost link and a device error lead back to *starting*: a device that was without power has
lost nothing but time, one that was replaced has settings of its own.

Rules
- After a device error nothing but *measuring* is written until the error is gone.
- Measuring off (register 3026 = 0) disconnects the monitor from the line, so that of two that see the same outlet one
  can be off. It starts off, and is off after `close`.
- A reading is valid while it measures, has settled, tests nothing and shows no device error. A value that is *bigger*
  than shown counts as shown, one that is *smaller* as zero.
- A monitor that has settled and shows no value is `not valid`: for how long that may last is the HAL's to say.
- What was commanded holds over a short loss of the link; after a command that was refused, it is off. A device that
  answers can be commanded before its settings are complete.
- The self test has passed if its bits have been seen and gone within 30 s without a device error. A lost link makes it
  none, whatever its result.
- The voltages to earth are not read during a self test.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Annotated

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.modbus import isocha_registers as reg
from drivers.modbus.bus import ModbusBus
from drivers.modbus.device import ModbusDevice, Probe
from drivers.modbus.isocha_registers import Alarm, Measurement, Register, RunningTest
from firmware.errors import DeviceLost, DeviceRefused, DriverError
from firmware.trouble import Trouble
from hal.ports import DeviceInfo, InsulationReading

__all__ = ["IsoCha425Hv"]

RETRY_S = 1.0
REFUSED_RETRY_S = 16.0
"""It keeps its settings in a memory that wears: what refuses them is asked less and less often."""
SELF_TEST_S = 30.0
SELF_TEST_BEGINS_S = 5.0
"""The test bits appear within about a second."""
PROBE = Probe(Register.NAME, counts=(2, 3, 5, 7, 9))
_log = logging.getLogger(__name__)


class IsoCha425Hv:
    """`InsulationMonitor` of one EVSE."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        bus: ModbusBus
        evse: int
        address: Annotated[int, Meta(ge=3, le=90)] = 3
        model: str = "isoCHA"
        """What the name in the device contains."""
        pre_alarm_kohm: Annotated[int, Meta(ge=15, le=600)] = 250
        alarm_kohm: Annotated[int, Meta(ge=1, le=600)] = 100
        registers: dict[str, Annotated[int, Meta(ge=0, le=0xFFFF)]] = {}
        """Other settings than the driver's own, by register: `{ 3018 = 0 }`."""
        poll_s: Annotated[float, Meta(ge=0.1, le=1.0)] = 0.5
        settle_s: Annotated[float, Meta(ge=0.0, le=20.0)] = 10.0
        """From the beginning of measuring to the first valid reading."""

        def __post_init__(self) -> None:
            if self.alarm_kohm >= self.pre_alarm_kohm:
                raise ValueError("alarm_kohm is not below pre_alarm_kohm")
            unknown = set(self.registers) - {str(each) for each in reg.DEFAULTS}
            if unknown:
                raise ValueError(f"registers: {min(unknown)} is not a setting of this device")

    stale_after_s = 2.5

    def __init__(self, options: Options) -> None:
        self._options = options
        self._device = ModbusDevice(options.bus, options.address, "isoCHA425HV", PROBE)
        self._wanted = False
        self._measuring = False
        """What register 3026 holds."""
        self._measures_since = 0.0
        self._test_wanted = False
        self._test: _SelfTest | None = None
        self._passed: bool | None = None
        self._reading: InsulationReading | None = None
        self._problem: DriverError | None = DeviceLost(f"{self._device} has not answered yet")
        """Why there is no reading."""
        self._lost: DriverError | None = self._problem
        """Why there can be no command; a device that is being set up can be commanded."""
        self._wake = asyncio.Event()
        self._place = f"insulation monitor of EVSE {options.evse}"
        self._trouble = Trouble(_log, self._place, device=str(self._device))
        self._name = self._firmware = ""
        self._background = Background(str(self._device))
        self._background.start("reading", self._run)

    # --- InsulationMonitor -----------------------------------------------------------------------------------------

    def enable(self, active: bool) -> None:
        self._require_link()
        self._wanted = active
        if not active:
            self._test_wanted, self._test, self._passed = False, None, None
        self._wake.set()

    def start_self_test(self) -> None:
        self._require_link()
        if self._wanted:
            self._test_wanted, self._test, self._passed = True, None, None
            self._wake.set()

    def reading(self) -> InsulationReading:
        _raise_if(self._problem)
        assert self._reading is not None, "without one there is a problem"
        return self._reading

    def devices(self) -> list[DeviceInfo]:
        return [
            DeviceInfo(
                name=self._name,
                address=str(self._options.address),
                firmware=self._firmware,
                answers=self._problem is None,
                state=str(self._problem or ("measuring" if self._measuring else "off")),
            )
        ]

    def close(self) -> None:
        self._background.close()
        if self._lost is None:
            self._device.post(Register.MEASURING, 0)
        self._problem = self._lost = DeviceLost(f"{self._device} is closed")

    def _require_link(self) -> None:
        if self._lost is not None:
            self._wanted = False
        _raise_if(self._lost)

    # --- the device ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = RETRY_S
        while True:
            try:
                await self._start()
                pause = RETRY_S
                await self._serve()
            except DriverError as error:
                self._lose(error)
                pause = min(2 * pause, REFUSED_RETRY_S) if isinstance(error, DeviceRefused) else RETRY_S
            await asyncio.sleep(pause)

    def _lose(self, error: DriverError) -> None:
        if isinstance(error, DeviceLost) and not self._firmware and self._options.bus.is_open:
            error = DeviceLost(f"{error} (factory setting: 19200 or 9600 baud, even parity)")
        self._problem = self._lost = error
        self._measuring = False
        self._test_wanted, self._test, self._passed = False, None, None
        self._trouble.failed(error)

    async def _start(self) -> None:
        """Identify the device, write every setting and read it back."""
        name = await self._identify(Register.NAME, 10)
        if name and self._options.model.lower() not in reg.text(name).lower():
            raise DeviceRefused(f"{self._device} is another device: {reg.text(name)!r}")
        self._lost = None
        identity = await self._identify(Register.IDENTITY, 6)
        firmware = identity[1] if identity else 0
        settings = {Register.MEASURING: int(self._wanted), **self._settings(firmware)}
        await self._device.write(Register.MEASURING, settings[Register.MEASURING])
        self._refuse_error(reg.decode(await self._device.read(Register.INSULATION, 4)))
        (alarm_kohm,) = await self._device.read(Register.ALARM_KOHM, 1)
        if alarm_kohm >= settings[Register.PRE_ALARM_KOHM]:  # a pre-alarm is refused below the alarm
            await self._device.write(Register.ALARM_KOHM, settings[Register.ALARM_KOHM])
        for register, value in settings.items():
            await self._device.write(register, value)
        for run in reg.runs_of(settings):
            for register, found in zip(run, await self._device.read(run.start, len(run)), strict=True):
                if found != settings[register]:
                    raise DeviceRefused(
                        f"{self._device}: register {register} holds {found} after {settings[register]} was written"
                    )
        self._name, self._firmware = reg.text(name), f"{firmware / 100:.2f}" if firmware else "unknown"
        self._set_measuring(bool(settings[Register.MEASURING]))

    def _refuse_error(self, block: Measurement) -> None:
        if block.device_error:
            raise DeviceRefused(f"{self._device} reports a device error: check its connections to L+, L- and earth")

    async def _identify(self, register: Register, count: int) -> tuple[int, ...]:
        """Registers that only identify the device: a device without them is taken as it is."""
        try:
            return await self._device.read(register, count)
        except DeviceRefused:
            return ()

    def _settings(self, firmware: int) -> dict[int, int]:
        own = self._options
        return {
            **reg.DEFAULTS,
            Register.PRE_ALARM_KOHM: own.pre_alarm_kohm,
            Register.ALARM_KOHM: own.alarm_kohm,
            Register.SELF_TEST_MODE: reg.FAST_MODE if firmware > reg.FAST_ABOVE else 0,
            **{int(register): value for register, value in own.registers.items()},
        }

    def _set_measuring(self, active: bool) -> None:
        self._measuring = active
        self._measures_since = time.monotonic()

    async def _serve(self) -> None:
        """Carry out commands and read; returns by raising `DriverError`."""
        while True:
            await self._carry_out()
            await self._read()
            self._trouble.worked()
            self._wake.clear()
            if self._wanted == self._measuring and not self._test_wanted:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._options.poll_s):
                        await self._wake.wait()

    async def _carry_out(self) -> None:
        if self._wanted != self._measuring:
            wanted = self._wanted
            await self._device.write(Register.MEASURING, int(wanted))
            (found,) = await self._device.read(Register.MEASURING, 1)
            if found != int(wanted):
                raise DeviceRefused(f"{self._device}: measuring can't be switched {'on' if wanted else 'off'}")
            self._set_measuring(wanted)
        if self._test_wanted and self._measuring:
            self._test_wanted = False
            test = self._test = _SelfTest(time.monotonic())
            await self._device.write(Register.COMMAND, reg.SELF_TEST)
            test.started = time.monotonic()

    async def _read(self) -> None:
        mono_s = time.monotonic()
        insulation = reg.decode(await self._device.read(Register.INSULATION, 4))
        ended = self._test is not None and self._test_has_ended(self._test, insulation)
        if not ended:
            self._refuse_error(insulation)
        testing = self._test is not None or self._test_wanted or insulation.test != RunningTest.NONE
        voltages = await self._read_voltages(with_earth=not testing) if self._measuring else _Voltages()
        self._report(insulation, voltages, testing=testing, mono_s=mono_s)

    async def _read_voltages(self, *, with_earth: bool) -> _Voltages:
        between = reg.volts(reg.decode(await self._device.read(Register.VOLTAGE, 4)))
        if not with_earth:
            return _Voltages(between)
        both = await self._device.read(Register.VOLTAGE_TO_EARTH, 8)
        positive, negative = reg.volts(reg.decode(both[:4])), reg.volts(reg.decode(both[4:]))
        return _Voltages(between, (positive, negative) if positive is not None and negative is not None else None)

    def _test_has_ended(self, test: _SelfTest, block: Measurement) -> bool:
        spent_s = time.monotonic() - test.started
        if spent_s >= SELF_TEST_S:
            why = f"is not over after {SELF_TEST_S:.0f} s"
        elif block.test == RunningTest.EXTERNAL:
            test.seen = True
            return False
        elif test.seen:
            why = "found a device error" if block.alarm == Alarm.DEVICE_ERROR else ""
        elif spent_s >= SELF_TEST_BEGINS_S:
            why = "does not begin"
        else:
            return False
        if why:
            _log.warning("%s: the self test %s", self._place, why)
        self._test, self._passed = None, not why
        return True

    def _report(self, insulation: Measurement, voltages: _Voltages, *, testing: bool, mono_s: float) -> None:
        kohm = reg.insulation_kohm(insulation)
        measuring = self._measuring and self._wanted and not testing
        settled = measuring and mono_s - self._measures_since >= self._options.settle_s
        self._reading = InsulationReading(
            mono_s=mono_s,
            resistance_kohm=kohm if settled and kohm is not None else 0.0,
            valid=settled and kohm is not None,
            self_test_passed=self._passed,
            voltage_v=voltages.between,
            to_earth_v=voltages.to_earth,
        )
        self._problem = None


def _raise_if(problem: DriverError | None) -> None:
    if problem is not None:
        raise problem.with_traceback(None)  # raised again and again, it would grow


class _Voltages(Struct, frozen=True):
    """In V; None where there is no measurement."""

    between: float | None = None
    to_earth: tuple[float, float] | None = None


class _SelfTest(Struct):
    """A self test that was commanded; `seen` once the device has reported it."""

    started: float
    seen: bool = False
