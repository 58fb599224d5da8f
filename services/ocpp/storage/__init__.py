# SPDX-License-Identifier: Apache-2.0
"""What the OCPP service keeps over a power cut: device-model values, the outbox, transactions, key_values."""

from __future__ import annotations

from services.ocpp.storage.database import Database, Incident

__all__ = ["Database", "Incident"]
