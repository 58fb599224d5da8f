# SPDX-License-Identifier: Apache-2.0
"""Keeps the variables of physical components up to date with what the HAL reports.

A fault sets `Problem` of its component, so that a summary report names it (B07.FR.09). A fault of the whole station in
a component that each EVSE has is shown at each EVSE.
"""

from __future__ import annotations

from typing import TypeVar

from firmware.contract.faults import Fault
from firmware.contract.messages import (
    ContactorChanged,
    Event,
    FaultCleared,
    FaultRaised,
    LatchChanged,
    LinkChanged,
    LinkDetails,
    MeterReading,
    Plugged,
    Snapshot,
    Unplugged,
)
from services.ocpp.device_model import keys
from services.ocpp.device_model.keys import Key
from services.ocpp.device_model.model import DeviceModel

__all__ = ["COMPONENT_OF_FAULT", "Hardware"]

T = TypeVar("T")

COMPONENT_OF_FAULT = {
    Fault.EMERGENCY_STOP: "EmergencyStopSensor",
    Fault.GROUND_FAULT: "GroundIsolationProtection",
    Fault.ISOLATION: "GroundIsolationProtection",
    Fault.OVER_TEMPERATURE: "TemperatureSensor",
    Fault.OVER_CURRENT: "OverCurrentProtection",
    Fault.OVER_VOLTAGE: "AcDcConverter",
    Fault.UNDER_VOLTAGE: "AcDcConverter",
    Fault.CONTACTOR_WELDED: "PowerContactor",
    Fault.CONTACTOR_FAILED: "PowerContactor",
    Fault.CONNECTOR_VOLTAGE: "PowerContactor",
    Fault.PILOT: "CPPWMController",
    Fault.PROXIMITY: "CPPWMController",
    Fault.CONNECTOR_LOCK: "EVRetentionLock",
    Fault.CABLE_CHECK: "GroundIsolationProtection",
    Fault.PRECHARGE: "AcDcConverter",
    Fault.POWER_MODULE: "AcDcConverter",
    Fault.METER: "FiscalMetering",
    Fault.VEHICLE_LINK: "ConnectedEV",
    Fault.DOOR_OPEN: "CaseAccessSensor",
    Fault.POWER_LOSS: "ElectricalFeed",
    Fault.CARD_READER: "TokenReader",
    Fault.SCREEN: "Display",
    Fault.CABLE_DERATED: "TemperatureSensor",
    Fault.MODULES_DERATED: "AcDcConverter",
}

_NO_SIGNAL_DBM = -140.0
_ACTIVE_WHILE = {Fault.EMERGENCY_STOP: keys.EMERGENCY_STOP_ACTIVE, Fault.DOOR_OPEN: keys.CASE_ACCESS_ACTIVE}


class Hardware:
    """Writes HAL events into the device model, where the product has a variable for them."""

    def __init__(self, model: DeviceModel) -> None:
        self._model = model
        self._evses = sorted({address.evse for address in model.variables if address.evse})
        self._faults: set[tuple[Fault, int]] = set()
        self._power_w: dict[int, float] = {}

    def reflect(self, event: Event) -> None:
        """Apply one event; events without a variable are ignored."""
        match event:
            case MeterReading():
                self._reading(event)
            case Plugged() | Unplugged():
                self._put(keys.CONNECTED_EV_AVAILABLE, isinstance(event, Plugged), event.evse)
            case ContactorChanged():
                self._put(keys.CONTACTOR_ACTIVE, event.closed, event.evse)
            case LatchChanged():
                self._put(keys.RETENTION_LOCK_ACTIVE, event.locked, event.evse)
            case LinkChanged():
                self._link(event.interface, event.up, event.details)
            case FaultRaised():
                self._faults.add((event.fault, event.evse or 0))
                self._show(event.fault)
            case FaultCleared():
                self._faults.discard((event.fault, event.evse or 0))
                self._show(event.fault)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Apply the HAL's whole state in place of the known one: no event reports what was so before we connected."""
        for interface, up in snapshot.links.items():
            self._link(interface, up, snapshot.link_details.get(interface, LinkDetails()))
        for status in snapshot.evses:
            self._put(keys.CONNECTED_EV_AVAILABLE, status.plugged, status.evse)
            self._put(keys.CONTACTOR_ACTIVE, status.contactor_closed, status.evse)
            self._put(keys.RETENTION_LOCK_ACTIVE, status.locked, status.evse)
            if status.reading is not None:
                self._reading(status.reading)
        faults = {(fault, 0) for fault in snapshot.faults}
        faults |= {(fault, status.evse) for status in snapshot.evses for fault in status.faults}
        changed, self._faults = self._faults | faults, faults
        for fault in {fault for fault, _ in changed}:
            self._show(fault)

    def _link(self, interface: str, up: bool, details: LinkDetails) -> None:
        self._put(keys.data_link_active(interface), up)
        self._put(keys.data_link_signal(interface), _strength_dbm(details))

    def _reading(self, reading: MeterReading) -> None:
        self._power_w[reading.evse] = reading.power_w
        self._put(keys.POWER, round(reading.power_w, 1), reading.evse)
        self._put(keys.STATION_POWER, round(sum(self._power_w.values()), 1))
        self._put(keys.ENERGY_IMPORT_REGISTER, round(reading.energy_wh, 1), reading.evse)

    def _show(self, fault: Fault) -> None:
        component = COMPONENT_OF_FAULT[fault]
        for evse in (0, *self._evses):
            affected = any(
                COMPONENT_OF_FAULT[known] == component and where in (0, evse) for known, where in self._faults
            )
            self._put(keys.problem(component), affected, evse)
        if fault in _ACTIVE_WHILE:
            self._put(_ACTIVE_WHILE[fault], any(known is fault for known, _ in self._faults))

    def _put(self, key: Key[T], value: T, evse: int = 0) -> None:
        if self._model.has(key, evse=evse):
            self._model.put(key, value, evse=evse)


def _strength_dbm(link: LinkDetails) -> float:
    """As the modem reports it; if only in percent, on the scale of 3GPP TS 27.007 (+CSQ), from -113 to -51 dBm."""
    if link.signal_dbm is not None:
        return min(max(round(link.signal_dbm, 1), _NO_SIGNAL_DBM), 0.0)
    return _NO_SIGNAL_DBM if link.signal_percent is None else round(-113.0 + 0.62 * link.signal_percent, 1)
