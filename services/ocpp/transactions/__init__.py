# SPDX-License-Identifier: Apache-2.0
"""The parts of block E: a session's points, events, meter and lease. Only block E imports them."""
