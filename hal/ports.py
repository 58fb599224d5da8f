# SPDX-License-Identifier: Apache-2.0
"""What a driver must offer, as one small interface per device; the docstrings state its duties.

Rules for every port
- Methods never block for longer than 50 ms; anything longer is started here and its result shows in a reading, or is
  a coroutine.
- A reading carries `mono_s`, the time at which it was true. The HAL treats a reading older than the port's
  `stale_after_s` as lost, so a driver never renews the stamp of an old value.
- Only `DriverError` and its subclasses leave a driver.
- A command while the link to the device is lost raises `DeviceLost`. Drivers queue nothing: a lost command is not
  carried out when the link is back. For a command of an EVSE's device the HAL raises that device's fault and clears
  it with the next command to the device that succeeds. A faulted EVSE repeats the harmless command of such a device
  with each control cycle: `switch_off`, `command(False)`, `enable(False)`, `authorise(False)`. "Link lost" in each port
  states which other commands are repeated, "Back" what is true when the link is there again. Nothing is energised by a
  link that is back: the session has ended, and the next one begins with its own permission and cable check.
- A number that is none (NaN, infinite) makes its reading count as lost.
- Listeners are plain functions called on the event loop; they return quickly.
- `close()` leaves the device in its safe value. The loss of the process must have the same effect: a device with
  a watchdog is configured so that silence is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from firmware.contract import (
    BoardClock,
    BootCause,
    CardProblem,
    Fault,
    LinkDetails,
    NetworkInterface,
    NewCellularSettings,
    PageModel,
    WiredSettings,
)

__all__ = [
    "NO_VEHICLE",
    "Board",
    "CardReader",
    "Contactor",
    "Described",
    "DeviceInfo",
    "Inputs",
    "InputsReading",
    "InsulationMonitor",
    "InsulationReading",
    "Link",
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


class DeviceInfo(Struct, frozen=True):
    """One physical device behind a port, as an installer sees it; a text is empty where it is not known."""

    name: str = ""
    """Which of several devices of the port, such as `module 3`."""
    address: str = ""
    """On its bus, in the words of its manual."""
    serial_number: str = ""
    firmware: str = ""
    answers: bool = True
    state: str = ""
    """In words; if it does not answer, why."""


@runtime_checkable
class Described(Protocol):
    """Offered by a driver besides its port, if it knows more of its devices than the port's reading says.

    Also called while the cabinet runs: it says what is known, and asks no device.
    """

    def devices(self) -> list[DeviceInfo]: ...


class PowerReading(Struct, frozen=True):
    """Output of the modules that are joined to one EVSE."""

    mono_s: float
    voltage_v: float
    current_a: float
    groups: int
    """Number of module groups joined to the EVSE now."""
    failed_modules: int = 0
    detail: str = ""
    """Which modules have failed and why, for the fault's text."""
    available_a: float | None = None
    """What the joined modules can deliver now, all together: less when they are hot or when one is lost. None: all."""
    available_w: float | None = None
    unsure_a: float = 0.0
    """How much of `current_a` is the last value of modules that are silent, and may not flow any more."""


