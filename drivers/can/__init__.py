# SPDX-License-Identifier: Apache-2.0
"""Drivers of devices on a CAN bus, and the bus itself (`bus.py`)."""

from firmware.light_imports import without_package_metadata

with without_package_metadata("can"):
    import can  # noqa: F401  # python-can's plug-ins of other packages are not found
