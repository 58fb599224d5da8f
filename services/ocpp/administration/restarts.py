# SPDX-License-Identifier: Apache-2.0
"""Restart and factory reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import Withdraw
from firmware.contract import administration as contract
from firmware.contract.administration import CommandRefused, Problem
from firmware.errors import StorageError
from services.ocpp.administration.units import Units, refuse

if TYPE_CHECKING:
    from services.ocpp.messages import ResetResponse
    from services.ocpp.station import Station

__all__ = ["factory_reset", "restart"]


def restart(units: Units, command: contract.Restart) -> None:
    if command.what == "service":
        units.shell.stop("a restart was requested at the station")
        return

    def work(station: Station, now: float) -> ResetResponse:
        return station.restart("OnIdle" if command.on_idle else "Immediate", now)

    response = units.unit(work)
    if response["status"] == "Rejected":
        refuse(response)


def factory_reset(units: Units, command: contract.FactoryReset) -> None:
    running = sorted(evse.evse for evse in units.context.hal.evses.values() if evse.transaction_id is not None)
    if running and not command.force:
        raise CommandRefused(Problem.NOT_ALLOWED, f"a transaction runs on EVSE {', '.join(map(str, running))}")
    try:
        units.shell.order_factory_reset()
    except StorageError as error:
        raise CommandRefused(Problem.STORAGE, str(error)) from error
    units.unit(_withdraw)
    units.shell.stop("factory reset")


def _withdraw(station: Station, now: float) -> None:
    """No energy flows for a transaction that is forgotten."""
    for evse in station.context.hal.evses.values():
        station.context.hal.ask(Withdraw(evse.evse))
