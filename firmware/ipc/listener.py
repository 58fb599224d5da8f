# SPDX-License-Identifier: Apache-2.0
"""Serves a Unix socket file to the uids that may connect.

A lock file beside the socket (`NAME.lock`, held while we serve; the kernel releases it with the process) distinguishes
a socket file of a dead process, which is replaced, from one of a running process, which is not touched. The file has
its mode before a peer can connect. A peer whose uid is not allowed is disconnected without an answer, and logged.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from firmware.errors import ConfigError
from firmware.ipc.connection import Connection, Credentials, Handler, peer_credentials

__all__ = ["MAX_CLIENTS", "UnixListener"]

MAX_CLIENTS = 32
_SUN_PATH_BYTES = 107
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class UnixListener(Generic[_T]):
    """Listens on `path` and passes each allowed connection to `handler`.

    Our own uid, root, `allowed_uids` and the members of the group `allowed_gid` may connect. The file's mode is 0600,
    or 0660 when others are allowed; its group is `file_gid`, or else the directory's decides which. At most
    `max_clients` are connected at once, and half of them for one uid, so that one uid can't use all connections.
    """

    def __init__(
        self,
        path: Path,
        decode: Callable[[bytes], _T],
        handler: Handler[_T],
        *,
        allowed_uids: frozenset[int] = frozenset(),
        allowed_gid: int | None = None,
        file_gid: int | None = None,
        credentials: Callable[[asyncio.BaseTransport], Credentials] = peer_credentials,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self._path = path
        self._decode = decode
        self._handler = handler
        self._allowed = allowed_uids | {0, os.geteuid()}
        self._allowed_gid = allowed_gid
        self._file_gid = file_gid
        self._mode = 0o660 if allowed_gid is not None or allowed_uids - {0, os.geteuid()} else 0o600
        self._credentials = credentials
        self._max_clients = max_clients
        self._clients: dict[Connection[_T], int] = {}
        """Each with its uid."""
        self._lock: int | None = None
        self._server: asyncio.Server | None = None

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def start(self) -> None:
        """Listen; raises `ConfigError` when the path is unusable or another process serves it."""
        lock = _take_lock(self._path)
        try:
            listening = _bind(self._path, self._mode, self._file_gid)
            self._server = await asyncio.get_running_loop().create_unix_server(self._connection, sock=listening)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        _log.info("listening on %s", self._path)

    async def close(self) -> None:
        """Stop listening, close every client once its queued lines are sent, and remove the socket file."""
        if self._server is None or self._lock is None:
            return
        server, lock = self._server, self._lock
        self._server = self._lock = None
        server.close()
        try:
            clients = list(self._clients)
            for client in clients:
                client.close("we are stopping")
            if clients:
                await asyncio.wait([client.finished for client in clients])
        finally:
            self._path.unlink(missing_ok=True)
            os.close(lock)

    def _connection(self) -> Connection[_T]:
        return Connection(self._decode, self)

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[_T]) -> None:
        peer = self._credentials(connection.transport)
        if self._server is None:
            connection.abort("we are stopping")
        elif not self._is_allowed(peer):
            _log.warning("%s: uid %d (pid %d) is not allowed", self._path, peer.uid, peer.pid)
            connection.abort("uid not allowed")
        elif not self._has_room(peer.uid):
            _log.warning("%s: too many clients: pid %d of uid %d refused", self._path, peer.pid, peer.uid)
            connection.abort("too many clients")
        else:
            self._clients[connection] = peer.uid
            self._handler.on_open(connection)

    def on_message(self, connection: Connection[_T], message: _T) -> None:
        self._handler.on_message(connection, message)

    def on_closed(self, connection: Connection[_T], reason: str) -> None:
        if connection in self._clients:
            del self._clients[connection]
            self._handler.on_closed(connection, reason)

    def _is_allowed(self, peer: Credentials) -> bool:
        return peer.uid in self._allowed or (self._allowed_gid is not None and peer.is_member(self._allowed_gid))

    def _has_room(self, uid: int) -> bool:
        of_this = sum(other == uid for other in self._clients.values())
        return len(self._clients) < self._max_clients and of_this < max(1, self._max_clients // 2)


def _take_lock(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{lock_path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(f"{path}: another process serves there") from error
    return lock


def _bind(path: Path, mode: int, gid: int | None) -> socket.socket:
    if len(os.fsencode(path)) > _SUN_PATH_BYTES:
        raise ConfigError(f"{path}: a socket's path has at most {_SUN_PATH_BYTES} bytes")
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The file gets its mode from the unbound socket (less the umask): it is never more open than requested.
        os.fchmod(listening.fileno(), mode)
        listening.bind(os.fspath(path))
        path.chmod(mode)
        if gid is not None:
            _give_to(path, gid)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{path}: {error.strerror}") from error
    return listening


def _give_to(path: Path, gid: int) -> None:
    """Only a member of the group can do that; otherwise its other members don't reach the socket."""
    try:
        os.chown(path, -1, gid)
    except PermissionError:
        _log.warning("%s: can't be given to group %d, which this process is not in", path, gid)


def _remove_stale(path: Path) -> None:
    """We hold the lock, so an existing socket file belongs to a process that has ended."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path}: exists and is not a socket")
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    _log.info("%s: removed the socket file of a dead process", path)
