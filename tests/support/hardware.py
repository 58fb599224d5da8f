# SPDX-License-Identifier: Apache-2.0
"""A cabinet in memory: a double for every port of `hal/ports.py`, which records its calls and does what the test sets.

Time comes from a `ManualClock`; `failing` makes a device raise `DeviceLost`, `freeze` lets its readings grow old. The
car at an EVSE follows the sequence (`obeys`) or reports what the test sets with `say`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from firmware.contract import (
    Addressing,
    BoardClock,
    BootCause,
    CardProblem,
    CellularSettings,
    Event,
    Fault,
    NetworkInterface,
    NewCellularSettings,
    PageModel,
    WiredSettings,
)
from firmware.errors import DeviceLost
from hal.cabinet import StationCabinet
from hal.evse.model import Rating
from hal.hardware import EvseHardware, Hardware, ScreenHardware
from hal.known_meters import KnownMeters
from hal.ports import (
    NO_VEHICLE,
    InputsReading,
    InsulationReading,
    Link,
    MeterSample,
    Pilot,
    PowerReading,
    Vehicle,
    VehicleStage,
)
from hal.site_limit import KeptSiteLimit
from tests.support.clock import ManualClock

__all__ = [
    "CabinetDouble",
    "FakeBoard",
    "FakeCardReader",
    "FakeContactor",
    "FakeInputs",
    "FakeInsulation",
    "FakeLinks",
    "FakeMeter",
    "FakeScreen",
    "FakeShelf",
    "FakeVehicleLink",
]

RATING = Rating(max_voltage_v=1000.0, min_voltage_v=150.0, max_current_a=500.0, max_power_w=400_000.0)
PACK_V = 380.0


class _Fake:
    """The base of every double: calls in order, a device that can be lost, readings that can grow old."""

    stale_after_s = 1.0

    def __init__(self, clock: ManualClock) -> None:
        self.time = clock
        self.calls: list[tuple[Any, ...]] = []
        self.failing = False
        self.closed_down = False
        self._frozen_at: float | None = None

    def freeze(self, frozen: bool = True) -> None:
        """Readings keep the stamp of now for as long as this lasts."""
        self._frozen_at = self.time.monotonic() if frozen else None

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    def called(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    def close(self) -> None:
        self.closed_down = True

    def _stamp(self) -> float:
        return self.time.monotonic() if self._frozen_at is None else self._frozen_at

    def _do(self, *call: object) -> None:
        if self.failing:
            raise DeviceLost(f"{type(self).__name__} does not answer")
        self.calls.append(call)

    def _require(self) -> None:
        if self.failing:
            raise DeviceLost(f"{type(self).__name__} does not answer")


class FakeContactor(_Fake):
    """Follows its coil at once, unless `stuck`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.coil = False
        self.stuck: bool | None = None
        self.volts = 0.0

    def command(self, closed: bool) -> None:
        self._do("command", closed)
        self.coil = closed

    @property
    def contact(self) -> bool:
        return self.coil if self.stuck is None else self.stuck

    def is_closed(self) -> bool:
        self._require()
        return self.contact

    def connector_voltage_v(self) -> float:
        self._require()
        return self.volts if self.contact else 0.0


class FakeShelf(_Fake):
    """Delivers what is requested; current flows while `flowing` returns True."""

    groups = 10
    group_power_w = 40_000.0
    max_voltage_v = 1000.0
    min_voltage_v = 150.0
    group_current_a = 133.0

    def __init__(self, clock: ManualClock, flowing: Callable[[int], bool]) -> None:
        super().__init__(clock)
        self.outputs: dict[int, tuple[float, float]] = {}
        self.assigned: dict[int, int] = {}
        self.reaches: dict[int, int] = {}
        self.failed_modules = 0
        self.available_w: float | None = None
        self._flowing = flowing

    def reach(self, evse: int) -> int:
        return self.reaches.get(evse, self.groups)

    def assign(self, groups: dict[int, int]) -> None:
        self._do("assign", groups)
        self.assigned = groups

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        self._do("set_output", evse, voltage_v, current_a)
        self.outputs[evse] = (voltage_v, current_a)

    def switch_off(self, evse: int) -> None:
        self._do("switch_off", evse)
        self.outputs[evse] = (0.0, 0.0)

    def amps(self, evse: int) -> float:
        return self.outputs.get(evse, (0.0, 0.0))[1] if self._flowing(evse) else 0.0

    def reading(self, evse: int) -> PowerReading:
        self._require()
        volts = self.outputs.get(evse, (0.0, 0.0))[0]
        return PowerReading(
            self._stamp(),
            volts,
            self.amps(evse),
            self.assigned.get(evse, 0),
            self.failed_modules,
            available_w=self.available_w,
        )


