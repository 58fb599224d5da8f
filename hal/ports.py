# SPDX-License-Identifier: Apache-2.0
"""What a driver must offer, in small interfaces; the docstrings are the duties.

Rules for every port
- Methods never block for longer than 50 ms; what takes longer is started here and seen in a reading.
- A reading carries `mono_s`, when it was true. The HAL treats a reading older than the port's `stale_after_s` as
  lost, so a driver keeps no old value alive.
- Only `DriverError` and its subclasses leave a driver.
- Listeners are plain functions called on the event loop; they return quickly.
- `close()` leaves the device in its safe value. Losing the process must do the same without help: a device with
  a watchdog is set up so that silence is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from firmware.contract import BoardClock, BootCause, CardProblem, Fault

__all__ = [
    "NO_VEHICLE",
    "Board",
    "CardReader",
    "Contactor",
    "Inputs",
    "InputsReading",
    "InsulationMonitor",
    "InsulationReading",
    "Meter",
    "MeterSample",
    "NetworkLinks",
    "Pilot",
    "PowerReading",
    "PowerShelf",
    "Screen",
    "Vehicle",
    "VehicleLink",
    "VehicleStage",
]


@dataclass(frozen=True, slots=True)
class PowerReading:
    """What the modules joined to one EVSE deliver."""

    mono_s: float
    voltage_v: float
    current_a: float
    groups: int
    """How many module groups are joined to the EVSE now."""
    failed_modules: int = 0


class PowerShelf(Protocol):
    """All power modules of the cabinet, in equal groups that can each be joined to one EVSE.

    Loss of link: the modules switch themselves off within 10 s at the most. Safe value: all off.
    A group changes EVSE only at zero current of that group.
    """

    stale_after_s: float
    groups: int
    group_power_w: float
    max_voltage_v: float
    min_voltage_v: float
    group_current_a: float

    def assign(self, groups: dict[int, int]) -> None:
        """How many groups each EVSE shall have; carried out group by group as their current reaches zero."""

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        """Drive the EVSE's groups to a voltage with a total current limit; repeated at 4 to 10 Hz."""

    def switch_off(self, evse: int) -> None:
        """Stop the EVSE's modules now."""

    def reading(self, evse: int) -> PowerReading: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class MeterSample:
    """One reading of a DC meter behind the EVSE."""

    mono_s: float
    energy_wh: float
    voltage_v: float
    current_a: float
    power_w: float


class Meter(Protocol):
    """The EVSE's energy meter: at least one sample a second, the register never falling.

    Loss of link: the driver raises `DeviceLost` from `sample`.
    """

    stale_after_s: float

    def sample(self) -> MeterSample: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class InsulationReading:
    mono_s: float
    resistance_kohm: float
    valid: bool
    self_test_passed: bool | None
    """None while a self test is running or none was asked for."""


class InsulationMonitor(Protocol):
    """The insulation monitor of one EVSE. A reading during its settling time is not `valid`."""

    stale_after_s: float

    def enable(self, active: bool) -> None: ...

    def start_self_test(self) -> None:
        """Takes up to 30 s; needs voltage at the connector."""

    def reading(self) -> InsulationReading: ...

    def close(self) -> None: ...


class Contactor(Protocol):
    """The DC contactor pair of one EVSE, with its mirror contact.

    Safe value: open, also when the process dies (the coil is fed through a watchdog relay of at most 1 s).
    """

    def command(self, closed: bool) -> None:
        """Drive the coil; the mirror contact follows within 100 to 300 ms."""

    def is_closed(self) -> bool:
        """What the mirror contact says."""

    def connector_voltage_v(self) -> float:
        """Voltage on the vehicle's side of the contactor."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class InputsReading:
    """The station's inputs. `plug_temp_c` holds None for a sensor that is not connected."""

    mono_s: float
    emergency_stop: bool
    door_open: bool
    plug_temp_c: dict[int, float | None]


