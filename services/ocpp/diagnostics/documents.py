# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics archive holds besides log files: device model, versions and state, without id tokens.

Secrets of the device model are left out; they are listed apart, so that log files can be searched for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ocpp.device_model import keys

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.hal_view import Evse

__all__ = ["documents", "secrets"]


def documents(context: Context, now: float) -> dict[str, Any]:
    """JSON documents by name."""
    model = context.model
    return {
        "inventory": [variable.report() for variable in model.variables.values() if not variable.secret],
        "versions": {
            "firmware": model.get(keys.FIRMWARE_VERSION),
            "model": model.get(keys.MODEL),
            "vendor": model.get(keys.VENDOR_NAME),
            "serial_number": context.serial_number,
        },
        "state": _state(context, now),
    }


def secrets(model: DeviceModel) -> tuple[str, ...]:
    """The values that no log may hold: passwords, and everything that the CSMS can't read."""
    return tuple(
        attribute.text
        for variable in model.variables.values()
        for attribute in variable.attributes.values()
        if (variable.secret or not attribute.readable) and attribute.text
    )


def _state(context: Context, now: float) -> dict[str, Any]:
    registration = context.registration
    contact = registration.last_contact
    return {
        "time": context.time.text(now),
        "time_is_known": context.time.is_known,
        "boot_cause": context.boot_cause,
        "connected": registration.link_up,
        "slot": registration.slot,
        "security_profile": registration.security_profile,
        "last_contact_s": None if contact is None else round(now - contact, 1),
        "queued_messages": len(context.outbox),
        "station_faults": sorted(fault.value for fault in context.hal.station_faults),
        "evses": [_evse(evse) for evse in context.hal.evses.values()],
    }


def _evse(evse: Evse) -> dict[str, Any]:
    return {
        "evse": evse.evse,
        "status": evse.status,
        "phase": evse.phase.value,
        "cause": evse.cause.value,
        "plugged": evse.plugged,
        "faults": sorted(fault.value for fault in evse.faults),
        "transaction_id": evse.transaction_id,
        "charging_state": evse.reported_charging_state,
    }
