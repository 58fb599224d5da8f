# SPDX-License-Identifier: Apache-2.0
"""One EVSE: modules, contactor, meter, insulation monitor and cable, and the car that is plugged in.

The electrical side in one place. With the EVSE's and the car's contactor closed, the battery is the load of the
module bank; in any other case no current flows. The meter is behind the contactor. Only the
meter's register and the battery follow the world's `speed`; voltages, currents, powers and times are real.
"""

from __future__ import annotations

import math
from random import Random

from msgspec.structs import replace

from drivers.simulated.messages import EvseReadings
from drivers.simulated.world.battery import Battery
from drivers.simulated.world.car import Car, Moment, Secc
from drivers.simulated.world.contactor import ContactorPair
from drivers.simulated.world.monitor import Monitor
from drivers.simulated.world.shelf import ModuleBank
from hal.ports import NO_VEHICLE, MeterSample, Pilot, PowerReading, Vehicle

__all__ = ["Evse"]

AMBIENT_C = 25.0
HEATING_C = 20.0
"""The final temperature rise of the plug at 500 A; it grows with the square of the current."""
HEATING_S = 120.0
NOISE = 0.0002
"""Standard deviation of a measurement, as a share of the reading: what is zero reads zero."""
CABLE_KOHM = 20_000.0
BLEED_S = 0.1
HOT_PLUG_C = 120.0


class Evse:
    """State and physics of one EVSE; `step` advances it, `readings` is what its sensors measure."""

    def __init__(self, number: int, bank: ModuleBank, rng: Random) -> None:
        self.number = number
        self.bank = bank
        self.contactor = ContactorPair(rng)
        self.monitor = Monitor()
        self.secc = Secc()
        self.car: Car | None = None
        self.voltage_v = 0.0
        self.energy_wh = 0.0
        self.meter_failed = False
        self.meter_stuck = False
        self.secc_silent = False
        self.overheated = False
        self.plug_override: float | None = None
        self.plug_overridden = False
        self._plug_c = AMBIENT_C
        self._rng = rng

    # --- the EV driver --------------------------------------------------------------------------------------

    def plug_in(self, car: Car) -> None:
        self.car = car
        self.plug_overridden = False

    def plug_out(self) -> None:
        if self.car is not None:
            self.car.leave()
        self.car = None
        self.plug_overridden = False

    @property
    def holds_plug(self) -> bool:
        """Whether the latch holds: under load. With the contactor open, the EV driver unlocks the car first."""
        return self.car is not None and self.car.locked and self.contactor.closed

    def set_plug_temperature(self, temp_c: float | None) -> None:
        """Override the plug's sensor; None is a sensor that is not connected."""
        self.plug_override = temp_c
        self.plug_overridden = True

    # --- physics ----------------------------------------------------------------------------------------------

    @property
    def current_a(self) -> float:
        """The current through the contactor."""
        return self.bank.current_a if self._load() is not None else 0.0

    @property
    def power_w(self) -> float:
        return self.voltage_v * self.current_a

    def _load(self) -> Battery | None:
        """The battery, when it is on the modules' bus."""
        if self.car is not None and self.car.contactor_closed and self.contactor.closed:
            return self.car.battery
        return None

    def step(self, dt: float, speed: float) -> None:
        """Advance by `dt` seconds, battery and register by `speed` times as much."""
        self.contactor.step(dt, self.current_a)
        self.bank.step(dt, self._load())
        self._step_voltage(dt)
        if not self.meter_stuck:
            self.energy_wh += self.power_w * dt * speed / 3600.0
        if self.car is not None:
            load = self._load()
            if load is not None:
                load.charge(self.current_a, dt * speed / 3600.0)
            self.car.step(self.secc, Moment(dt, self.voltage_v, self.current_a))
        self.monitor.resistance_kohm = self._insulation_kohm()
        self.monitor.step(dt, self.voltage_v)
        self._step_temperature(dt)

    def _step_voltage(self, dt: float) -> None:
        """The voltage on the vehicle's side of the contactor."""
        if self.contactor.closed:
            self.voltage_v = self.bank.voltage_v
        elif self.car is not None and self.car.contactor_closed:
            self.voltage_v = self.car.battery.ocv_v
        else:
            self.voltage_v *= math.exp(-dt / BLEED_S)
            if self.voltage_v < 0.5:
                self.voltage_v = 0.0

    def _insulation_kohm(self) -> float:
        return min(CABLE_KOHM, self.car.insulation_kohm) if self.car is not None else CABLE_KOHM

    def _step_temperature(self, dt: float) -> None:
        end_c = AMBIENT_C + HEATING_C * (self.current_a / 500.0) ** 2
        self._plug_c += (end_c - self._plug_c) * (1.0 - math.exp(-dt / HEATING_S))

    # --- sensors ----------------------------------------------------------------------------------------------

    @property
    def plug_temp_c(self) -> float | None:
        if self.overheated:
            return HOT_PLUG_C
        return self.plug_override if self.plug_overridden else round(self._plug_c, 1)

    def readings(self, mono_s: float) -> EvseReadings:
        """What every sensor of this EVSE measures at `mono_s`; two calls differ by the noise of measuring."""
        return EvseReadings(
            evse=self.number,
            shelf=PowerReading(
                mono_s=mono_s,
                voltage_v=self._measured(self.bank.voltage_v),
                current_a=self._measured(self.bank.current_a),
                groups=self.bank.groups,
                failed_modules=self.bank.failed_modules,
            ),
            meter=None if self.meter_failed else self._sample(mono_s),
            insulation=self.monitor.reading(mono_s),
            contactor_closed=self.contactor.closed,
            connector_voltage_v=self._measured(self.voltage_v),
            vehicle=None if self.secc_silent else self.vehicle(mono_s),
        )

    def _sample(self, mono_s: float) -> MeterSample:
        voltage_v = self._measured(self.voltage_v)
        current_a = self._measured(self.current_a)
        return MeterSample(
            mono_s=mono_s,
            energy_wh=self.register_wh,
            voltage_v=voltage_v,
            current_a=current_a,
            power_w=round(voltage_v * current_a, 1),
        )

    @property
    def register_wh(self) -> float:
        """What the meter shows: tenths of a watt-hour, truncated like a counter's digits."""
        return math.floor(self.energy_wh * 10.0 + 1e-6) / 10.0

    def vehicle(self, mono_s: float) -> Vehicle:
        """What the vehicle communication controller reports."""
        if self.car is not None:
            return self.car.report(self.secc, mono_s)
        return replace(NO_VEHICLE, mono_s=mono_s, pilot=Pilot.A if self.secc.available else Pilot.F)

    def _measured(self, value: float) -> float:
        return round(value * self._rng.gauss(1.0, NOISE), 2) if value else 0.0
