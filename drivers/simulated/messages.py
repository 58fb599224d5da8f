# SPDX-License-Identifier: Apache-2.0
"""What travels between the simulated world and the HAL's simulated drivers: the cabinet's wiring, as messages.

Newline-delimited JSON, tagged by `kind`. The world speaks first (`hello`), then sends its whole `readings` at 10 to
20 Hz and at once when something in them changes that a real input would signal by an edge; what can't be read as a
level (a card, a touch) is a message of its own. The drivers send actuations. There are no answers: like
on a wire, what an actuation did is seen in a later reading.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from firmware.contract import BoardClock, BootCause, CardProblem, Fault
from firmware.ipc.framing import Decoder, encode
from hal.ports import Pilot, VehicleStage

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
    "FeedWatchdog",
    "FinishCableCheck",
    "FromWorld",
    "Hello",
    "MeterLevels",
    "MonitorLevels",
    "OutletLevels",
    "Readings",
    "Reboot",
    "ReportOutput",
    "RequestStop",
    "SetAvailable",
    "SetOutput",
    "ShelfLevels",
    "ShowPage",
    "StartSelfTest",
    "SwitchOff",
    "Touched",
    "VehicleLevels",
    "decode_actuation",
    "decode_from_world",
    "encode",
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


class ShelfLevels(_Part, frozen=True):
    voltage_v: float
    current_a: float
    groups: int
    failed_modules: int


class MeterLevels(_Part, frozen=True):
    energy_wh: float
    voltage_v: float
    current_a: float
    power_w: float


class MonitorLevels(_Part, frozen=True):
    resistance_kohm: float
    valid: bool
    self_test_passed: bool | None


class VehicleLevels(_Part, frozen=True):
    pilot: Pilot
    stage: VehicleStage
    target_voltage_v: float
    target_current_a: float
    max_voltage_v: float
    max_current_a: float
    max_power_w: float
    soc_percent: float | None
    evcc_id: str | None
    locked: bool


class OutletLevels(_Part, frozen=True):
    """Everything that the sensors of one outlet say. A `meter` or `vehicle` of None does not answer."""

    evse: int
    shelf: ShelfLevels
    meter: MeterLevels | None
    monitor: MonitorLevels
    contactor_closed: bool
    outlet_voltage_v: float
    vehicle: VehicleLevels | None
    plug_temp_c: float | None


class BoardFault(_Part, frozen=True):
    """A fault that only the board's own sensors see."""

    fault: Fault
    evse: int | None
    detail: str


class Readings(_Message, frozen=True, tag="readings"):
    """All levels of the cabinet at `mono_s` (CLOCK_MONOTONIC, the same for both processes)."""

    mono_s: float
    outlets: list[OutletLevels]
    emergency_stop: bool
    door_open: bool
    links: dict[str, bool]
    clock: BoardClock
    faults: list[BoardFault]


class CardSeen(_Message, frozen=True, tag="card_seen"):
    """A card came alone into the reader's field; `uid` is upper-case hex."""

    uid: str


class CardTrouble(_Message, frozen=True, tag="card_trouble"):
    problem: CardProblem


class Touched(_Message, frozen=True, tag="touched"):
    """A finger on a display: on its stop button, or anywhere else (which selects the outlet)."""

    screen: int
    stop: bool


FromWorld: TypeAlias = Hello | Readings | CardSeen | CardTrouble | Touched

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
    page: str
    text: dict[str, str]


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
    | ReportOutput
    | AnnounceLimits
    | FinishCableCheck
    | RequestStop
    | EmergencyStop
    | SetAvailable
    | ShowPage
    | Reboot
    | FeedWatchdog
)

decode_from_world: Decoder[FromWorld] = Decoder(FromWorld)
decode_actuation: Decoder[Actuation] = Decoder(Actuation)
