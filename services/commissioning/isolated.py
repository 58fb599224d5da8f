# SPDX-License-Identifier: Apache-2.0
"""Runs a function in a child process, which takes its memory with it.

The `cryptography` package takes 20 MB once it is imported, half of what the process may use, for work that is done
once in years; a password takes 8 MB, which the heap would keep. The child is a copy of this process (fork), not a
program that is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from firmware.errors import BaywattError

__all__ = ["ChildError", "isolated"]

LIMIT_S = 30.0
_RESULT, _REFUSED = b"+", b"-"
_HANDLED = (signal.SIGTERM, signal.SIGINT)


class ChildError(BaywattError):
    """The child has ended without a result."""


async def isolated(work: Callable[[], bytes]) -> bytes:
    """What `work` returns; raises `ValueError` with the text of one that it raises, and `ChildError`."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    child = fork.Process(target=_run, args=(theirs, work), daemon=True)
    child.start()
    theirs.close()
    try:
        async with asyncio.timeout(LIMIT_S):
            answer = await _received(ours)
    except TimeoutError:
        raise ChildError(f"no result within {LIMIT_S:g} s") from None
    finally:
        ours.close()
        child.kill()
        child.join()
        child.close()
    if answer[:1] == _REFUSED:
        raise ValueError(answer[1:].decode())
    return answer[1:]


async def _received(connection: Connection) -> bytes:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection.fileno())
    try:
        return connection.recv_bytes()
    except EOFError:
        raise ChildError("the child process has failed: see the lines before this one") from None


def _run(connection: Connection, work: Callable[[], bytes]) -> None:
    signal.set_wakeup_fd(-1)  # the loop's own: a signal to the child is not one to the parent
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(BrokenPipeError):
        try:
            connection.send_bytes(_RESULT + work())
        except ValueError as error:
            connection.send_bytes(_REFUSED + str(error).encode())
