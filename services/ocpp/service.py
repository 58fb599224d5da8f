# SPDX-License-Identifier: Apache-2.0
"""The shell round the station's core: the only part of the service that owns a loop, a socket, a file or a timer.

Everything that comes in goes the same way: the core is told, the database commits, and only then do frames, commands
and acknowledgements leave. The HAL's first snapshot tells what kind of boot this is, so the station is started when it
has come, or after `_HAL_PATIENCE_S` without it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from firmware.clock import CLOCK_FLOOR
from firmware.contract import Answer, BootCause, Command, LinkChanged, Refused, Snapshot, Stamped
from firmware.errors import ContractError
from firmware.ipc.hal_core import LinkState
from firmware.log import register_secret
from firmware.update.factory import open_slots
from services.ocpp import factory_settings, network_profiles
from services.ocpp.authorization_cache import AuthorizationCache
from services.ocpp.background import JobRunner
from services.ocpp.certificates import CertificateStore
from services.ocpp.certificates import factory as factory_certificates
from services.ocpp.context import Context, LinkOrder
from services.ocpp.csms.credentials import Credentials
from services.ocpp.csms.link import CsmsLink, LinkSettings, security_event
from services.ocpp.csms.policy import RetryRules
from services.ocpp.csms.tls import TlsContexts
from services.ocpp.device_model import DeviceModel, keys
from services.ocpp.diagnostics.upload import LogJobs
from services.ocpp.firmware_update.workers import FirmwareJobs
from services.ocpp.hal_client import HalClient
from services.ocpp.hal_view import HalView
from services.ocpp.key_values import Key
from services.ocpp.outbox import Outbox, RetryRule
from services.ocpp.security_log import SecurityLog
from services.ocpp.signals import SecurityEvent
from services.ocpp.station import Station, Step
from services.ocpp.station_time import StationTime
from services.ocpp.status import notice, status
from services.ocpp.status_feed import StatusFeed
from services.ocpp.storage import Database
from services.ocpp.storage.tables import CacheTable, KeyValueTable, OutboxTable, TransactionTable
from services.ocpp.transfer import Rules
from services.ocpp.transfer.trust import Trust

if TYPE_CHECKING:
    from firmware.clock import Clock
    from firmware.config import FactorySettings, NetworkProfile, ServiceConfig
    from firmware.contract.status import ServiceStatus
    from firmware.lifecycle import Lifecycle
    from firmware.product import Product
from services.ocpp.csms.link import FailureKind

__all__ = ["Service"]

_log = logging.getLogger(__name__)

_HAL_PATIENCE_S = 3.0
_RETRY_COMMIT_S = 1.0
_VERIFY_S = 300.0
_COUNTERS_S = 0.2
_SECURITY_EVENTS = {"unwritable": "MemoryExhaustion", "damaged": "DatabaseReplaced"}
"""The appendix has no event for a damaged database: that name is ours."""
_random = random.Random()  # seeded by the system, which is not asked again for each message
_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _new_id() -> str:
    """A UUID: unique, and no secret."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))


