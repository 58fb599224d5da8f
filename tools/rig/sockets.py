# SPDX-License-Identifier: Apache-2.0
"""Unix sockets at paths of any length: the kernel accepts at most 107 bytes, a state directory may be deeper.

A path that is too long is reached through its directory's descriptor (`/proc/self/fd/N/name`).
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.errors import ConfigError

__all__ = ["connect_unix", "listen_unix"]

SUN_PATH_BYTES = 107
BACKLOG = 64


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for `path` that fits a socket address, for the length of the block."""
    if len(os.fsencode(path)) <= SUN_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen_unix(path: Path) -> socket.socket:
    """A listening socket of mode 0600; replaces a socket file that no process serves. Raises `ConfigError`."""
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The file takes its mode from the unbound socket: other users can't connect between bind and chmod.
        os.fchmod(listening.fileno(), 0o600)
        with _short(path) as name:
            listening.bind(name)
        path.chmod(0o600)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    listening.setblocking(False)
    return listening


def connect_unix(path: Path) -> socket.socket:
    """A connected, non-blocking socket; raises `OSError`."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            client.connect(name)
    except OSError:
        client.close()
        raise
    client.setblocking(False)
    return client


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path}: exists and is not a socket")
        connect_unix(path).close()
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    else:
        raise ConfigError(f"{path}: another process serves this socket")
