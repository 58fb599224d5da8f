# SPDX-License-Identifier: Apache-2.0
"""A status of the OCPP service for tests: accepted by its CSMS, one EVSE, no session. Derive others with `replace`."""

from __future__ import annotations

from firmware.contract.status import EvseService, ServiceStatus

__all__ = ["IDLE_EVSE", "STATUS"]

IDLE_EVSE = EvseService(
    evse=1,
    connector=1,
    availability="Operative",
    status="Available",
    selected=False,
    transaction_id=None,
    charging_state=None,
    id_token=None,
)
STATUS = ServiceStatus(
    connected=True,
    registration="Accepted",
    slot=1,
    interface="Wired0",
    security_profile=1,
    queued_messages=0,
    last_contact_mono_s=None,
    firmware_version="1.0.0",
    evses=[IDLE_EVSE],
)
