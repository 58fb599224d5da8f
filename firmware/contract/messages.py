# SPDX-License-Identifier: Apache-2.0
"""The messages of the socket between the HAL and its clients, typed; README.md in this folder is the specification.

Every message is one JSON object with a `kind`. Electrical values are SI floats with the unit in the name.
Stamps are `mono_s` (CLOCK_MONOTONIC, the same for every process of one boot) and `utc_s` (seconds since 1970
by the board's clock at the time of the event).
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field

from firmware.contract.display import PageModel
from firmware.contract.faults import Fault
from firmware.contract.network import Network, NewCellularSettings, WiredSettings

__all__ = [
    "BILLING_EVENTS",
    "CONTRACT_VERSION",
    "Acknowledge",
    "Answer",
    "BoardClock",
    "BootCause",
    "CabinetCommand",
    "CardPresented",
    "CardProblem",
    "CardUnreadable",
    "Cause",
    "ClockChanged",
    "Command",
    "ContactorChanged",
    "DeviceReport",
    "Done",
    "EndNetworkTrial",
    "EnergyFlow",
    "EnergyFlowChanged",
    "Event",
    "EvseSelected",
    "EvseStatus",
    "FaultCleared",
    "FaultRaised",
    "FromClient",
    "FromHal",
    "GetNetwork",
    "GetSiteLimit",
    "Greeting",
    "LatchChanged",
    "LinkChanged",
    "LinkDetails",
    "ListDevices",
    "MeterContext",
    "MeterReading",
    "NetworkCommand",
    "Permit",
    "Phase",
    "PhaseChanged",
    "Plugged",
    "PowerOff",
    "Problem",
    "Reboot",
    "Refused",
    "Request",
    "Role",
    "ScreenShown",
    "SelfTest",
    "SelfTestFinished",
    "SetAvailable",
    "SetCellular",
    "SetLimit",
    "SetSiteLimit",
    "SetWired",
    "Show",
    "SiteLimit",
    "Snapshot",
    "Stamped",
    "StartTest",
    "StopPressed",
    "Unplugged",
    "VehicleIdentified",
    "Withdraw",
]

CONTRACT_VERSION = 1


class Role(str, Enum):
    """What a client may do: one `service` at a time commands the charging and acknowledges; `observer`s only receive;
    `maintenance` asks for devices, tests, restart and power-off."""

    SERVICE = "service"
    OBSERVER = "observer"
    MAINTENANCE = "maintenance"


class Phase(str, Enum):
    """The state of one EVSE in its charging sequence."""

    IDLE = "idle"
    PLUGGED = "plugged"
    AUTHORISED = "authorised"
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    CHARGING = "charging"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAULTED = "faulted"


class Cause(str, Enum):
    """Why a phase was entered."""

    DRIVER = "driver"
    VEHICLE = "vehicle"
    SERVICE = "service"
    LEASE = "lease"
    FAULT = "fault"
    TIMEOUT = "timeout"
    SEQUENCE = "sequence"


class EnergyFlow(str, Enum):
    """Whether energy flows, and which side has suspended it if it does not.

    `unanswered`: energy is permitted, and the vehicle did not begin within the time limit, nor at the second try.
    """

    NONE = "none"
    FLOWING = "flowing"
    SUSPENDED_BY_VEHICLE = "suspended_by_vehicle"
    SUSPENDED_BY_STATION = "suspended_by_station"
    UNANSWERED = "unanswered"


class MeterContext(str, Enum):
    """Why a reading was taken; `start` and `stop` frame the energy of one delivery and are billing events."""

    PERIODIC = "periodic"
    START = "start"
    STOP = "stop"


class CardProblem(str, Enum):
    """Why a card in the field could not be identified."""

    SEVERAL_CARDS = "several_cards"
    UNREADABLE = "unreadable"
    NO_IDENTITY = "no_identity"
    """Its UID is a random one, as a phone's is."""


class SelfTest(str, Enum):
    """What can be tried without a vehicle."""

    CARD_READER = "card_reader"
    """A person presents a card."""
    SCREEN = "screen"
    """A person touches the display."""
    CONTACTOR = "contactor"
    """Closes and opens without voltage; its mirror contact must follow."""
    INSULATION = "insulation"
    """The monitor is switched on and must measure."""


