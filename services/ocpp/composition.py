# SPDX-License-Identifier: Apache-2.0
"""What a station is made of: product, factory settings and disk in, the blocks' `Context` out.

The service and the tests' bench build their station here, so that tests run the product's wiring. The parts are opened
once, at the start of the process; the context follows when the HAL has described the board's boot.
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from firmware.clock import CLOCK_FLOOR
from firmware.log import register_secret
from firmware.update.factory import open_slots
from services.ocpp import first_start, network_profiles
from services.ocpp.authorization_cache import AuthorizationCache
from services.ocpp.certificates import CertificateStore
from services.ocpp.context import Context
from services.ocpp.csms.credentials import Credentials
from services.ocpp.csms.dial import LinkSettings
from services.ocpp.csms.policy import RetryRules
from services.ocpp.csms.tls import TlsContexts
from services.ocpp.device_model import DeviceModel, keys
from services.ocpp.diagnostics.upload import LogUploads
from services.ocpp.durable_lane import RetryRule
from services.ocpp.firmware_update.workers import FirmwareWorkers
from services.ocpp.hal_view import HalView
from services.ocpp.key_values import Key
from services.ocpp.message_log import Formatter, MessageLog, Redaction, open_file
from services.ocpp.outbox import Outbox
from services.ocpp.security_log import SecurityLog
from services.ocpp.station_time import StationTime
from services.ocpp.storage import Database
from services.ocpp.storage.tables import CacheTable, KeyValueTable, OutboxTable, TransactionTable, VariableTable
from services.ocpp.transfer import Rules, Transfers
from services.ocpp.transfer.trust import Trust

if TYPE_CHECKING:
    from firmware.clock import Clock
    from firmware.contract import BootCause
    from firmware.factory_settings import FactorySettings
    from firmware.product import Product
    from services.ocpp.background import Worker
    from services.ocpp.certificates.store import RootKind
    from services.ocpp.config import ServiceConfig

__all__ = ["Boot", "Composition"]

_random = random.Random()  # seeded once by the system, instead of a system call for each message id


def _new_id() -> str:
    """A UUID: unique, but not secret."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))


class Boot(Struct, frozen=True):
    """The board's current boot, as the HAL's first snapshot describes it."""

    id: str
    cause: BootCause
    serial_number: str


