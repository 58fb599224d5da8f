# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig state`: the snapshot in a few lines for a person; `--json` has everything."""

from __future__ import annotations

from typing import Any

from tools.columns import table

__all__ = ["summary"]

_HEAD = ("EVSE", "status", "phase", "cable", "power", "offered", "meter", "car", "transaction", "faults")


def summary(state: dict[str, Any]) -> str:
    """Station, CSMS and processes in a line each, then a row for each EVSE."""
    if not state["powered"]:
        return f"{state['identity']}: without power"
    processes = ", ".join(f"{name} {pid}" for name, pid in state["processes"].items() if pid is not None)
    lines = [
        f"{state['identity']}, firmware {state['firmware_version']}, boot {state['boots']}; processes: {processes}",
        _csms(state["ocpp"]),
        "links: " + ", ".join(f"{name} {link}" for name, link in state["links"].items()),
        *([f"faults of the station: {', '.join(state['faults'])}"] if state.get("faults") else []),
        "",
        table(_HEAD, [_row(evse) for evse in state["evses"]]),
    ]
    return "\n".join(lines)


def _csms(ocpp: dict[str, Any]) -> str:
    queued = f"; messages queued: {ocpp['queued_messages']}" if ocpp["queued_messages"] else ""
    if ocpp["connected"]:
        where = f"slot {ocpp['slot']}, security profile {ocpp['security_profile']}"
        return f"CSMS: connected ({where}), {ocpp['registration'] or 'not registered'}{queued}"
    failure = ocpp.get("last_failure")
    return f"CSMS: not connected{': ' + failure['text'] if failure else ''}{queued}"


def _row(evse: dict[str, Any]) -> tuple[object, ...]:
    cable = "locked" if evse["locked"] else "plugged" if evse["plugged"] else "free"
    return (
        evse["evse"],
        evse["status"] if evse["availability"] == "Operative" else f"{evse['status']}, {evse['availability']}",
        evse["phase"],
        cable,
        f"{evse['power_kw']:.1f} kW",
        f"{evse['offered_kw']:.0f} kW",
        f"{evse['energy_wh'] / 1000:.2f} kWh",
        None if evse["soc_percent"] is None else f"{evse['soc_percent']:.0f} %",
        evse["transaction_id"] and f"{evse['transaction_id'][:8]} {evse['charging_state'] or ''}".strip(),
        ", ".join(evse["faults"]) or None,
    )