class BootCause(str, Enum):
    """The cause of this boot by the board's reset register."""

    POWER_UP = "power_up"
    LOCAL_RESET = "local_reset"
    REQUESTED = "requested"
    WATCHDOG = "watchdog"
    UNKNOWN = "unknown"


class Problem(str, Enum):
    """Why the HAL refused a command: the closed list."""

    BAD_REQUEST = "bad_request"
    UNKNOWN_EVSE = "unknown_evse"
    NOT_ALLOWED = "not_allowed"
    FAULTED = "faulted"
    NO_HARDWARE = "no_hardware"
    DEVICE_FAILED = "device_failed"
    BUSY = "busy"


# --- both ways ---------------------------------------------------------------------------------------


class Greeting(Struct, frozen=True, tag="greeting", tag_field="kind", forbid_unknown_fields=True):
    """First message of each end. The HAL closes the connection if the version differs, after sending its own."""

    version: int
    role: Role = Role.OBSERVER
    software: str = ""


# --- HAL to client: events ---------------------------------------------------------------------------


class _Event(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class PhaseChanged(_Event, frozen=True, tag="phase_changed"):
    evse: int
    phase: Phase
    cause: Cause


class Plugged(_Event, frozen=True, tag="plugged"):
    """The cable is in a vehicle."""

    evse: int


class Unplugged(_Event, frozen=True, tag="unplugged"):
    """The cable left the vehicle; `forced` if energy was flowing."""

    evse: int
    forced: bool = False


class CardPresented(_Event, frozen=True, tag="card_presented"):
    """A card came into the field; `uid` is upper-case hex, 4, 7 or 10 bytes."""

    uid: str


class CardUnreadable(_Event, frozen=True, tag="card_unreadable"):
    problem: CardProblem


class EvseSelected(_Event, frozen=True, tag="evse_selected"):
    """The EV driver touched the display of this EVSE."""

    evse: int


class StopPressed(_Event, frozen=True, tag="stop_pressed"):
    """The EV driver touched stop on the display of this EVSE."""

    evse: int


class MeterReading(_Event, frozen=True, tag="meter_reading", omit_defaults=True):
    """One reading of the EVSE's meter. `energy_wh` is the register as far as it is believed.

    It never falls between a `start` and its `stop`.
    """

    evse: int
    context: MeterContext
    energy_wh: float
    voltage_v: float
    current_a: float
    power_w: float
    offered_a: float
    offered_w: float
    soc_percent: float | None = None
    age_s: float = 0.0
    """How long before this message the register was read."""


class EnergyFlowChanged(_Event, frozen=True, tag="energy_flow_changed"):
    evse: int
    flow: EnergyFlow


class ContactorChanged(_Event, frozen=True, tag="contactor_changed"):
    evse: int
    closed: bool


class LatchChanged(_Event, frozen=True, tag="latch_changed"):
    """The vehicle's inlet has locked or released the plug."""

    evse: int
    locked: bool


class VehicleIdentified(_Event, frozen=True, tag="vehicle_identified"):
    """The vehicle's EVCCID, upper-case hex."""

    evse: int
    evcc_id: str


class FaultRaised(_Event, frozen=True, tag="fault_raised"):
    fault: Fault
    evse: int | None = None
    detail: str = ""


class FaultCleared(_Event, frozen=True, tag="fault_cleared"):
    fault: Fault
    evse: int | None = None


class LinkDetails(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a network interface besides whether it is up; None: nothing."""

    default: bool = False
    """The board's default route leads over it: what is not bound to another interface goes this way."""
    device: str | None = None
    """The kernel's name of the interface, such as `eth0`."""
    signal_percent: int | None = None
    signal_dbm: float | None = None
    """RSRP of LTE and 5G, RSCP or RSSI of older networks."""
    rsrq_db: float | None = None
    operator: str | None = None


class LinkChanged(_Event, frozen=True, tag="link_changed", omit_defaults=True):
    """A network interface of the board, by its OCPP name (`Wired0`, `Wireless0`): up or down, or other details."""

    interface: str
    up: bool
    details: LinkDetails = LinkDetails()


class ClockChanged(_Event, frozen=True, tag="clock_changed"):
    """The board's clock stepped, was lost, or is now synchronised with a time server."""

    is_set: bool
    synchronised: bool


class SelfTestFinished(_Event, frozen=True, tag="self_test_finished"):
    """A test that was requested is over; `detail` says in words what was found."""

    test: SelfTest
    evse: int | None
    passed: bool
    detail: str


class ScreenShown(_Event, frozen=True, tag="screen_shown"):
    """A display now shows this page."""

    screen: int
    model: PageModel


Event: TypeAlias = (
    PhaseChanged
    | Plugged
    | Unplugged
    | CardPresented
    | CardUnreadable
    | EvseSelected
    | StopPressed
    | MeterReading
    | EnergyFlowChanged
    | ContactorChanged
    | LatchChanged
    | VehicleIdentified
    | FaultRaised
    | FaultCleared
    | LinkChanged
    | ClockChanged
    | ScreenShown
    | SelfTestFinished
)

BILLING_EVENTS = (Plugged, Unplugged, CardPresented)
"""Kept until acknowledged, with the meter readings of context `start` and `stop`."""


class Stamped(Struct, frozen=True, tag="event", tag_field="kind", forbid_unknown_fields=True):
    """An event with its number in the HAL's sequence; `replayed` if it was sent before and not acknowledged."""

    seq: int
    mono_s: float
    utc_s: float
    event: Event
    keep: bool = False
    replayed: bool = False


class BoardClock(Struct, frozen=True, forbid_unknown_fields=True):
    """The board's UTC at `mono_s`; `is_set` is false after the RTC lost its power."""

    mono_s: float
    utc_s: float
    is_set: bool
    synchronised: bool


class EvseStatus(Struct, frozen=True, forbid_unknown_fields=True):
    evse: int
    connector: int
    phase: Phase
    plugged: bool
    locked: bool
    contactor_closed: bool
    flow: EnergyFlow
    session: str | None
    lease_left_s: float
    limit_w: float | None
    reading: MeterReading | None
    faults: list[Fault]
    evcc_id: str | None = None
    max_wh_per_s: float | None = None
    """The fastest that the register can rise, by the EVSE's rating; None if it is not known."""


class Snapshot(Struct, frozen=True, tag="snapshot", tag_field="kind", forbid_unknown_fields=True):
    """The whole state of the HAL at `seq`; sent once, after the greetings and before any event."""

    seq: int
    run_id: str
    boot_id: str
    boot_cause: BootCause
    serial_number: str
    clock: BoardClock
    evses: list[EvseStatus]
    faults: list[Fault]
    links: dict[str, bool]
    screens: list[ScreenShown]
    link_details: dict[str, LinkDetails] = field(default_factory=dict)
    """Of the interfaces of `links` that anything more is known of."""


class DeviceReport(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One device, as its driver knows it; a text is empty where nothing is known."""

    place: str
    """The table in the HAL's settings: `evse 1, meter`."""
    name: str = ""
    """Which of several devices there, such as `module 3`."""
    address: str = ""
    serial_number: str = ""
    firmware: str = ""
    answers: bool = True
    state: str = ""
    """In words; if it does not answer, why."""
    faults: list[Fault] = field(default_factory=list)
    """Those present now that are its own or are found through it."""
    last_trouble: str = ""
    """The detail of the last such fault since the HAL's start, present or not."""
    last_trouble_utc_s: float | None = None


class SiteLimit(Struct, frozen=True, forbid_unknown_fields=True):
    """What the station may deliver in all, in W; None: no limit."""

    in_force_w: float | None
    """Since the HAL's start."""
    settings_w: float | None
    """By the HAL's settings; an installer's can only be lower."""
    next_w: float | None
    """An installer's; it counts from the HAL's next start."""


class Done(Struct, frozen=True, tag="done", tag_field="kind", forbid_unknown_fields=True, omit_defaults=True):
    id: int
    devices: list[DeviceReport] | None = None
    """The answer to `list_devices`."""
    site_limit: SiteLimit | None = None
    """The answer to `get_site_limit` and `set_site_limit`."""
    network: Network | None = None
    """The answer to every command on the network."""


class Refused(Struct, frozen=True, tag="refused", tag_field="kind", forbid_unknown_fields=True):
    id: int
    problem: Problem
    detail: str = ""


Answer: TypeAlias = Done | Refused

# --- client to HAL: commands -------------------------------------------------------------------------


class _Command(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class Permit(_Command, frozen=True, tag="permit"):
    """Energy may flow on this EVSE for `lease_s` seconds from now; repeated to renew.

    `session` identifies the permission: a renewal with another one while it is held is `not_allowed`.
    """

    evse: int
    session: str
    lease_s: float


class Withdraw(_Command, frozen=True, tag="withdraw"):
    """End the permission: ramp down, open, check for welding. `Done` means accepted, not finished."""

    evse: int


class SetLimit(_Command, frozen=True, tag="set_limit"):
    """Limit the power of an EVSE in W; 0 suspends it, None removes the limit."""

    evse: int
    power_w: float | None


class SetAvailable(_Command, frozen=True, tag="set_available"):
    """Whether the EVSE is in service: while it is not, vehicles that come see that. A session goes on."""

    evse: int
    available: bool


class Show(_Command, frozen=True, tag="show"):
    """Put a page on a display."""

    screen: int
    model: PageModel


class Reboot(_Command, frozen=True, tag="reboot"):
    """Restart the board in an orderly way; contactors are opened first."""


class ListDevices(_Command, frozen=True, tag="list_devices"):
    """Every device of the cabinet, in `devices` of the answer."""


class StartTest(_Command, frozen=True, tag="self_test"):
    """Begin a test; `Done` means begun, and `SelfTestFinished` has the outcome. `evse`: whose device; not for the card
    reader."""

    test: SelfTest
    evse: int | None = None


class GetSiteLimit(_Command, frozen=True, tag="get_site_limit"):
    """What the station may deliver in all, in `site_limit` of the answer."""


class SetSiteLimit(_Command, frozen=True, tag="set_site_limit"):
    """Limit what the station may deliver in all, from the HAL's next start on; None: as the settings say.

    Not while a session holds a permission.
    """

    power_w: float | None


class GetNetwork(_Command, frozen=True, tag="get_network"):
    """The settings of every interface, in `network` of the answer."""


class SetWired(_Command, frozen=True, tag="set_wired"):
    """Try new settings of an Ethernet interface: until they are confirmed, or their time is over."""

    interface: str
    settings: WiredSettings


class SetCellular(_Command, frozen=True, tag="set_cellular"):
    """Try new settings of a modem: until they are confirmed, or their time is over."""

    interface: str
    settings: NewCellularSettings


class EndNetworkTrial(_Command, frozen=True, tag="end_network_trial"):
    """Keep the settings that are tried, or return to the former ones at once."""

    keep: bool


class PowerOff(_Command, frozen=True, tag="power_off"):
    """End every session in the orderly way, open the contactors, and switch the board off."""


CabinetCommand: TypeAlias = (
    Permit
    | Withdraw
    | SetLimit
    | SetAvailable
    | Show
    | Reboot
    | ListDevices
    | StartTest
    | GetSiteLimit
    | SetSiteLimit
    | PowerOff
)
"""Answered at once."""

NetworkCommand: TypeAlias = GetNetwork | SetWired | SetCellular | EndNetworkTrial
"""Answered when the daemon that manages the interfaces has answered."""

Command: TypeAlias = CabinetCommand | NetworkCommand


class Request(Struct, frozen=True, tag="request", tag_field="kind", forbid_unknown_fields=True):
    """A command, and the id of its one answer."""

    id: int
    command: Command


class Acknowledge(Struct, frozen=True, tag="acknowledge", tag_field="kind", forbid_unknown_fields=True):
    """The service has stored the consequences of every kept event up to and including `seq`."""

    seq: int


FromHal: TypeAlias = Greeting | Snapshot | Stamped | Done | Refused
FromClient: TypeAlias = Greeting | Request | Acknowledge
