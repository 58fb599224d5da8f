# SPDX-License-Identifier: Apache-2.0
"""The control loop of the HAL: all EVSEs, the ports they share, the faults and the displays.

`tick(now)` reads the inputs, samples and steps every EVSE, shares the modules and feeds the board's watchdog. It never
waits; `run()` calls it ten times a second. Two things do not wait for a tick: the stop button opens every contactor
from the input's own callback, and an EVSE whose vehicle reports a change is sampled at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial

from firmware.clock import Clock
from firmware.contract import (
    BoardClock,
    CabinetCommand,
    CardPresented,
    CardProblem,
    CardUnreadable,
    ClockChanged,
    DeviceReport,
    Event,
    EvseSelected,
    Fault,
    FaultRaised,
    GetSiteLimit,
    LinkChanged,
    ListDevices,
    Network,
    NetworkCommand,
    Permit,
    PowerOff,
    Problem,
    Reboot,
    SetAvailable,
    SetLimit,
    SetSiteLimit,
    Show,
    SiteLimit,
    Snapshot,
    StartTest,
    StopPressed,
    Withdraw,
)
from firmware.errors import DriverError
from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.trouble import Trouble
from hal.active_faults import ActiveFaults
from hal.board_end import BoardEnd
from hal.card_signal import CardSignal
from hal.coil_supply import CoilSupply
from hal.devices import DeviceList
from hal.displays import Displays
from hal.evse.evse import Evse, EvsePorts
from hal.evse.model import LimitChanged, Permitted, Sampled, ServiceChanged, Withdrawn
from hal.evse.table import Stage
from hal.hardware import EvseHardware, Hardware, ScreenHardware
from hal.known_meters import KnownMeters
from hal.network import NetworkSettings
from hal.ports import InputsReading, Link, Vehicle
from hal.safety import Pulse, StationWatch
from hal.self_tests import SelfTests
from hal.shelf_control import ShelfControl
from hal.site_limit import KeptSiteLimit

__all__ = ["StationCabinet"]

PERIOD_S = 0.1
FEED_S = 0.4
CLOSE_PATIENCE_S = 3.0

_RESTARTING = Problem.BUSY, "the station is restarting"
_log = logging.getLogger(__name__)


class StationCabinet:
    """The charger as the socket's server sees it (`hal.server.Cabinet`)."""

    def __init__(
        self,
        hardware: Hardware,
        clock: Clock,
        *,
        site_limit: KeptSiteLimit | None = None,
        meters: KnownMeters | None = None,
    ) -> None:
        """Without `site_limit` there is none; without `meters` none is known at the start."""
        self._hardware = hardware
        self._clock = clock
        self._listeners: list[Callable[[Event], None]] = []
        self._faults = ActiveFaults(self._publish)
        self.pulse = Pulse()
        started = clock.monotonic()
        self._station_watch = StationWatch(started)
        self._meters = meters or KnownMeters(None)
        self._evses = {each.evse: self._evse(each, started) for each in hardware.evses}
        self.displays = Displays(hardware.screens, self._faults, self._publish, self._is_running)
        self._site_limit = site_limit or KeptSiteLimit(None)
        self._shelf = ShelfControl(hardware.shelf, self._site_limit.in_force_w)
        self._tests = SelfTests(self._evses, hardware, self._faults, self._publish)
        self._devices = DeviceList(hardware, self._faults, self.utc)
        self._network = NetworkSettings(hardware.links, clock)
        self._inputs: InputsReading | None = None
        self._inputs_lost = ""
        """Why there is no reading of them."""
        self._links: dict[str, Link] = {}
        self._card_signal = CardSignal()
        self._coil_supply = CoilSupply(self._faults)
        self._fed_at = -math.inf
        self._board_end = BoardEnd(hardware.board, all_open=self._all_open, cut_power=self._cut_power)
        self._unfed = Trouble(_log, "the board's watchdog can't be fed", logging.ERROR)

    def _evse(self, hardware: EvseHardware, started: float) -> Evse:
        ports = EvsePorts(
            self._hardware.shelf, hardware.meter, hardware.insulation, hardware.contactor, hardware.vehicle
        )
        return Evse(
            hardware.evse,
            hardware.connector,
            hardware.rating,
            ports=ports,
            faults=self._faults,
            meters=self._meters,
            publish=self._publish,
            started=started,
        )

    # --- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything to its safe value, listen to the ports, take a first sample.

        Call it before `listen`: the state at the start is in the snapshot, not in events.
        """
        for evse in self._evses.values():
            evse.open_contactor()
            evse.switch_off()
            evse.reset_vehicle_link()
        self._hardware.inputs.listen(self._on_inputs)
        for each in self._hardware.evses:
            each.vehicle.listen(partial(self._on_vehicle, self._evses[each.evse]))
        self._links = dict(self._hardware.links.links())
        self._hardware.links.listen(self._on_link)
        self._hardware.board.listen(self._on_clock, self._on_board_fault)
        if self._hardware.card_reader is not None:
            self._hardware.card_reader.listen(self._on_card, self._on_card_problem, self._on_card_reader_lost)
        for screen in self._hardware.screens:
            self._listen_to(screen)
        self.tick(self._clock.monotonic())

    async def run(self) -> None:
        """Tick ten times a second until cancelled; a tick that comes late does not delay those after it."""
        due = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            self.tick(now)
            due = max(due + PERIOD_S, now)
            await asyncio.sleep(due - self._clock.monotonic())

    async def close(self) -> None:
        """End every session in the orderly way, open every contactor after 3 s at the latest, and close all ports."""
        now = until = self._clock.monotonic()
        until += CLOSE_PATIENCE_S
        self._tests.end_all("the HAL stops")
        self._withdraw_all(now)
        while now < until and not self._all_open():
            await asyncio.sleep(PERIOD_S)
            now = self._clock.monotonic()
            self.tick(now)
        self._cut_power()
        self._network.close()
        for port in self._hardware.ports():
            try:
                port.close()
            except DriverError as error:
                _log.warning("%s can't be closed: %s", type(port).__name__, error)

    def tick(self, now: float) -> None:
        """One round of the control loop."""
        self._inputs = self._read_inputs(now)
        self._faults.replace("station", None, self._station_watch.check(self._inputs, now, self._inputs_lost))
        for evse in self._evses.values():
            self._sample(evse, now)
        self._shelf.share(self._evses.values(), now)
        self.displays.refresh(now)
        self._tests.tick(now)
        self._board_end.go_on(now)
        self.pulse.beat("control", now)
        coils = self._coil_supply.allowed(self._evses.values(), now)
        if now - self._fed_at >= FEED_S and self.pulse.all_alive(now):
            self._feed_watchdog(now, coils=coils)

    def _feed_watchdog(self, now: float, *, coils: bool) -> None:
        self._fed_at = now
        try:
            self._hardware.board.feed_watchdog(coils=coils)
        except DriverError as error:
            self._unfed.failed(error)
        else:
            self._unfed.worked()

    def _sample(self, evse: Evse, now: float) -> None:
        sensed = self._inputs.plug_temp_c if self._inputs is not None else None
        own = sensed if sensed is None else tuple(sensed[number] for number in sensed if number == evse.number)
        readings = evse.read_ports(own, self._shelf.share_of(evse.number), now)
        evse.refresh_faults(now)
        evse.apply(Sampled(readings), now)

    def _read_inputs(self, now: float) -> InputsReading | None:
        inputs = self._hardware.inputs
        try:
            reading = inputs.reading()
        except DriverError as error:
            self._inputs_lost = str(error)
            return None
        self._inputs_lost = f"no reading for {inputs.stale_after_s:g} s"
        return reading if now - reading.mono_s <= inputs.stale_after_s else None

    # --- callbacks of the ports ---------------------------------------------------------------------------------

    def _on_inputs(self, reading: InputsReading) -> None:
        """Stop button or door, within 10 ms of the edge: every coil off, then the modules, then everything else."""
        if not (reading.emergency_stop or reading.door_open):
            return
        self._cut_power()
        now = self._clock.monotonic()
        self._inputs = reading
        self._faults.replace("station", None, self._station_watch.check(reading, now))
        self._refresh_faults(now)
        self.displays.refresh(now)

    def _cut_power(self) -> None:
        for evse in self._evses.values():
            evse.open_contactor()
        for evse in self._evses.values():
            evse.switch_off()

    def _on_vehicle(self, evse: Evse, _vehicle: Vehicle) -> None:
        if not evse.busy:
            self._sample(evse, self._clock.monotonic())
            self._tests.check(evse.number)

    def _on_link(self, interface: str, link: Link) -> None:
        before = self._links.get(interface)
        if before == link:
            return
        self._links[interface] = link
        if before is None or before.up is not link.up:
            extra = fields(message_id=MessageId.LINK_CHANGED)
            _log.info("link %s %s", interface, "up" if link.up else "down", extra=extra)
        if link.details.default and (before is None or not before.details.default):
            _log.info("link %s has the default route", interface, extra=fields(message_id=MessageId.LINK_CHANGED))
        self._publish(LinkChanged(interface=interface, up=link.up, details=link.details))

    def _on_clock(self, clock: BoardClock) -> None:
        self._publish(ClockChanged(is_set=clock.is_set, synchronised=clock.synchronised))

    def _on_board_fault(self, fault: Fault, evse: int | None, present: bool, detail: str) -> None:
        if present:
            self._faults.add("board", fault, evse, detail=detail)
        else:
            self._faults.remove("board", fault, evse)
        self._refresh_faults(self._clock.monotonic())

    def _refresh_faults(self, now: float) -> None:
        """Pass changed faults to each EVSE at once, or with the next tick if its own step has caused the change."""
        for evse in self._evses.values():
            if not evse.busy:
                evse.refresh_faults(now)

    def _on_card(self, uid: str) -> None:
        if self._tests.card(uid):
            return
        self._card_signal.presented(self._clock.monotonic())
        self._publish(CardPresented(uid=uid))

    def _on_card_problem(self, problem: CardProblem) -> None:
        if self._tests.card(None, problem):
            return
        self._card_signal.presented(self._clock.monotonic())
        self._publish(CardUnreadable(problem=problem))

    def _on_card_reader_lost(self, detail: str | None) -> None:
        if detail is None:
            self._faults.remove("card reader", Fault.CARD_READER, None)
        else:
            self._faults.add("card reader", Fault.CARD_READER, None, detail=detail)
        self._refresh_faults(self._clock.monotonic())

    def _listen_to(self, screen: ScreenHardware) -> None:
        screen.port.listen(
            partial(self._on_touch, EvseSelected(evse=screen.evse)),
            partial(self._on_touch, StopPressed(evse=screen.evse)),
            partial(self.displays.lost, screen.screen),
        )

    def _on_touch(self, touch: EvseSelected | StopPressed) -> None:
        if not self._tests.touched(touch.evse):
            self._publish(touch)

    # --- events and commands ----------------------------------------------------------------------------------

    def listen(self, publish: Callable[[Event], None]) -> None:
        """Pass every event from now on to `publish`."""
        self._listeners.append(publish)

    def devices(self) -> list[DeviceReport]:
        """What there is, and what is wrong with it."""
        return self._devices.report()

    def _publish(self, event: Event) -> None:
        if isinstance(event, FaultRaised):
            self._devices.note(event)
        for listener in self._listeners:
            listener(event)

    async def set_network(self, command: NetworkCommand) -> Network:
        """Raises `NetworkRefused`."""
        return await self._network.execute(command)

    def execute(self, command: CabinetCommand) -> tuple[Problem, str] | None:
        """Carry out a command or return why not; its values are in range, as `hal.server` has checked."""
        now = self._clock.monotonic()
        if isinstance(command, Show):
            return self._show(command, now)
        if isinstance(command, Reboot | PowerOff):
            return self._end(command, now)
        if isinstance(command, StartTest):
            return self._start_test(command, now)
        if isinstance(command, SetSiteLimit):
            return self._set_site_limit(command)
        if isinstance(command, ListDevices | GetSiteLimit):
            return None  # `devices` and `site_limit` answer them
        evse = self._evses.get(command.evse)
        if evse is None:
            return Problem.UNKNOWN_EVSE, f"no EVSE {command.evse}"
        match command:
            case Permit():
                return self._permit(evse, command, now)
            case Withdraw():
                evse.apply(Withdrawn(), now)
            case SetLimit(power_w=power_w):
                evse.apply(LimitChanged(power_w), now)
            case SetAvailable(available=available):
                evse.apply(ServiceChanged(available), now)
        return None

    def site_limit(self) -> SiteLimit:
        return self._site_limit.report

    def _set_site_limit(self, command: SetSiteLimit) -> tuple[Problem, str] | None:
        """Writing may take as long as a disk: not while energy may flow."""
        if any(evse.state.session is not None for evse in self._evses.values()):
            return Problem.NOT_ALLOWED, "a session holds a permission"
        why = self._site_limit.objection(command.power_w)
        if why is not None:
            return Problem.BAD_REQUEST, why
        try:
            self._site_limit.set(command.power_w)
        except OSError as error:
            return Problem.DEVICE_FAILED, f"the limit can't be kept: {error.strerror}"
        _log.info("the site's limit is %s from the next start on", command.power_w)
        return None

    def _permit(self, evse: Evse, command: Permit, now: float) -> tuple[Problem, str] | None:
        held = evse.state.session
        if held is not None and held != command.session:
            return Problem.NOT_ALLOWED, f"session {held} holds the permission"
        stopping = sorted(fault.value for fault in self._faults.touching(evse.number) if fault.stops_charging)
        if stopping or evse.state.stage is Stage.FAULTED:
            return Problem.FAULTED, ", ".join(stopping) or "recovering"
        if self._board_end.under_way:
            return _RESTARTING
        if self._tests.occupies(evse.number):
            return Problem.BUSY, "a self test is running"
        evse.apply(Permitted(command.session, command.lease_s), now)
        return None

    def _is_running(self, evse: int) -> bool:
        return not self._evses[evse].is_open

    def _show(self, command: Show, now: float) -> tuple[Problem, str] | None:
        accepted = self._card_signal.shown(command.screen, command.model.page, now)
        if accepted is not None and self._hardware.card_reader is not None:
            self._hardware.card_reader.signal(accepted)
        return self.displays.show(command, now)

    def snapshot(self, seq: int, run_id: str) -> Snapshot:
        """The whole state after event `seq`."""
        board, now = self._hardware.board, self._clock.monotonic()
        return Snapshot(
            seq=seq,
            run_id=run_id,
            boot_id=board.boot_id,
            boot_cause=board.boot_cause,
            serial_number=board.serial_number,
            clock=self.board_clock(),
            evses=[evse.status(now) for evse in self._evses.values()],
            faults=self._faults.own(None),
            links={name: link.up for name, link in self._links.items()},
            link_details={name: link.details for name, link in self._links.items()},
            screens=self.displays.shown(),
        )

    def board_clock(self) -> BoardClock:
        """The board's clock; if it can't be read, one that is not set."""
        try:
            return self._hardware.board.clock()
        except DriverError:
            return BoardClock(self._clock.monotonic(), self._clock.utc(), is_set=False, synchronised=False)

    def utc(self) -> float:
        """Seconds since 1970 by the board's clock."""
        clock = self.board_clock()
        return clock.utc_s + (self._clock.monotonic() - clock.mono_s)

    def _start_test(self, command: StartTest, now: float) -> tuple[Problem, str] | None:
        return _RESTARTING if self._board_end.under_way else self._tests.begin(command, now)

    def _end(self, command: Reboot | PowerOff, now: float) -> tuple[Problem, str] | None:
        if self._board_end.under_way:
            return _RESTARTING
        self._board_end.begin(command, now)
        self._tests.end_all("the station is restarting")
        self._withdraw_all(now)
        return None

    def _withdraw_all(self, now: float) -> None:
        for evse in self._evses.values():
            evse.apply(Withdrawn(), now)

    def _all_open(self) -> bool:
        return all(evse.is_open for evse in self._evses.values())
