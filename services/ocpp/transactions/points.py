# SPDX-License-Identifier: Apache-2.0
"""Where transactions start and stop: TxStartPoint and TxStopPoint (E01, E06; part 2, 2.6.6).

An EVSE has up to four of the specification's points at any time. A configured start point that becomes true begins a
transaction; a configured stop point that was true during it and no longer is ends it.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from firmware.contract import EnergyFlow
from services.ocpp.device_model import keys

if TYPE_CHECKING:
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.hal_view import Evse

__all__ = ["ends", "ends_with_authorisation", "points_of", "starts"]

_DEAUTHORISING_STOP_POINTS = frozenset({"Authorized", "PowerPathClosed", "EnergyTransfer"})


def points_of(evse: Evse) -> set[str]:
    """The start and stop points that are true now."""
    authorised = evse.session.authorised
    points = set()
    if evse.plugged:
        points.add("EVConnected")
    if authorised:
        points.add("Authorized")
    if evse.plugged and authorised:
        points.add("PowerPathClosed")
    if evse.plugged and authorised and evse.flow is EnergyFlow.FLOWING:
        points.add("EnergyTransfer")  # no energy flows through a pulled cable, even if the HAL has yet to report it
    return points


def starts(model: DeviceModel, points: Set[str]) -> bool:
    """Whether a start point has been reached (E01.FR.02, E01.FR.03, E01.FR.05, E01.FR.06)."""
    return not points.isdisjoint(model.get(keys.TX_START_POINT))


def ends(model: DeviceModel, evse: Evse) -> bool:
    """Whether a stop point has been left (E06.FR.02, E06.FR.03, E06.FR.04, E06.FR.06, E06.FR.07).

    A transaction also ends when neither authorisation nor vehicle is left: nothing else would end it.
    """
    points = points_of(evse)
    stop_points = set(model.get(keys.TX_STOP_POINT))
    if "PowerPathClosed" in stop_points:
        stop_points |= {"EVConnected", "Authorized"}  # exactly the same (part 2, 2.6.6.2)
    return bool((evse.session.held - points) & stop_points) or not points


def ends_with_authorisation(model: DeviceModel) -> bool:
    """Whether the end of the authorisation ends the transaction (E05.FR.10, F03.FR.03)."""
    return not _DEAUTHORISING_STOP_POINTS.isdisjoint(model.get(keys.TX_STOP_POINT))