class PowerShelf(Protocol):
    """All power modules of the cabinet, in equal groups that can each be joined to one EVSE.

    A group is never joined to two EVSEs. It leaves one only at zero current of that group, and joins another that has
    voltage only when its own is within 20 V of it. Safe value: all off.

    Link lost: the modules switch themselves off within 10 s. Fault `power_module`, which ends the session at once.
    `set_output` and `assign` are repeated with the next control cycle as long as they are needed.
    Back: all modules are off, until a `set_output` that is made then; the groups are joined where the last `assign`
    that succeeded put them, or nowhere, and `reading` says which.
    """

    stale_after_s: float
    group_power_w: float
    max_voltage_v: float
    min_voltage_v: float
    group_current_a: float

    def reach(self, evse: int) -> int:
        """How many of these groups can be joined to the EVSE: all, unless the wiring reserves some for others."""

    @property
    def groups(self) -> int:
        """The groups that can be used now; a group that has failed altogether counts no longer."""

    def assign(self, groups: dict[int, int]) -> None:
        """Set the number of groups of each EVSE; carried out group by group as their current reaches zero.

        The HAL has lowered the current before it takes a group away, and assigns a group only when `reading` shows that
        it is off its former EVSE. `set_output` applies to the groups that are joined, all together.
        """

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        """Drive the EVSE's groups to a voltage with a total current limit; repeated at 4 to 10 Hz."""

    def switch_off(self, evse: int) -> None:
        """Switch the EVSE's modules off now."""

    def reading(self, evse: int) -> PowerReading: ...

    def close(self) -> None: ...


class MeterSample(Struct, frozen=True):
    """One reading of the EVSE's DC meter."""

    mono_s: float
    energy_wh: float
    voltage_v: float
    current_a: float
    power_w: float
    serial_number: str | None = None
    """None: the meter does not report one. One that does is not believed at another EVSE (`hal/known_meters.py`); its
    driver has an option `serial_number` by which a new one is accepted, and refuses any other then."""


class Meter(Protocol):
    """The EVSE's energy meter: at least one sample a second. Its register is at most 2 s behind the current.

    A driver reports what the meter says, also when that can't be true: the HAL decides what it believes
    (`hal/evse/register.py`).
    Link lost: `sample` raises `DeviceLost`; after 5 s fault `meter`, an orderly end of the session. It has no commands.
    Back: its register counts on from what was believed, or is judged anew if the session has ended meanwhile.
    """

    stale_after_s: float
    resolution_wh: float
    """The smallest step of the register."""
    speed: float
    """How much faster than in life the register counts: 1, except in a simulation."""

    def sample(self) -> MeterSample: ...

    def close(self) -> None: ...


class InsulationReading(Struct, frozen=True):
    mono_s: float
    resistance_kohm: float
    valid: bool
    self_test_passed: bool | None
    """None while a self test is running or if none was started."""
    voltage_v: float | None = None
    """Between the two conductors, on the vehicle's side of the contactor; None: not measured."""
    to_earth_v: tuple[float, float] | None = None
    """Of the positive and of the negative conductor; None: not measured."""


class InsulationMonitor(Protocol):
    """The insulation monitor of one EVSE. A reading during its settling time is not `valid`.

    Only one monitor may be active in a connected DC system: it is off (decoupled from the line, where it can be) until
    the HAL enables it for a session, and after the session. Readings of a monitor that is off are not `valid`.

    Link lost: fault `isolation`, which ends the session: after 3 s without a reading, at once after a lost command.
    `enable(True)` and `start_self_test` are not repeated.
    Back: it is as it was last commanded, with its settings; a self test from before counts as none.
    """

    stale_after_s: float

    def enable(self, active: bool) -> None: ...

    def start_self_test(self) -> None:
        """Takes up to 30 s; needs voltage at the connector."""

    def reading(self) -> InsulationReading: ...

    def close(self) -> None: ...


class Contactor(Protocol):
    """The DC contactor pair of one EVSE, with its mirror contact.

    Safe value: open, also when the process dies (the coil is fed through a watchdog relay of at most 1 s).

    Link lost: fault `contactor_failed`, an emergency stop of the session; the mirror contact keeps its last reading,
    because the contactor may well be closed, and the voltage is taken from the other devices. Opening is repeated with
    each control cycle until it succeeds; closing is not repeated.
    Back: it is open, unless its link alone was lost: then it is opened by the first command that succeeds.
    """

    def command(self, closed: bool) -> None:
        """Drive the coil; the mirror contact follows within 100 to 300 ms."""

    def is_closed(self) -> bool:
        """State of the mirror contact."""

    def connector_voltage_v(self) -> float | None:
        """Voltage on the vehicle's side of the contactor; None: there is no sensor of its own.

        The HAL then takes the insulation monitor's, or else the meter's, both of which are on that side.
        """

    def close(self) -> None: ...


