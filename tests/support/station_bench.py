# SPDX-License-Identifier: Apache-2.0
"""A whole station without I/O: manual time, a CSMS that answers frames, a HAL that obeys its contract.

The world is honest about units of work: what a step wants to send is seen by the CSMS only after the commit, and a
death of the process keeps of the database what its files held at that instant. Whatever the station says is checked
against its schema.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from firmware import product
from firmware.clock import format_utc
from firmware.contract import (
    BoardClock,
    BootCause,
    CardPresented,
    CardProblem,
    CardUnreadable,
    Cause,
    ClockChanged,
    Command,
    EnergyFlow,
    EnergyFlowChanged,
    Event,
    EvseSelected,
    EvseStatus,
    Fault,
    FaultCleared,
    FaultRaised,
    MeterContext,
    MeterReading,
    Permit,
    Phase,
    PhaseChanged,
    Plugged,
    Reboot,
    ScreenShown,
    SetLimit,
    Show,
    Snapshot,
    Stamped,
    Unplugged,
    Withdraw,
)
from firmware.factory_settings import FactorySettings, FactoryVariable, NetworkProfile
from services.ocpp.background import Cancel, Order, Report, Task
from services.ocpp.composition import Boot, Composition
from services.ocpp.config import ServiceConfig
from services.ocpp.context import Firmware
from services.ocpp.rpc.validation import check_request, check_response
from services.ocpp.station import Station, Step
from tests.support.clock import ManualClock

__all__ = ["PROFILE", "Instant", "StationBench", "charge", "set_variables"]

Instant = Literal["before the commit", "before sending", "after sending"]
"""Where within a unit of work the process dies."""


def charge(bench: StationBench, evse: int = 2, uid: str = "04A1B2C3D4E580") -> str:
    """A session up to flowing energy; the transaction's id."""
    bench.card(uid, evse)
    bench.plug(evse)
    bench.energy_on(evse)
    return str(bench.events[-1]["transactionInfo"]["transactionId"])


def set_variables(component: str, variable: str, value: str) -> Any:
    """A SetVariablesRequest for one variable."""
    place = {"component": {"name": component}, "variable": {"name": variable}}
    return {"setVariableData": [{"attributeValue": value, **place}]}


PROFILE = NetworkProfile(slot=1, url="ws://127.0.0.1:9/ocpp", security_profile=1)


class _BoardClock:
    """The board's own clock, which is not set while `clock_set` is False."""

    def __init__(self, bench: StationBench) -> None:
        self._bench = bench

    def monotonic(self) -> float:
        return self._bench.clock.monotonic()

    def utc(self) -> float:
        return self._bench.board_clock().utc_s


