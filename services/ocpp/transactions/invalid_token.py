# SPDX-License-Identifier: Apache-2.0
"""E05: the CSMS no longer accepts the token of a running transaction."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firmware.log import fields
from services.ocpp.device_model import keys
from services.ocpp.transactions.events import Cause

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.transactions.machine import SessionMachine

__all__ = ["InvalidTokens"]

_log = logging.getLogger(__name__)


class InvalidTokens:
    """Ends the authorisation, or only the energy once MaxEnergyOnInvalidId has been delivered."""

    def __init__(self, context: Context, machine: SessionMachine) -> None:
        self._model = context.model
        self._machine = machine

    def refuse(self, evse: Evse, now: float) -> None:
        """The CSMS does not accept the token of this transaction."""
        session = evse.session
        extra = fields(evse=evse.evse, transaction=evse.transaction_id)
        _log.info("EVSE %d: token not accepted for the running transaction", evse.evse, extra=extra)
        if self._model.get(keys.STOP_TX_ON_INVALID_ID):
            self._machine.stop(evse, Cause("Deauthorized", "DeAuthorized"), now)  # E05.FR.09, E05.FR.10
        elif session.invalid_from_wh is None and not session.suspended:
            session.invalid_from_wh = self._machine.meter.register(evse)
            self.check_energy(evse, now)  # E05.FR.02 when the limit is 0, else E05.FR.03
            self._machine.events.save(evse.session)

    def check_energy(self, evse: Evse, now: float) -> None:
        """E05.FR.02, E05.FR.03: hold energy back once MaxEnergyOnInvalidId has been delivered."""
        session, machine = evse.session, self._machine
        if session.invalid_from_wh is None or session.suspended:
            return
        delivered = machine.meter.register(evse) - session.invalid_from_wh
        if delivered < self._model.get(keys.MAX_ENERGY_ON_INVALID_ID):
            return
        session.suspended = True
        machine.lease.hold_back(evse)
        machine.check_charging_state(evse, now)
        machine.events.save(evse.session)
