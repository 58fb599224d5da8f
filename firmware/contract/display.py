# SPDX-License-Identifier: Apache-2.0
"""The page model: what one display shows, as data in no language.

Every text is a code of a closed list, every number has its unit in the name. A back-end (`drivers/screen/`,
`drivers/simulated/screen.py`, a serial panel) makes words of it, in the language that the EV driver has chosen at the
display. Nothing that the CSMS has written is in a page. README.md says which page needs which fields.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from firmware.contract.faults import Fault

__all__ = [
    "MAX_HISTORY",
    "MAX_OUTLETS",
    "Advice",
    "Offline",
    "OutOfService",
    "Outlet",
    "OutletState",
    "Page",
    "PageModel",
    "Refusal",
    "Step",
    "SuspendedBy",
    "advice_of",
    "worst_first",
]

MAX_HISTORY = 60
"""Points of the power curve."""
MAX_OUTLETS = 15
"""Other outlets that a page tells of; a station may have more."""


class Page(str, Enum):
    """The pages of a display."""

    STARTING = "starting"
    IDLE = "idle"
    SELECT = "select"
    PLUG_IN = "plug_in"
    PLUG_IN_AGAIN = "plug_in_again"
    AUTHORISING = "authorising"
    AUTHORISED = "authorised"
    PREPARING = "preparing"
    CHARGING = "charging"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    FINISHED = "finished"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"
    EMERGENCY_STOP = "emergency_stop"
    OFFLINE = "offline"


class Refusal(str, Enum):
    """Why a card was refused."""

    REJECTED = "rejected"
    NOT_ALLOWED_HERE = "not_allowed_here"
    NOT_YOURS = "not_yours"
    NO_EVSE_SELECTED = "no_evse_selected"
    OFFLINE = "offline"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"
    ERROR = "error"
    SEVERAL_CARDS = "several_cards"
    UNREADABLE = "unreadable"
    NO_IDENTITY = "no_identity"


class OutOfService(str, Enum):
    """Why an outlet is out of service without a fault."""

    OPERATOR = "operator"
    """The CSMS has made it Inoperative."""
    RESTART = "restart"
    """The station is about to restart."""
    UPDATE = "update"
    """A firmware update waits, or is being installed."""
    SERVICE = "service"
    """The OCPP service is away: nobody can be authorised."""


class Step(str, Enum):
    """The steps of the preparation, in their order."""

    VEHICLE = "vehicle"
    """Station and vehicle agree on the session."""
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    ENERGY = "energy"
    """The contactors are closed; the current is about to rise."""


class SuspendedBy(str, Enum):
    """Who has suspended the energy."""

    VEHICLE = "vehicle"
    STATION = "station"


class Offline(str, Enum):
    """Why there is no connection to the CSMS, as far as an EV driver needs to know."""

    LINK = "link"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    INSECURE = "insecure"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    SETTINGS = "settings"
    PENDING = "pending"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Advice(str, Enum):
    """What an EV driver can do about a fault."""

    RELEASE_STOP = "release_stop"
    CLOSE_DOOR = "close_door"
    COOL_DOWN = "cool_down"
    UNPLUG = "unplug"
    WAIT = "wait"
    OTHER_OUTLET = "other_outlet"


class OutletState(str, Enum):
    FREE = "free"
    IN_USE = "in_use"
    CHARGING = "charging"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class Outlet(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another outlet of the station."""

    evse: int
    state: OutletState
    power_kw: int | None = None
    """While it charges."""


class PageModel(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a display shows. None: not known, or of no concern on this page.

    Local times are the station's, to the minute, such as `2026-11-30T14:05`.
    """

    page: Page
    evse: int = 0
    """The outlet of this display; 0 before it is known."""
    connector: str = ""
    """The name of its plug: `CCS1`, `NACS` ..."""
    reason: Refusal | None = None
    out_of_service: OutOfService | None = None
    since: str | None = None
    """Local time since when it is out of service."""
    faults: tuple[Fault, ...] = ()
    """The worst first."""
    code: str = ""
    """Of the worst: what the operator's support asks for; ChargeX, such as `CX008`, where it has one."""
    advice: Advice | None = None
    step: Step | None = None
    suspended_by: SuspendedBy | None = None
    soc_percent: int | None = None
    power_kw: float | None = None
    energy_kwh: float | None = None
    """Of this session."""
    duration_s: int | None = None
    """Since the session began."""
    minutes_to_80: int | None = None
    """Until the battery has 80 %, by its rise so far."""
    offered_kw: float | None = None
    """What the station offers the vehicle now."""
    shared_with: int | None = None
    """The outlet that the station's power is shared with."""
    history_kw: tuple[float, ...] = ()
    """Mean power, the oldest first; at most `MAX_HISTORY` points, each of `history_step_s`."""
    history_step_s: int = 0
    started: str | None = None
    """Local time of the session's begin."""
    ended: str | None = None
    offline: Offline | None = None
    """A notice on any page: there is no connection to the CSMS, for this reason."""
    others: tuple[Outlet, ...] = ()
    """The other outlets, by their number."""


_ADVICE = {
    Fault.EMERGENCY_STOP: Advice.RELEASE_STOP,
    Fault.DOOR_OPEN: Advice.CLOSE_DOOR,
    Fault.OVER_TEMPERATURE: Advice.COOL_DOWN,
    Fault.POWER_LOSS: Advice.WAIT,
    Fault.METER: Advice.WAIT,
    Fault.VEHICLE_LINK: Advice.UNPLUG,
    Fault.PILOT: Advice.UNPLUG,
    Fault.PROXIMITY: Advice.UNPLUG,
    Fault.CONNECTOR_LOCK: Advice.UNPLUG,
    Fault.CABLE_CHECK: Advice.UNPLUG,
    Fault.PRECHARGE: Advice.UNPLUG,
}


def advice_of(fault: Fault) -> Advice:
    """What the EV driver can do about it; what needs a technician: go to another outlet."""
    return _ADVICE.get(fault, Advice.OTHER_OUTLET)


def worst_first(faults: frozenset[Fault] | set[Fault]) -> tuple[Fault, ...]:
    """Those that stop charging, in the order of the closed list; a harmless one is not for the EV driver."""
    return tuple(fault for fault in Fault if fault in faults and fault.stops_charging)
