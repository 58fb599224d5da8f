# SPDX-License-Identifier: Apache-2.0
"""The stoppedReason of a transaction that its EV driver has not ended (E06.FR.08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import EnergyFlow, Fault

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import ReasonEnumType

__all__ = ["why_faulted", "why_without_energy"]

_STOPPED_REASON: dict[Fault, ReasonEnumType] = {
    Fault.EMERGENCY_STOP: "EmergencyStop",
    Fault.GROUND_FAULT: "GroundFault",
    Fault.ISOLATION: "GroundFault",
    Fault.OVER_CURRENT: "OvercurrentFault",
    Fault.OVER_VOLTAGE: "PowerQuality",
    Fault.UNDER_VOLTAGE: "PowerQuality",
    Fault.POWER_LOSS: "PowerLoss",
}


def why_faulted(fault: Fault) -> ReasonEnumType:
    """When a fault ends the transaction (E06.FR.16)."""
    return _STOPPED_REASON.get(fault, "Other")


def why_without_energy(evse: Evse) -> ReasonEnumType:
    """When the end of energy ends the transaction (E06.FR.07)."""
    if evse.session.suspended:
        return "DeAuthorized"  # E05.FR.02
    return "StoppedByEV" if evse.flow is EnergyFlow.SUSPENDED_BY_VEHICLE else "Other"
