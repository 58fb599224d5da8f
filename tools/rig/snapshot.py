# SPDX-License-Identifier: Apache-2.0
"""The answer to `state`: what an onlooker sees, and what the station says of itself.

Plug, lock, electrical values, register and displays are the world's, so they hold as soon as an operation is answered,
and also when no process runs. Phase and faults are the HAL's; availability, status and transaction are the OCPP
service's. Whoever is away says nothing: the phase is then what a glance at the cable tells, and the transaction is
null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drivers.simulated.world.evse import Evse
from firmware.contract import Phase
from tools.rig.view import EvseView

if TYPE_CHECKING:
    from tools.rig.rig import Rig

__all__ = ["state_of"]


def state_of(rig: Rig) -> dict[str, Any]:
    """The whole snapshot, in the words of the rig's contract."""
    board = rig.world.board
    return {
        "powered": board.powered,
        "boots": board.boots,
        "identity": rig.station.settings.identity,
        "firmware_version": rig.slots.version() or rig.view.firmware_version,
        "ocpp": rig.view.ocpp(rig.clock.monotonic()),
        "evses": [_evse(rig, evse, hardware) for evse, hardware in rig.world.evses.items()],
        "screens": [
            {"screen": number, "page": display.page, "text": display.text}
            for number, display in rig.world.displays.items()
        ],
        "links": {name: "up" if up else "down" for name, up in rig.world.links.items()},
        "faults": sorted(fault.value for fault in rig.view.faults),
        "commissioning": None,
        "label": {"serial_number": board.serial_number, "commissioning_password": None},
        "processes": {**rig.supervisor.pids, "commissioning": None},
    }


def _evse(rig: Rig, evse: int, hardware: Evse) -> dict[str, Any]:
    view = rig.view.evses[evse]
    service = rig.view.service(evse)
    charging = hardware.current_a > 0.0
    return {
        "evse": evse,
        "connector": view.connector,
        "availability": "Operative" if service is None else service.availability,
        "status": "Unavailable" if service is None else service.status,
        "phase": _phase(rig, view, hardware).value,
        "selected": service is not None and service.selected,
        "plugged": hardware.car is not None,
        "locked": hardware.car is not None and hardware.car.locked,
        "contactor": "closed" if hardware.contactor.closed else "open",
        "voltage_v": round(hardware.voltage_v, 1),
        "current_a": round(hardware.current_a, 1),
        "power_kw": round(hardware.power_w / 1000, 3) if charging else 0.0,
        "energy_wh": hardware.register_wh,
        "soc_percent": None if hardware.car is None else round(hardware.car.battery.soc_percent, 1),
        "offered_kw": round(view.offered_w / 1000, 3) if rig.view.hal_up else 0.0,
        "transaction_id": None if service is None else service.transaction_id,
        "charging_state": None if service is None else service.charging_state,
        "id_token": None if service is None else service.id_token,
        "faults": sorted(fault.value for fault in view.faults) if rig.view.hal_up else [],
    }


def _phase(rig: Rig, view: EvseView, hardware: Evse) -> Phase:
    if rig.view.hal_up:
        return view.phase
    return Phase.IDLE if hardware.car is None else Phase.PLUGGED
