# SPDX-License-Identifier: Apache-2.0
"""The administration socket of a `StationBench`, and a client that records what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from firmware.contract.administration import NewValue, SetResult, SetResults, SetVariables, VariablesChanged
from firmware.ipc.administration import AdministrationLink
from services.ocpp import factory_reset
from services.ocpp.administration.bundle import Bundles
from services.ocpp.administration.commands import Commands
from services.ocpp.administration.connection_test import ConnectionTester
from services.ocpp.administration.server import AdministrationServer
from services.ocpp.config import ServiceConfig
from services.ocpp.product_choice import ProductChoice
from services.ocpp.station import Station
from tests.support.sockets import RawPeer, eventually
from tests.support.station_bench import StationBench

__all__ = ["GREETING", "BenchShell", "Recorder", "Site", "served"]

GREETING = {"kind": "greeting", "version": 1, "software": "test"}


class BenchShell:
    """The bench in the place of the service."""

    def __init__(self, bench: StationBench) -> None:
        self.bench = bench
        self.started = True
        self.commands = Commands(self)
        self.product = ProductChoice(bench.directory, "c7am-400-cc")
        self.config = ServiceConfig(
            database=str(bench.directory / "station.db"),
            certificates=str(bench.directory / "certificates"),
            images=str(bench.directory / "firmware"),
        )
        self.stopped = ""
        self.messages = bench.parts.messages
        self.formatter = bench.parts.formatter
        self.bundles = Bundles(bench.directory / "bundle", bench.parts.logs.pack)
        self.tester = ConnectionTester(bench.parts.test_settings, dial_via=None, device=lambda _profile: None)

    @property
    def station(self) -> Station | None:
        return self.bench.station if self.started else None

    @property
    def identity(self) -> str:
        return self.bench.parts.identity

    def order_factory_reset(self) -> None:
        factory_reset.order(self.config)

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def handle(self, event: Callable[[Station, float], None]) -> None:
        self.bench.handle(lambda now: event(self.bench.station, now))
        self.commands.publish()


class Recorder:
    """The listener of a link."""

    def __init__(self) -> None:
        self.changed: list[VariablesChanged] = []
        self.lines: list[Any] = []
        self.down: list[str] = []

    def on_administration_up(self) -> None: ...

    def on_variables_changed(self, changed: VariablesChanged) -> None:
        self.changed.append(changed)

    def on_message_line(self, line: bytes) -> None:
        self.lines.append(msgspec.json.decode(line))

    def on_administration_down(self, reason: str) -> None:
        self.down.append(reason)


class Site:
    """A served bench and a connected client."""

    def __init__(self, bench: StationBench, path: Path) -> None:
        self.bench = bench
        self.path = path
        self.shell = BenchShell(bench)
        self.server = AdministrationServer(path, self.shell.commands.execute, software="test")
        self.heard = Recorder()
        self.link = AdministrationLink(path, self.heard, software="test")
        self.peers: list[RawPeer] = []

    async def set(self, component: str, variable: str, value: str, **place: Any) -> SetResult:
        """Set one value."""
        values = [NewValue(component, variable, value, **place)]
        results = await self.link.ask_for(SetVariables(values), SetResults)
        return results.results[0]

    async def raw(self, path: Path | None = None, *, greet: bool = True) -> RawPeer:
        """A client that may misbehave; it has read the server's greeting, if there was one."""
        peer = await RawPeer.connect(path or self.path)
        self.peers.append(peer)
        await peer.line()
        if greet:
            peer.say(**GREETING)
        return peer


@asynccontextmanager
async def served(bench: StationBench, folder: Path) -> AsyncIterator[Site]:
    site = Site(bench, folder / "a")
    await site.server.start()
    site.shell.commands.publish()  # what has changed before does not count
    task = asyncio.create_task(site.link.run())
    await eventually(lambda: site.link.up)
    try:
        yield site
    finally:
        task.cancel()
        await asyncio.wait([task])
        for peer in site.peers:
            await peer.close()
        await site.server.close()
