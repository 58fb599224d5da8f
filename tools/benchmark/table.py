# SPDX-License-Identifier: Apache-2.0
"""The printed table: the station's figures beside the floor's and the targets."""

from __future__ import annotations

import os
import platform
import statistics
from typing import TypeAlias

from tools.benchmark.machine import processor

__all__ = ["Figures", "print_table"]

Figures: TypeAlias = dict[str, list[float]]
"""Measured values by the key of their row."""

_ROWS: list[tuple[str, str, str, str]] = [
    ("get 1", "GetVariables, 1 variable, both charging", "0.4, p99 1, max 50", "ms"),
    ("get 12", "GetVariables, 12 variables", "0.7", "ms"),
    ("set 1", "SetVariables, 1 variable, durable", "0.9, p99 3", "ms"),
    ("trigger", "TriggerMessage to the Heartbeat", "0.6", "ms"),
    ("report", "GetBaseReport FullInventory, to the last part", "12", "ms"),
    ("start", "RequestStartTransaction to TransactionEvent", "2, p99 8", "ms"),
    ("stop", "RequestStopTransaction to Ended, under power", "2000", "ms"),
    ("card", "card presented to Authorize", "5", "ms"),
    ("boot", "OCPP process start to BootNotification", "450", "ms"),
    ("cold", "rig start to BootNotification", "2000", "ms"),
    ("drain", "draining 10,000 queued messages", "1500", "1/s"),
    ("drain memory", "memory that draining them takes", "flat", "MB"),
    ("memory", "resident, OCPP service", "48", "MB"),
    ("memory hal", "resident, HAL", "40", "MB"),
    ("cpu", "CPU of HAL and OCPP service, both charging", "4", "% of a core"),
    ("estop", "e-stop input to contactor command", "p99 10", "ms"),
    ("wire estop", "the same, on wire drivers", "p99 10", "ms"),
    ("wire cycle", "how far the HAL's 100 ms cycle is off, both charging, wire", "p99 10", "ms"),
    ("wire cpu", "CPU of the HAL, both charging, wire", "6", "% of a core"),
    ("wire memory", "resident, HAL, wire", "40", "MB"),
    ("flash", "written by the OCPP service in a day, a sample a minute", "200", "MB"),
]
"""Key, name, target, unit."""


def print_table(station: Figures, floor: Figures) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {processor()}")
    print(f"{'':<58} {'unit':<12} {'floor':<30} {'ours':<36} {'to floor':<9} target")
    for key, name, target, unit in _ROWS:
        ours, theirs = station.get(key), floor.get(key)
        ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}" if ours and theirs else ""
        print(f"{name:<58} {unit:<12} {_figure(theirs):<30} {_figure(ours):<36} {ratio:<9} {target}")


def _figure(values: list[float] | None) -> str:
    """The median, and the tail if there are enough values to have one."""
    if not values:
        return ""
    if len(values) < 5:
        return f"{statistics.median(values):.4g}"
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(values):.3g} (p99 {p99:.3g}, max {ordered[-1]:.3g})"
