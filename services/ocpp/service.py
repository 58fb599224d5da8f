# SPDX-License-Identifier: Apache-2.0
"""The shell around the station's core: connects it to the event loop, the sockets and the database.

Everything that arrives is handled the same way: the core handles the event, the database commits, and only then do
frames, commands and acknowledgements leave. The HAL's first snapshot describes the board's boot, so the station starts
when that arrives, or without it after `_HAL_PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.boot_id import boot_id
from firmware.contract import Answer, BootCause, Command, LinkChanged, Refused, Role, Snapshot, Stamped
from firmware.errors import ContractError
from firmware.ipc.hal_link import HalLink, LinkState
from firmware.timer import LoopTimer
from firmware.users import gid_of
from services.ocpp import factory_reset
from services.ocpp.administration.commands import Commands
from services.ocpp.administration.server import AdministrationServer
from services.ocpp.background import TaskRunner
from services.ocpp.composition import Boot, Composition
from services.ocpp.context import LinkOrder
from services.ocpp.csms.failures import LinkFailures
from services.ocpp.csms.link import CsmsLink
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key
from services.ocpp.product_choice import ProductChoice
from services.ocpp.signals import SecurityEvent, TransactionChanged
from services.ocpp.station import Station, Step
from services.ocpp.status import StatusPublisher, log_transaction, notice, status, summary
from services.ocpp.status_feed import StatusFeed

if TYPE_CHECKING:
    from firmware.clock import Clock
    from firmware.factory_settings import FactorySettings, NetworkProfile
    from firmware.lifecycle import Lifecycle
    from firmware.product import Product
    from services.ocpp.administration.bundle import Bundles
    from services.ocpp.administration.connection_test import ConnectionTester
    from services.ocpp.config import ServiceConfig
    from services.ocpp.metrics import Figures
    from services.ocpp.no_connection import NoConnection

__all__ = ["Service"]

_log = logging.getLogger(__name__)

_HAL_PATIENCE_S = 3.0
_RETRY_COMMIT_S = 1.0
_WAIT_S = 0.01
"""How long an answered message may stay on the disk if nothing leaves the station that needs a commit."""
_VERIFY_S = 300.0
_OVERDUE_S = 30.0
_SECURITY_EVENTS = {"unwritable": "MemoryExhaustion", "damaged": "DatabaseReplaced"}
"""The appendix has no event for a damaged database: DatabaseReplaced is a vendor's event."""


