# SPDX-License-Identifier: Apache-2.0
"""The text of a HAL's settings file with one EVSE, for tests that start the HAL or one of its verbs."""

from __future__ import annotations

__all__ = ["hal_settings"]


def hal_settings(device: str, *, buses: str = "", station: str = "", contactor: str | None = None) -> str:
    """Every port has `device`, an inline table; the EVSE's contactor may have another.

    `station` are further keys of the file, `buses` its tables `[bus.NAME]`.
    """
    return f"""
socket = "hal.sock"
shelf = {device}
board = {device}
inputs = {device}
links = {device}
{station}
{buses}
[[evse]]
evse = 1
connector = 1
max_voltage_v = 1000.0
min_voltage_v = 150.0
max_current_a = 500.0
max_power_w = 400000.0
meter = {device}
insulation = {device}
contactor = {contactor or device}
vehicle = {device}
"""