class FakeMeter(_Fake):
    """Counts what the shelf delivers; `error_a` is its error in A."""

    resolution_wh = 0.1
    speed = 1.0

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.energy_wh = 1000.0
        self.volts = 0.0
        self.amps = 0.0
        self.error_a = 0.0
        self.serial_number: str | None = None

    def sample(self) -> MeterSample:
        self._require()
        amps = self.amps + self.error_a
        return MeterSample(self._stamp(), self.energy_wh, self.volts, amps, self.volts * amps, self.serial_number)


class FakeInsulation(_Fake):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.kohm = 5000.0
        self.valid = True
        self.tested_at = -1e9
        self.passes: bool | None = True

    def enable(self, active: bool) -> None:
        self._do("enable", active)

    def start_self_test(self) -> None:
        self._do("start_self_test")
        self.tested_at = self.time.monotonic()

    def reading(self) -> InsulationReading:
        self._require()
        busy = self.time.monotonic() - self.tested_at < 0.35
        return InsulationReading(self._stamp(), self.kohm, self.valid and not busy, None if busy else self.passes)


class FakeVehicleLink(_Fake):
    """The SECC and the car behind it."""

    stale_after_s = 0.2

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.obeys = True
        self.wanted_a = 100.0
        self.max_a = math.inf
        """What the station has announced last; a car that ignores it `follows` no limit."""
        self.follows = True
        self.granted = False
        self.available = False
        self.cable_checked: bool | None = None
        self.stop_asked = False
        self.output = (0.0, 0.0)
        self._listeners: list[Callable[[Vehicle], None]] = []
        self._vehicle = NO_VEHICLE

    # --- the test's and the car's side ----------------------------------------------------------------------

    @property
    def stage(self) -> VehicleStage:
        return self._vehicle.stage

    @property
    def vehicle_now(self) -> Vehicle:
        """What the car really does, also while its link is lost."""
        return self._vehicle

    def say(self, **fields: Any) -> None:
        """Change what the car reports; listeners are called at once, unless the link is lost."""
        self._vehicle = replace(self._vehicle, **fields)
        for listener in () if self.failing else self._listeners:
            listener(self.vehicle())

    def plug(self) -> None:
        self.granted, self.cable_checked, self.stop_asked = False, None, False
        self.say(pilot=Pilot.B, stage=VehicleStage.WAITING_AUTHORISATION, evcc_id="020000000001")

    def unplug(self) -> None:
        self.say(pilot=Pilot.A, stage=VehicleStage.NONE, evcc_id=None, locked=False, target_current_a=0.0)

    def take_next_step(self, matched: bool) -> None:
        """Let the car take its next step, if the station has done its part."""
        stage = self.stage
        if not self.obeys or self._vehicle.pilot is Pilot.A:
            return
        if stage is VehicleStage.WAITING_AUTHORISATION and self.granted:
            limits = {"max_voltage_v": 450.0, "max_current_a": 300.0, "max_power_w": 120_000.0, "soc_percent": 20.0}
            self.say(pilot=Pilot.C, stage=VehicleStage.CABLE_CHECK, locked=True, **limits)
        elif stage is VehicleStage.CABLE_CHECK and self.cable_checked:
            self.say(stage=VehicleStage.PRECHARGE, target_voltage_v=PACK_V, target_current_a=2.0)
        elif stage is VehicleStage.PRECHARGE and matched:
            self.say(stage=VehicleStage.CHARGE, target_voltage_v=430.0, target_current_a=self.wanted_a)
        elif stage is VehicleStage.CHARGE and self.stop_asked:
            self.say(stage=VehicleStage.STOP, target_current_a=0.0)
        elif stage is VehicleStage.CHARGE:
            requested_a = min(self.wanted_a, self.max_a) if self.follows else self.wanted_a
            self._vehicle = replace(self._vehicle, target_current_a=requested_a)
        elif stage is VehicleStage.STOP and self.output[1] < 1.0:
            self.say(stage=VehicleStage.ENDED, pilot=Pilot.B, locked=False)

    # --- the port ---------------------------------------------------------------------------------------------

    def vehicle(self) -> Vehicle:
        self._require()
        return replace(self._vehicle, mono_s=self._stamp())

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        self._listeners.append(on_change)

    def authorise(self, granted: bool) -> None:
        self._do("authorise", granted)
        if granted and not self.granted and self.stage is VehicleStage.ENDED:
            self.cable_checked, self.stop_asked = None, False
            self._vehicle = replace(self._vehicle, stage=VehicleStage.WAITING_AUTHORISATION)
        self.granted = granted

    def wake(self) -> None:
        self._do("wake")

    def report_output(self, voltage_v: float, current_a: float, insulation_kohm: float | None) -> None:
        self._require()
        self.output = (voltage_v, current_a)

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        self._do("announce_limits", max_voltage_v, max_current_a, max_power_w)
        self.max_a = min(max_current_a, max_power_w / max(self._vehicle.target_voltage_v, 1.0))

    def finish_cable_check(self, passed: bool) -> None:
        self._do("finish_cable_check", passed)
        self.cable_checked = passed

    def request_stop(self) -> None:
        self._do("request_stop")
        self.stop_asked = True

    def emergency_stop(self) -> None:
        self._do("emergency_stop")
        if self._vehicle.pilot is not Pilot.A:
            self._vehicle = replace(self._vehicle, stage=VehicleStage.ENDED, pilot=Pilot.B, target_current_a=0.0)

    def set_available(self, available: bool) -> None:
        self._do("set_available", available)
        self.available = available


