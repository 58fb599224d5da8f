# SPDX-License-Identifier: Apache-2.0
"""What ModemManager's objects say about the modem. Pure.

Source: ModemManager's D-Bus interface, version 1.20: interfaces `Modem`, `Modem.Modem3gpp`, `Modem.Signal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from drivers.net.objects import Objects, Properties, value_of

__all__ = [
    "INTERFACES",
    "MODEM",
    "MODEM_ROOT",
    "MODEM_SERVICE",
    "Modem",
    "ModemState",
    "SimTrouble",
    "find_modem",
]

MODEM_SERVICE = "org.freedesktop.ModemManager1"
MODEM_ROOT = "/org/freedesktop/ModemManager1"
MODEM = f"{MODEM_SERVICE}.Modem"
_THREE_GPP = f"{MODEM}.Modem3gpp"
_SIGNAL = f"{MODEM}.Signal"
INTERFACES = (MODEM, _THREE_GPP, _SIGNAL)
_PORT_NET = 2
_RADIOS = (("Nr5g", "rsrp"), ("Lte", "rsrp"), ("Umts", "rscp"), ("Umts", "rssi"), ("Gsm", "rssi"))
"""Where the strength in dBm is, the newest technology first."""


class ModemState(IntEnum):
    """MMModemState."""

    FAILED = -1
    UNKNOWN = 0
    INITIALIZING = 1
    LOCKED = 2
    DISABLED = 3
    DISABLING = 4
    ENABLING = 5
    ENABLED = 6
    SEARCHING = 7
    REGISTERED = 8
    DISCONNECTING = 9
    CONNECTING = 10
    CONNECTED = 11


class SimTrouble(IntEnum):
    """The reasons of MMModemStateFailedReason that are the SIM's, which no reset cures."""

    MISSING = 2
    ERROR = 3
    NO_ESIM_PROFILE = 5


@dataclass(frozen=True, slots=True)
class Modem:
    path: str
    state: ModemState
    failed_reason: int
    """MMModemStateFailedReason while the state is FAILED."""
    signal_percent: int | None
    signal_dbm: float | None
    """RSRP of LTE and 5G, else RSCP or RSSI."""
    rsrq_db: float | None
    operator: str | None
    interface: str | None
    """The modem's network interface, such as `wwan0`."""
    model: str = ""
    imei: str = ""
    firmware: str = ""

    @property
    def sim_trouble(self) -> SimTrouble | None:
        if self.state is ModemState.FAILED and self.failed_reason in set(SimTrouble):
            return SimTrouble(self.failed_reason)
        return None


def find_modem(objects: Objects) -> Modem | None:
    """The modem; of several the one that has got furthest, then the first by path."""
    modems = [_modem(path, objects) for path in sorted(objects) if MODEM in objects[path]]
    return max(modems, key=lambda modem: modem.state, default=None)


def _modem(path: str, objects: Objects) -> Modem:
    found = objects[path]
    modem, signal = found[MODEM], found.get(_SIGNAL, {})
    return Modem(
        path=path,
        state=_state(value_of(modem, "State", int)),
        failed_reason=value_of(modem, "StateFailedReason", int) or 0,
        signal_percent=_percent(modem),
        signal_dbm=next(filter(None, (_decibel(signal, *each) for each in _RADIOS)), None),
        rsrq_db=_decibel(signal, "Nr5g", "rsrq") or _decibel(signal, "Lte", "rsrq"),
        operator=value_of(found.get(_THREE_GPP, {}), "OperatorName", str) or None,
        interface=_interface(modem),
        model=value_of(modem, "Model", str) or "",
        imei=value_of(modem, "EquipmentIdentifier", str) or "",
        firmware=value_of(modem, "Revision", str) or "",
    )


def _state(value: int | None) -> ModemState:
    return ModemState(value) if value in set(ModemState) else ModemState.UNKNOWN


def _percent(modem: Properties) -> int | None:
    """SignalQuality is (percent, whether it is recent)."""
    match modem.get("SignalQuality"):
        case [int() as percent, *_] if 0 <= percent <= 100:
            return percent
    return None


def _decibel(signal: Properties, radio: str, name: str) -> float | None:
    """A value of Modem.Signal; ModemManager leaves those out that the modem does not report."""
    value = (value_of(signal, radio, dict) or {}).get(name)
    return value if isinstance(value, float) and -200.0 < value < 100.0 else None


def _interface(modem: Properties) -> str | None:
    """Ports are (name, MMModemPortType). Bearers have the name, too, but are no objects of the ObjectManager."""
    for port in value_of(modem, "Ports", list) or []:
        match port:
            case [str() as name, int() as kind, *_] if kind == _PORT_NET:
                return name
    return None
