# SPDX-License-Identifier: Apache-2.0
"""One charging session as an EV driver plays it, and a comparison of its energy afterwards.

The energy in the meter's register must be that which the CSMS computes from the station's TransactionEvents, or the
demonstration has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.csms.client import Client
from tools.demo.bench import DemoFailed
from tools.rig.client import RigClient

__all__ = ["CARD", "Summary", "accepted", "play"]

CARD = "04A1B2C3D4E580"
_EVSE = 2
_ENERGY_WH = 10_000.0
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Summary:
    evse: int
    energy_wh: float
    events: int
    queued: int

    def __str__(self) -> str:
        return (
            f"session complete: EVSE {self.evse}, {self.energy_wh / 1000:.1f} kWh,"
            f" {self.events} TransactionEvents, {self.queued} queued"
        )


async def play(rig: RigClient, csms: Client, show: Callable[[dict[str, Any]], None], resolution_wh: float) -> Summary:
    """Select EVSE 2, card, plug in, charge, card again, unplug; `show` gets the EVSE's state as it changes.

    `resolution_wh` is that of the meter's register, to which the CSMS's energy must agree with the world's.
    """
    watcher = asyncio.create_task(_watch(rig, show))
    try:
        return await _play(rig, csms, resolution_wh)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def _watch(rig: RigClient, show: Callable[[dict[str, Any]], None]) -> None:
    while True:
        show(await rig.evse(_EVSE))
        await asyncio.sleep(0.2)


async def accepted(rig: RigClient) -> None:
    """Wait until the station is connected and accepted."""
    await _until(rig, _is_accepted, "the CSMS did not accept the station")


def _is_accepted(state: dict[str, Any]) -> bool:
    return bool(state["ocpp"]["connected"]) and state["ocpp"]["registration"] == "Accepted"


async def _play(rig: RigClient, csms: Client, resolution_wh: float) -> Summary:
    await _until(rig, lambda state: _evse(state)["status"] == "Available", "the EVSE is not available")
    before = (await rig.evse(_EVSE))["energy_wh"]
    await rig.op("select_evse", evse=_EVSE)
    await rig.op("present_card", uid=CARD)
    state = await _until(rig, _transaction, "the card started no transaction")
    transaction = _evse(state)["transaction_id"]
    await rig.op("plug_in", evse=_EVSE)
    await _until(rig, lambda state: _evse(state)["phase"] == "charging", "no energy flowed")
    await _until(rig, lambda state: _evse(state)["energy_wh"] - before >= _ENERGY_WH, "the car charged too slowly")
    await rig.op("present_card", uid=CARD, evse=_EVSE)
    await _until(rig, lambda state: not _transaction(state), "the second card did not stop the transaction")
    await _until(rig, lambda state: not _evse(state)["locked"], "the car did not release the plug")
    await rig.op("plug_out", evse=_EVSE)
    await _until(rig, lambda state: _evse(state)["status"] == "Available", "the EVSE did not become available")
    state = await _until(rig, lambda state: state["ocpp"]["queued_messages"] == 0, "messages are left in the queue")
    row = await _known(csms, transaction, _evse(state)["energy_wh"] - before, resolution_wh)
    return Summary(_EVSE, row["energy_wh"], row["events"], state["ocpp"]["queued_messages"])


async def _known(csms: Client, transaction: str, metered_wh: float, resolution_wh: float) -> dict[str, Any]:
    """What the CSMS knows of the transaction; raises `DemoFailed` if that is not what flowed."""
    rows = await asyncio.to_thread(csms.get, "/api/transactions")
    found = [row for row in rows if row["id"] == transaction]
    if not found:
        raise DemoFailed("the CSMS does not know the transaction")
    row: dict[str, Any] = found[0]
    if row["ended"] is None or not row["seq_ok"]:
        raise DemoFailed("the CSMS is missing events of the transaction")
    if abs(row["energy_wh"] - metered_wh) > 1.1 * resolution_wh:
        raise DemoFailed(f"the CSMS counts {row['energy_wh']:.1f} Wh, the meter {metered_wh:.1f} Wh")
    return row


async def _until(rig: RigClient, holds: Callable[[dict[str, Any]], bool], otherwise: str) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_S
    while loop.time() < deadline:
        state = await rig.state()
        if holds(state):
            return state
        await asyncio.sleep(0.1)
    raise DemoFailed(otherwise)


def _evse(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(evse for evse in state["evses"] if evse["evse"] == _EVSE)
    return found


def _transaction(state: dict[str, Any]) -> bool:
    return _evse(state)["transaction_id"] is not None