class InputsReading(Struct, frozen=True):
    """The station's inputs. `plug_temp_c` holds None for a sensor that is not connected, and no key for an EVSE whose
    plug is measured by its SECC.
    """

    mono_s: float
    emergency_stop: bool
    door_open: bool
    plug_temp_c: dict[int, float | None]


class Inputs(Protocol):
    """Emergency stop, door and temperatures. Contacts are normally closed: a broken wire reads as pressed.

    A change of the emergency stop calls the listener from the edge, not from the next poll.
    Link lost: the same as a pressed stop button, fault `emergency_stop`. It has no commands.
    Back: the state of now counts; the fault is gone when the stop button has been released for 1 s.
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
    """What the vehicle requests of the power side, in the order of a DC session."""

    NONE = "none"
    NEGOTIATING = "negotiating"
    WAITING_AUTHORISATION = "waiting_authorisation"
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    CHARGE = "charge"
    STOP = "stop"
    WELDING_DETECTION = "welding_detection"
    ENDED = "ended"


class Vehicle(Struct, frozen=True):
    """The latest report of one EVSE's communication controller (SECC)."""

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
    """The vehicle's inlet holds the plug."""
    plug_temps_c: tuple[float | None, ...] = ()
    """The plug's sensors that the SECC reads; None for one that is not connected."""
    insulation_test: bool = False
    """The SECC is in a test of its own, which ends when it has seen voltage and good insulation for long enough."""


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
    """The SECC of one EVSE: DIN 70121 / ISO 15118 towards the vehicle, this interface towards the HAL.

    Link lost: the vehicle sees an emergency stop. Fault `vehicle_link`; the HAL switches the EVSE's modules off within
    200 ms + one control cycle. `report_output` is repeated with each cycle while a vehicle is plugged, and clears the
    fault when it succeeds; `authorise` is repeated once a second meanwhile, and when the vehicle asks again; no other
    command is, except by a faulted EVSE: `set_available` together with `authorise(False)`. A lost
    `request_stop` or `emergency_stop` may be carried out later: the session is over.
    Back: the vehicle is not authorised, and the report is that of now: a vehicle whose session has ended meanwhile is
    `ended`, one that was unplugged has pilot A.
    """

    stale_after_s: float

    def vehicle(self) -> Vehicle: ...

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        """Called at once for a change of pilot, stage, lock or identity."""

    def authorise(self, granted: bool) -> None:
        """Answer (or take back) the vehicle's authorisation: a level, which the same call does not change."""

    def wake(self) -> None:
        """Interrupt the pilot, as IEC 61851-23 allows, for as long as makes a vehicle that sleeps begin anew.

        Returns at once. The vehicle's report shows pilot F meanwhile, never A: the plug is still in.
        """

    def report_output(self, voltage_v: float, current_a: float, insulation_kohm: float | None) -> None:
        """The present output, repeated at 10 Hz; the insulation resistance is None while it is not valid."""

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        """What the station can give from now; sent to the vehicle before less is delivered."""

    def finish_cable_check(self, passed: bool) -> None: ...

    def request_stop(self) -> None:
        """Ask the vehicle to end energy transfer in the orderly way."""

    def emergency_stop(self) -> None: ...

    def set_available(self, available: bool) -> None:
        """False: show vehicles that the EVSE is out of service (pilot F).

        The HAL does so while no vehicle is plugged in: with pilot F it could not be seen to leave.
        """

    def close(self) -> None: ...


