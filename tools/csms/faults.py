# SPDX-License-Identifier: Apache-2.0
"""The faults of a station, from its NotifyEvent requests (N07). Pure.

A fault is an event of a `Problem` variable or one with the trigger Alerting. It lasts until an event with `cleared`, or
a `Problem` that is false, names its component again; with a `techCode` only that fault of the component ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tools.csms.views import FaultRecord

__all__ = ["apply_events"]

_MAX_FAULTS = 64


def apply_events(known: list[FaultRecord], events: Iterable[Mapping[str, Any]]) -> list[FaultRecord]:
    """The faults after these `eventData`, the newest last."""
    faults = list(known)
    for event in events:
        if event["variable"]["name"] == "AvailabilityState":
            continue
        problem = event["variable"]["name"] == "Problem"
        if not (problem or event["trigger"] == "Alerting"):
            continue
        fault = _fault(event)
        over = event.get("cleared", False) or (problem and event["actualValue"].lower() == "false")
        faults = [each for each in faults if not _is_the_same(each, fault, over=over)]
        if not over:
            faults.append(fault)
    return faults[-_MAX_FAULTS:]


def _fault(event: Mapping[str, Any]) -> FaultRecord:
    component, variable = event["component"], event["variable"]
    name = " ".join(filter(None, (component["name"], component.get("instance"))))
    if variable["name"] != "Problem":
        name = f"{name} {variable['name']}"
    evse = component.get("evse", {}).get("id")
    return FaultRecord(evse, name, event.get("techCode"), event.get("techInfo"), event["timestamp"])


def _is_the_same(one: FaultRecord, other: FaultRecord, *, over: bool) -> bool:
    if (one.evse, one.component) != (other.evse, other.component):
        return False
    return one.code == other.code or (over and other.code is None)