class FakeInputs(_Fake):
    def __init__(self, clock: ManualClock, evses: Sequence[int]) -> None:
        super().__init__(clock)
        self.emergency_stop = False
        self.door_open = False
        self.plug_temp_c: dict[int, float | None] = dict.fromkeys(evses, 25.0)
        self._listeners: list[Callable[[InputsReading], None]] = []

    def reading(self) -> InputsReading:
        self._require()
        return InputsReading(self._stamp(), self.emergency_stop, self.door_open, dict(self.plug_temp_c))

    def listen(self, on_change: Callable[[InputsReading], None]) -> None:
        self._listeners.append(on_change)

    def press(self, pressed: bool = True) -> None:
        """Press or release the stop button; listeners are called at the edge."""
        self.emergency_stop = pressed
        for listener in self._listeners:
            listener(self.reading())


class FakeCardReader(_Fake):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.on_card: Callable[[str], None] = lambda _uid: None
        self.on_problem: Callable[[CardProblem], None] = lambda _problem: None
        self.on_lost: Callable[[str | None], None] = lambda _detail: None

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        self.on_card, self.on_problem, self.on_lost = on_card, on_problem, on_lost

    def signal(self, accepted: bool) -> None:
        self._do("signal", accepted)


class FakeScreen(_Fake):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.on_select: Callable[[], None] = lambda: None
        self.on_stop: Callable[[], None] = lambda: None
        self.on_lost: Callable[[str | None], None] = lambda _detail: None

    def show(self, model: PageModel) -> None:
        self._do("show", model)

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        self.on_select, self.on_stop, self.on_lost = on_select, on_stop, on_lost


class FakeLinks(_Fake):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.up = {"Wired0": True, "Wireless0": True}
        self.on_change: Callable[[str, Link], None] = lambda _interface, _link: None
        self.wired = self.kept = WiredSettings(Addressing.DHCP)
        self.tried: list[tuple[str, WiredSettings | NewCellularSettings, float]] = []

    def links(self) -> dict[str, Link]:
        return {name: Link(up) for name, up in self.up.items()}

    def listen(self, on_change: Callable[[str, Link], None]) -> None:
        self.on_change = on_change

    async def interfaces(self) -> list[NetworkInterface]:
        self._require()
        wired, cellular = self.wired, CellularSettings("internet.example")
        return [
            NetworkInterface("Wired0", wired=wired, addresses=["192.0.2.23/24"]),
            NetworkInterface("Wireless0", is_cellular=True, cellular=cellular, addresses=["198.51.100.7/30"]),
        ]

    async def try_settings(
        self, interface: str, settings: WiredSettings | NewCellularSettings, *, within_s: float
    ) -> None:
        self._require()
        self.tried.append((interface, settings, within_s))
        if isinstance(settings, WiredSettings):
            self.wired = settings

    async def keep_settings(self) -> None:
        self._require()
        self.kept = self.wired

    async def return_settings(self) -> None:
        self._require()
        self.wired = self.kept


