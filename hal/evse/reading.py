# SPDX-License-Identifier: Apache-2.0
"""Reads the ports of one EVSE, and decides whether each reading is usable: it is fresh, and its numbers are numbers.

What is not usable counts as silence of its device, with the reason (`Readings.silent`); what follows from a value is
decided by the stages and by the watch (`hal/safety.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from firmware.contract import Fault
from firmware.errors import DriverError
from hal.active_faults import ActiveFaults
from hal.evse.limits import ceiling, hottest
from hal.evse.model import ZERO_LIMITS, Limits, Rating, Readings
from hal.known_meters import KnownMeters
from hal.ports import Contactor, InsulationMonitor, InsulationReading, Meter, MeterSample, PowerShelf, VehicleLink

__all__ = ["EvsePorts", "PortReader"]


class EvsePorts(Struct, frozen=True):
    """The devices of one EVSE; the shelf is shared with the others."""

    shelf: PowerShelf
    meter: Meter
    insulation: InsulationMonitor
    contactor: Contactor
    vehicle: VehicleLink


class _Dated(Protocol):
    @property
    def mono_s(self) -> float: ...


_R = TypeVar("_R", bound=_Dated)


class PortReader:
    """Reads all ports of one EVSE at once."""

    def __init__(self, number: int, ports: EvsePorts, faults: ActiveFaults, meters: KnownMeters) -> None:
        self.mirror = False
        """The mirror contact, as last read: a contactor that does not answer may well be closed."""
        self._mirror_known = False
        self._number = number
        self._ports = ports
        self._faults = faults
        self._meters = meters
        self._silent: dict[str, str] = {}

    def read(
        self, rating: Rating, plug_temps_c: tuple[float | None, ...] | None, share: Limits | None, now: float
    ) -> Readings:
        """Read every port.

        Args:
            rating: of the EVSE.
            plug_temps_c: of the station's own sensors at this plug; if it has none, the SECC's are taken. None: the
                inputs do not answer.
            share: what the EVSE's module groups can deliver now; None if it has to wait for one.
            now: monotonic seconds.
        """
        ports = self._ports
        self._silent = {}
        sensed_v = self._read_contactor()
        vehicle = self._usable("vehicle", ports.vehicle.vehicle, ports.vehicle.stale_after_s, now)
        power = self._usable("modules", lambda: ports.shelf.reading(self._number), ports.shelf.stale_after_s, now)
        insulation = self._usable("insulation monitor", ports.insulation.reading, ports.insulation.stale_after_s, now)
        # Of a meter also what can't be true is passed on: `register.py` says what is wrong with it.
        meter = self._fresh("meter", ports.meter.sample, ports.meter.stale_after_s, now)
        stranger = None
        if meter is not None and meter.serial_number:
            stranger = self._meters.objection(self._number, meter.serial_number, now)
        meter = None if stranger is not None else meter
        inputs_known = plug_temps_c is not None
        plug_temp_c = hottest(plug_temps_c or (vehicle.plug_temps_c if vehicle is not None else ()))
        return Readings(
            vehicle=vehicle,
            power=power,
            meter=meter,
            stranger=stranger,
            insulation=insulation,
            contactor_closed=self.mirror,
            contactor_known=self._mirror_known,
            connector_v=_connector_v(sensed_v, insulation, meter),
            plug_temp_c=plug_temp_c,
            ceiling=ceiling(rating, plug_temp_c, share or ZERO_LIMITS),
            queued=share is None,
            inputs_known=inputs_known,
            silent=self._silent,
        )

    def _read_contactor(self) -> float | None:
        """Return the connector's voltage, if the contactor measures it; raise the fault of one that does not answer."""
        self._mirror_known = False
        try:
            self.mirror = self._ports.contactor.is_closed()
            sensed_v = self._ports.contactor.connector_voltage_v()
        except DriverError as error:
            self._faults.add("contactor", Fault.CONTACTOR_FAILED, self._number, detail=str(error))
            return None
        self._faults.remove("contactor", Fault.CONTACTOR_FAILED, self._number)
        self._mirror_known = True
        return sensed_v

    def _fresh(self, device: str, read: Callable[[], _R], stale_after_s: float, now: float) -> _R | None:
        try:
            reading = read()
        except DriverError as error:
            self._silent[device] = str(error)
            return None
        age_s = now - reading.mono_s
        if age_s > stale_after_s:
            self._silent[device] = f"no reading for {age_s:.1f} s"
            return None
        return reading

    def _usable(self, device: str, read: Callable[[], _R], stale_after_s: float, now: float) -> _R | None:
        reading = self._fresh(device, read, stale_after_s, now)
        if reading is None or all(map(_is_sound, _values(reading))):
            return reading
        self._silent[device] = "it reports what is no number"
        return None


def _values(reading: Any) -> list[object]:
    return [getattr(reading, field) for field in reading.__struct_fields__]


def _is_sound(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _connector_v(
    sensed_v: float | None, insulation: InsulationReading | None, meter: MeterSample | None
) -> float | None:
    """The first that measures the voltage on the vehicle's side; None: nothing does so now."""
    found = (
        sensed_v,
        insulation.voltage_v if insulation is not None else None,
        meter.voltage_v if meter is not None else None,
    )
    return next((abs(volts) for volts in found if volts is not None and math.isfinite(volts)), None)