class Inputs(Protocol):
    """Emergency stop, door and temperatures. Contacts are normally closed: a broken wire reads as pressed.

    A change of the emergency stop calls the listener at once, from the edge, not from the next poll.
    """

    stale_after_s: float

    def reading(self) -> InputsReading: ...

    def listen(self, on_change: Callable[[InputsReading], None]) -> None: ...

    def close(self) -> None: ...


class Pilot(str, Enum):
    """Control pilot: A no vehicle, B vehicle connected, C vehicle ready, E shorted or lost, F not available."""

    A = "A"
    B = "B"
    C = "C"
    E = "E"
    F = "F"


class VehicleStage(str, Enum):
    """What the vehicle asks the power side to do, in the order of a DC session."""

    NONE = "none"
    NEGOTIATING = "negotiating"
    WAITING_AUTHORISATION = "waiting_authorisation"
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    CHARGE = "charge"
    STOP = "stop"
    WELDING_DETECTION = "welding_detection"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The latest of what the vehicle communication controller reports of one EVSE."""

    mono_s: float
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
    """The inlet holds the plug."""


NO_VEHICLE = Vehicle(
    mono_s=0.0,
    pilot=Pilot.A,
    stage=VehicleStage.NONE,
    target_voltage_v=0.0,
    target_current_a=0.0,
    max_voltage_v=0.0,
    max_current_a=0.0,
    max_power_w=0.0,
    soc_percent=None,
    evcc_id=None,
    locked=False,
)
"""The report while no vehicle is connected."""


class VehicleLink(Protocol):
    """The SECC of one EVSE: DIN 70121 / ISO 15118 on one side, this on the other.

    Loss of link: the vehicle sees an emergency stop; the HAL stops all power within 200 ms + one cycle.
    """

    stale_after_s: float

    def vehicle(self) -> Vehicle: ...

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        """Called at once for a change of pilot, stage, lock or identity."""

    def authorise(self, granted: bool) -> None:
        """Answer (or take back) the vehicle's authorisation."""

    def report_output(self, voltage_v: float, current_a: float) -> None:
        """The present output, repeated at 10 Hz."""

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        """What the station can give from now; told to the vehicle before less is delivered."""

    def finish_cable_check(self, passed: bool) -> None: ...

    def request_stop(self) -> None:
        """Ask the vehicle to end energy transfer in the orderly way."""

    def emergency_stop(self) -> None: ...

    def set_available(self, available: bool) -> None:
        """False: vehicles are told that the EVSE is out of service (pilot F)."""

    def close(self) -> None: ...


class CardReader(Protocol):
    """One ISO 14443 reader. A card that stays in the field is reported once."""

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
    ) -> None:
        """`on_card` gets the UID, upper-case hex."""

    def close(self) -> None: ...


class Screen(Protocol):
    """One display with a touch panel: shows a page model, reports touches."""

    def show(self, page: str, text: dict[str, str]) -> None: ...

    def listen(self, on_select: Callable[[], None], on_stop: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class NetworkLinks(Protocol):
    """The board's network interfaces, by OCPP name (`Wired0`, `Wireless0`)."""

    def links(self) -> dict[str, bool]: ...

    def listen(self, on_change: Callable[[str, bool], None]) -> None: ...

    def close(self) -> None: ...


class Board(Protocol):
    """The single-board computer: identity, clock, reset, hardware watchdog, and faults its own sensors see."""

    boot_id: str
    boot_cause: BootCause
    serial_number: str

    def clock(self) -> BoardClock: ...

    def listen(
        self,
        on_clock: Callable[[BoardClock], None],
        on_fault: Callable[[Fault, int | None, bool, str], None],
    ) -> None:
        """`on_fault(fault, evse, present, detail)` for faults that no other port can see."""

    def reboot(self) -> None: ...

    def feed_watchdog(self) -> None:
        """At least once a second while the HAL is healthy; without it the board opens every contactor in 1 s."""

    def close(self) -> None: ...