class CardReader(Protocol):
    """One ISO 14443 reader. A card that stays in the field is reported once.

    Link lost: no cards are reported; `on_lost` raises fault `card_reader`, and clears it when the reader is back. A
    card that has stayed in the field meanwhile is not reported again. A `signal` is not repeated.
    Back: cards are reported from now on; none that was presented meanwhile.
    """

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        """`on_card` gets the UID, upper-case hex; `on_lost` why the reader is lost, or None when it is back.

        A card that has left is not reported again for 2 to 3 s, so that one at the edge of the field counts once. A UID
        of 4 bytes that begins with 08 is a random one, and reported as `NO_IDENTITY`.
        """

    def signal(self, accepted: bool) -> None:
        """Show with LED and beeper that the last card is accepted or refused; never raises.

        A reader that has neither, or is lost, does nothing.
        """

    def close(self) -> None: ...


class Screen(Protocol):
    """One display with a touch panel: shows a page model in the EV driver's language, reports touches.

    `show` never waits: a page that the display can't take now is replaced by the next one. The language is the
    back-end's affair, and goes back to the station's when the EV driver has left.

    Link lost: `show` is refused with `device_failed` and raises fault `screen`, which stops no session; a back-end that
    finds it out by itself calls `on_lost` instead. The HAL does not repeat a page that was refused; the next `show`
    that succeeds clears the fault.
    Back: it is dark, or shows what it showed last, or, where the back-end keeps the page, that. Touches from before are
    not reported.
    """

    def show(self, model: PageModel) -> None: ...

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        """`on_lost` gets why the display is lost, or None when it is back."""

    def close(self) -> None: ...


class Link(Struct, frozen=True):
    """One network interface: whether it is up, that is usable for a connection, and what else is known of it."""

    up: bool
    details: LinkDetails = field(default_factory=LinkDetails)


class NetworkLinks(Protocol):
    """The board's network interfaces, by OCPP name (`Wired0`, `Wireless0`). At most one has the default route.

    A change of `up`, `default` and operator is reported at once, one of the signal when it is worth an event: not more
    often than every 5 s.

    New settings of one interface are tried at a time: in force at once, and on the disk when they are kept. The driver
    returns to the former ones by itself when this process has ended and `within_s` is over, and so does a restart of
    the board: nobody could confirm any more. The methods that wait for a daemon raise `DeviceLost` or `DeviceRefused`.

    Link lost (to whatever manages the interfaces): the last reported state remains, or what the kernel says.
    Back: what differs from the last report is reported, and nothing else.
    """

    def links(self) -> dict[str, Link]: ...

    def listen(self, on_change: Callable[[str, Link], None]) -> None: ...

    async def interfaces(self) -> list[NetworkInterface]:
        """Every interface with its settings, without secrets; what is not known of one is left out."""

    async def try_settings(
        self, interface: str, settings: WiredSettings | NewCellularSettings, *, within_s: float
    ) -> None:
        """Put settings into force that `firmware.contract.network` has no objection to; an error changes nothing."""

    async def keep_settings(self) -> None:
        """Those that are tried are on the disk when this returns; an error leaves them on trial."""

    async def return_settings(self) -> None:
        """Those from before the trial are in force again; nothing happens if they are already."""

    def close(self) -> None: ...


class Board(Protocol):
    """The single-board computer: identity, clock, reset, hardware watchdog, and faults of its own sensors.

    Link lost: the clock counts as not set. A lost `reboot` or `power_off` is logged and dropped; `feed_watchdog` is
    repeated 0.4 s later; faults that were reported remain, and those that can no longer be seen are reported.
    Back: the clock is that of the board; faults that came or went meanwhile are reported. A lost `reboot` stays
    lost.
    """

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

    def power_off(self) -> None:
        """Switch the board off for good: it comes back with its supply."""

    def feed_watchdog(self, coils: bool) -> None:
        """At least once a second while the HAL is healthy; without it the board opens every contactor in 1 s.

        With `coils=False` it does that, too, but nothing else: a watchdog that resets the board is fed.
        """

    def close(self) -> None: ...
