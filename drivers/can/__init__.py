# SPDX-License-Identifier: Apache-2.0
"""Drivers of devices on a CAN bus, and the bus itself (`bus.py`)."""