class Composition:
    """The station's parts, opened. Raises `ConfigError` for settings that do not fit the product."""

    def __init__(
        self, config: ServiceConfig, factory: FactorySettings, product: Product, *, clock: Clock, firmware_version: str
    ) -> None:
        self.product = product
        self.firmware_version = firmware_version
        self._factory = factory
        self._clock = clock
        self._time: StationTime | None = None
        self.database = Database(Path(config.database), clock=clock)
        self.key_values = KeyValueTable(self.database)
        self.model = DeviceModel(
            product, VariableTable(self.database), self.key_values, factory=factory.variable, where=config.factory
        )
        self.certificates = CertificateStore(
            Path(config.certificates),
            entries=product.limits.certificate_entries,
            chain_bytes=product.limits.certificate_chain_bytes,
            keep_last_csms_root=not product.lab.last_csms_root_removable,
        )
        self.security_log = SecurityLog(Path(config.database).with_name("security.log"))
        self.credentials = Credentials(self.model, self.key_values)
        self.tls = self._tls_contexts()
        first_start.take_over(
            factory,
            product,
            where=config.factory,
            model=self.model,
            key_values=self.key_values,
            certificates=self.certificates,
        )
        self.identity = self.model.get(keys.IDENTITY) or factory.identity
        """Towards the CSMS; as it was at the start, like the slots."""
        self._booted_profiles = network_profiles.load(self.key_values, factory.network_profile)
        trust = Trust(lambda: self._roots("CSMSRootCertificate"), self._known_utc)
        self._transfers = Transfers(trust, self.transfer_rules)
        self._firmware = self._open_slots(config)
        self.messages = self._open_messages(config)
        self.logs = self._open_logs(config)

    def workers(self) -> list[Worker]:
        """The workers that carry out this station's background tasks."""
        return [self.logs, *([] if self._firmware is None else [self._firmware])]

    # --- the context ------------------------------------------------------------------------------------------

    def context(self, boot: Boot) -> Context:
        """What the blocks are given during this boot; call once."""
        model, key_values = self.model, self.key_values
        same_boot = key_values.get(Key.BOOT_ID) == boot.id
        key_values.put(Key.BOOT_ID, boot.id)
        if boot.serial_number:
            model.put(keys.SERIAL_NUMBER, boot.serial_number)
        model.put(keys.FIRMWARE_VERSION, self.firmware_version)
        time = self._start_time()
        return Context(
            product=self.product,
            model=model,
            key_values=key_values,
            transaction_store=TransactionTable(self.database),
            authorization_cache=AuthorizationCache(CacheTable(self.database), model, time),
            outbox=self._outbox(boot.id),
            hal=HalView([(evse.id, evse.connector[0].id) for evse in self.product.hardware.evse]),
            time=time,
            new_id=_new_id,
            boot_cause="application" if same_boot else boot.cause.value,
            serial_number=model.get(keys.SERIAL_NUMBER),
            profiles=dict(self._booted_profiles),
            commit=self.database.commit,
            certificates=self.certificates,
            firmware=self._firmware,
            security_log=self.security_log,
        )

    def _start_time(self) -> StationTime:
        now = self._clock.monotonic()
        time = StationTime(board_offset=self._clock.utc() - now, csms_period=lambda: self.tls.period)
        time.use(tuple(self.model.get(keys.TIME_SOURCE)))
        self.model.provide(keys.DATE_TIME, lambda: time.utc(self._clock.monotonic()))
        self._time = time
        return time

    def _outbox(self, boot_id: str) -> Outbox:
        model = self.model
        outbox = Outbox(
            OutboxTable(self.database),
            boot_id,
            retry_rule=lambda: RetryRule(model.get(keys.MESSAGE_ATTEMPTS), model.get(keys.MESSAGE_ATTEMPT_INTERVAL)),
            queue_all=lambda: model.get(keys.QUEUE_ALL_MESSAGES),
        )
        outbox.durable.load()
        self.database.on_replaced(outbox.durable.rewrite)
        return outbox

    def _known_utc(self) -> float | None:
        """The time at which certificates are checked: the station's, or the board's until `context` is made."""
        if self._time is not None:
            return self._time.known_utc(self._clock.monotonic())
        utc = self._clock.utc()
        return utc if utc >= CLOCK_FLOOR else None

    def _tls_contexts(self) -> TlsContexts:
        return TlsContexts(
            self.certificates,
            self.product.features.cipher_suites,
            utc=self._known_utc,
            wildcards=lambda: bool(self.model.find(keys.ALLOW_CSMS_TLS_WILDCARDS)),
            fallback=lambda profile: network_profiles.trusts_fallback_root(self.key_values, profile),
        )

    # --- the CSMS ---------------------------------------------------------------------------------------------

    def link_settings(self) -> LinkSettings:
        """How to reach the CSMS now; the slots are those of the last start (B10.FR.04)."""
        model, password = self.model, self.credentials.password
        register_secret(password or "")
        return LinkSettings(
            identity=self.identity,
            profiles=network_profiles.in_priority(
                self._booted_profiles, model.get(keys.NETWORK_CONFIGURATION_PRIORITY)
            ),
            basic_auth_password=password,
            tls=self.tls,
            ping_interval_s=model.get(keys.WEB_SOCKET_PING_INTERVAL),
            retry=RetryRules(
                attempts_per_slot=model.get(keys.NETWORK_PROFILE_CONNECTION_ATTEMPTS),
                wait_minimum_s=model.get(keys.RETRY_BACK_OFF_WAIT_MINIMUM),
                random_range_s=model.get(keys.RETRY_BACK_OFF_RANDOM_RANGE),
                repeat_times=model.get(keys.RETRY_BACK_OFF_REPEAT_TIMES),
            ),
        )

    def test_settings(self) -> LinkSettings:
        """As `link_settings`, for a connection beside the station's own: what it learns of certificates stays apart."""
        return replace(self.link_settings(), tls=self._tls_contexts())

    def transfer_rules(self) -> Rules:
        """Where files may come from and go to. Transfers to the station itself are allowed only on a bench, where the
        CSMS runs on it, too. Only the factory's profiles count: a SetNetworkProfile must not open what listens on the
        loopback."""
        urls = [profile.url for profile in self._factory.network_profile]
        return Rules.of(self.product.limits.file_transfer, urls)

    # --- background work --------------------------------------------------------------------------------------

    def _roots(self, kind: RootKind) -> list[str]:
        return [root.pem for root in self.certificates.roots(kind)]

    def _open_slots(self, config: ServiceConfig) -> FirmwareWorkers | None:
        """The board's slots, if this station has any."""
        if config.slots is None:
            return None
        return FirmwareWorkers(
            Path(config.images),
            open_slots(config.slots),
            self.product,
            running=self.firmware_version,
            manufacturer_roots=lambda: self._roots("ManufacturerRootCertificate"),
            utc=self._known_utc,
            transfers=self._transfers,
        )

    def _open_messages(self, config: ServiceConfig) -> MessageLog:
        """With the other logs; if these are not in files, beside the database."""
        folder = Path(config.log_file or config.database).parent
        return MessageLog(open_file(folder), self.formatter(), clock=self._clock)

    def formatter(self) -> Formatter:
        """Makes lines of a message log; each reader of the messages needs one of its own."""
        return Formatter(Redaction(self.model.variables.values()), self._utc)

    def _utc(self, now: float) -> float:
        """The station's time at a monotonic time; the board's until `context` is made."""
        if self._time is not None:
            return self._time.utc(now)
        return self._clock.utc() + now - self._clock.monotonic()

    def _open_logs(self, config: ServiceConfig) -> LogUploads:
        return LogUploads(
            Path(config.database).with_name("uploads"),
            logs=Path(config.log_file).parent if config.log_file else None,
            messages=self.messages,
            security_log=self.security_log,
            transfers=self._transfers,
        )
