# SPDX-License-Identifier: Apache-2.0
"""Small durable values by name, and the list of all names.

A value that belongs to no table of its own (a pending reset, the last firmware status) is kept as JSON in one key-value
table. The texts of `Key` are in the databases of stations in the field: add to them, but do not change them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

__all__ = ["Key", "KeyValueStore"]


class Key(StrEnum):
    """The name of a value, with its owner and its shape."""

    AVAILABILITY = "availability"
    """Block G: connectors, EVSEs and the station made Inoperative, and the changes that wait for a transaction."""
    BOOT_ID = "boot_id"
    """Service: the kernel's boot id at the last start; a different one means that the board has restarted."""
    FACTORY_VARIABLES = "device_model.factory"
    """Device model: the factory's values as they were at the first start."""
    FALLBACK_ROOT = "fallback_root_for"
    """Block M: URL in use when the newest CSMS root replaced its predecessor (M05.FR.12)."""
    FAULTS_REPORTED = "faults_reported"
    """Block N: `{"last_id": int, "known": [[fault, evse]]}`: the last eventId, and the faults that the CSMS knows."""
    FIRMWARE_STATUS = "firmware_status"
    """Block L: the last FirmwareStatusNotification, `{"status", "requestId"}`."""
    FIRMWARE_TRIAL = "firmware_trial"
    """Block L: `{"offline": bool, "proven": {slot: version}}` (`firmware_update/trial.py`)."""
    FIRMWARE_UPDATE = "firmware_update"
    """Block L: the update that is in progress (`firmware_update.update.Update`)."""
    FIRST_START_DONE = "first_start_done"
    """Service: True once the factory file has been applied."""
    HAL_EVENTS_SEEN = "hal_seen"
    """Station: `[run_id, seq]` of the last kept HAL event whose consequences are on disk."""
    LOG_UPLOAD = "log_upload"
    """Block N: requestId of the log upload in progress."""
    NETWORK_PROFILES = "network_profiles"
    """Block B: the configuration slots that the CSMS has set (B09)."""
    PLANNED_BOOT = "planned_boot"
    """Blocks B and L: BootReasonEnumType of the restart that this station has requested from the board."""
    PROVEN_PASSWORD = "proven_password"
    """CSMS credentials: the BasicAuthPassword that the CSMS has accepted last."""
    RESET = "reset"
    """Block B: BootReasonEnumType of an accepted reset, until the board restarts."""
    SECURITY_EVENTS_HELD = "security_events_held"
    """Block A: types of security event of which some were not sent."""
    SECURITY_LOG = "security_log"
    """Block A: the newest line of the security log, so that its end can't be cut off unnoticed."""


class KeyValueStore(Protocol):
    """JSON values by name."""

    def get(self, key: Key) -> Any:
        """The value, or None."""

    def put(self, key: Key, value: Any) -> None:
        """Write in the open unit of work; None removes."""
