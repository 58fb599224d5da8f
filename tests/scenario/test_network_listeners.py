# SPDX-License-Identifier: Apache-2.0
"""A station that charges listens on no network, but for the commissioning page: one port, one process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.scenario import Site, site

_LISTENING = "0A"
_ACCEPTS = 0x10000
"""Flag of a listening Unix socket."""


def inodes(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            link = str(descriptor.readlink())
            if link.startswith("socket:["):
                found.add(link[len("socket:[") : -1])
    return found


def rows(pid: int, table: str) -> Iterator[list[str]]:
    yield from (line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:])


def listens_on(pid: int) -> list[str]:
    """Network addresses at which a process accepts connections or datagrams."""
    own = inodes(pid)
    tcp = [row[1] for table in ("tcp", "tcp6") for row in rows(pid, table) if row[9] in own and row[3] == _LISTENING]
    udp = [row[1] for table in ("udp", "udp6", "raw", "raw6") for row in rows(pid, table) if row[9] in own]
    return tcp + udp


def serves_at(pid: int) -> list[str]:
    """Paths of the Unix sockets that a process serves."""
    own = inodes(pid)
    return [row[7] for row in rows(pid, "unix") if row[6] in own and int(row[3], 16) & _ACCEPTS]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A station with its page, accepted by its CSMS."""
    async with site(tmp_path, page=True) as found:
        yield found


async def test_only_the_commissioning_page_listens_on_the_network(here: Site) -> None:
    await here.charge(1)
    state = await here.rig.client.until(lambda state: state["commissioning"] is not None)
    port = urlsplit(state["commissioning"]).port
    served: list[str] = []
    for name, pid in state["processes"].items():
        assert listens_on(pid) == ([f"0100007F:{port:04X}"] if name == "commissioning" else []), name
        served += serves_at(pid)
    assert sorted(served) == ["run/administration.sock", "run/hal.sock", "run/status.sock"]
    for path in served:
        assert (here.rig.directory / path).stat().st_mode & 0o077 == 0
    (await here.stop_with_card(1)).check()


def test_a_listener_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"{server.getsockname()[1]:04X}"
        assert any(address.endswith(f":{port}") for address in listens_on(os.getpid()))
