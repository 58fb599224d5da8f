# SPDX-License-Identifier: Apache-2.0
"""The usual cars: one for each EVSE of the product, changed by what an order says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from drivers.simulated.world.battery import Battery
from drivers.simulated.world.car import Car

__all__ = ["Amperes", "CarOrder", "Kilowatts", "Percent", "make_car"]

Percent: TypeAlias = Annotated[float, Meta(ge=0, le=100)]
Kilowatts: TypeAlias = Annotated[float, Meta(ge=0, le=2000)]
Amperes: TypeAlias = Annotated[float, Meta(ge=0, le=2000)]

TARGET_SOC = 80.0
"""EV drivers leave at 80 per cent; those who arrive with more charge to 100."""


class CarOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What differs from the EVSE's usual car (None: nothing); the `car` of the control socket's `plug_in`."""

    soc_percent: Percent | None = None
    target_soc_percent: Percent | None = None
    capacity_kwh: Annotated[float, Meta(ge=1, le=2000)] | None = None
    max_kw: Kilowatts | None = None
    max_v: Annotated[float, Meta(ge=50, le=1500)] | None = None
    max_a: Amperes | None = None
    evcc_id: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{1,40}$", description="1 to 40 hexadecimal digits")] | None = (
        None
    )
    ready: bool = True


@dataclass(frozen=True, slots=True)
class _Model:
    capacity_kwh: float
    max_kw: float
    max_v: float
    max_a: float
    evcc_id: str


_400_V = _Model(capacity_kwh=75.0, max_kw=250.0, max_v=420.0, max_a=600.0, evcc_id="02BA7700A001")
_800_V = _Model(capacity_kwh=90.0, max_kw=270.0, max_v=840.0, max_a=400.0, evcc_id="02BA7700B002")
_MODELS = {1: _400_V, 2: _800_V}


def make_car(evse: int, order: CarOrder) -> Car:
    """The EVSE's usual car with the changes of the order."""
    model = _MODELS.get(evse, _800_V)
    soc = 20.0 if order.soc_percent is None else order.soc_percent
    battery = Battery(
        capacity_wh=(order.capacity_kwh or model.capacity_kwh) * 1000,
        max_voltage_v=order.max_v or model.max_v,
        soc_percent=soc,
    )
    return Car(
        battery=battery,
        max_kw=model.max_kw if order.max_kw is None else order.max_kw,
        max_a=model.max_a if order.max_a is None else order.max_a,
        evcc_id=(order.evcc_id or model.evcc_id).upper(),
        target_soc_percent=order.target_soc_percent or target_soc(soc),
        ready=order.ready,
    )


def target_soc(soc_percent: float) -> float:
    """The state of charge at which an EV driver who arrives with `soc_percent` leaves."""
    return TARGET_SOC if soc_percent < TARGET_SOC else 100.0
