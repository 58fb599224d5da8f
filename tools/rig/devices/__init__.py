# SPDX-License-Identifier: Apache-2.0
"""Simulators of the devices of a charger, one a file: each speaks its device's protocol over a real transport."""
