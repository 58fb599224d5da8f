# SPDX-License-Identifier: Apache-2.0
"""One station of the fleet: the OCPP service as it runs on a board, from power-on to power-off, and through reboots.

The service is the production's, whole: settings, outbox and database on disk, its sockets, the HAL behind one of them.
Only the process is shared with other stations, and what all of them have in common is loaded once: code, message
types, the product.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from firmware import lifecycle
from firmware.clock import SystemClock
from firmware.contract import BootCause
from firmware.factory_settings import CertificateFiles, FactorySettings, NetworkProfile
from firmware.lifecycle import Lifecycle, Notifier
from firmware.product import Product
from firmware.update.factory import SlotsSettings
from firmware.update.slot_directory import SlotDirectory
from firmware.version import VERSION
from hal.server import HalServer
from services.ocpp.config import ServiceConfig
from services.ocpp.service import Service
from tools.fleet.cabinet import Cabinet
from tools.fleet.ledger import Ledger, Sample
from tools.fleet.orders import Plan
from tools.fleet.scenario import Scenario

__all__ = ["CSMS_ROOT", "MANUFACTURER_ROOT", "Station"]

CSMS_ROOT = "csms-root.pem"
MANUFACTURER_ROOT = "manufacturer-root.pem"
"""In the working directory, for all stations."""
_POLL_S = 0.2
_QUIET_POLLS = 5
"""A station that is about to do something else, such as to send the status of a connector, has nothing queued yet."""
_log = logging.getLogger(__name__)


class Station:
    """See the module. Its files are in a folder of its identity, in the working directory: a socket's path is short."""

    def __init__(
        self, number: int, scenario: Scenario, product: Product, plan: Plan, sample: Callable[[Sample], None]
    ) -> None:
        self.number = number
        self.identity = scenario.identity(number)
        self.failure: str | None = None
        """Why it does not run, although it should."""
        self.firmware = VERSION
        self.left_over = 0
        """Durable messages that were not answered when it was switched off."""
        self._product = product
        self._clock = SystemClock()
        self._folder = Path(self.identity)
        self._factory = _factory(self.identity, scenario, plan)
        self._config = _config(self._folder)
        self.ledger = Ledger(sample)
        self.cabinet = Cabinet(product, f"FLEET{number:06}", clock=self._clock, reading_s=scenario.stations.reading_s)
        self.cabinet.on_reboot = self._on_reboot
        self._service: Service | None = None
        self._life: Lifecycle | None = None
        self._rebooting = False

    @property
    def online(self) -> bool:
        """Connected, and accepted by the CSMS."""
        station = None if self._service is None else self._service.station
        return station is not None and station.context.registration.online

    @property
    def waiting(self) -> int:
        """The durable messages that the CSMS has not answered yet."""
        station = None if self._service is None else self._service.station
        return 0 if station is None else station.context.outbox.durable_count

    def _is_done(self) -> bool:
        return not (self.cabinet.visited or self.waiting or self.ledger.busy)

    async def run(self) -> None:
        """From power-on until `stop`."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        cause = BootCause.POWER_UP
        try:
            while await self._boot(cause):
                cause = BootCause.REQUESTED
        except Exception as error:
            _log.exception("%s has failed", self.identity)
            self.failure = f"{type(error).__name__}: {error}"

    async def stop(self, patience_s: float) -> None:
        """Let drivers finish and the messages be answered, for at most `patience_s`; then switch off."""
        self.cabinet.closing.set()
        try:
            async with asyncio.timeout(patience_s):
                quiet = 0
                while quiet < _QUIET_POLLS:
                    await asyncio.sleep(_POLL_S)
                    quiet = quiet + 1 if self._is_done() else 0
        except TimeoutError:
            _log.warning("%s: %d messages are not answered in time", self.identity, self.waiting)
        self.left_over = self.waiting
        if self._life is not None:
            self._life.stop("switched off")

    async def _boot(self, cause: BootCause) -> bool:
        """One boot of the board; returns whether it is to boot again."""
        self._rebooting = False
        self.firmware = self._select_slot()
        self.cabinet.boot(cause)
        hal = HalServer(self.cabinet, path=self._folder / "hal.sock", clock=self._clock, utc=self._clock.utc)
        await hal.start()
        service = Service(self._config, self._factory, self._product, clock=self._clock, firmware_version=self.firmware)
        service.messages.follow(self.ledger.on_record)
        self._service = service
        try:
            code = await lifecycle.serve(service.start, self._begin, notifier=Notifier({}), abandon=self._abandon)
        finally:
            await self.cabinet.halt()
            await hal.close()
            service.release()
        if code and self.failure is None:
            self.failure = f"the OCPP service has ended with {code}"
        return self._rebooting and not code

    def _begin(self, life: Lifecycle) -> None:
        self._life = life

    def _abandon(self) -> None:
        self.failure = "a part of the OCPP service does not stop"

    def _on_reboot(self) -> None:
        self._rebooting = True
        if self._life is not None:
            self._life.stop("the board restarts")

    def _select_slot(self) -> str:
        """What the boot loader does; returns the version in the slot, of which only the number is used here."""
        slots = SlotDirectory(self._folder / "slots")
        slots.select()
        return slots.version() or VERSION


def _factory(identity: str, scenario: Scenario, plan: Plan) -> FactorySettings:
    profile = scenario.stations.security_profile
    return FactorySettings(
        identity=identity,
        product=scenario.stations.product,
        basic_auth_password=plan.password,
        network_profile=[NetworkProfile(slot=1, url=plan.url, security_profile=profile)],
        certificates=CertificateFiles(
            csms_root=[] if plan.root is None else [CSMS_ROOT],
            manufacturer_root=[] if plan.manufacturer_root is None else [MANUFACTURER_ROOT],
        ),
        variable=scenario.variable,
    )


def _config(folder: Path) -> ServiceConfig:
    return ServiceConfig(
        factory=str(folder),
        database=str(folder / "station.db"),
        certificates=str(folder / "certificates"),
        hal_socket=str(folder / "hal.sock"),
        status_socket=str(folder / "status.sock"),
        administration_socket=str(folder / "administration.sock"),
        administration_group="",
        slots=SlotsSettings("directory", str(folder / "slots")),
        images=str(folder / "firmware"),
    )
