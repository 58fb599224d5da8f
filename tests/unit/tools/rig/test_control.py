# SPDX-License-Identifier: Apache-2.0
"""The control socket: answers in order, on every connection, whatever comes in."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tools.rig import control
from tools.rig import operations as op
from tools.rig.client import RigClient, RigGone, RigRefused
from tools.rig.control import MAX_LINE_BYTES, ControlServer
from tools.rig.operations import OperationError
from tools.rig.sockets import listen_unix


class RecordingRig:
    """A control socket without a rig: records the operations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[Any] = []
        self.server = ControlServer(self.execute)

    def execute(self, operation: op.Operation) -> dict[str, Any]:
        self.asked.append(operation)
        if isinstance(operation, op.PowerOn):
            raise OperationError("refused", "the station has power")
        return {"state": {"evses": []}} if isinstance(operation, op.State) else {}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RecordingRig]:
    rig = RecordingRig(tmp_path / "control.sock")
    await rig.server.start(listen_unix(rig.path))
    yield rig
    rig.server.close()


async def exchange(rig: RecordingRig, *lines: bytes) -> list[dict[str, Any]]:
    """Send raw bytes, close, and return the answers."""
    reader, writer = await asyncio.open_unix_connection(str(rig.path), limit=2**20)
    for line in lines:
        writer.write(line)
        await asyncio.sleep(0)
    writer.write_eof()
    async with asyncio.timeout(5.0):
        answers = [json.loads(line) async for line in reader]
    writer.close()
    return answers


async def test_answers_come_in_order_on_one_connection(rig: RecordingRig) -> None:
    lines = b"".join(b'{"id": %d, "op": "select_evse", "evse": 1}\n' % number for number in range(50))
    assert await exchange(rig, lines) == [{"id": number, "ok": True} for number in range(50)]


async def test_line_may_come_in_pieces(rig: RecordingRig) -> None:
    assert await exchange(rig, b'{"id": 1,', b' "op": "st', b'ate"}\n') == [
        {"id": 1, "ok": True, "state": {"evses": []}}
    ]


async def test_garbage_between_good_lines_harms_neither(rig: RecordingRig) -> None:
    answers = await exchange(rig, b'{"id":1,"op":"reboot"}\n\n\x00\xff\n{"id":2,"op":"reboot"}\n')
    assert [(each.get("id"), each["ok"]) for each in answers] == [(1, True), (None, False), (2, True)]
    assert answers[1]["error"] == "bad_request"
    assert len(rig.asked) == 2


async def test_refusal_has_code_and_text(rig: RecordingRig) -> None:
    assert await exchange(rig, b'{"id":1,"op":"power_on"}\n') == [
        {"id": 1, "ok": False, "error": "refused", "detail": "the station has power"}
    ]


async def test_line_of_64_kib_is_the_longest(rig: RecordingRig) -> None:
    head, tail = b'{"id":1,"op":"reboot"', b"}"
    fits = head + b" " * (MAX_LINE_BYTES - 1 - len(head) - len(tail)) + tail + b"\n"
    assert len(fits) == MAX_LINE_BYTES
    assert (await exchange(rig, fits))[0]["ok"]
    for too_long in ([b" " + fits], [b"x" * (3 * MAX_LINE_BYTES), b'{"id":8,"op":"reboot"}', b"\n"]):
        answers = await exchange(rig, *too_long, b'{"id":2,"op":"reboot"}\n')
        assert [(each["id"], each.get("error")) for each in answers] == [(None, "bad_request"), (2, None)]
    assert len(rig.asked) == 3


async def test_socket_is_ours_alone(rig: RecordingRig) -> None:
    assert stat.S_IMODE(rig.path.stat().st_mode) == 0o600


async def test_many_connections_are_served_and_only_subscribers_get_events(rig: RecordingRig) -> None:
    clients = [await RigClient.connect(rig.path) for _ in range(30)]
    for client in clients[:10]:
        await client.subscribe()
    await asyncio.gather(*(client.op("state") for client in clients))
    rig.server.emit({"event": "powered", "t": 1.0, "powered": True})
    await asyncio.gather(*(client.wait("powered", powered=True) for client in clients[:10]))
    await asyncio.gather(*(client.op("state") for client in clients))
    assert all(client.events == [] for client in clients[10:])
    for client in clients:
        await client.close()


async def test_subscriber_that_does_not_read_is_cut(rig: RecordingRig) -> None:
    reader, writer = await asyncio.open_unix_connection(str(rig.path), limit=1024)
    writer.write(b'{"id":1,"op":"subscribe"}\n')
    await reader.readline()
    event = {"event": "screen", "t": 0.0, "page": "x" * 50_000}
    for _ in range(400):
        rig.server.emit(event)
        await asyncio.sleep(0)
    async with asyncio.timeout(5.0):
        while await reader.read(65536):
            pass
    writer.close()


async def test_client_that_vanishes_in_the_middle_is_forgotten(
    rig: RecordingRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_CLIENTS", 1)
    reader, writer = await asyncio.open_unix_connection(str(rig.path))
    writer.write(b'{"id":1,"op":"reboot"}\n{"id":2,"op":"sub')
    assert json.loads(await reader.readline())["ok"]
    assert not await _is_served(rig), "the only place is taken"
    writer.transport.abort()
    async with asyncio.timeout(5.0):
        while not await _is_served(rig):
            pass


async def _is_served(rig: RecordingRig) -> bool:
    client = await RigClient.connect(rig.path)
    try:
        await client.op("reboot")
    except RigGone:
        return False
    finally:
        await client.close()
    return True


async def test_client_raises_refusals_and_the_end_of_the_rig(rig: RecordingRig) -> None:
    client = await RigClient.connect(rig.path)
    with pytest.raises(RigRefused) as caught:
        await client.op("power_on")
    assert caught.value.code == "refused"
    with pytest.raises(RigRefused, match="unknown_op"):
        await client.op("explode")
    rig.server.close()
    with pytest.raises(RigGone):
        await client.wait("powered", timeout_s=5.0)
    with pytest.raises(RigGone):
        await client.op("state")
    await client.close()


async def test_wait_finds_earlier_events_and_reports_others_at_its_timeout(rig: RecordingRig) -> None:
    async with await RigClient.connect(rig.path) as client:
        await client.subscribe()
        rig.server.emit({"event": "phase", "t": 1.0, "evse": 1, "phase": "plugged"})
        await client.wait("phase", evse=1)
        assert (await client.wait("phase", evse=1))["phase"] == "plugged"
        with pytest.raises(TimeoutError, match="plugged"):
            await client.wait("phase", evse=2, timeout_s=0.0)
        with pytest.raises(TimeoutError):
            await client.wait("phase", evse=1, since=client.mark, timeout_s=0.0)


async def test_no_rig_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RigGone):
        await RigClient.connect(tmp_path / "none.sock")
