# SPDX-License-Identifier: Apache-2.0
"""What the HAL may do for a session: the lease on energy, and the limit of a token that is no longer accepted (E05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import Permit, SetLimit, Withdraw

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.transactions.session import Session

__all__ = ["Energy"]

_LEASE_S = 15.0
_RENEW_S = 5.0


class Energy:
    """The permissions of all sessions."""

    def __init__(self, context: Context) -> None:
        self._hal = context.hal

    def permit(self, session: Session, now: float) -> None:
        """Grant or renew the lease, where it is due; its name is the same as long as the authorisation is."""
        held_back = session.transaction is not None and session.transaction.suspended and not session.delivering
        if not session.authorised or session.stop is not None or held_back:
            session.renew_at = None
            return
        self._hal.ask(Permit(session.evse, session.permission, _LEASE_S))
        session.renew_at = now + _RENEW_S

    def withdraw(self, session: Session) -> None:
        self._hal.ask(Withdraw(session.evse))

    def take_back(self, session: Session) -> None:
        """What the HAL holds of a session that it has not seen the end of: we restarted, or had lost each other."""
        evse = self._hal.evses[session.evse]
        suspended = session.transaction is not None and session.transaction.suspended
        if evse.permission not in (None, session.permission if session.authorised else None):
            self.withdraw(session)
        if evse.limit_w is not None and not suspended:
            self._hal.ask(SetLimit(session.evse, None))

    def hold_back(self, session: Session) -> None:
        """Where no energy has flowed yet, the contactors need not close for it to be held back."""
        evse = self._hal.evses[session.evse]
        self._hal.ask(SetLimit(session.evse, 0.0))
        if not session.delivering:
            self.withdraw(session)
            evse.held_back = evse.plugged

    def release(self, session: Session) -> None:
        """Nothing is held back any longer."""
        self._hal.evses[session.evse].held_back = False
        if session.transaction is not None and session.transaction.suspended:
            session.transaction.suspended = False
            self._hal.ask(SetLimit(session.evse, None))
