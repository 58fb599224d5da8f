# SPDX-License-Identifier: Apache-2.0
"""The stoppedReason of a transaction that its EV driver has not ended (E06.FR.08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import EnergyFlow, Fault
from services.ocpp.transactions.events import Cause

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import ReasonEnumType

__all__ = ["caused_by", "why_without_energy"]

_STOPPED_REASON: dict[Fault, ReasonEnumType] = {
    Fault.EMERGENCY_STOP: "EmergencyStop",
    Fault.GROUND_FAULT: "GroundFault",
    Fault.ISOLATION: "GroundFault",
    Fault.OVER_CURRENT: "OvercurrentFault",
    Fault.OVER_VOLTAGE: "PowerQuality",
    Fault.UNDER_VOLTAGE: "PowerQuality",
    Fault.POWER_LOSS: "PowerLoss",
}


def caused_by(fault: Fault) -> Cause:
    """The cause of an event when a fault stops the energy (E06.FR.16).

    Without its meter a transaction ends whatever its stop points are: what flows later can't be added to it.
    """
    return Cause("AbnormalCondition", _STOPPED_REASON.get(fault, "Other"), ends=fault is Fault.METER)


def why_without_energy(evse: Evse) -> ReasonEnumType:
    """When the end of energy ends the transaction (E06.FR.07)."""
    if evse.session.suspended:
        return "DeAuthorized"  # E05.FR.02
    return "StoppedByEV" if evse.flow is EnergyFlow.SUSPENDED_BY_VEHICLE else "Other"
