# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from dbus_fast import NameFlag, RequestNameReply
from dbus_fast.aio import MessageBus

from firmware.errors import ConfigError
from tools.rig.devices.bus_daemon import BusDaemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[BusDaemon]:
    daemon = BusDaemon(tmp_path)
    await daemon.start()
    yield daemon
    await daemon.close()


async def test_a_client_owns_a_name_of_the_system_bus(daemon: BusDaemon) -> None:
    bus = await MessageBus(daemon.address).connect()
    owned = await bus.request_name("org.freedesktop.ModemManager1", NameFlag.DO_NOT_QUEUE)
    bus.disconnect()
    assert owned is RequestNameReply.PRIMARY_OWNER


async def test_it_returns_at_the_same_address(daemon: BusDaemon) -> None:
    bus = await MessageBus(daemon.address).connect()
    await daemon.close()
    await disconnected(bus)
    with pytest.raises(OSError):
        await MessageBus(daemon.address).connect()
    await daemon.start()
    (await MessageBus(daemon.address).connect()).disconnect()


async def test_two_do_not_meet(daemon: BusDaemon, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = BusDaemon(tmp_path / "other")
    await other.start()
    assert other.address != daemon.address
    await other.close()


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long"):
        BusDaemon(tmp_path / ("x" * 100))


async def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await BusDaemon(tmp_path / "gone").start()


async def disconnected(bus: MessageBus) -> None:
    wait: Callable[[], Awaitable[object]] = bus.wait_for_disconnect
    async with asyncio.timeout(10):
        with pytest.raises((OSError, EOFError)):
            await wait()


async def test_it_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from tools.rig.devices.bus_daemon import BusDaemon\n"
        "async def main():\n"
        "    await BusDaemon(pathlib.Path(sys.argv[1])).start()\n"
        "    print('up', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    bus = await MessageBus(f"unix:path={tmp_path}/bus").connect()
    process.kill()
    await process.wait()
    await disconnected(bus)
