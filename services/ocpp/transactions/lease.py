# SPDX-License-Identifier: Apache-2.0
"""What the HAL may do for a session: the lease on energy, and the limit once a token is no longer accepted (E05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import Permit, SetLimit, Withdraw

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse

__all__ = ["LEASE_S", "EnergyLease"]

LEASE_S = 15.0
_RENEW_S = 5.0


class EnergyLease:
    """The permissions of all EVSEs."""

    def __init__(self, context: Context) -> None:
        self._hal = context.hal

    def permit(self, evse: Evse, now: float) -> None:
        """Grant or renew the lease if the session may have one; its name is the same while the authorisation lasts."""
        session = evse.session
        withheld = session.suspended and not evse.delivering
        if not session.authorised or session.stop is not None or withheld:  # C01.FR.01
            session.renew_at = None
            return
        self._hal.ask(Permit(evse.evse, session.permission, LEASE_S))
        session.renew_at = now + _RENEW_S

    def withdraw(self, evse: Evse) -> None:
        self._hal.ask(Withdraw(evse.evse))

    def take_back(self, evse: Evse) -> None:
        """Withdraw what the HAL still holds of a session that ended while this process or the connection was down."""
        session = evse.session
        if evse.permission not in (None, session.permission if session.authorised else None):
            self.withdraw(evse)
        if evse.limit_w is not None and not session.suspended:
            self._hal.ask(SetLimit(evse.evse, None))

    def hold_back(self, evse: Evse) -> None:
        """Let no energy flow; if none has flowed yet, the contactors stay open."""
        self._hal.ask(SetLimit(evse.evse, 0.0))
        if not evse.delivering:
            self.withdraw(evse)
            evse.session.held_back = evse.plugged

    def release(self, evse: Evse) -> None:
        """Let energy flow again."""
        session = evse.session
        session.held_back = False
        if session.suspended:
            session.suspended = False
            self._hal.ask(SetLimit(evse.evse, None))
