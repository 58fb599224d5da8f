# SPDX-License-Identifier: Apache-2.0
"""The parts of block E: one charging session, its events, its meter and its lease. Only block E imports them."""
