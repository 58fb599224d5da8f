# SPDX-License-Identifier: Apache-2.0
"""F Remote control: start, stop and unlock by request, and messages on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ocpp import signals
from services.ocpp.context import Block
from services.ocpp.device_model import keys
from services.ocpp.hal_view import NotStartable

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        RequestStartTransactionRequest,
        RequestStartTransactionResponse,
        RequestStopTransactionRequest,
        RequestStopTransactionResponse,
        StatusInfoType,
        TriggerMessageRequest,
        TriggerMessageResponse,
        UnlockConnectorRequest,
        UnlockConnectorResponse,
    )

__all__ = ["RemoteControl"]

_REFUSALS: dict[NotStartable, StatusInfoType] = {
    NotStartable.FAULTED: {"reasonCode": "Unspecified", "additionalInfo": "the EVSE is faulted"},
    NotStartable.INOPERATIVE: {"reasonCode": "Unspecified", "additionalInfo": "the EVSE is unavailable"},
    NotStartable.RESET_PENDING: {"reasonCode": "Unspecified", "additionalInfo": "a reset is pending"},
    NotStartable.IN_USE: {"reasonCode": "TxInProgress"},
}


class RemoteControl(Block):
    letter = "F"
    handles = ("RequestStartTransaction", "RequestStopTransaction", "UnlockConnector", "TriggerMessage")

    def on_call(self, action: Action, request: Any, now: float) -> Any:
        match action:
            case "RequestStartTransaction":
                return self._start(request)
            case "RequestStopTransaction":
                return self._stop(request)
            case "UnlockConnector":
                return self._unlock(request)
            case _:
                return self._trigger(request)

    # --- F01, F02 ------------------------------------------------------------------------------------------

    def _start(self, request: RequestStartTransactionRequest) -> RequestStartTransactionResponse:
        """Ignores a chargingProfile: this product has no Smart Charging (F01.FR.12, F02.FR.20)."""
        if self.context.registration.status != "Accepted":  # B02.FR.05
            return {"status": "Rejected", "statusInfo": {"reasonCode": "CSNotAccepted"}}
        allowed = self.context.product.features.remote_start_tokens
        if request["idToken"]["type"] not in allowed:  # C-36 to C-39
            why = f"a remote start takes an idToken of type {' or '.join(allowed)}"
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidIdToken", "additionalInfo": why}}
        evse = self._choose(request.get("evseId"))
        if evse is None:
            return {"status": "Rejected", "statusInfo": _no_evse(request)}
        obstacle = self.context.hal.why_not_startable(evse)
        if obstacle is not None:  # F01.FR.23, F01.FR.24
            return {"status": "Rejected", "statusInfo": _REFUSALS[obstacle]}
        id_token, remote_start_id = request["idToken"], request["remoteStartId"]
        needs_check = self.context.model.get(keys.AUTHORIZE_REMOTE_START)
        if needs_check and id_token["type"] not in ("Central", "NoAuthorization"):  # C05.FR.01
            self.context.emit(signals.AuthorisationRequested(evse.evse, id_token, remote_start_id))  # F01.FR.01
        else:
            self.context.emit(signals.Authorised(evse.evse, id_token, None, remote_start_id))  # F01.FR.02
        response: RequestStartTransactionResponse = {"status": "Accepted"}
        if evse.transaction_id is not None:  # F01.FR.13
            response["transactionId"] = evse.transaction_id
        return response

    def _choose(self, evse_id: int | None) -> Evse | None:
        """F01.FR.20: without an evseId, an EVSE with a waiting vehicle, else a free one."""
        evses = self.context.hal.evses
        if evse_id is not None:
            return evses.get(evse_id)
        free = [evse for evse in evses.values() if self.context.hal.why_not_startable(evse) is None]
        return next((evse for evse in free if evse.plugged), free[0] if free else None)

    # --- F03 ------------------------------------------------------------------------------------------------------

    def _stop(self, request: RequestStopTransactionRequest) -> RequestStopTransactionResponse:
        if self.context.registration.status != "Accepted":  # B02.FR.05
            return {"status": "Rejected", "statusInfo": {"reasonCode": "CSNotAccepted"}}
        for evse in self.context.hal.evses.values():
            if evse.transaction_id == request["transactionId"]:
                self.context.emit(signals.StopRequested(evse.evse, "RemoteStop", "Remote"))  # F03.FR.03
                return {"status": "Accepted"}  # F03.FR.07
        return {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownTxId"}}  # F03.FR.08

    # --- F05 ------------------------------------------------------------------------------------------------------

    def _unlock(self, request: UnlockConnectorRequest) -> UnlockConnectorResponse:
        evse = self.context.hal.evses.get(request["evseId"])
        if evse is None or evse.connector != request["connectorId"]:  # F05.FR.03
            return {"status": "UnknownConnector"}
        if evse.id_token is not None and evse.transaction_id is not None:  # F05.FR.02
            return {"status": "OngoingAuthorizedTransaction"}
        # F05.FR.05: the cable is fixed and the lock is the vehicle's; the station has nothing to unlock.
        return {"status": "UnlockFailed", "statusInfo": {"reasonCode": "FixedCable"}}

    # --- F06 ------------------------------------------------------------------------------------------------------

    def _trigger(self, request: TriggerMessageRequest) -> TriggerMessageResponse:
        message, evse = request["requestedMessage"], request.get("evse", {})
        evse_id, connector = evse.get("id"), evse.get("connectorId")
        status = self.context.ask_trigger(message, evse_id, connector)
        # F06.FR.04: the signal is delivered after this response has been queued; the message is made then (F06.FR.09).
        if status == "Accepted":
            self.context.emit(signals.Triggered(message, evse_id, connector))
        return {"status": status}


def _no_evse(request: RequestStartTransactionRequest) -> StatusInfoType:
    if "evseId" in request:
        return {"reasonCode": "UnknownEvse"}
    return {"reasonCode": "Unspecified", "additionalInfo": "no EVSE is free"}
