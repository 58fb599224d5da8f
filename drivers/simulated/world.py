# SPDX-License-Identifier: Apache-2.0
"""The simulated world: one cabinet with its outlets, and the drivers, cars and accidents round it. No I/O.

`step(now)` moves everything on to that monotonic second; `apply` takes what the HAL's drivers actuate; `readings` is
what its sensors say; `outbox` collects what can't be read as a level (cards, touches, faults of the board);
`happened` collects what an onlooker would see. The safety chain is part of the world, as it is hard-wired in life:
without power, HAL, watchdog, released stop button and shut door no coil is fed and no module gives power.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from drivers.simulated import messages as wire
from drivers.simulated.accidents import Accidents
from drivers.simulated.board import BoardState
from drivers.simulated.garage import CarOrder, make_car
from drivers.simulated.outlet import Outlet
from drivers.simulated.reader import ReaderField
from drivers.simulated.shelf import Shelf, ShelfRating
from firmware.contract import BootCause
from firmware.errors import BaywattError

__all__ = ["ContactorMoved", "Happening", "PageShown", "RebootAsked", "World", "WorldRefused"]

STEP_S = 0.025
LONGEST_STEP_S = 2.0
"""A simulation that was held up for longer than this leaves the rest of the time out."""


class WorldRefused(BaywattError):
    """Nobody could do this in the present state of the world; the text says why."""


@dataclass(frozen=True, slots=True)
class ContactorMoved:
    evse: int
    closed: bool


@dataclass(frozen=True, slots=True)
class PageShown:
    screen: int
    page: str


@dataclass(frozen=True, slots=True)
class RebootAsked:
    """The HAL asked the board to restart."""


Happening: TypeAlias = ContactorMoved | PageShown | RebootAsked


@dataclass(slots=True)
class Display:
    """What one display shows; dark without power."""

    page: str = "off"
    text: dict[str, str] = field(default_factory=dict)


class World:
    """The whole of it. `speed`: how much faster than in life batteries fill and registers count."""

    def __init__(
        self,
        board: BoardState,
        evses: Iterable[int] = (1, 2),
        *,
        speed: float = 1.0,
        rating: ShelfRating | None = None,
        seed: int = 1,
    ) -> None:
        rng = Random(seed)
        numbers = list(evses)
        self.board = board
        self.speed = speed
        self.shelf = Shelf(numbers, rating or ShelfRating())
        self.outlets = {evse: Outlet(evse, self.shelf.banks[evse], rng) for evse in numbers}
        self.displays = {evse: Display() for evse in numbers}
        self.links = {"Wired0": True, "Wireless0": True}
        self.accidents = Accidents(self.outlets)
        self.outbox: list[wire.FromWorld] = []
        self.happened: list[Happening] = []
        self.hal_present = False
        self._field = ReaderField()
        self._now: float | None = None

    # --- time ------------------------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Everything moves on to the monotonic second `now`, in steps of at most 25 ms."""
        left = 0.0 if self._now is None else min(max(0.0, now - self._now), LONGEST_STEP_S)
        self._now = now
        self.board.step(left)
        while left > 0.0:
            dt = min(left, STEP_S)
            left -= dt
            self._step(dt)

    def _step(self, dt: float) -> None:
        if not self.chain_closed:
            self._cut()
        self.shelf.step(dt)
        for outlet in self.outlets.values():
            closed = outlet.contactor.closed
            outlet.step(dt, self.speed)
            if outlet.contactor.closed is not closed:
                self.happened.append(ContactorMoved(outlet.evse, not closed))

    @property
    def chain_closed(self) -> bool:
        """Whether the hard-wired safety chain feeds coils and modules."""
        inputs_good = not self.accidents.emergency_stop and not self.accidents.door_open
        return self.board.powered and self.hal_present and inputs_good and not self.board.watchdog_expired

    def _cut(self) -> None:
        self.shelf.switch_off()
        for outlet in self.outlets.values():
            outlet.contactor.drop()

    # --- the board and its HAL ----------------------------------------------------------------------------

    def power_on(self, cause: BootCause) -> None:
        """The board boots."""
        self.board.boot(uuid.uuid4().hex, cause)
        for number in self.displays:
            self._show(number, "boot", {})

    def power_off(self) -> None:
        """No power, for nothing: cars see the communication die, displays are dark."""
        self.board.powered = False
        self.hal_left()
        for number in self.displays:
            self._show(number, "off", {})

    def hal_came(self) -> None:
        """A HAL took the wiring: it starts from the safe state, whatever the one before left."""
        self._reset_drivers()
        self.hal_present = True
        self.board.feed_watchdog()

    def hal_left(self) -> None:
        """Nobody drives: contactors fall, modules stop, cars see an emergency stop."""
        self.hal_present = False
        self._reset_drivers()
        self.outbox.clear()

    def _reset_drivers(self) -> None:
        self._cut()
        self.shelf.assign({})
        for outlet in self.outlets.values():
            if outlet.car is not None:
                outlet.car.emergency_stop(outlet.secc)
            outlet.secc.reset()
            outlet.monitor.enable(False)

    def hello(self) -> wire.Hello:
        rating = self.shelf.rating
        return wire.Hello(
            boot_id=self.board.boot_id,
            boot_cause=self.board.boot_cause,
            serial_number=self.board.serial_number,
            groups=rating.groups,
            group_power_w=rating.group_power_w,
            group_current_a=rating.group_current_a,
            max_voltage_v=rating.max_voltage_v,
            min_voltage_v=rating.min_voltage_v,
        )

    def readings(self, mono_s: float, utc_s: float) -> wire.Readings:
        """What every sensor says; `utc_s` is the machine's true time."""
        return wire.Readings(
            mono_s=mono_s,
            outlets=[outlet.levels() for outlet in self.outlets.values()],
            emergency_stop=self.accidents.emergency_stop,
            door_open=self.accidents.door_open,
            links=dict(self.links),
            clock=self.board.clock(mono_s, utc_s),
            faults=self.accidents.board_faults(),
        )

    def edges(self) -> tuple[object, ...]:
        """What must reach the HAL at once when it changes."""
        outlets = tuple(
            (outlet.contactor.closed, levels.pilot, levels.stage, levels.locked, levels.evcc_id)
            for outlet in self.outlets.values()
            for levels in (outlet.vehicle_levels(),)
        )
        board = (self.board.clock_offset_s, self.board.clock_lost, self.board.synchronised)
        return (outlets, self.accidents.present(), tuple(self.links.items()), board)

    @property
    def busy(self) -> bool:
        """Whether anything moves that needs fine steps."""
        return any(outlet.car is not None or outlet.voltage_v > 0.0 for outlet in self.outlets.values())

    # --- people -------------------------------------------------------------------------------------------------

    def plug_in(self, evse: int, order: CarOrder) -> None:
        outlet = self.outlets[evse]
        if outlet.car is not None:
            raise WorldRefused(f"EVSE {evse} already has a car")
        outlet.plug_in(make_car(evse, order))

    def plug_out(self, evse: int, *, force: bool) -> None:
        outlet = self.outlets[evse]
        if outlet.car is None:
            raise WorldRefused(f"EVSE {evse} has no car")
        if outlet.holds_plug and not force:
            raise WorldRefused(f"the car's inlet holds the plug of EVSE {evse}")
        outlet.plug_out()

    def present_card(self, uid: str, hold_s: float, now: float) -> None:
        """A card is held to the reader; `uid` in upper-case hex."""
        self.outbox.append(self._field.present(uid, hold_s, now))

    def touch(self, screen: int, *, stop: bool) -> None:
        self.outbox.append(wire.Touched(screen=screen, stop=stop))

    # --- the HAL's drivers ---------------------------------------------------------------------------------

    def apply(self, message: wire.Actuation) -> None:
        """Carry out what a driver actuates; raises `WorldRefused` for an outlet or display that is not there."""
        evse = getattr(message, "evse", None)
        if evse is not None and evse not in self.outlets:
            raise WorldRefused(f"no EVSE {evse}")
        _APPLY[type(message)](self, message)

    def _assign(self, message: wire.Assign) -> None:
        self.shelf.assign(message.groups)

    def _set_output(self, message: wire.SetOutput) -> None:
        if self.chain_closed:
            self.shelf.banks[message.evse].set_output(message.voltage_v, message.current_a)

    def _switch_off(self, message: wire.SwitchOff) -> None:
        self.shelf.banks[message.evse].switch_off()

    def _command_contactor(self, message: wire.CommandContactor) -> None:
        self.outlets[message.evse].contactor.command(message.closed and self.chain_closed)

    def _enable_monitor(self, message: wire.EnableMonitor) -> None:
        self.outlets[message.evse].monitor.enable(message.active)

    def _start_self_test(self, message: wire.StartSelfTest) -> None:
        self.outlets[message.evse].monitor.start_self_test()

    def _authorise(self, message: wire.Authorise) -> None:
        self.outlets[message.evse].secc.authorise(message.granted)

    def _report_output(self, message: wire.ReportOutput) -> None:
        secc = self.outlets[message.evse].secc
        secc.reported_v, secc.reported_a = message.voltage_v, message.current_a

    def _announce_limits(self, message: wire.AnnounceLimits) -> None:
        secc = self.outlets[message.evse].secc
        secc.max_current_a, secc.max_power_w = message.max_current_a, message.max_power_w

    def _finish_cable_check(self, message: wire.FinishCableCheck) -> None:
        self.outlets[message.evse].secc.cable_check = message.passed

    def _request_stop(self, message: wire.RequestStop) -> None:
        self.outlets[message.evse].secc.stop_requested = True

    def _emergency_stop(self, message: wire.EmergencyStop) -> None:
        outlet = self.outlets[message.evse]
        if outlet.car is not None:
            outlet.car.emergency_stop(outlet.secc)

    def _set_available(self, message: wire.SetAvailable) -> None:
        self.outlets[message.evse].secc.available = message.available

    def _show_page(self, message: wire.ShowPage) -> None:
        self._show(message.screen, message.page, message.text)

    def _show(self, screen: int, page: str, text: dict[str, str]) -> None:
        display = self.displays.get(screen)
        if display is None:
            raise WorldRefused(f"no screen {screen}")
        if display.page != page:
            self.happened.append(PageShown(screen, page))
        display.page, display.text = page, text

    def _reboot(self, message: wire.Reboot) -> None:
        self.happened.append(RebootAsked())

    def _feed_watchdog(self, message: wire.FeedWatchdog) -> None:
        self.board.feed_watchdog()


_APPLY: dict[type[Any], Callable[[World, Any], None]] = {
    wire.Assign: World._assign,
    wire.SetOutput: World._set_output,
    wire.SwitchOff: World._switch_off,
    wire.CommandContactor: World._command_contactor,
    wire.EnableMonitor: World._enable_monitor,
    wire.StartSelfTest: World._start_self_test,
    wire.Authorise: World._authorise,
    wire.ReportOutput: World._report_output,
    wire.AnnounceLimits: World._announce_limits,
    wire.FinishCableCheck: World._finish_cable_check,
    wire.RequestStop: World._request_stop,
    wire.EmergencyStop: World._emergency_stop,
    wire.SetAvailable: World._set_available,
    wire.ShowPage: World._show_page,
    wire.Reboot: World._reboot,
    wire.FeedWatchdog: World._feed_watchdog,
}