class StationBench:
    """One station and its world. `answers` maps an action to a response payload, a callable, or None (no answer)."""

    def __init__(
        self,
        directory: Path,
        *,
        product_name: str = "c7am-400-cc",
        variables: dict[tuple[str, str], str] | None = None,
        updates: Firmware | None = None,
    ) -> None:
        self.directory = directory
        self.product = product.load(product_name)
        self.factory = FactorySettings(
            identity="CP001",
            basic_auth_password="0123456789abcdef",
            network_profile=[PROFILE],
            variable=[
                FactoryVariable(component=component, variable=variable, value=value)
                for (component, variable), value in (variables or {}).items()
            ],
        )
        self.clock = ManualClock()
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, Any]] = []
        self.errors: list[Any] = []
        self.frames: list[Any] = []
        """Everything that the CSMS received, decoded, in order."""
        self.orders: list[str] = []
        self.updates = updates
        self.tasks: list[Task] = []
        """Work that blocks have requested; none is done, the test reports on it."""
        self.cancelled: list[Task] = []
        self.notices: list[Any] = []
        self.commands: list[Command] = []
        self.refused: list[Permit] = []
        """What the HAL would not do: a permission under another name than the one held."""
        self.registers = {1: 1000.0, 2: 2000.0}
        self.plugged = {1: False, 2: False}
        self.flow = {1: EnergyFlow.NONE, 2: EnergyFlow.NONE}
        self.phase = {1: Phase.IDLE, 2: Phase.IDLE}
        self.held: dict[int, str | None] = {1: None, 2: None}
        self.limits: dict[int, float | None] = {1: None, 2: None}
        self.lease_until = {1: 0.0, 2: 0.0}
        self.shown: dict[int, tuple[str, dict[str, str]]] = {}
        self.faults: set[Fault] = set()
        self.evse_faults: dict[int, set[Fault]] = {1: set(), 2: set()}
        self.clock_set = True
        self.synchronised = False
        self.rebooting = False
        self.boots = 0
        self.profile = PROFILE
        self.linked = self.alive = self.hal_linked = False
        self.blackhole = False
        """The link seems up, and nothing arrives at the CSMS."""
        self.dies: Instant | None = None
        """Where in the next unit of work the process dies."""
        self._ids = itertools.count(1)
        self._calls: dict[str, Any] = {}
        self._asked: dict[str, str] = {}
        self._todo: deque[Callable[[float], None]] = deque()
        self._busy = False
        self._kept: list[Stamped] = []
        self.boot()

    # --- power -------------------------------------------------------------------------------------------------

    def boot(self, cause: BootCause = BootCause.POWER_UP) -> None:
        """Power on: a new boot of board, HAL and service; the link is down."""
        self.boots += 1
        self.boot_id = f"boot-{self.boots}"
        self._cause = cause
        self.rebooting = False
        self._new_hal_run()
        self._start()

    def die(self) -> None:
        """The OCPP process is killed at this very instant."""
        self.alive = self.linked = self.hal_linked = False
        self.dies = None
        self._todo.clear()
        files = {path: path.read_bytes() for path in self.directory.glob("station.db*")}
        self.database.close()  # commits and tidies up, which the dead don't: its files are put back as they were
        for path in self.directory.glob("station.db*"):
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)

    def restart_service(self) -> None:
        """The OCPP process dies and comes back; board and HAL go on."""
        if self.alive:
            self.die()
        self._start()

    def power_cut(self, seconds: float = 5.0, cause: BootCause = BootCause.POWER_UP) -> None:
        """Power off at this very instant, and on again."""
        if self.alive:
            self.die()
        self.clock.advance(seconds)
        self.boot(cause)

    def reboot(self) -> None:
        """The board restarts as it was asked to."""
        assert self.rebooting
        self.power_cut(5.0, BootCause.REQUESTED)

    def _new_hal_run(self) -> None:
        self.run_id = f"run-{next(self._ids)}"
        self._seq = itertools.count(1)
        self._kept.clear()
        for evse in (1, 2):
            self.flow[evse], self.held[evse], self.limits[evse] = EnergyFlow.NONE, None, None
            self.phase[evse] = Phase.PLUGGED if self.plugged[evse] else Phase.IDLE

    def _start(self) -> None:
        self.linked = self.hal_linked = False
        parts = Composition(
            ServiceConfig(
                database=str(self.directory / "station.db"), certificates=str(self.directory / "certificates")
            ),
            self.factory,
            self.product,
            clock=_BoardClock(self),
            firmware_version="1.0.0",
        )
        self.database = parts.database
        self.context = parts.context(Boot(self.boot_id, self._cause, "SN-1"))
        self.context.new_id = lambda: str(uuid.UUID(int=next(self._ids)))
        self.context.firmware = self.updates
        self.station = Station(self.context)
        self.alive = True
        self.tell(self.station.start)

    # --- the one way in -------------------------------------------------------------------------------------------

    def tell(self, event: Callable[[float], None]) -> None:
        """One unit of work, and everything that the CSMS answers to it; nothing while the process is dead."""
        if not self.alive:
            return
        self._todo.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._todo:
                self._unit(self._todo.popleft())
        finally:
            self._busy = False
            self._todo.clear()

    def _unit(self, event: Callable[[float], None]) -> None:
        event(self.clock.monotonic())
        step = self.station.take_step()
        if self.dies == "before the commit":
            self.die()
            return
        durable = self.database.commit()
        if durable:
            self.context.outbox.durable.flushed()
        if self.dies == "before sending":
            self.die()
            return
        for command in step.commands:
            self._obey(command)
        self.orders += [order.action for order in step.orders]
        self.tasks += [each for each in step.tasks if isinstance(each, Task)]
        self.cancelled += [each.task for each in step.tasks if isinstance(each, Cancel)]
        self.notices += step.notices
        if step.acknowledge is not None and durable:
            self._kept = [stamped for stamped in self._kept if stamped.seq > step.acknowledge]
        self._send(step)
        if self.dies == "after sending":
            self.die()

    def _send(self, step: Step) -> None:
        frames, step.frames = step.frames, []
        for frame in frames if self.linked and not self.blackhole else ():
            self._receive(json.loads(frame))

    def _receive(self, message: list[Any]) -> None:
        self.frames.append(message)
        if message[0] == 2:
            _, message_id, action, payload = message
            problem = check_request(action, payload)
            assert problem is None, (action, problem)
            self.requests.append((action, payload))
            answer = self._answer(action, payload)
            if answer is not None:
                reply = json.dumps(answer(message_id))
                self._todo.append(lambda now: self.station.on_frame(reply, now))
        elif message[0] == 3:
            problem = check_response(self._asked[message[1]], message[2])
            assert problem is None, (self._asked[message[1]], problem)
            self._calls[message[1]] = message[2]
        else:
            self._calls[message[1]] = message
            self.errors.append(message)

    def _answer(self, action: str, payload: Any) -> Callable[[str], list[Any]] | None:
        answer = self.answers.get(action, self._default(action))
        if callable(answer):
            answer = answer(payload)
        if answer is None:
            return None
        if isinstance(answer, str):
            return lambda message_id: [4, message_id, answer, "", {}]
        return lambda message_id: [3, message_id, answer]

    def _default(self, action: str) -> Any:
        stamp = format_utc(self.clock.utc())
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": stamp, "interval": 60}
            case "Heartbeat":
                return {"currentTime": stamp}
            case "Authorize":
                return {"idTokenInfo": {"status": "Accepted"}}
            case _:
                return {}

    # --- the CSMS -----------------------------------------------------------------------------------------------------

    def link_up(self, profile: NetworkProfile | None = None) -> None:
        if not self.alive:
            return
        self.linked = True
        self.profile = profile or self.profile
        self.tell(lambda now: self.station.on_link_up(self.profile, now))

    def link_down(self) -> None:
        self.linked = False
        self.tell(self.station.on_link_down)

    def call(self, action: str, payload: Any) -> Any:
        """The CSMS asks; the response's payload, or the whole CALLERROR frame, or None when there was no answer."""
        message_id = f"csms-{next(self._ids)}"
        self._asked[message_id] = action
        self.frame(json.dumps([2, message_id, action, payload]))
        return self._calls.get(message_id)

    def frame(self, text: str) -> None:
        """The CSMS sends this, whatever it is."""
        if self.linked:
            self.tell(lambda now: self.station.on_frame(text, now))

    def sent(self, action: str) -> list[Any]:
        """The payloads of every request of this action so far."""
        return [payload for name, payload in self.requests if name == action]

    @property
    def events(self) -> list[Any]:
        return self.sent("TransactionEvent")

    def summary(self) -> list[tuple[str, str, str]]:
        """(eventType, triggerReason, chargingState) of every TransactionEvent."""
        return [
            (event["eventType"], event["triggerReason"], event["transactionInfo"].get("chargingState"))
            for event in self.events
        ]

    def report(self, kind: type[Order], report: Report) -> None:
        """The worker reports on the last task with an order of this kind."""
        task = next(task for task in reversed(self.tasks) if isinstance(task.order, kind))
        self.tell(lambda now: self.station.on_task(task, report, now))

    # --- the HAL -----------------------------------------------------------------------------------------------------

    def _obey(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Permit(evse=evse, session=name, lease_s=lease_s):
                if self.held[evse] not in (None, name):
                    self.refused.append(command)
                    return
                self.held[evse], self.lease_until[evse] = name, self.clock.monotonic() + lease_s
            case Withdraw(evse=evse):
                self.held[evse] = None
            case SetLimit(evse=evse, power_w=power_w):
                self.limits[evse] = power_w
            case Show(screen=screen, page=page, text=text):
                self.shown[screen] = (page, text)
            case Reboot():
                self.rebooting = True

    def permitted(self, evse: int) -> bool:
        """Does the HAL hold a living permission?"""
        return self.held[evse] is not None and self.clock.monotonic() < self.lease_until[evse]

    def hal_up(self) -> None:
        """The service reaches the HAL: its snapshot, then the kept events that it has not acknowledged."""
        if not self.alive:
            return
        snapshot = Snapshot(
            seq=0,
            run_id=self.run_id,
            boot_id=self.boot_id,
            boot_cause=self._cause,
            serial_number="SN-1",
            clock=self.board_clock(),
            evses=[self._evse_status(evse) for evse in (1, 2)],
            faults=sorted(self.faults),
            links={"Wired0": True},
            screens=[ScreenShown(1, "idle"), ScreenShown(2, "idle")],
        )
        self.hal_linked = True
        self.tell(lambda now: self.station.on_hal_up(snapshot, now))
        for stamped in list(self._kept):
            self._pass_on(stamped)

    @property
    def kept(self) -> list[Event]:
        """What the HAL keeps because the service has not acknowledged it."""
        return [stamped.event for stamped in self._kept]

    def hal_down(self) -> None:
        """The socket to the HAL breaks; the HAL goes on."""
        self.hal_linked = False
        self.tell(self.station.on_hal_down)

    def hal_dies(self) -> None:
        """The HAL is killed: contactors open, its leases and kept events are gone."""
        self.hal_down()
        self._new_hal_run()

    def board_clock(self) -> BoardClock:
        utc = self.clock.utc() if self.clock_set else 0.0
        return BoardClock(self.clock.monotonic(), utc, is_set=self.clock_set, synchronised=self.synchronised)

    def _evse_status(self, evse: int) -> EvseStatus:
        return EvseStatus(
            evse=evse,
            connector=1,
            phase=self.phase[evse],
            plugged=self.plugged[evse],
            locked=False,
            contactor_closed=False,
            flow=self.flow[evse],
            session=self.held[evse],
            lease_left_s=max(0.0, self.lease_until[evse] - self.clock.monotonic()),
            limit_w=self.limits[evse],
            reading=self.reading(evse),
            faults=sorted(self.evse_faults[evse]),
        )

    def reading(self, evse: int, context: MeterContext = MeterContext.PERIODIC) -> MeterReading:
        power = 100_000.0 if self.flow[evse] is EnergyFlow.FLOWING else 0.0
        return MeterReading(evse, context, self.registers[evse], 400.0, power / 400, power, 250.0, 100_000.0, 50.0)

    def event(self, event: Event) -> None:
        """Something happened; while nobody listens the HAL keeps what matters for billing."""
        keep = isinstance(event, Plugged | Unplugged | CardPresented) or (
            isinstance(event, MeterReading) and event.context is not MeterContext.PERIODIC
        )
        clock = self.board_clock()
        stamped = Stamped(next(self._seq), clock.mono_s, clock.utc_s, event, keep=keep)
        if keep:
            self._kept.append(stamped)
        if self.hal_linked:
            self._pass_on(stamped)

    def _pass_on(self, stamped: Stamped) -> None:
        self.tell(lambda now: self.station.on_hal_event(stamped, now))

    def clock_changed(self, *, is_set: bool | None = None, synchronised: bool | None = None) -> None:
        self.clock_set = self.clock_set if is_set is None else is_set
        self.synchronised = self.synchronised if synchronised is None else synchronised
        self.event(ClockChanged(self.clock_set, self.synchronised))

    def fault(self, fault: Fault, evse: int | None = None) -> None:
        (self.faults if evse is None else self.evse_faults[evse]).add(fault)
        self.event(FaultRaised(fault, evse))

    def clear_fault(self, fault: Fault, evse: int | None = None) -> None:
        (self.faults if evse is None else self.evse_faults[evse]).discard(fault)
        self.event(FaultCleared(fault, evse))

    def up(self) -> None:
        """HAL and CSMS both there, station accepted."""
        self.hal_up()
        self.link_up()

    # --- the driver and the car --------------------------------------------------------------------------------------

    def plug(self, evse: int) -> None:
        self.plugged[evse], self.phase[evse] = True, Phase.PLUGGED
        self.event(Plugged(evse))

    def unplug(self, evse: int) -> None:
        self.plugged[evse], self.phase[evse] = False, Phase.IDLE
        self.event(Unplugged(evse))

    def card(self, uid: str = "04A1B2C3D4E580", evse: int | None = None) -> None:
        if evse is not None:
            self.select(evse)
        self.event(CardPresented(uid))

    def select(self, evse: int) -> None:
        """The driver touches this outlet's display."""
        self.event(EvseSelected(evse))

    def bad_card(self, problem: CardProblem) -> None:
        self.event(CardUnreadable(problem))

    def energy_on(self, evse: int) -> None:
        """The HAL's sequence succeeds and energy flows."""
        self.phase[evse] = Phase.CHARGING
        self.event(PhaseChanged(evse, Phase.CHARGING, Cause.SEQUENCE))
        self.event(self.reading(evse, MeterContext.START))
        self.flow[evse] = EnergyFlow.FLOWING
        self.event(EnergyFlowChanged(evse, EnergyFlow.FLOWING))

    def deliver(self, evse: int, wh: float) -> None:
        self.registers[evse] += wh
        self.event(self.reading(evse))

    def energy_off(self, evse: int, phase: Phase = Phase.FINISHED, cause: Any = None) -> None:
        """The HAL ramps down and opens."""
        self.flow[evse], self.phase[evse] = EnergyFlow.NONE, phase
        self.event(EnergyFlowChanged(evse, EnergyFlow.NONE))
        self.event(PhaseChanged(evse, Phase.STOPPING, cause or Cause.SERVICE))
        self.event(self.reading(evse, MeterContext.STOP))
        self.event(PhaseChanged(evse, phase, cause or Cause.SERVICE))

    def suspend(self, evse: int, flow: EnergyFlow) -> None:
        """Energy is held back, or flows again."""
        self.flow[evse] = flow
        self.event(EnergyFlowChanged(evse, flow))

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.clock.monotonic() + seconds
        stuck = 0
        while self.alive:
            deadline = self.station.next_deadline()
            if deadline is None or deadline > end:
                break
            stuck = stuck + 1 if deadline <= self.clock.monotonic() else 0
            assert stuck < 100, "a deadline that never passes"
            self.clock.advance(max(0.0, deadline - self.clock.monotonic()))
            self.tell(self.station.on_time)
        self.clock.advance(max(0.0, end - self.clock.monotonic()))
        self.tell(self.station.on_time)
