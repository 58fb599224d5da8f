# SPDX-License-Identifier: Apache-2.0
"""A whole station without I/O: manual time, a CSMS that answers frames, a HAL that obeys its contract.

Units of work are as in the product: the CSMS sees a step's frames only after the commit, and when the process dies, the
database keeps what its files held at that instant.
"""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from firmware import product as products
from firmware.contract import BootCause, Stamped
from firmware.factory_settings import FactorySettings, FactoryVariable, NetworkProfile
from firmware.product import Product
from services.ocpp.background import Cancel, Order, Report, Task
from services.ocpp.composition import Boot, Composition
from services.ocpp.config import ServiceConfig
from services.ocpp.context import Firmware
from services.ocpp.no_connection import NoConnection
from services.ocpp.rpc.peer import Failed
from services.ocpp.station import Station, Step
from tests.support.clock import ManualClock
from tests.support.csms_double import CsmsDouble
from tests.support.hal_double import SERIAL_NUMBER, HalDouble

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

    def __init__(self, hal: HalDouble) -> None:
        self._hal = hal

    def monotonic(self) -> float:
        return self._hal.board_clock().mono_s

    def utc(self) -> float:
        return self._hal.board_clock().utc_s


class StationBench(CsmsDouble, HalDouble):
    """One station between a CSMS and a HAL. Both doubles are base classes, so that a test can write `bench.plug(1)`
    and `bench.sent("Authorize")`."""

    def __init__(
        self,
        directory: Path,
        *,
        product_name: str = "c7am-400-cc",
        product: Product | None = None,
        variables: dict[tuple[str, str], str] | None = None,
        updates: Firmware | None = None,
    ) -> None:
        self.clock = ManualClock()
        CsmsDouble.__init__(self, self.clock)
        HalDouble.__init__(self, self.clock)
        self.directory = directory
        self.product = product or products.load(product_name)
        self.factory = FactorySettings(
            identity="CP001",
            basic_auth_password="0123456789abcdef",
            network_profile=[PROFILE],
            variable=[
                FactoryVariable(component=component, variable=variable, value=value)
                for (component, variable), value in (variables or {}).items()
            ],
        )
        self.updates = updates
        self.orders: list[str] = []
        self.notices: list[Any] = []
        self.failures: list[Failed] = []
        self.tasks: list[Task] = []
        """Work that blocks have requested; none is done, the test reports on it."""
        self.cancelled: list[Task] = []
        self.profile = PROFILE
        self.linked = self.alive = False
        self.blackhole = False
        """The link seems up, and nothing arrives at the CSMS."""
        self.meters_silent = False
        """The HAL has no new readings."""
        self.dies: Instant | None = None
        """Where in the next unit of work the process dies."""
        self._ids = itertools.count(1)
        self._todo: deque[Callable[[float], None]] = deque()
        self._busy = False
        self.boot()

    # --- power -------------------------------------------------------------------------------------------------

    def boot(self, cause: BootCause = BootCause.POWER_UP) -> None:
        """Power on: a new boot of board, HAL and service; the link is down."""
        self.power_up(cause)
        self._start()

    def die(self) -> None:
        """The OCPP process is killed at this instant."""
        self.alive = self.linked = self.hal_linked = False
        self.dies = None
        self._todo.clear()
        files = {path: path.read_bytes() for path in self.directory.glob("station.db*")}
        self.database.close()  # commits and cleans up, unlike a killed process: its files are put back as they were
        for path in self.directory.glob("station.db*"):
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)

    def restart_service(self) -> None:
        """The OCPP process dies and is restarted; board and HAL continue."""
        if self.alive:
            self.die()
        self._start()

    def power_cut(self, seconds: float = 5.0, cause: BootCause = BootCause.POWER_UP) -> None:
        """Power off at this instant, and on again."""
        if self.alive:
            self.die()
        self.clock.advance(seconds)
        self.boot(cause)

    def reboot(self) -> None:
        """The board restarts as requested."""
        assert self.rebooting
        self.power_cut(5.0, BootCause.REQUESTED)

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
        self.parts = parts
        self.context = parts.context(Boot(self.boot_id, self.boot_cause, SERIAL_NUMBER))
        self.context.new_id = lambda: str(uuid.UUID(int=next(self._ids)))
        self.context.firmware = self.updates
        self.station = Station(self.context)
        self.alive = True
        self.handle(self.station.start)

    # --- units of work --------------------------------------------------------------------------------------------

    def handle(self, event: Callable[[float], None]) -> None:
        """One unit of work, and those for the CSMS's answers to it; nothing while the process is dead."""
        if not self.alive:
            return
        self._todo.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._todo:
                self._unit(self._todo.popleft())
            if self.alive:
                self.database.commit()  # nothing happens for a moment: what may wait has waited long enough
        finally:
            self._busy = False
            self._todo.clear()

    def _unit(self, event: Callable[[float], None]) -> None:
        self._read_meters()
        event(self.clock.monotonic())
        step = self.station.take_step()
        if self.dies == "before the commit":
            self.die()
            return
        durable = self.database.commit(leaves=step.leaves)
        if durable:
            self.context.outbox.durable.flushed()
        if self.dies == "before sending":
            self.die()
            return
        self._carry_out(step, durable=durable)
        if self.dies == "after sending":
            self.die()
            return
        for command in self.station.show(self.clock.monotonic()):
            self.obey(command)

    def _read_meters(self) -> None:
        """The HAL reads each meter once a second; without a unit of work, because nothing follows from it."""
        if self.hal_linked and not self.meters_silent:
            for evse in self.context.hal.evses.values():
                evse.reading_mono = self.clock.monotonic()

    def _carry_out(self, step: Step, *, durable: bool) -> None:
        for command in step.commands:
            self.obey(command)
        self.orders += [order.action for order in step.orders]
        self.tasks += [each for each in step.tasks if isinstance(each, Task)]
        self.cancelled += [each.task for each in step.tasks if isinstance(each, Cancel)]
        self.notices += step.notices
        self.failures += step.failures
        if step.acknowledge is not None and durable:
            self.acknowledge(step.acknowledge)
        for frame in step.frames if self.linked and not self.blackhole else ():
            answer = self.receive(frame)
            if answer is not None:
                self._todo.append(partial(self.station.on_frame, answer))

    def report(self, kind: type[Order], report: Report) -> None:
        """The worker reports on the last task with an order of this kind."""
        task = next(task for task in reversed(self.tasks) if isinstance(task.order, kind))
        self.handle(lambda now: self.station.on_task(task, report, now))

    # --- the CSMS -----------------------------------------------------------------------------------------------------

    def link_up(self, profile: NetworkProfile | None = None) -> None:
        if not self.alive:
            return
        self.linked = True
        self.profile = profile or self.profile
        self.handle(lambda now: self.station.on_link_up(self.profile, now))

    def link_down(self, failure: NoConnection | None = None) -> None:
        self.linked = False
        self.handle(lambda now: self.station.on_link_down(failure, now))

    def call(self, action: str, payload: Any) -> Any:
        """A request of the CSMS. Returns the response's payload, or the whole CALLERROR, or None without an answer."""
        message_id, frame = self.new_call(action, payload)
        self.frame(frame)
        return self.response_to(message_id)

    def frame(self, text: str) -> None:
        """The CSMS sends this, valid or not."""
        if self.linked:
            self.handle(lambda now: self.station.on_frame(text, now))

    # --- the HAL ------------------------------------------------------------------------------------------------------

    def hal_up(self) -> None:
        """The service connects to the HAL: its snapshot, then the kept events that it has not acknowledged."""
        if not self.alive:
            return
        snapshot = self.snapshot()
        self.hal_linked = True
        self.handle(lambda now: self.station.on_hal_up(snapshot, now))
        self.replay()

    def hal_down(self) -> None:
        """The connection to the HAL breaks; the HAL continues."""
        self.hal_linked = False
        self.handle(self.station.on_hal_down)

    def hal_dies(self) -> None:
        """The HAL is killed: contactors open, its permissions and kept events are gone."""
        self.hal_down()
        self.new_run()

    def on_stamped(self, stamped: Stamped) -> None:
        self.handle(lambda now: self.station.on_hal_event(stamped, now))

    def up(self) -> None:
        """HAL and CSMS are connected, the station is accepted."""
        self.hal_up()
        self.link_up()

    # --- time ---------------------------------------------------------------------------------------------------------

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
            self.handle(self.station.on_time)
        self.clock.advance(max(0.0, end - self.clock.monotonic()))
        self.handle(self.station.on_time)
