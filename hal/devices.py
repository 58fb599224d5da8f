# SPDX-License-Identifier: Apache-2.0
"""The devices of the cabinet as an installer sees them: what each says of itself, and what was wrong with it last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from firmware.contract import DeviceReport, Fault, FaultRaised
from firmware.errors import DriverError
from hal.active_faults import ActiveFaults
from hal.hardware import Hardware
from hal.ports import Described, DeviceInfo

__all__ = ["DeviceList", "describe"]

_MAX_CHARS = 200
_FAULTS: dict[str, tuple[Fault, ...]] = {
    "shelf": (Fault.POWER_MODULE, Fault.MODULES_DERATED),
    "inputs": (Fault.EMERGENCY_STOP, Fault.DOOR_OPEN, Fault.CABLE_DERATED),
    "card_reader": (Fault.CARD_READER,),
    "screen": (Fault.SCREEN,),
    "meter": (Fault.METER,),
    "insulation": (Fault.ISOLATION,),
    "contactor": (Fault.CONTACTOR_FAILED, Fault.CONTACTOR_WELDED, Fault.CONNECTOR_VOLTAGE),
    "vehicle": (Fault.VEHICLE_LINK, Fault.PILOT),
    "board": (Fault.OVER_TEMPERATURE, Fault.UNDER_VOLTAGE, Fault.POWER_LOSS),
}
"""By port, the faults that are its devices' or are found through them."""


def describe(port: str, driver: Any, evses: Sequence[int]) -> list[DeviceInfo]:
    """What a driver says of its devices; of one that does not, the reading of its port shows whether it answers."""
    try:
        if isinstance(driver, Described):
            return driver.devices()
        return [DeviceInfo(answers=True, state=_reading(port, evses)(driver))]
    except DriverError as error:
        return [DeviceInfo(answers=False, state=str(error))]


class _Place(Struct, frozen=True):
    port: str
    name: str
    """As in the settings file: `evse 1, meter`."""
    evse: int | None
    driver: Any


class DeviceList:
    """`note` every fault that is raised; `report` says what there is now."""

    def __init__(self, hardware: Hardware, faults: ActiveFaults, utc: Callable[[], float]) -> None:
        self._evses = [each.evse for each in hardware.evses]
        self._places = list(_places(hardware))
        self._faults = faults
        self._utc = utc
        self._last: dict[tuple[Fault, int | None], tuple[float, str]] = {}

    def note(self, event: FaultRaised) -> None:
        self._last[event.fault, event.evse] = self._utc(), event.detail

    def report(self) -> list[DeviceReport]:
        return [
            DeviceReport(
                place=place.name,
                name=info.name[:_MAX_CHARS],
                address=info.address[:_MAX_CHARS],
                serial_number=info.serial_number[:_MAX_CHARS],
                firmware=info.firmware[:_MAX_CHARS],
                answers=info.answers,
                state=info.state[:_MAX_CHARS],
                faults=self._present(place),
                last_trouble=trouble[1][:_MAX_CHARS],
                last_trouble_utc_s=trouble[0],
            )
            for place in self._places
            for trouble in (self._trouble(place),)
            for info in describe(place.port, place.driver, self._evses)
        ]

    def _present(self, place: _Place) -> list[Fault]:
        own = {*self._faults.own(place.evse), *self._faults.own(None)} if place.port != "shelf" else self._of_any()
        return [fault for fault in _FAULTS.get(place.port, ()) if fault in own]

    def _of_any(self) -> set[Fault]:
        """The modules are everyone's: their fault is found at the EVSE that uses them."""
        return {fault for evse in (None, *self._evses) for fault in self._faults.own(evse)}

    def _trouble(self, place: _Place) -> tuple[float | None, str]:
        of = _FAULTS.get(place.port, ())
        found = [
            last
            for (fault, evse), last in self._last.items()
            if fault in of and (place.port == "shelf" or evse in (None, place.evse))
        ]
        return max(found, default=(None, ""), key=lambda last: last[0] or 0.0)


def _places(hardware: Hardware) -> Iterator[_Place]:
    yield _Place("shelf", "shelf", None, hardware.shelf)
    yield _Place("board", "board", None, hardware.board)
    yield _Place("inputs", "inputs", None, hardware.inputs)
    yield _Place("links", "links", None, hardware.links)
    if hardware.card_reader is not None:
        yield _Place("card_reader", "card_reader", None, hardware.card_reader)
    for each in hardware.evses:
        for port in ("meter", "insulation", "contactor", "vehicle"):
            yield _Place(port, f"evse {each.evse}, {port}", each.evse, getattr(each, port))
    for screen in hardware.screens:
        yield _Place("screen", f"screen {screen.screen}", screen.evse, screen.port)


def _reading(port: str, evses: Sequence[int]) -> Callable[[Any], str]:
    """How a port without a description of its own shows that it answers; the result is its state in words."""
    match port:
        case "shelf":
            return lambda shelf: "; ".join(f"EVSE {each}: {shelf.reading(each).voltage_v:.0f} V" for each in evses)
        case "meter":
            return lambda meter: f"{meter.sample().energy_wh / 1000.0:.3f} kWh"
        case "insulation":
            return lambda monitor: f"{monitor.reading().resistance_kohm:.0f} kOhm"
        case "contactor":
            return lambda contactor: "closed" if contactor.is_closed() else "open"
        case "vehicle":
            return lambda link: f"pilot {link.vehicle().pilot.value}"
        case "inputs":
            return _inputs
        case "links":
            return lambda links: ", ".join(
                f"{name} {'up' if link.up else 'down'}" for name, link in links.links().items()
            )
        case "board":
            return lambda board: f"serial number {board.serial_number}"
        case _:
            return lambda _: "made; it reports only what it sees"


def _inputs(inputs: Any) -> str:
    reading = inputs.reading()
    stop = "pressed" if reading.emergency_stop else "released"
    return f"emergency stop {stop}, door {'open' if reading.door_open else 'closed'}"
