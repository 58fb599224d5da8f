# SPDX-License-Identifier: Apache-2.0
"""Modbus devices: serial lines (RTU), TCP, and what speaks on them."""
