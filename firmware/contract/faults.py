# SPDX-License-Identifier: Apache-2.0
"""The closed list of hardware faults, and their effect on charging."""

from __future__ import annotations

from enum import Enum

__all__ = ["Fault"]


class Fault(str, Enum):
    """A hardware fault; `mrec` is its ChargeX minimum required error code where one exists.

    docs/safety.md has the causes of each, how it is found, what follows and how it is cleared.
    A fault without an EVSE concerns the whole station. `stops_charging` faults end energy transfer and make the
    connector Faulted; the others are only reported, and charging continues.
    """

    EMERGENCY_STOP = "emergency_stop"
    GROUND_FAULT = "ground_fault"
    ISOLATION = "isolation"
    OVER_TEMPERATURE = "over_temperature"
    OVER_CURRENT = "over_current"
    OVER_VOLTAGE = "over_voltage"
    UNDER_VOLTAGE = "under_voltage"
    CONTACTOR_WELDED = "contactor_welded"
    CONTACTOR_FAILED = "contactor_failed"
    CONNECTOR_VOLTAGE = "connector_voltage"
    PILOT = "pilot"
    PROXIMITY = "proximity"
    CONNECTOR_LOCK = "connector_lock"
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    POWER_MODULE = "power_module"
    METER = "meter"
    VEHICLE_LINK = "vehicle_link"
    DOOR_OPEN = "door_open"
    POWER_LOSS = "power_loss"
    CARD_READER = "card_reader"
    SCREEN = "screen"
    CABLE_DERATED = "cable_derated"
    MODULES_DERATED = "modules_derated"

    @property
    def stops_charging(self) -> bool:
        return self not in _HARMLESS

    def mrec(self, evse: int | None) -> str | None:
        """ChargeX code such as `CX008`, or None; a hot plug has another one than a hot cabinet."""
        if self is Fault.OVER_TEMPERATURE and evse is not None:
            return "CX019"
        return _MREC.get(self)


_HARMLESS = frozenset({Fault.CARD_READER, Fault.SCREEN, Fault.CABLE_DERATED, Fault.MODULES_DERATED})

_MREC = {
    Fault.GROUND_FAULT: "CX002",
    Fault.OVER_TEMPERATURE: "CX003",
    Fault.OVER_CURRENT: "CX004",
    Fault.OVER_VOLTAGE: "CX005",
    Fault.UNDER_VOLTAGE: "CX006",
    Fault.EMERGENCY_STOP: "CX008",
    Fault.CABLE_CHECK: "CX011",
    Fault.PILOT: "CX014",
    Fault.POWER_LOSS: "CX015",
    Fault.CONTACTOR_FAILED: "CX017",
    Fault.CONTACTOR_WELDED: "CX017",
    Fault.CABLE_DERATED: "CX018",
    Fault.ISOLATION: "CX022",
    Fault.PROXIMITY: "CX023",
    Fault.CONNECTOR_VOLTAGE: "CX024",
    Fault.CONNECTOR_LOCK: "CX025",
}
