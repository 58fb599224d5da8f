# SPDX-License-Identifier: Apache-2.0
"""Serves `firmware/contract/README.md` on the HAL's socket.

The server knows the contract and nothing of charging: the cabinet provides the snapshot, executes commands and
publishes events. Everything runs on the loop's thread and never waits for a client. An event is encoded once for all
clients.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, get_args

from msgspec import Struct

from firmware.clock import Clock
from firmware.contract.display import MAX_HISTORY, MAX_OUTLETS, PageModel
from firmware.contract.faults import Fault
from firmware.contract.messages import (
    CONTRACT_VERSION,
    Acknowledge,
    Answer,
    CabinetCommand,
    Command,
    DeviceReport,
    Done,
    Event,
    FromClient,
    FromHal,
    GetSiteLimit,
    Greeting,
    ListDevices,
    NetworkCommand,
    Permit,
    PowerOff,
    Problem,
    Reboot,
    Refused,
    Request,
    Role,
    SetAvailable,
    SetLimit,
    SetSiteLimit,
    Show,
    SiteLimit,
    Snapshot,
    Stamped,
    StartTest,
    Withdraw,
)
from firmware.contract.network import Network
from firmware.errors import ContractError
from firmware.ipc.connection import Connection, Credentials, peer_credentials
from firmware.ipc.framing import Decoder, encode
from firmware.ipc.listener import UnixListener
from firmware.timer import LoopTimer, Scheduled, Timer
from hal.journal import Journal
from hal.network import NetworkRefused

__all__ = ["GREETING_TIMEOUT_S", "MAX_LEASE_S", "Cabinet", "HalServer", "out_of_range"]

GREETING_TIMEOUT_S = 2.0
MAX_LEASE_S = 60.0
_MAX_ID = 2**53
_MAX_DETAIL_CHARS = 500
_MAX_WAITING = 8
"""Commands on the network at a time."""
_MAX_SESSION_CHARS = 64
_MAX_PAGE_CHARS = 32
"""Session and page are part of the next snapshot, which must fit into a line."""
_COMMANDS: dict[Role, tuple[type[Struct], ...]] = {
    Role.SERVICE: (Permit, Withdraw, SetLimit, SetAvailable, Show, Reboot),
    Role.MAINTENANCE: (ListDevices, StartTest, GetSiteLimit, SetSiteLimit, *get_args(NetworkCommand), PowerOff, Reboot),
    Role.OBSERVER: (),
}
_decode: Decoder[FromClient] = Decoder(FromClient)
_decode_own: Decoder[FromHal] = Decoder(FromHal)
_log = logging.getLogger(__name__)


class Cabinet(Protocol):
    """What the server needs of the charger; all calls in both directions are on the loop's thread."""

    def snapshot(self, seq: int, run_id: str) -> Snapshot:
        """The whole state, with the effect of every published event."""

    def devices(self) -> list[DeviceReport]:
        """The answer to `ListDevices`."""

    def site_limit(self) -> SiteLimit:
        """The answer to `GetSiteLimit` and `SetSiteLimit`."""

    async def set_network(self, command: NetworkCommand) -> Network:
        """Carry out a command on the network; raises `NetworkRefused`."""

    def execute(self, command: CabinetCommand) -> tuple[Problem, str] | None:
        """Carry out a command whose values are in range; returns None for `done`, else why it is refused.

        May publish events meanwhile.
        """

    def listen(self, publish: Callable[[Event], None]) -> None:
        """Set the function that gets each event, right after the state has changed; called once, before all else."""


class _Client:
    """A connection and its greeting; no role before it has come."""

    def __init__(self, connection: Connection[FromClient], timer: Scheduled) -> None:
        self.connection = connection
        self.timer = timer
        self.role: Role | None = None
        self.software = ""


