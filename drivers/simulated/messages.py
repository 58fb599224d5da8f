# SPDX-License-Identifier: Apache-2.0
"""What travels between the simulated world and the HAL's simulated drivers: the cabinet's wiring, as messages.

Newline-delimited JSON, tagged by `kind`. The world speaks first (`hello`), then sends all of its `readings` at 10 to
20 Hz, and at once when something in them changes that a real input would signal by an edge; what can't be read as a
level (a card, a touch) is a message of its own. The drivers send actuations. There are no answers: as on a wire, the
effect of an actuation is seen in a later reading.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from firmware.contract import BoardClock, BootCause, CardProblem, Fault, LinkDetails, PageModel
from firmware.ipc.framing import Decoder, encode
from hal.ports import InputsReading, InsulationReading, MeterSample, PowerReading, Vehicle

__all__ = [
    "Actuation",
    "AnnounceLimits",
    "Assign",
    "Authorise",
    "BoardFault",
    "CardSeen",
    "CardTrouble",
    "CommandContactor",
    "EmergencyStop",
    "EnableMonitor",
    "EvseReadings",
    "FeedWatchdog",
    "FinishCableCheck",
    "FromWorld",
    "Hello",
    "PowerOff",
    "Readings",
    "Reboot",
    "ReportOutput",
    "RequestStop",
    "SetAvailable",
    "SetOutput",
    "ShowPage",
    "StartSelfTest",
    "SwitchOff",
    "Touched",
    "Wake",
    "decode_actuation",
    "decode_from_world",
    "encode",
    "vehicle_edges",
]


class _Message(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


# --- world to drivers ------------------------------------------------------------------------------------


class Hello(_Message, frozen=True, tag="hello"):
    """First message: which boot of which board this is, and what its shelf of power modules can do."""

    boot_id: str
    boot_cause: BootCause
    serial_number: str
    groups: int
    group_power_w: float
    group_current_a: float
    max_voltage_v: float
    min_voltage_v: float
    speed: float
    """How much faster than in life the meters count."""


class EvseReadings(_Part, frozen=True):
    """All readings of one EVSE. A `meter` or `vehicle` of None does not answer."""

    evse: int
    shelf: PowerReading
    meter: MeterSample | None
    insulation: InsulationReading
    contactor_closed: bool
    connector_voltage_v: float
    vehicle: Vehicle | None


class BoardFault(_Part, frozen=True):
    """A fault that only the board's own sensors see, or `card_reader`: that one does not answer."""

    fault: Fault
    evse: int | None
    detail: str


class Readings(_Message, frozen=True, tag="readings"):
    """All levels of the cabinet at one instant (`mono_s`: CLOCK_MONOTONIC, the same for both processes)."""

    evses: list[EvseReadings]
    inputs: InputsReading
    links: dict[str, bool]
    link_details: dict[str, LinkDetails]
    clock: BoardClock
    faults: list[BoardFault]


class CardSeen(_Message, frozen=True, tag="card_seen"):
    """A card came into the reader's empty field; `uid` is upper-case hex."""

    uid: str


class CardTrouble(_Message, frozen=True, tag="card_trouble"):
    problem: CardProblem


class Touched(_Message, frozen=True, tag="touched"):
    """A finger on a display: on its stop button, or anywhere else (which selects the EVSE)."""

    screen: int
    stop: bool


FromWorld: TypeAlias = Hello | Readings | CardSeen | CardTrouble | Touched


def vehicle_edges(vehicle: Vehicle) -> tuple[object, ...]:
    """The part of a vehicle's report of which a change is sent at once."""
    return (vehicle.pilot, vehicle.stage, vehicle.locked, vehicle.evcc_id)


# --- drivers to world ------------------------------------------------------------------------------------


class Assign(_Message, frozen=True, tag="assign"):
    groups: dict[int, int]


class SetOutput(_Message, frozen=True, tag="set_output"):
    evse: int
    voltage_v: float
    current_a: float


class SwitchOff(_Message, frozen=True, tag="switch_off"):
    evse: int


class EnableMonitor(_Message, frozen=True, tag="enable_monitor"):
    evse: int
    active: bool


class StartSelfTest(_Message, frozen=True, tag="start_self_test"):
    evse: int


class CommandContactor(_Message, frozen=True, tag="command_contactor"):
    evse: int
    closed: bool


class Authorise(_Message, frozen=True, tag="authorise"):
    evse: int
    granted: bool


class Wake(_Message, frozen=True, tag="wake"):
    """Interrupt the pilot, so that a car that sleeps begins anew."""

    evse: int


class ReportOutput(_Message, frozen=True, tag="report_output"):
    evse: int
    voltage_v: float
    current_a: float


class AnnounceLimits(_Message, frozen=True, tag="announce_limits"):
    evse: int
    max_voltage_v: float
    max_current_a: float
    max_power_w: float


class FinishCableCheck(_Message, frozen=True, tag="finish_cable_check"):
    evse: int
    passed: bool


class RequestStop(_Message, frozen=True, tag="request_stop"):
    evse: int


class EmergencyStop(_Message, frozen=True, tag="emergency_stop"):
    evse: int


class SetAvailable(_Message, frozen=True, tag="set_available"):
    evse: int
    available: bool


class ShowPage(_Message, frozen=True, tag="show_page"):
    screen: int
    model: PageModel


class PowerOff(_Message, frozen=True, tag="power_off"):
    """The board switches itself off."""


class Reboot(_Message, frozen=True, tag="reboot"):
    """The board restarts itself."""


class FeedWatchdog(_Message, frozen=True, tag="feed_watchdog"):
    pass


Actuation: TypeAlias = (
    Assign
    | SetOutput
    | SwitchOff
    | EnableMonitor
    | StartSelfTest
    | CommandContactor
    | Authorise
    | Wake
    | ReportOutput
    | AnnounceLimits
    | FinishCableCheck
    | RequestStop
    | EmergencyStop
    | SetAvailable
    | ShowPage
    | Reboot
    | PowerOff
    | FeedWatchdog
)

decode_from_world: Decoder[FromWorld] = Decoder(FromWorld)
decode_actuation: Decoder[Actuation] = Decoder(Actuation)
