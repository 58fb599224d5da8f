# SPDX-License-Identifier: Apache-2.0
"""What survives a power cut: device-model values, the outbox, transactions, cached authorisations, small values."""

from __future__ import annotations

from services.ocpp.storage.database import Database, Incident

__all__ = ["Database", "Incident"]
