# SPDX-License-Identifier: Apache-2.0
"""The process: builds its parts, follows the station's sockets, serves the port."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from firmware import files
from firmware.clock import Clock
from firmware.errors import ConfigError
from firmware.factory_settings import CommissioningSettings
from firmware.ipc.status import StatusClient
from firmware.lifecycle import Lifecycle
from services.commissioning import guard
from services.commissioning.accounts import Accounts, Failures
from services.commissioning.administration import Administration
from services.commissioning.api.status import status_of
from services.commissioning.api_error import ApiError
from services.commissioning.app import App
from services.commissioning.certificate import PageCertificate, own_names
from services.commissioning.config import CommissioningConfig
from services.commissioning.events import EVENTS, Event, Hub
from services.commissioning.hal import Hal
from services.commissioning.http.connection import Limits
from services.commissioning.http.server import Server
from services.commissioning.machine import Machine
from services.commissioning.passwords import Hasher
from services.commissioning.routes import ROUTES
from services.commissioning.sessions import Sessions
from services.commissioning.site import Site
from services.commissioning.station import Station
from services.commissioning.throttle import ACCOUNT, ADDRESS, Allowance, Throttle

__all__ = ["Service"]

USUAL_PORT = 8080
STATUS_S = 1.0
"""Between two events `status`; also without a change, so that the figures of the machine live."""
IDLE_STATUS_S = 5.0
DEVICES_S = 10.0


class _Serving(Struct, frozen=True):
    """Content of the port file."""

    pid: int
    port: int


def _last_port(file: Path | None) -> list[int]:
    if file is None:
        return []
    try:
        return [msgspec.json.decode(file.read_bytes(), type=_Serving).port]
    except (OSError, msgspec.DecodeError):
        return []


class Service:
    """`start` is the `main` of a `Lifecycle`."""

    def __init__(
        self,
        config: CommissioningConfig,
        factory: CommissioningSettings,
        clock: Clock,
        *,
        hasher: Hasher | None = None,
        limits: Limits | None = None,
    ) -> None:
        folder = Path(config.state)
        self._config = config
        self._factory = factory
        self._folder = folder
        self._changed = asyncio.Event()
        self._devices_at = 0.0
        hub, station = Hub(), Station(self._changed.set)
        self.site = Site(
            config=config,
            clock=clock,
            accounts=Accounts(folder, hasher or Hasher()),
            failures=Failures(folder, Throttle(ADDRESS), Throttle(ACCOUNT)),
            sessions=Sessions(),
            allowance=Allowance(),
            certificate=PageCertificate(folder, clock, config.names),
            station=station,
            hal=Hal(Path(config.hal_socket), station, hub, clock),
            administration=Administration(Path(config.administration_socket), hub),
            machine=Machine(folder),
            hub=hub,
        )
        app = App(self.site, ROUTES, own_names(config.names))
        self.server = Server(app.answer, self.site.certificate.context, headers=guard.HEADERS, limits=limits)

    async def start(self, life: Lifecycle) -> None:
        """Raises `ConfigError`."""
        site, config = self.site, self._config
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            await site.certificate.open()
            await site.accounts.open(self._factory.password)
            site.failures.open(site.clock.monotonic())
        except OSError as error:
            raise ConfigError(f"{error.filename or self._folder}: {error.strerror}") from error
        self._listen()
        status = StatusClient(Path(config.status_socket), site.station)
        life.on_stop("port", self.server.close)
        life.critical("HAL", site.hal.run())
        life.critical("status", status.run())
        life.critical("administration", site.administration.run())
        life.critical("events", self._publish())
        life.critical("port", self.server.run())
        life.watch(lambda: True)
        life.ready(f"serving https on port {self.server.port}")

    def _listen(self) -> None:
        """Raises `PortError`, `ConfigError`."""
        config, given = self._config, self._config.port
        port = USUAL_PORT if self._factory.port is None else self._factory.port
        port = port if given is None else given
        file = None if config.port_file is None else Path(config.port_file)
        self.server.listen(config.host, [*_last_port(file), 0] if port == 0 else [port])
        if file is not None:
            content = _Serving(os.getpid(), self.server.port)
            try:
                files.replace(file, msgspec.json.encode(content), durable=False)
            except OSError as error:
                raise ConfigError(f"{file}: {error.strerror}") from error

    async def _publish(self) -> None:
        """The status to open pages: when it has changed, and now and then."""
        while True:
            try:
                async with asyncio.timeout(IDLE_STATUS_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self.site.hub.has_clients(EVENTS):
                await self._look_at_devices()
                self.site.hub.publish(EVENTS, Event.of("status", status_of(self.site)))
            self.site.sessions.expire(self.site.clock.monotonic())
            await asyncio.sleep(STATUS_S)

    async def _look_at_devices(self) -> None:
        """For the next status; the HAL is asked now and then."""
        now = self.site.clock.monotonic()
        if now >= self._devices_at:
            self._devices_at = now + DEVICES_S
            with contextlib.suppress(ApiError):
                await self.site.hal.list_devices()
