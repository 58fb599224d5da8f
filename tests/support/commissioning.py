# SPDX-License-Identifier: Apache-2.0
"""A client of the commissioning API, as the page in a browser is one; and the server of a test, in this process."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

from firmware.contract import Command as HalCommand
from firmware.contract import (
    DeviceReport,
    Done,
    EndNetworkTrial,
    Fault,
    GetNetwork,
    GetSiteLimit,
    ListDevices,
    Network,
    Problem,
    Refused,
    SetCellular,
    SetSiteLimit,
    SetWired,
    SiteLimit,
)
from firmware.contract.administration import Command, CommandRefused, Result
from firmware.factory_settings import CommissioningSettings
from firmware.lifecycle import Lifecycle, Notifier
from services.commissioning.config import CommissioningConfig
from services.commissioning.hal import Hal
from services.commissioning.http.connection import Limits
from services.commissioning.page_pem import make as page_pem_of
from services.commissioning.passwords import Hasher
from services.commissioning.service import Service
from services.commissioning.sessions import Role
from services.ocpp.administration.server import AdministrationServer, Client
from tests.support.clock import ManualClock
from tests.support.sockets import eventually

__all__ = ["LABEL", "PASSWORD", "Answer", "Browser", "HalDouble", "Peer", "QuickHasher", "Served", "page_pem", "served"]

LABEL = "7KQM-X2RP-9VTA"
PASSWORD = "a-better-Pa55phrase"


@dataclass(frozen=True)
class Answer:
    """What the API has answered."""

    status: int
    content: Any
    headers: CIMultiDictProxy[str]

    @property
    def error(self) -> str | None:
        """The word of the error; None if there was none."""
        return None if self.status < 400 else self.content["error"]


class Browser:
    """Keeps cookie and CSRF token; does not check the certificate, as an installer at the first visit."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.csrf = ""
        self._more = headers or {}

    async def __aenter__(self) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, too
        self._client = aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=False))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    @property
    def session_id(self) -> str:
        return next((cookie.value for cookie in self._client.cookie_jar if cookie.key == "__Host-baywatt"), "")

    async def call(
        self, method: str, path: str, content: object = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        body = None if content is None else msgspec.json.encode(content)
        return await self.raw(method, path, body, headers=headers)

    async def raw(self, method: str, path: str, body: bytes | None, *, headers: dict[str, str] | None = None) -> Answer:
        """With any bytes as JSON; `path` is sent as it is."""
        own = {"Origin": self.url, "X-CSRF-Token": self.csrf, "Content-Type": "application/json"}
        sent = {**own, **self._more, **(headers or {})}
        url = URL(self.url + path, encoded=True)
        async with self._client.request(method, url, data=body, headers=sent) as response:
            text = await response.read()
            found = await response.json() if response.content_type == "application/json" else text
            return Answer(response.status, found, response.headers)

    def open(self, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A stream, for as long as the block lasts."""
        return self._client.get(self.url + path)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, content: object = None) -> Answer:
        return await self.call("POST", path, {} if content is None else content)

    async def sign_in(self, user: str, password: str) -> dict[str, Any]:
        """What the station says of the new session."""
        return self._session(await self.post("/api/session", {"user": user, "password": password}))

    async def change_password(self, current: str, new: str) -> dict[str, Any]:
        return self._session(await self.post("/api/session/password", {"current": current, "new": new}))

    def _session(self, answer: Answer) -> dict[str, Any]:
        assert answer.status == 200, answer.content
        session: dict[str, Any] = answer.content
        self.csrf = session["csrf_token"]
        return session


class QuickHasher(Hasher):
    """Hashes that cost nothing."""

    async def _compute(self, password: str, salt: bytes) -> bytes:
        return hashlib.sha256(salt + password.encode()).digest()[:16]


class Peer:
    """Stands in for the OCPP service at its administration socket: records commands, and answers as it was told."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: dict[type[Command], Result | CommandRefused | None] = {}

    def execute(self, client: Client, command: Command) -> Result | None:
        self.commands.append(command)
        answer = self.answers.get(type(command))
        if isinstance(answer, CommandRefused):
            raise answer
        return answer


REPORTS = [
    DeviceReport("card_reader", serial_number="77", firmware="1.2"),
    DeviceReport("evse 1, meter", answers=False, state="no answer", faults=[Fault.METER], last_trouble="line is dead"),
    DeviceReport("shelf", "module 3"),
]


class HalDouble:
    """Stands in for the HAL: records commands, and answers as it was told."""

    def __init__(self, hal: Hal) -> None:
        self.hal = hal
        self.commands: list[HalCommand] = []
        self.network = Network([])
        self.refusal: tuple[Problem, str] | None = None
        self.dies = False

    def request(self, command: HalCommand) -> int:
        self.commands.append(command)
        number = len(self.commands)
        limit = SiteLimit(400_000.0, 400_000.0, 150_000.0)
        answer = Done(
            number,
            REPORTS if isinstance(command, ListDevices) else None,
            limit if isinstance(command, GetSiteLimit | SetSiteLimit) else None,
            self.network if isinstance(command, GetNetwork | SetWired | SetCellular | EndNetworkTrial) else None,
        )
        refused = self.refusal is not None and not isinstance(command, GetNetwork)
        refusal = Refused(number, *self.refusal) if refused and self.refusal else None
        loop = asyncio.get_running_loop()
        if self.dies:
            loop.call_soon(self.hal.on_hal_down, "killed")
        else:
            loop.call_soon(self.hal._on_answer, refusal or answer)
        return number


@dataclass(frozen=True)
class Served:
    """A commissioning process in this one, at its port."""

    service: Service
    clock: ManualClock
    folder: Path
    peer: Peer

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.service.server.port}/"

    def browser(self, **headers: str) -> Browser:
        return Browser(self.url, headers=headers)

    async def installer(self, stack: AsyncExitStack, password: str = PASSWORD, **headers: str) -> Browser:
        """A browser in which the installer is signed in."""
        browser = await stack.enter_async_context(self.browser(**headers))
        await browser.sign_in("installer", password)
        return browser


@asynccontextmanager
async def served(
    folder: Path, *, changed: bool = True, limits: Limits | None = None, clock: ManualClock | None = None
) -> AsyncIterator[Served]:
    """A page whose label says `LABEL`; with `changed`, the installer's password is `PASSWORD`."""
    state, clock, peer = folder / "state", clock or ManualClock(), Peer()
    state.mkdir(exist_ok=True)
    if not (state / "page.pem").exists():
        (state / "page.pem").write_bytes(page_pem())
    config = CommissioningConfig(
        state=str(state),
        host="127.0.0.1",
        port=0,
        hal_socket=str(folder / "hal"),
        status_socket=str(folder / "status"),
        administration_socket=str(folder / "a"),
        logs={"ocpp": str(folder / "ocpp.log")},
    )
    service = Service(config, CommissioningSettings(password=LABEL), clock, hasher=QuickHasher(), limits=limits)
    administration = AdministrationServer(folder / "a", peer.execute, software="test")
    await administration.start()
    async with asyncio.TaskGroup() as group:
        life = Lifecycle(group, Notifier({}))
        await service.start(life)
        if changed and service.site.accounts.must_change:
            await service.site.accounts.set_password(Role.INSTALLER, PASSWORD)
        await eventually(lambda: peer.commands)
        try:
            yield Served(service, clock, folder, peer)
        finally:
            life.stop("the test has ended")
            await life._stop_all(5.0)
            await administration.close()
    assert life.exit_code == 0


@cache
def page_pem() -> bytes:
    """A certificate of the page: making one takes longer than a test."""
    return page_pem_of(["127.0.0.1"], ManualClock().utc())
