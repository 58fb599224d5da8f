# SPDX-License-Identifier: Apache-2.0
"""The answer to `state`: what an onlooker sees, and what the station reports.

Plug, lock, electrical values, register and displays come from the world: they are valid as soon as an operation is
answered, and also while no process runs. Phase and faults come from the HAL; availability, status and transaction from
the OCPP service. While the HAL is not running, the phase follows from the cable; while the service is not running, the
transaction is null.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from drivers.simulated.world.evse import Evse
from firmware.contract import PageModel, Phase
from services.commissioning import label
from tools.rig.simulation import Simulation
from tools.rig.station_dir import COMMISSIONING, COMMISSIONING_PORT, DISPLAYS, MESSAGE_LOG
from tools.rig.view import EvseView

__all__ = ["state_of"]


def state_of(simulation: Simulation) -> dict[str, Any]:
    """The whole snapshot, in the terms of the rig's contract."""
    board = simulation.world.board
    return {
        "powered": board.powered,
        "boots": board.boots,
        "speed": simulation.station.settings.rig.speed,
        "identity": simulation.station.settings.identity,
        "firmware_version": simulation.slots.version() or simulation.view.firmware_version,
        "ocpp": simulation.view.ocpp(simulation.clock.monotonic()),
        "evses": [_evse(simulation, evse, hardware) for evse, hardware in simulation.world.evses.items()],
        "screens": [
            {
                "screen": number,
                "page": display.page,
                "text": _text(display.model),
                "model": msgspec.to_builtins(display.model),
                "url": _display_url(simulation, number),
            }
            for number, display in simulation.world.displays.items()
        ],
        "links": {name: "up" if up else "down" for name, up in simulation.world.links.items()},
        "default_link": simulation.world.default_link,
        "signal_percent": dict(simulation.world.signal_percent),
        "faults": sorted(fault.value for fault in simulation.view.faults),
        "commissioning": _page(simulation),
        "label": {
            "serial_number": board.serial_number,
            "commissioning_password": label.valid_password(simulation.station.path / COMMISSIONING),
        },
        "processes": {"commissioning": None, **simulation.supervisor.pids},
        "message_log": str(simulation.station.path / MESSAGE_LOG),
        "devices": simulation.wire.plugged if simulation.wire is not None else {},
    }


def _display_url(simulation: Simulation, screen: int) -> str | None:
    """Where a browser finds the display; None if it is no web page, and while no HAL runs."""
    wire, file = simulation.wire, simulation.station.path / DISPLAYS
    is_web = simulation.station.settings.rig.displays if wire is None else screen in wire.browsers
    running = is_web and simulation.view.hal_up and file.exists()
    return f"{file.read_text(encoding='ascii')}/display/{screen}" if running else None


def _text(model: PageModel | None) -> dict[str, str]:
    """The fields of a page that say something, each as text; the power curve and other outlets only in the model."""
    if model is None:
        return {}
    fields = {name: getattr(model, name) for name in model.__struct_fields__}
    texts = {name: _TEXT.get(name, _plain)(value) for name, value in fields.items() if value not in (None, "", ())}
    return {
        name: text for name, text in texts.items() if name not in ("page", "history_kw", "history_step_s", "others")
    }


def _plain(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


_TEXT: dict[str, Callable[[Any], str]] = {
    "faults": lambda faults: ", ".join(fault.value for fault in faults),
    "power_kw": "{:.1f}".format,
    "offered_kw": "{:.1f}".format,
    "energy_kwh": "{:.2f}".format,
}


def _page(simulation: Simulation) -> str | None:
    """The address of the commissioning page, once the process that runs serves it."""
    try:
        serving = msgspec.json.decode((simulation.station.path / COMMISSIONING_PORT).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    if serving["pid"] != simulation.supervisor.pids.get("commissioning"):
        return None
    return f"https://127.0.0.1:{serving['port']}/"


def _evse(simulation: Simulation, evse: int, hardware: Evse) -> dict[str, Any]:
    view = simulation.view.evses[evse]
    service = simulation.view.service(evse)
    charging = hardware.current_a > 0.0
    return {
        "evse": evse,
        "connector": view.connector,
        "availability": "Operative" if service is None else service.availability,
        "status": "Unavailable" if service is None else service.status,
        "phase": _phase(simulation, view, hardware).value,
        "selected": service is not None and service.selected,
        "plugged": hardware.car is not None,
        "locked": hardware.car is not None and hardware.car.locked,
        "contactor": "closed" if hardware.contactor.closed else "open",
        "voltage_v": round(hardware.voltage_v, 1),
        "current_a": round(hardware.current_a, 1),
        "power_kw": round(hardware.power_w / 1000, 3) if charging else 0.0,
        "energy_wh": hardware.register_wh,
        "soc_percent": None if hardware.car is None else round(hardware.car.battery.soc_percent, 1),
        "offered_kw": round(view.offered_w / 1000, 3) if simulation.view.hal_up else 0.0,
        "transaction_id": None if service is None else service.transaction_id,
        "charging_state": None if service is None else service.charging_state,
        "id_token": None if service is None else service.id_token,
        "faults": sorted(fault.value for fault in view.faults) if simulation.view.hal_up else [],
    }


def _phase(simulation: Simulation, view: EvseView, hardware: Evse) -> Phase:
    if simulation.view.hal_up:
        return view.phase
    return Phase.IDLE if hardware.car is None else Phase.PLUGGED