class Service:
    """`baywatt-ocpp`; implements the listeners of the HAL client and of the CSMS link."""

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
        self._factory = factory
        self._product = product
        self._firmware_version = firmware_version
        self._database = Database(Path(config.database), clock=clock)
        self._key_values = KeyValueTable(self._database)
        self._model = DeviceModel(product, self._database, factory=factory.variable, where=config.factory)
        self._credentials = Credentials(self._model, self._key_values)
        self._certificates = CertificateStore(
            Path(config.certificates),
            entries=product.limits.certificate_entries,
            chain_bytes=product.limits.certificate_chain_bytes,
            keep_last_csms_root=not product.lab.last_csms_root_removable,
        )
        self._security_log = SecurityLog(Path(config.database).with_name("security.log"))
        self._time: StationTime | None = None
        self._tls = TlsContexts(
            self._certificates,
            product.features.cipher_suites,
            utc=self._known_utc,
            wildcards=lambda: bool(self._model.find(keys.ALLOW_CSMS_TLS_WILDCARDS)),
            fallback=lambda profile: network_profiles.trusts_fallback_root(self._key_values, profile),
        )
        self._attempts_failed = 0
        """With the present station certificate, while there are two (A02.FR.28)."""
        self._reported: set[tuple[int, str]] = set()
        """Slots and security events of failed attempts since the last connection: each is told once (A00.FR.316)."""
        self._take_factory_settings(config.factory)
        self._booted_profiles = network_profiles.load(self._key_values, factory.network_profile)
        self._feed = StatusFeed(Path(config.status_socket))
        self._hal = HalClient(Path(config.hal_socket), self, clock=clock, software=f"ocpp {firmware_version}")
        self._link = CsmsLink(self._link_settings, self, clock=clock, random=_random.random, dial_via=dial_via)
        self._trust = Trust(self._csms_roots, self._known_utc)
        self._firmware = self._open_slots(config)
        workers = self._log_jobs(config).workers()
        if self._firmware is not None:
            workers |= self._firmware.workers()
        self._jobs = JobRunner(workers, lambda news: self._tell(lambda station, now: station.on_job(news, now)))
        self._station: Station | None = None
        self._early: list[Callable[[Station, float], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._retrying: asyncio.TimerHandle | None = None
        self._published: ServiceStatus | None = None
        self._counting: asyncio.TimerHandle | None = None

    async def start(self, life: Lifecycle) -> None:
        """Start everything; `life` stops it in the reverse order."""
        self._loop = asyncio.get_running_loop()
        await self._feed.start()
        life.on_stop("status feed", self._feed.close)
        life.on_stop("jobs", self._jobs.close)
        life.critical("HAL client", self._hal.run())
        life.critical("CSMS link", self._link.run())
        life.critical("database check", self._verify_database())
        life.watch(lambda: True)
        self._loop.call_later(_HAL_PATIENCE_S, self._start_without_hal)
        life.ready("waiting for the HAL")

    def _take_factory_settings(self, where: str) -> None:
        """At the first start; from then on the device model is right and the factory file is history."""
        if self._key_values.get(Key.FIRST_START_DONE):
            return
        model, factory = self._model, self._factory
        factory_settings.check(factory, self._product, model.variables, where)
        model.put(keys.IDENTITY, factory.identity)
        if factory.basic_auth_password is not None:
            model.put(keys.BASIC_AUTH_PASSWORD, factory.basic_auth_password)
        if factory.network_profile:
            model.put(keys.SECURITY_PROFILE, factory.network_profile[0].security_profile)  # A00.FR.004
        if factory.network_profile and not factory_settings.gives(factory, keys.NETWORK_CONFIGURATION_PRIORITY):
            slots = tuple(str(profile.slot) for profile in factory.network_profile)
            model.put(keys.NETWORK_CONFIGURATION_PRIORITY, slots)
        factory_certificates.install(self._certificates, factory.certificates)
        self._key_values.put(Key.FIRST_START_DONE, True)

    # --- starting the station ---------------------------------------------------------------------------------

    def _start_without_hal(self) -> None:
        if self._station is None:
            _log.error("no HAL within %g s: starting without it", _HAL_PATIENCE_S)
            self._start_station(_KERNEL_BOOT_ID.read_text().strip(), BootCause.UNKNOWN, "")

    def _start_station(self, boot_id: str, cause: BootCause, serial_number: str) -> None:
        now = self._clock.monotonic()
        context = self._context(boot_id, cause, serial_number, now)
        context.outbox.load()
        self._database.on_replaced(context.outbox.rewrite)
        self._station = Station(context)
        self._station.start(now)
        early, self._early = self._early, []
        for event in early:
            event(self._station, now)
        self._finish(now)

    def _context(self, boot_id: str, cause: BootCause, serial_number: str, now: float) -> Context:
        model, key_values = self._model, self._key_values
        same_boot = key_values.get(Key.BOOT_ID) == boot_id
        key_values.put(Key.BOOT_ID, boot_id)
        if serial_number:
            model.put(keys.SERIAL_NUMBER, serial_number)
        model.put(keys.FIRMWARE_VERSION, self._firmware_version)
        time = StationTime(board_offset=self._clock.utc() - now, csms_period=lambda: self._tls.period)
        self._time = time
        time.use(tuple(model.get(keys.TIME_SOURCE)))
        model.provide(keys.DATE_TIME, lambda: time.utc(self._clock.monotonic()))
        return Context(
            product=self._product,
            model=model,
            key_values=key_values,
            transaction_store=TransactionTable(self._database),
            authorization_cache=AuthorizationCache(CacheTable(self._database), model, time),
            outbox=Outbox(
                OutboxTable(self._database),
                boot_id,
                retry_rule=lambda: RetryRule(
                    model.get(keys.MESSAGE_ATTEMPTS), model.get(keys.MESSAGE_ATTEMPT_INTERVAL)
                ),
                queue_all=lambda: model.get(keys.QUEUE_ALL_MESSAGES),
            ),
            hal=HalView(self._evses()),
            time=time,
            random=_random,
            new_id=_new_id,
            boot_cause="application" if same_boot else cause.value,
            serial_number=serial_number or model.get(keys.SERIAL_NUMBER),
            profiles=network_profiles.load(key_values, self._factory.network_profile),
            certificates=self._certificates,
            firmware=self._firmware,
            security_log=self._security_log,
        )

    def _open_slots(self, config: ServiceConfig) -> FirmwareJobs | None:
        """The board's slots, if this station has any."""
        if config.slots is None:
            return None
        return FirmwareJobs(
            Path(config.images),
            open_slots(config.slots),
            self._product,
            running=self._firmware_version,
            manufacturer_roots=lambda: [root.pem for root in self._certificates.roots("ManufacturerRootCertificate")],
            trust=self._trust,
            rules=self._transfer_rules,
        )

    def _log_jobs(self, config: ServiceConfig) -> LogJobs:
        return LogJobs(
            Path(config.database).with_name("uploads"),
            logs=Path(config.log_file).parent if config.log_file else None,
            security_log=self._security_log,
            trust=self._trust,
            rules=self._transfer_rules,
        )

    def _csms_roots(self) -> list[str]:
        return [root.pem for root in self._certificates.roots("CSMSRootCertificate")]

    def _transfer_rules(self) -> Rules:
        """To the station itself only on a bench, where the CSMS is there, too. That is the factory's to say: a
        SetNetworkProfile must not open what listens on the loopback."""
        urls = [profile.url for profile in self._factory.network_profile]
        return Rules.of(self._product.limits.file_transfer, urls)

    def _known_utc(self) -> float | None:
        """The station's time for judging certificates; the board's until the station has started."""
        if self._time is not None:
            return self._time.known_utc(self._clock.monotonic())
        utc = self._clock.utc()
        return utc if utc >= CLOCK_FLOOR else None

    def _evses(self) -> list[tuple[int, int]]:
        return [(evse.id, evse.connector[0].id) for evse in self._product.hardware.evse]

    # --- the one way in -----------------------------------------------------------------------------------------

    def _tell(self, event: Callable[[Station, float], None]) -> None:
        """One unit of work; kept for later while the station has not started."""
        if self._station is None:
            self._early.append(event)
            return
        now = self._clock.monotonic()
        event(self._station, now)
        self._finish(now)

    def _finish(self, now: float) -> None:
        station = self._station
        if station is None:
            return
        step = station.take_step()
        self._carry_out(step, durable=self._commit(station))
        self._loop.call_soon(self._keep_up, station, now)  # while the CSMS reads

    def _keep_up(self, station: Station, now: float) -> None:
        self._publish_status(station)
        self._set_timer(station, now)

    def _commit(self, station: Station) -> bool:
        """Whether what was written is on the disk; if not, it is tried again."""
        durable = self._database.commit()
        if durable:
            station.context.outbox.flushed()
        elif self._retrying is None:
            self._retrying = self._loop.call_later(_RETRY_COMMIT_S, self._retry_commit)
        if self._database.incidents:
            self._loop.call_soon(self._report_incidents)
        return durable

    def _retry_commit(self) -> None:
        self._retrying = None
        self._on_timer()

    def _publish_status(self, station: Station) -> None:
        """At once when something happened; when only counters moved, a little later and all together."""
        now = status(station, firmware_version=self._firmware_version)
        events = replace(now, queued_messages=0, last_contact_mono_s=None)
        if events != self._published:
            self._published = events
            self._feed.publish(now)
        elif self._counting is None:
            self._counting = self._loop.call_later(_COUNTERS_S, self._publish_counters)

    def _publish_counters(self) -> None:
        self._counting = None
        if self._station is not None:
            self._feed.publish(status(self._station, firmware_version=self._firmware_version))

    def _report_incidents(self) -> None:
        """Trouble with the disk is a security event."""
        incidents, self._database.incidents = self._database.incidents, []
        for incident in incidents:
            kind = _SECURITY_EVENTS.get(incident.kind)
            if kind is not None:
                self._report(SecurityEvent(kind, incident.detail))

    def _report(self, event: SecurityEvent) -> None:
        self._tell(lambda station, now: station.on_security_event(event, now))

    async def _verify_database(self) -> None:
        """Damage on the disk hides behind SQLite's cache; look for it now and then."""
        while True:
            await asyncio.sleep(_VERIFY_S)
            self._database.verify()
            self._tell(lambda station, now: station.on_time(now))

    def _carry_out(self, step: Step, *, durable: bool) -> None:
        for frame in step.frames:
            self._link.send(frame)
        for command in step.commands:
            self._ask_hal(command)
        for happened in step.notices:
            self._feed.publish(notice(happened))
        if step.acknowledge is not None and durable and self._hal.state is LinkState.UP:
            self._hal.acknowledge(step.acknowledge)
        for job in step.jobs:
            self._jobs.start(job)
        for order in step.orders:
            self._order(order)

    def _ask_hal(self, command: Command) -> None:
        if self._hal.state is not LinkState.UP:
            return
        try:
            self._hal.request(command)
        except ContractError as error:
            _log.warning("the HAL could not be asked: %s", error)

    def _order(self, order: LinkOrder) -> None:
        if order.action == "stop":
            self._link.disconnect(order.reason)
        else:
            self._link.reconnect()

    def _set_timer(self, station: Station, now: float) -> None:
        """A timer that is early enough stays as it is: deadlines move with each message, most of them away."""
        deadline = station.next_deadline()
        if deadline is None or self._timer_at <= deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - now), self._on_timer)

    def _on_timer(self) -> None:
        self._timer_at = math.inf
        self._tell(lambda station, now: station.on_time(now))

    # --- HalListener ------------------------------------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        if self._station is None:
            self._start_station(snapshot.boot_id, snapshot.boot_cause, snapshot.serial_number)
        elif self._station.context.outbox.boot_id != snapshot.boot_id:
            # We had to start without it: from now on this is the boot that a restart of ours is compared with.
            self._station.context.outbox.boot_id = snapshot.boot_id
            self._key_values.put(Key.BOOT_ID, snapshot.boot_id)
        self._tell(lambda station, now: station.on_hal_up(snapshot, now))
        self._link.links_changed(dict(snapshot.links))

    def on_hal_event(self, stamped: Stamped) -> None:
        self._tell(lambda station, now: station.on_hal_event(stamped, now))
        if isinstance(stamped.event, LinkChanged) and self._station is not None:
            self._link.links_changed(dict(self._station.context.hal.links))

    def on_hal_answer(self, request_id: int, answer: Answer) -> None:
        if isinstance(answer, Refused):
            _log.warning("the HAL refused: %s %s", answer.problem.value, answer.detail)

    def on_hal_down(self, reason: str) -> None:
        self._tell(lambda station, now: station.on_hal_down(now))

    # --- LinkListener -----------------------------------------------------------------------------------------------

    def on_link_up(self, profile: NetworkProfile) -> None:
        self._reported.clear()
        self._attempts_failed = 0
        if profile.security_profile >= 2:
            self._tls.connected()
        if profile.security_profile in (1, 2) and self._credentials.taken():
            self._report(SecurityEvent("ReconfigurationOfSecurityParameters", "the former BasicAuthPassword is back"))
        self._tell(lambda station, now: station.on_link_up(profile, now))

    def on_link_frame(self, frame: str | bytes) -> None:
        self._tell(lambda station, now: station.on_frame(frame, now))

    def on_link_down(self, reason: str) -> None:
        self._tell(lambda station, now: station.on_link_down(now))

    def on_link_failed(self, profile: NetworkProfile, reason: str, kind: FailureKind) -> None:
        event = security_event(reason) if kind == "tls" else None
        if kind == "unauthorised":
            event = "FailedToAuthenticateAtCsms"
            if profile.security_profile in (1, 2):
                self._credentials.refused()
        if event is not None and (profile.slot, event) not in self._reported:
            self._reported.add((profile.slot, event))
            self._report(SecurityEvent(event, reason))
        if profile.security_profile == 3 and kind not in ("dns", "unreachable"):
            self._try_other_certificate()

    def _try_other_certificate(self) -> None:
        """A02.FR.28: when every slot has had its attempts with one certificate, the other one has its turn.

        A CSMS that was not reached has not refused it: an outage must not cost the renewed certificate (A02.FR.10).
        """
        self._attempts_failed += 1
        settings = self._link_settings()
        slots = sum(profile.security_profile == 3 for profile in settings.profiles)
        if self._attempts_failed >= settings.retry.attempts_per_slot * slots:
            self._attempts_failed = 0
            self._certificates.alternate()

    def _link_settings(self) -> LinkSettings:
        model, password = self._model, self._credentials.password
        register_secret(password or "")
        return LinkSettings(
            identity=self._factory.identity,
            profiles=network_profiles.in_priority(
                self._booted_profiles, model.get(keys.NETWORK_CONFIGURATION_PRIORITY)
            ),
            basic_auth_password=password,
            tls=self._tls,
            ping_interval_s=model.get(keys.WEB_SOCKET_PING_INTERVAL),
            retry=RetryRules(
                attempts_per_slot=model.get(keys.NETWORK_PROFILE_CONNECTION_ATTEMPTS),
                wait_minimum_s=model.get(keys.RETRY_BACK_OFF_WAIT_MINIMUM),
                random_range_s=model.get(keys.RETRY_BACK_OFF_RANDOM_RANGE),
                repeat_times=model.get(keys.RETRY_BACK_OFF_REPEAT_TIMES),
            ),
        )
