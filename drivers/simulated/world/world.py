# SPDX-License-Identifier: Apache-2.0
"""The simulated world: one cabinet with its EVSEs, and the EV drivers, cars and faults around it. No I/O.

`step(now)` advances everything to that monotonic second; `apply` carries out what the HAL's drivers actuate;
`readings` is what the sensors measure; `outbox` collects what can't be read as a level (cards, touches); `happened`
collects what an onlooker would see. The safety chain is part of the world, as it is hard-wired in a real cabinet:
without power, HAL, fed watchdog, released stop button and closed door, no coil is fed and no module delivers power.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from drivers.simulated import messages as wire
from drivers.simulated.world.board import BoardState
from drivers.simulated.world.evse import Evse
from drivers.simulated.world.faults import InjectedFaults
from drivers.simulated.world.garage import CarOrder, make_car
from drivers.simulated.world.reader import ReaderField
from drivers.simulated.world.shelf import Shelf, ShelfRating
from firmware.contract import BootCause, LinkDetails, PageModel
from firmware.errors import BaywattError
from hal.ports import InputsReading

__all__ = ["ContactorMoved", "Happening", "PageShown", "PowerOffRequested", "RebootRequested", "World", "WorldRefused"]

STEP_S = 0.025
LONGEST_STEP_S = 2.0
"""A simulation that was delayed for longer than this skips the rest of the time."""


class WorldRefused(BaywattError):
    """Impossible in the present state of the world; the text says why."""


@dataclass(frozen=True, slots=True)
class ContactorMoved:
    evse: int
    closed: bool


@dataclass(frozen=True, slots=True)
class PageShown:
    screen: int
    page: str


@dataclass(frozen=True, slots=True)
class PowerOffRequested:
    """The board switches itself off."""


@dataclass(frozen=True, slots=True)
class RebootRequested:
    """The HAL has requested a restart of the board."""


Happening: TypeAlias = ContactorMoved | PageShown | PowerOffRequested | RebootRequested


@dataclass(slots=True)
class Display:
    """The content of one display; dark without power."""

    page: str = "off"
    model: PageModel | None = None
    """None while the HAL shows nothing on it."""


class World:
    """`speed`: how much faster than real batteries charge and registers count."""

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
        self.evses = {number: Evse(number, self.shelf.banks[number], rng) for number in numbers}
        self.displays = {number: Display() for number in numbers}
        self.links = {"Wired0": True, "Wireless0": True}
        self.signal_percent = {"Wireless0": 80}
        self.faults = InjectedFaults(self.evses)
        self.outbox: list[wire.FromWorld] = []
        self.happened: list[Happening] = []
        self.hal_present = False
        self._field = ReaderField()
        self._now: float | None = None

    # --- time ------------------------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Advance everything to the monotonic second `now`, in steps of at most 25 ms."""
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
        for evse in self.evses.values():
            closed = evse.contactor.closed
            evse.step(dt, self.speed)
            if evse.contactor.closed is not closed:
                self.happened.append(ContactorMoved(evse.number, not closed))

    @property
    def chain_closed(self) -> bool:
        """Whether the hard-wired safety chain feeds coils and modules."""
        inputs_good = not self.faults.emergency_stop and not self.faults.door_open
        return self.board.powered and self.hal_present and inputs_good and not self.board.watchdog_expired

    def _cut(self) -> None:
        self.shelf.switch_off()
        for evse in self.evses.values():
            evse.contactor.drop()

    # --- the board and its HAL ----------------------------------------------------------------------------

    def power_on(self, cause: BootCause) -> None:
        """The board boots."""
        self.board.boot(str(uuid.uuid4()), cause)
        for number in self.displays:
            self._show(number, "boot")

    def resume(self) -> None:
        """The board has been running all the time, only this simulation of it has not."""
        self.board.powered = True

    def power_off(self) -> None:
        """Mains lost: cars lose communication, displays are dark."""
        self.board.powered = False
        self.disconnect_hal()
        for number in self.displays:
            self._show(number, "off")

    def connect_hal(self) -> None:
        """A HAL has connected: it starts from the safe state, whatever the one before has left."""
        self._reset_drivers()
        self.hal_present = True
        self.board.feed_watchdog()

    def disconnect_hal(self) -> None:
        """No HAL is connected: contactors open, modules stop, cars see an emergency stop."""
        self.hal_present = False
        self._reset_drivers()
        self.outbox.clear()

    def _reset_drivers(self) -> None:
        self._cut()
        self.shelf.assign({})
        for evse in self.evses.values():
            if evse.car is not None:
                evse.car.emergency_stop(evse.secc)
            evse.secc.reset()
            evse.monitor.enable(False)

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
            speed=self.speed,
        )

    def readings(self, mono_s: float, utc_s: float) -> wire.Readings:
        """What every sensor measures; `utc_s` is the machine's true time."""
        return wire.Readings(
            evses=[evse.readings(mono_s) for evse in self.evses.values()],
            inputs=InputsReading(
                mono_s=mono_s,
                emergency_stop=self.faults.emergency_stop,
                door_open=self.faults.door_open,
                plug_temp_c={number: evse.plug_temp_c for number, evse in self.evses.items()},
            ),
            links=dict(self.links),
            link_details=self.link_details(),
            clock=self.board.clock(mono_s, utc_s),
            faults=self.faults.board_faults(),
        )

    def edges(self, mono_s: float) -> tuple[object, ...]:
        """What must reach the HAL at once when it changes."""
        evses = tuple((evse.contactor.closed, wire.vehicle_edges(evse.vehicle(mono_s))) for evse in self.evses.values())
        board = (self.board.clock_offset_s, self.board.clock_lost, self.board.synchronised)
        return (evses, self.faults.present(), tuple(self.links.items()), tuple(self.signal_percent.items()), board)

    @property
    def default_link(self) -> str | None:
        """The link with the default route: the first that is up."""
        return next((name for name, up in self.links.items() if up), None)

    def link_details(self) -> dict[str, LinkDetails]:
        """What a modem and the kernel say of each link."""
        default = self.default_link
        return {
            name: LinkDetails(
                default=name == default,
                signal_percent=self.signal_percent.get(name) if up else None,
                operator="Simulated" if up and name in self.signal_percent else None,
            )
            for name, up in self.links.items()
        }

    @property
    def busy(self) -> bool:
        """Whether anything changes fast enough to need fine steps."""
        return any(evse.car is not None or evse.voltage_v > 0.0 for evse in self.evses.values())

    # --- people -------------------------------------------------------------------------------------------------

    def plug_in(self, evse: int, order: CarOrder) -> None:
        if self.evses[evse].car is not None:
            raise WorldRefused(f"EVSE {evse} already has a car")
        self.evses[evse].plug_in(make_car(evse, order))

    def plug_out(self, evse: int, *, force: bool) -> None:
        if self.evses[evse].car is None:
            raise WorldRefused(f"EVSE {evse} has no car")
        if self.evses[evse].holds_plug and not force:
            raise WorldRefused(f"the car's inlet holds the plug of EVSE {evse}")
        self.evses[evse].plug_out()

    def present_card(self, uid: str, hold_s: float, now: float) -> None:
        """Hold a card to the reader; `uid` in upper-case hex. A broken reader does not see it."""
        report = self._field.present(uid, hold_s, now)
        if not self.faults.card_reader:
            self.outbox.append(report)

    def cards(self, now: float) -> list[str]:
        """The UIDs of the cards in the reader's field."""
        return self._field.cards(now)

    def touch(self, screen: int, *, stop: bool) -> None:
        self.outbox.append(wire.Touched(screen=screen, stop=stop))

    # --- the HAL's drivers ---------------------------------------------------------------------------------

    def apply(self, message: wire.Actuation) -> None:
        """Carry out what a driver actuates; raises `WorldRefused` for an EVSE or display that does not exist."""
        evse = getattr(message, "evse", None)
        if evse is not None and evse not in self.evses:
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
        self.evses[message.evse].contactor.command(message.closed and self.chain_closed)

    def _enable_monitor(self, message: wire.EnableMonitor) -> None:
        self.evses[message.evse].monitor.enable(message.active)

    def _start_self_test(self, message: wire.StartSelfTest) -> None:
        self.evses[message.evse].monitor.start_self_test()

    def _authorise(self, message: wire.Authorise) -> None:
        self.evses[message.evse].secc.authorise(message.granted)

    def _wake(self, message: wire.Wake) -> None:
        self.evses[message.evse].secc.interrupt_pilot()

    def _report_output(self, message: wire.ReportOutput) -> None:
        secc = self.evses[message.evse].secc
        secc.reported_v, secc.reported_a = message.voltage_v, message.current_a

    def _announce_limits(self, message: wire.AnnounceLimits) -> None:
        secc = self.evses[message.evse].secc
        secc.max_current_a, secc.max_power_w = message.max_current_a, message.max_power_w

    def _finish_cable_check(self, message: wire.FinishCableCheck) -> None:
        self.evses[message.evse].secc.cable_check = message.passed

    def _request_stop(self, message: wire.RequestStop) -> None:
        self.evses[message.evse].secc.stop_requested = True

    def _emergency_stop(self, message: wire.EmergencyStop) -> None:
        evse = self.evses[message.evse]
        if evse.car is not None:
            evse.car.emergency_stop(evse.secc)

    def _set_available(self, message: wire.SetAvailable) -> None:
        self.evses[message.evse].secc.available = message.available

    def _show_page(self, message: wire.ShowPage) -> None:
        self.show(message.screen, message.model)

    def show(self, screen: int, model: PageModel) -> None:
        """A display shows this; raises `WorldRefused` for one that does not exist."""
        self._show(screen, model.page.value, model)

    def _show(self, screen: int, page: str, model: PageModel | None = None) -> None:
        display = self.displays.get(screen)
        if display is None:
            raise WorldRefused(f"no screen {screen}")
        if display.page != page:
            self.happened.append(PageShown(screen, page))
        display.page, display.model = page, model

    def _reboot(self, message: wire.Reboot) -> None:
        self.happened.append(RebootRequested())

    def _power_off(self, message: wire.PowerOff) -> None:
        self.happened.append(PowerOffRequested())

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
    wire.Wake: World._wake,
    wire.ReportOutput: World._report_output,
    wire.AnnounceLimits: World._announce_limits,
    wire.FinishCableCheck: World._finish_cable_check,
    wire.RequestStop: World._request_stop,
    wire.EmergencyStop: World._emergency_stop,
    wire.SetAvailable: World._set_available,
    wire.ShowPage: World._show_page,
    wire.Reboot: World._reboot,
    wire.PowerOff: World._power_off,
    wire.FeedWatchdog: World._feed_watchdog,
}
