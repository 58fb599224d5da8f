# SPDX-License-Identifier: Apache-2.0
"""P Data transfer: no vendor extension is defined here, so every vendorId is unknown (P01.FR.05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ocpp.context import Block

if TYPE_CHECKING:
    from services.ocpp.messages import Action, DataTransferRequest, DataTransferResponse

__all__ = ["DataTransfer"]


class DataTransfer(Block):
    letter = "P"
    handles = ("DataTransfer",)

    def on_call(self, action: Action, request: DataTransferRequest, now: float) -> DataTransferResponse:
        return {"status": "UnknownVendorId"}