class FakeBoard(_Fake):
    boot_id = "boot"
    boot_cause = BootCause.POWER_UP
    serial_number = "BW-0001"

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.synchronised = True
        self.coils_fed = False
        """By the last call of `feed_watchdog`."""
        self.on_clock: Callable[[BoardClock], None] = lambda _clock: None
        self.on_fault: Callable[[Fault, int | None, bool, str], None] = lambda *_: None

    def clock(self) -> BoardClock:
        self._require()
        return BoardClock(self.time.monotonic(), self.time.utc(), is_set=True, synchronised=self.synchronised)

    def listen(
        self,
        on_clock: Callable[[BoardClock], None],
        on_fault: Callable[[Fault, int | None, bool, str], None],
    ) -> None:
        self.on_clock, self.on_fault = on_clock, on_fault

    def reboot(self) -> None:
        self._do("reboot")

    def power_off(self) -> None:
        self._do("power_off")

    def feed_watchdog(self, coils: bool) -> None:
        self._do("feed_watchdog")
        self.coils_fed = coils


class CabinetDouble:
    """All doubles of a cabinet, and the real `StationCabinet` on top of them."""

    def __init__(
        self,
        evses: Sequence[int] = (1, 2),
        *,
        groups: int = 10,
        limit_w: float = math.inf,
        meters: KnownMeters | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.evses = evses
        self.shelf = FakeShelf(self.clock, self._flows)
        self.shelf.groups = groups
        self.board = FakeBoard(self.clock)
        self.inputs = FakeInputs(self.clock, evses)
        self.links = FakeLinks(self.clock)
        self.reader = FakeCardReader(self.clock)
        self.meters = {evse: FakeMeter(self.clock) for evse in evses}
        self.monitors = {evse: FakeInsulation(self.clock) for evse in evses}
        self.contactors = {evse: FakeContactor(self.clock) for evse in evses}
        self.cars = {evse: FakeVehicleLink(self.clock) for evse in evses}
        self.screens = {evse: FakeScreen(self.clock) for evse in evses}
        self.events: list[Event] = []
        self.board_faults: dict[int | None, set[Fault]] = {}
        """What a test has had the board report, for the test's own use."""
        self.cabinet = StationCabinet(
            self.hardware(), self.clock, site_limit=KeptSiteLimit(None, limit_w), meters=meters
        )

    def hardware(self) -> Hardware:
        return Hardware(
            shelf=self.shelf,
            board=self.board,
            inputs=self.inputs,
            links=self.links,
            evses=[
                EvseHardware(
                    evse=evse,
                    connector=1,
                    rating=RATING,
                    meter=self.meters[evse],
                    insulation=self.monitors[evse],
                    contactor=self.contactors[evse],
                    vehicle=self.cars[evse],
                )
                for evse in self.evses
            ],
            card_reader=self.reader,
            screens=[ScreenHardware(evse, evse, self.screens[evse]) for evse in self.evses],
        )

    def start(self) -> None:
        self.cabinet.start()
        self.cabinet.listen(self.events.append)

    def run(self, seconds: float) -> None:
        """Let time pass: ten ticks a second, cars follow the sequence, meters count."""
        for _ in range(max(1, round(seconds * 10))):
            self.clock.advance(0.1)
            for evse in self.evses:
                self.pass_time(evse)
            self.cabinet.tick(self.clock.monotonic())

    def of_kind(self, kind: type[Any]) -> list[Any]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def pass_time(self, evse: int) -> None:
        """Let 0.1 s pass at this EVSE without a tick: the meter counts, the car takes its next step."""
        volts, amps = self.shelf.outputs.get(evse, (0.0, 0.0))[0], self.shelf.amps(evse)
        contactor, meter, car = self.contactors[evse], self.meters[evse], self.cars[evse]
        contactor.volts = volts
        meter.volts, meter.amps = (volts if contactor.contact else 0.0), amps
        meter.energy_wh += volts * amps * 0.1 / 3600.0
        car.take_next_step(abs(volts - PACK_V) < 20.0 and contactor.contact)

    def _flows(self, evse: int) -> bool:
        return self.contactors[evse].contact and self.cars[evse].stage in (VehicleStage.CHARGE, VehicleStage.STOP)