class Service:
    """`baywatt-ocpp`; implements the listeners of the links to the HAL and to the CSMS."""

    def __init__(
        self,
        config: ServiceConfig,
        factory: FactorySettings,
        product: Product,
        *,
        clock: Clock,
        firmware_version: str,
        dial_via: str | None = None,
    ) -> None:
        self._clock = clock
        self._config = config
        self.product = ProductChoice(Path(config.database).parent, factory.product)
        self._parts = Composition(config, factory, product, clock=clock, firmware_version=firmware_version)
        self._failures = LinkFailures(
            self._parts.link_settings, self._parts.credentials, self._parts.certificates.station.alternate
        )
        group = gid_of(config.administration_group)
        self._feed = StatusFeed(Path(config.status_socket), allowed_gid=group)
        self._status = StatusPublisher(self._feed.publish, LoopTimer(), firmware_version=firmware_version)
        self._commands = Commands(self)
        self._administration = AdministrationServer(
            Path(config.administration_socket),
            self._commands.execute,
            software=f"ocpp {firmware_version}",
            allowed_gid=group,
        )
        self._figures: Figures | None = None
        self._metrics_port = config.metrics_port
        self._hal = HalLink(
            Path(config.hal_socket),
            self,
            on_answer=self._on_hal_answer,
            role=Role.SERVICE,
            software=f"ocpp {firmware_version}",
        )
        self._link = CsmsLink(
            self._parts.link_settings,
            self,
            clock=clock,
            random=random.random,
            dial_via=dial_via,
            bind=config.bind_links,
            busy=self._waits_for_csms,
        )
        self.messages = self._parts.messages
        self.formatter = self._parts.formatter
        self._dial_via = dial_via
        self._tasks = TaskRunner(
            self._parts.workers(),
            lambda task, report: self.handle(lambda station, now: station.on_task(task, report, now)),
        )
        self.station: Station | None = None
        self._booted_with_hal = False
        """Whether the boot that the station knows is the HAL's."""
        self._early: list[Callable[[Station, float], None]] = []
        self._patience: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._retrying: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        """When the unit of work that may wait is committed."""
        self._after_due = False
        """`_after_steps` is scheduled."""

    async def start(self, life: Lifecycle) -> None:
        """Start everything; `life` stops it in the reverse order."""
        self._loop = asyncio.get_running_loop()
        self._life = life
        life.on_stop("message log", self.messages.close)
        await self._feed.start()
        life.on_stop("status feed", self._feed.close)
        await self._administration.start()
        life.on_stop("administration", self._administration.close)
        if self._metrics_port is not None:
            from services.ocpp.metrics import Figures, MetricsServer

            self._figures = Figures()
            metrics = MetricsServer(self._metrics_port, self._metrics)
            await metrics.start()
            life.on_stop("metrics", metrics.close)
        life.on_stop("tasks", self._tasks.close)
        life.critical("HAL client", self._hal.run())
        life.critical("CSMS link", self._link.run())
        life.critical("database check", self._verify_database())
        life.watch(self._is_healthy)
        life.describe(self._describe)
        self._patience = self._loop.call_later(_HAL_PATIENCE_S, self._start_without_hal)
        life.ready("waiting for the HAL")

    def release(self) -> None:
        """Let go of the database and the loop, after the stop, in a process that goes on."""
        for handle in (self._patience, self._timer, self._retrying, self._waiting):
            if handle is not None:
                handle.cancel()
        self._parts.database.close()

    def _is_healthy(self) -> bool:
        """Whether the station does its work in time: a deadline that has passed for long is a timer that is lost."""
        deadline = None if self.station is None else self.station.next_deadline()
        return deadline is None or self._clock.monotonic() - deadline < _OVERDUE_S

    def _describe(self) -> str:
        if self.station is None:
            return "waiting for the HAL"
        return summary(status(self.station, firmware_version=self._parts.firmware_version))

    def _metrics(self) -> str | None:
        if self.station is None or self._figures is None:
            return None
        now = status(self.station, firmware_version=self._parts.firmware_version)
        return self._figures.text(now, self.station.context.hal, self._clock.monotonic())

    # --- administration.Shell ---------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        return self._parts.identity

    @cached_property
    def bundles(self) -> Bundles:
        from services.ocpp.administration.bundle import Bundles

        return Bundles(Path(self._config.database).with_name("bundle"), self._parts.logs.pack)

    @cached_property
    def tester(self) -> ConnectionTester:
        from services.ocpp.administration.connection_test import ConnectionTester

        return ConnectionTester(self._parts.test_settings, dial_via=self._dial_via, device=self._link.device)

    def order_factory_reset(self) -> None:
        factory_reset.order(self._config)

    def stop(self, reason: str) -> None:
        self._loop.call_soon(self._life.stop, reason)

    # --- starting the station ---------------------------------------------------------------------------------

    def _start_without_hal(self) -> None:
        if self.station is None:
            _log.error("no HAL within %g s: starting without it", _HAL_PATIENCE_S)
            self._start_station(Boot(boot_id(), BootCause.UNKNOWN, ""))

    def _start_station(self, boot: Boot) -> None:
        now = self._clock.monotonic()
        self.station = Station(self._parts.context(boot))
        self.station.start(now)
        early, self._early = self._early, []
        for event in early:
            event(self.station, now)
        self._finish(now)

    # --- units of work ------------------------------------------------------------------------------------------

    def handle(self, event: Callable[[Station, float], None]) -> None:
        """One unit of work; deferred until the station has started."""
        if self.station is None:
            self._early.append(event)
            return
        now = self._clock.monotonic()
        event(self.station, now)
        self._finish(now)

    def _finish(self, now: float) -> None:
        station = self.station
        if station is None:
            return
        step = station.take_step()
        self._carry_out(step, durable=self._commit(station, leaves=step.leaves))
        if not step.changes:
            self._status.contact(station)
        elif not self._after_due:
            self._after_due = True
            self._loop.call_soon(self._after_steps, station)  # while the CSMS reads

    def _after_steps(self, station: Station) -> None:
        """What nobody waits for, once after all units of work of this iteration of the loop."""
        self._after_due = False
        now = self._clock.monotonic()
        for command in station.show(now):
            self._ask_hal(command)
        self.messages.switch(recording=bool(station.context.model.find(keys.MESSAGE_LOG_ENABLED)))
        self._status.update(station)
        self._commands.publish()
        if self._figures is not None:
            self._figures.observe(station.context.hal, now)
        self._set_timer(station, now)

    def _commit(self, station: Station, *, leaves: bool = True) -> bool:
        """Whether the changes are on disk, or may wait; if not, the commit is retried."""
        database = self._parts.database
        durable = database.commit(leaves=leaves)
        if durable:
            station.context.outbox.durable.flushed()
        elif self._retrying is None:
            self._retrying = self._loop.call_later(_RETRY_COMMIT_S, self._retry_commit)
        if database.waits and self._waiting is None:
            self._waiting = self._loop.call_later(_WAIT_S, self._commit_waiting, station)
        if database.incidents:
            self._loop.call_soon(self._report_incidents)
        return durable

    def _commit_waiting(self, station: Station) -> None:
        self._waiting = None
        self._commit(station)

    def _retry_commit(self) -> None:
        self._retrying = None
        self._on_timer()

    def _report_incidents(self) -> None:
        """A problem of the disk is a security event."""
        database = self._parts.database
        incidents, database.incidents = database.incidents, []
        for incident in incidents:
            kind = _SECURITY_EVENTS.get(incident.kind)
            if kind is not None:
                self._report(SecurityEvent(kind, incident.detail))

    def _report(self, event: SecurityEvent | None) -> None:
        if event is not None:
            self.handle(lambda station, now: station.on_security_event(event, now))

    async def _verify_database(self) -> None:
        """Check the files periodically: SQLite's cache hides damage on the disk."""
        while True:
            await asyncio.sleep(_VERIFY_S)
            self._parts.database.verify()
            self.handle(lambda station, now: station.on_time(now))

    def _carry_out(self, step: Step, *, durable: bool) -> None:
        for failed in step.failures:
            self.messages.failed(failed)
        for frame in step.frames:
            if self._link.send(frame):
                self.messages.sent(frame)
        for command in step.commands:
            self._ask_hal(command)
        for signal in step.notices:
            self._feed.publish(notice(signal))
            if isinstance(signal, TransactionChanged):
                log_transaction(signal)
                self.messages.session_ended(signal.stopped_reason)
                if self._figures is not None and signal.change == "started":
                    self._figures.session_began(signal.evse)
        if step.acknowledge is not None and durable and self._hal.state is LinkState.UP:
            self._hal.acknowledge(step.acknowledge)
        for task in step.tasks:
            self._tasks.take(task)
        for order in step.orders:
            self._move_link(order)

    def _ask_hal(self, command: Command) -> None:
        if self._hal.state is not LinkState.UP:
            return
        try:
            self._hal.request(command)
        except ContractError as error:
            _log.warning("the command could not be sent to the HAL: %s", error)

    def _move_link(self, order: LinkOrder) -> None:
        if order.action == "stop":
            self._link.disconnect(order.reason)
        else:
            self._link.reconnect()

    def _waits_for_csms(self) -> bool:
        """Whether messages that must not be lost are under way or queued."""
        return self.station is not None and self.station.context.outbox.durable_count > 0

    def _set_timer(self, station: Station, now: float) -> None:
        """Keep a timer that is early enough: deadlines change with each message, and most become later."""
        deadline = station.next_deadline()
        if deadline is None or self._timer_at <= deadline or self._life.stopping:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - now), self._on_timer)

    def _on_timer(self) -> None:
        self._timer_at = math.inf
        self.handle(lambda station, now: station.on_time(now))

    # --- HalWatcher -------------------------------------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        if self.station is None:
            self._start_station(Boot(snapshot.boot_id, snapshot.boot_cause, snapshot.serial_number))
        elif self.station.context.outbox.boot_id != snapshot.boot_id:
            if self._booted_with_hal:
                # Only a simulated board can restart without its processes: this one goes the same way.
                self._life.stop("the board has restarted")
                return
            # Started without the HAL: from now on, a restart of this process compares with the boot that it reports.
            self.station.context.outbox.boot_id = snapshot.boot_id
            self._parts.key_values.put(Key.BOOT_ID, snapshot.boot_id)
        self._booted_with_hal = True
        self.handle(lambda station, now: station.on_hal_up(snapshot, now))
        self._link.links_changed(snapshot.links, snapshot.link_details)

    def on_hal_event(self, stamped: Stamped) -> None:
        self.handle(lambda station, now: station.on_hal_event(stamped, now))
        if isinstance(stamped.event, LinkChanged) and self.station is not None:
            hal = self.station.context.hal
            self._link.links_changed(hal.links, hal.link_details)

    def _on_hal_answer(self, answer: Answer) -> None:
        if isinstance(answer, Refused):
            _log.warning("the HAL refused a command: %s %s", answer.problem.value, answer.detail)

    def on_hal_down(self, reason: str) -> None:
        self.handle(lambda station, now: station.on_hal_down(now))

    # --- LinkListener -----------------------------------------------------------------------------------------------

    def on_link_up(self, profile: NetworkProfile) -> None:
        self.messages.connected(f"slot {profile.slot}, {profile.url}, security profile {profile.security_profile}")
        if profile.security_profile >= 2:
            self._parts.tls.connected()
        self._report(self._failures.connected(profile))
        interface = self._link.interface
        self.handle(lambda station, now: station.on_link_up(profile, now, interface=interface))

    def on_link_frame(self, frame: str | bytes) -> None:
        self.messages.received(frame)
        self.handle(lambda station, now: station.on_frame(frame, now))

    def on_link_down(self, reason: str, failure: NoConnection | None) -> None:
        self.messages.disconnected(reason)
        self.handle(lambda station, now: station.on_link_down(failure, now))

    def on_link_failed(self, profile: NetworkProfile, failure: NoConnection) -> None:
        self.messages.not_connected(f"slot {profile.slot}: {failure.text}")
        self.handle(lambda station, now: station.on_link_failed(failure, now))
        self._report(self._failures.failed(profile, failure))
