# SPDX-License-Identifier: Apache-2.0
"""The HAL's state in one line, for `systemctl status`."""

from __future__ import annotations

from firmware.contract import Snapshot

__all__ = ["summary"]


def summary(snapshot: Snapshot, note: str = "") -> str:
    """Such as `EVSE 1 charging 40.1 kW, EVSE 2 idle; door_open`, after a note that must not be overlooked."""
    parts = []
    for evse in snapshot.evses:
        power_w = evse.reading.power_w if evse.reading is not None and evse.contactor_closed else 0.0
        power = f" {power_w / 1000:.1f} kW" if power_w else ""
        faults = f" ({', '.join(sorted(fault.value for fault in evse.faults))})" if evse.faults else ""
        parts.append(f"EVSE {evse.evse} {evse.phase.value}{power}{faults}")
    station = ", ".join(sorted(fault.value for fault in snapshot.faults))
    return "; ".join(filter(None, (note, ", ".join(parts), station)))