class HalServer:
    """The HAL's socket at `path`.

    Args:
        cabinet: the charger that is served.
        path: the socket file.
        clock: for the events' `mono_s`.
        utc: for their `utc_s`, by the board's clock.
        allowed_uids: uids that may connect besides our own and root's.
        observer_uids: uids that may connect, but not as the service.
        maintenance_uids: uids that may connect for maintenance, besides our own and root's.
        maintenance_gid: the group whose members may do so; they must reach the socket file by its own group.
        software: our name and version, for the greeting.
        run_id: the id of this run; random unless given.
        journal: numbers and keeps the events; a new one unless given.
        greeting_timeout_s: how long a client may take to send its greeting.
        timer: for the wait for a client's greeting.
        credentials: returns the credentials of a peer.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        *,
        path: Path,
        clock: Clock,
        utc: Callable[[], float],
        allowed_uids: frozenset[int] = frozenset(),
        observer_uids: frozenset[int] = frozenset(),
        maintenance_uids: frozenset[int] = frozenset(),
        maintenance_gid: int | None = None,
        software: str = "baywatt-hal",
        run_id: str | None = None,
        journal: Journal | None = None,
        greeting_timeout_s: float = GREETING_TIMEOUT_S,
        timer: Timer | None = None,
        credentials: Callable[[asyncio.BaseTransport], Credentials] = peer_credentials,
    ) -> None:
        self._cabinet = cabinet
        self._clock = clock
        self._utc = utc
        self._greeting = encode(Greeting(version=CONTRACT_VERSION, role=Role.SERVICE, software=software))
        self._run_id = run_id or os.urandom(8).hex()
        self._journal = Journal() if journal is None else journal  # an empty one is false
        self._greeting_timeout_s = greeting_timeout_s
        self._timer = timer or LoopTimer()
        self._clients: dict[Connection[FromClient], _Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Commands on the network, which are not answered at once."""
        self._service: _Client | None = None
        self._credentials = credentials
        own = frozenset({0, os.geteuid()})
        self._service_uids = own | allowed_uids
        self._maintenance_uids = own | maintenance_uids
        self._maintenance_gid = maintenance_gid
        self._listener: UnixListener[FromClient] = UnixListener(
            path,
            _decode,
            self,
            allowed_uids=allowed_uids | observer_uids | maintenance_uids,
            allowed_gid=maintenance_gid,
            credentials=credentials,
        )
        cabinet.listen(self.publish)

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def has_service(self) -> bool:
        """Whether the OCPP service is connected and greeted."""
        return self._service is not None

    async def start(self) -> None:
        """Listen; raises `ConfigError`."""
        await self._listener.start()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await self._listener.close()

    # --- events -------------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Number, stamp and send `event`, which has just happened.

        An event that the contract can't carry (a NaN from a driver, a text that is too long) is dropped with a log
        line and takes no number: ending the HAL for it would open every contactor.
        """
        stamped = self._journal.stamp(event, self._clock.monotonic(), self._utc())
        try:
            line = _checked(stamped)
        except ValueError as error:
            _log.error("%s can't be sent: %s", type(event).__name__, error)
            return
        self._journal.record(stamped)
        for client in tuple(self._clients.values()):
            if client.role is not None:
                client.connection.send(line)

    # --- clients ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromClient]) -> None:
        connection.send(self._greeting)
        timer = self._timer.call_later(
            self._greeting_timeout_s, lambda: connection.close(f"no greeting within {self._greeting_timeout_s} s")
        )
        self._clients[connection] = _Client(connection, timer)

    def on_closed(self, connection: Connection[FromClient], reason: str) -> None:
        client = self._clients.pop(connection)
        client.timer.cancel()
        if client is self._service:
            self._service = None
        _log.info("%s %s disconnected: %s", client.role.value if client.role else "client", client.software, reason)

    def on_message(self, connection: Connection[FromClient], message: FromClient) -> None:
        client = self._clients[connection]
        if isinstance(message, Greeting):
            self._handle_greeting(client, message)
        elif client.role is None:
            raise ContractError(f"{type(message).__name__.lower()} before the greeting")
        elif isinstance(message, Request):
            self._handle_request(client, message)
        else:
            self._handle_acknowledge(client, message)

    def _handle_greeting(self, client: _Client, greeting: Greeting) -> None:
        if client.role is not None:
            raise ContractError("a second greeting")
        if greeting.version != CONTRACT_VERSION:
            raise ContractError(f"{greeting.software} speaks version {greeting.version}, we {CONTRACT_VERSION}")
        self._check_role(client, greeting)
        if greeting.role is Role.SERVICE:
            self._service = client
        client.role = greeting.role
        client.software = greeting.software
        client.timer.cancel()
        _log.info("%s %s connected", client.role.value, client.software)
        self._send_state(client)

    def _check_role(self, client: _Client, greeting: Greeting) -> None:
        """Raises `ContractError` for a role that the peer may not have."""
        peer, name = self._credentials(client.connection.transport), greeting.software
        if greeting.role is Role.SERVICE:
            if peer.uid not in self._service_uids:
                raise ContractError(f"{name} connects as the service, but uid {peer.uid} may only observe")
            if self._service is not None:
                raise ContractError(f"{name} connects as a second service beside {self._service.software}")
        member = self._maintenance_gid is not None and peer.is_member(self._maintenance_gid)
        if greeting.role is Role.MAINTENANCE and not (member or peer.uid in self._maintenance_uids):
            raise ContractError(f"{name} connects for maintenance, but uid {peer.uid} may only observe")

    def _send_state(self, client: _Client) -> None:
        try:
            line = _checked(self._cabinet.snapshot(self._journal.last_seq, self._run_id))
        except ValueError as error:
            _log.error("the snapshot can't be sent: %s", error)
            client.connection.close("no snapshot")
            return
        client.connection.send(line)
        if client.role is Role.SERVICE:
            client.connection.send_backlog(encode(stamped) for stamped in self._journal.unacknowledged())

    def _handle_acknowledge(self, client: _Client, message: Acknowledge) -> None:
        if client.role is not Role.SERVICE:
            raise ContractError("an observer acknowledges")
        self._journal.acknowledge(message.seq)

    def _handle_request(self, client: _Client, request: Request) -> None:
        if not 0 <= request.id <= _MAX_ID:
            raise ContractError("a request id out of range")
        command = request.command
        refused = _objection(client, command)
        if refused is not None:
            answer: Answer = _refusal(request, *refused)
        elif isinstance(command, NetworkCommand):
            if len(self._tasks) >= _MAX_WAITING:
                client.connection.send(_line(_refusal(request, Problem.BUSY, "many such commands wait already")))
                return
            task = asyncio.get_running_loop().create_task(self._set_network(client, request, command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        else:
            answer = self._execute(request, command)
        client.connection.send(_line(answer))

    def _execute(self, request: Request, command: CabinetCommand) -> Answer:
        problem = self._cabinet.execute(command)
        if problem is not None:
            return _refusal(request, *problem)
        return Done(
            id=request.id,
            devices=self._cabinet.devices() if isinstance(command, ListDevices) else None,
            site_limit=self._cabinet.site_limit() if isinstance(command, GetSiteLimit | SetSiteLimit) else None,
        )

    async def _set_network(self, client: _Client, request: Request, command: NetworkCommand) -> None:
        try:
            answer: Answer = Done(request.id, network=await self._cabinet.set_network(command))
        except NetworkRefused as error:
            answer = _refusal(request, error.problem, error.detail)
        if client.connection in self._clients:
            client.connection.send(_line(answer))


def _objection(client: _Client, command: Command) -> tuple[Problem, str] | None:
    if not isinstance(command, _COMMANDS[client.role or Role.OBSERVER]):
        return Problem.NOT_ALLOWED, f"the role {client.role.value if client.role else '?'} may not command this"
    reason = out_of_range(command)
    return None if reason is None else (Problem.BAD_REQUEST, reason)


def _refusal(request: Request, problem: Problem, detail: str) -> Refused:
    _log.info("%s refused: %s %s", type(request.command).__name__, problem.value, detail)
    return Refused(id=request.id, problem=problem, detail=detail[:_MAX_DETAIL_CHARS])


def _line(answer: Answer) -> bytes:
    """The line for `answer`, or for a refusal if devices say more of themselves than a line can carry."""
    try:
        return encode(answer)
    except ValueError as error:
        _log.error("an answer can't be sent: %s", error)
        return encode(Refused(id=answer.id, problem=Problem.DEVICE_FAILED, detail="the answer can't be sent"))


def _checked(message: Snapshot | Stamped) -> bytes:
    """The line for `message`; raises `ValueError` if the other end could not accept it."""
    try:
        line = encode(message)
        _decode_own(line)
    except (ValueError, TypeError, OverflowError, ContractError) as error:
        raise ValueError(str(error)) from error
    return line


def out_of_range(command: Command) -> str | None:
    """Why the contract forbids the command's values, or None. Its limits are checked here only."""
    if isinstance(command, Permit):
        if not 0 < command.lease_s <= MAX_LEASE_S:
            return f"a lease lasts at most {MAX_LEASE_S:g} s and more than 0"
        if not 0 < len(command.session) <= _MAX_SESSION_CHARS:
            return f"a permit names its session in at most {_MAX_SESSION_CHARS} characters"
    if isinstance(command, SetLimit) and command.power_w is not None and not 0 <= command.power_w < math.inf:
        return "a limit is finite and not negative"
    return _page_out_of_range(command.model) if isinstance(command, Show) else None


def _page_out_of_range(model: PageModel) -> str | None:
    texts = (model.connector, model.code, model.since or "", model.started or "", model.ended or "")
    if max(map(len, texts)) > _MAX_PAGE_CHARS:
        return f"a text of a page has at most {_MAX_PAGE_CHARS} characters"
    if len(model.history_kw) > MAX_HISTORY or len(model.others) > MAX_OUTLETS or len(model.faults) > len(Fault):
        return f"a page has at most {MAX_HISTORY} points of power, {MAX_OUTLETS} other outlets, and each fault once"
    return None
