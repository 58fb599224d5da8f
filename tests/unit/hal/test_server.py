# SPDX-License-Identifier: Apache-2.0
"""The HAL's socket, served to peers that keep the contract and to peers that do not."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from firmware.contract.display import Page, PageModel
from firmware.contract.faults import Fault
from firmware.contract.messages import (
    CONTRACT_VERSION,
    CardPresented,
    Command,
    DeviceReport,
    EvseSelected,
    FaultRaised,
    MeterContext,
    MeterReading,
    NetworkCommand,
    Permit,
    Plugged,
    Problem,
    Role,
    ScreenShown,
    SetAvailable,
    SetLimit,
    Snapshot,
    Stamped,
)
from firmware.contract.network import Network
from firmware.ipc.connection import Credentials
from firmware.ipc.framing import MAX_LINE_BYTES, encode
from hal.server import _COMMANDS, HalServer, out_of_range
from tests.support.clock import ManualClock
from tests.support.sockets import AnsweringCabinet, RawPeer, eventually, idle_evse, snapshot
from tests.support.timer import ManualTimer

HAL_GREETING = {"kind": "greeting", "version": CONTRACT_VERSION, "role": "service", "software": "hal 1"}
PERMIT = {"kind": "permit", "evse": 1, "session": "s", "lease_s": 10.0}


def padded(text: str) -> ScreenShown:
    """An event of any length."""
    return ScreenShown(screen=1, model=PageModel(page=Page.IDLE, connector=text))


@pytest.fixture
def cabinet() -> AnsweringCabinet:
    return AnsweringCabinet()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "h"


@asynccontextmanager
async def serving(cabinet: AnsweringCabinet, path: Path, **options: Any) -> AsyncIterator[HalServer]:
    server = HalServer(
        cabinet,
        path=path,
        clock=ManualClock(100.0),
        utc=lambda: 1_700_000_000.5,
        software="hal 1",
        run_id="run",
        **options,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
async def server(cabinet: AnsweringCabinet, path: Path) -> AsyncIterator[HalServer]:
    async with serving(cabinet, path) as running:
        yield running


async def greeted(path: Path, role: str = "service", version: int = CONTRACT_VERSION) -> RawPeer:
    """A peer that has sent its greeting and received the HAL's."""
    peer = await RawPeer.connect(path)
    peer.say(kind="greeting", version=version, role=role, software=f"a {role}")
    assert await peer.hear() == HAL_GREETING
    return peer


async def connected(path: Path, role: str = "service") -> RawPeer:
    """A peer that has its snapshot."""
    peer = await greeted(path, role)
    assert (await peer.hear())["kind"] == "snapshot"
    return peer


# --- greeting -----------------------------------------------------------------------------------------


async def test_greeting_then_snapshot_of_this_moment(cabinet: AnsweringCabinet, path: Path, server: HalServer) -> None:
    cabinet.publish(EvseSelected(evse=1))
    peer = await greeted(path)
    assert msgspec.convert(await peer.hear(), Snapshot) == snapshot(1, "run")
    assert server.has_service
    await peer.close()
    await eventually(lambda: not server.has_service)


async def test_the_hal_greets_at_once(path: Path, server: HalServer) -> None:
    peer = await RawPeer.connect(path)
    assert await peer.hear() == HAL_GREETING
    await peer.close()


async def test_another_version_receives_ours_and_is_closed(
    path: Path, server: HalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    peer = await greeted(path, version=99)
    assert await peer.line() == b""
    assert not server.has_service
    await eventually(lambda: f"speaks version 99, we {CONTRACT_VERSION}" in caplog.text)
    await peer.close()


async def test_a_silent_client_is_closed(cabinet: AnsweringCabinet, path: Path) -> None:
    async with serving(cabinet, path, greeting_timeout_s=0.02):
        peer = await RawPeer.connect(path)
        assert await peer.hear() == HAL_GREETING
        assert await peer.line() == b""
        await peer.close()


async def test_a_client_that_has_greeted_may_keep_silent(cabinet: AnsweringCabinet, path: Path) -> None:
    timer = ManualTimer()
    async with serving(cabinet, path, greeting_timeout_s=2.0, timer=timer):
        peer = await RawPeer.connect(path)
        await eventually(lambda: timer.pending == [2.0])
        peer.say(kind="greeting", version=CONTRACT_VERSION, role="observer")
        await eventually(lambda: timer.pending == [])  # nothing is left that would close the connection
        timer.advance(3600.0)
        cabinet.publish(EvseSelected(evse=1))
        heard = [await peer.hear() for _ in range(3)]
        assert [message["kind"] for message in heard] == ["greeting", "snapshot", "event"]
        assert heard[-1]["seq"] == 1
        await peer.close()


async def test_a_second_service_is_closed_and_the_first_lives(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    first = await connected(path)
    second = await greeted(path)
    assert await second.line() == b""
    cabinet.publish(EvseSelected(evse=1))
    assert (await first.hear())["seq"] == 1
    await first.close()
    await eventually(lambda: not server.has_service)
    third = await connected(path)
    await third.close()
    await second.close()


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "request", "id": 1, "command": PERMIT},
        {"kind": "acknowledge", "seq": 1},
        {"kind": "snapshot"},
    ],
)
async def test_nothing_before_the_greeting(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, message: dict[str, Any]
) -> None:
    peer = await RawPeer.connect(path)
    peer.say(**message)
    assert await peer.hear() == HAL_GREETING
    assert await peer.line() == b""
    assert cabinet.commands == []
    await peer.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"greeting","version":1}\n',
        b'{"kind":"acknowledge","seq":99}\n',
        b'{"kind":"acknowledge","seq":-1}\n',
        b'{"kind":"request","id":-1,"command":{"kind":"withdraw","evse":1}}\n',
        b'{"kind":"request","id":99999999999999999999999,"command":{"kind":"withdraw","evse":1}}\n',
        b'{"kind":"request","id":1,"command":{"kind":"explode"}}\n',
        b"x" * 66_560,
    ],
)
async def test_what_breaks_the_contract_ends_the_connection(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, line: bytes
) -> None:
    peer = await connected(path)
    peer.send(line)
    assert await peer.line() == b""
    assert cabinet.commands == []
    await peer.close()
    again = await connected(path)  # and only the connection
    await again.close()


async def test_an_unwelcome_uid_hears_nothing(cabinet: AnsweringCabinet, path: Path) -> None:
    async with serving(cabinet, path, credentials=lambda _: Credentials(1, 54321, 1)):
        peer = await RawPeer.connect(path)
        assert await peer.line() == b""
        await peer.close()
    async with serving(cabinet, path, credentials=lambda _: Credentials(1, 54321, 1), allowed_uids=frozenset({54321})):
        peer = await connected(path)
        await peer.close()


async def test_an_observers_uid_can_not_be_the_service(cabinet: AnsweringCabinet, path: Path) -> None:
    strangers = {"credentials": lambda _: Credentials(1, 54321, 1), "observer_uids": frozenset({54321})}
    async with serving(cabinet, path, **strangers) as server:
        peer = await greeted(path)
        assert await peer.line() == b""
        assert not server.has_service
        observer = await connected(path, "observer")
        for each in (peer, observer):
            await each.close()


MAINTENANCE: tuple[dict[str, Any], ...] = (
    {"kind": "list_devices"},
    {"kind": "self_test", "test": "contactor", "evse": 1},
    {"kind": "get_site_limit"},
    {"kind": "set_site_limit", "power_w": 50_000.0},
    {"kind": "get_network"},
    {"kind": "set_wired", "interface": "Wired0", "settings": {"method": "dhcp"}},
    {"kind": "set_cellular", "interface": "Wireless0", "settings": {"apn": "a"}},
    {"kind": "end_network_trial", "keep": False},
    {"kind": "power_off"},
)


async def test_maintenance_may_look_and_test_but_not_charge(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    peer = await connected(path, "maintenance")
    for number, allowed in enumerate((*MAINTENANCE, {"kind": "reboot"})):
        peer.say(kind="request", id=number, command=allowed)
        answer = await peer.hear()
        assert (answer["kind"], answer["id"]) == ("done", number)
        assert ("devices" in answer) is (allowed["kind"] == "list_devices")
        assert ("site_limit" in answer) is allowed["kind"].endswith("site_limit")
        assert ("network" in answer) is (allowed in MAINTENANCE[4:8])
    for forbidden in (PERMIT, {"kind": "withdraw", "evse": 1}, {"kind": "set_limit", "evse": 1, "power_w": None}):
        peer.say(kind="request", id=9, command=forbidden)
        assert (await peer.hear())["problem"] == "not_allowed"
    peer.say(kind="acknowledge", seq=0)
    assert await peer.line() == b""
    await peer.close()


async def test_a_command_on_the_network_keeps_no_other_waiting(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = asyncio.Event()

    async def slow(command: NetworkCommand) -> Network:
        cabinet.commands.append(command)
        await over.wait()
        return Network([])

    monkeypatch.setattr(cabinet, "set_network", slow)
    peer, gone = await connected(path, "maintenance"), await connected(path, "maintenance")
    gone.say(kind="request", id=1, command={"kind": "get_network"})
    await eventually(lambda: cabinet.commands)
    await gone.close()
    for number in range(9):
        peer.say(kind="request", id=number, command={"kind": "get_network"})
    for number in (7, 8):  # there is a bound
        answer = await peer.hear()
        assert (answer["id"], answer["problem"]) == (number, "busy")
    peer.say(kind="request", id=20, command={"kind": "list_devices"})
    assert (await peer.hear())["id"] == 20
    over.set()
    assert [(await peer.hear())["id"] for _ in range(7)] == list(range(7))
    await peer.close()


async def test_a_refused_command_on_the_network_says_why(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    cabinet.refusal = Problem.BAD_REQUEST, "apn: expected another ending"
    peer = await connected(path, "maintenance")
    peer.say(kind="request", id=1, command={"kind": "get_network"})
    answer = await peer.hear()
    assert (answer["kind"], answer["problem"], answer["detail"]) == ("refused", "bad_request", cabinet.refusal[1])
    await peer.close()


@pytest.mark.parametrize("state", ["\x00" * 20_000, "\ud800"])
async def test_devices_that_say_too_much_of_themselves_are_a_refusal(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(cabinet, "devices", lambda: [DeviceReport(place="meter", state=state)])
    peer = await connected(path, "maintenance")
    peer.say(kind="request", id=1, command={"kind": "list_devices"})
    assert (await peer.hear())["problem"] == "device_failed"
    await peer.close()


@pytest.mark.parametrize("role", ["service", "observer"])
async def test_only_maintenance_tests_and_switches_off(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, role: str
) -> None:
    peer = await connected(path, role)
    for number, command in enumerate(MAINTENANCE):
        peer.say(kind="request", id=number, command=command)
        assert (await peer.hear())["problem"] == "not_allowed"
    assert cabinet.commands == []
    await peer.close()


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        (Credentials(1, 54321, 1), False),
        (Credentials(1, 54321, 1, frozenset({77})), True),
        (Credentials(1, 54321, 77), True),
        (Credentials(1, 12345, 1), True),
    ],
)
async def test_who_may_maintain(cabinet: AnsweringCabinet, path: Path, peer: Credentials, allowed: bool) -> None:
    who = {
        "credentials": lambda _: peer,
        "observer_uids": frozenset({54321}),
        "maintenance_uids": frozenset({12345}),
        "maintenance_gid": 77,
    }
    async with serving(cabinet, path, **who):
        client = await greeted(path, "maintenance")
        assert bool(await client.line()) is allowed
        service = await greeted(path)
        assert await service.line() == b""
        for each in (client, service):
            await each.close()


# --- events -------------------------------------------------------------------------------------------


async def test_events_are_stamped_and_reach_everyone_who_greeted(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    mute = await RawPeer.connect(path)
    assert await mute.hear() == HAL_GREETING
    service, observer = await connected(path), await connected(path, "observer")
    cabinet.publish(EvseSelected(evse=1))
    cabinet.publish(Plugged(evse=2))
    for peer in (service, observer):
        assert await peer.hear() == {
            "kind": "event",
            "seq": 1,
            "mono_s": 100.0,
            "utc_s": 1_700_000_000.5,
            "event": {"kind": "evse_selected", "evse": 1},
            "keep": False,
            "replayed": False,
        }
        second = await peer.hear()
        assert (second["seq"], second["keep"], second["event"]["kind"]) == (2, True, "plugged")
    await server.close()
    assert await mute.line() == b""
    for peer in (mute, service, observer):
        await peer.close()


async def test_kept_events_are_replayed_until_acknowledged_and_only_to_the_service(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    for event in (Plugged(evse=1), EvseSelected(evse=1), CardPresented(uid="04AA")):
        cabinet.publish(event)
    for _ in range(2):
        service = await connected(path)
        replay = [await service.hear(), await service.hear()]
        assert [(each["seq"], each["replayed"]) for each in replay] == [(1, True), (3, True)]
        await service.close()
        await eventually(lambda: not server.has_service)
    service = await connected(path)
    service.say(kind="acknowledge", seq=1)
    service.say(kind="request", id=1, command=PERMIT)
    while (await service.hear())["kind"] != "done":
        pass
    await service.close()
    await eventually(lambda: not server.has_service)
    service, observer = await connected(path), await connected(path, "observer")
    assert (await service.hear())["seq"] == 3
    cabinet.publish(EvseSelected(evse=2))
    assert (await service.hear())["seq"] == 4
    assert (await observer.hear())["seq"] == 4
    await service.close()
    await observer.close()


async def test_a_long_replay_reaches_a_slow_service_with_live_events_behind(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    count = 10_000  # 1.3 MB, more than may be unsent
    for number in range(count):
        cabinet.publish(Plugged(evse=number))
    service = await connected(path)
    service.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    cabinet.publish(EvseSelected(evse=1))
    service.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert [(await service.hear())["seq"] for _ in range(count + 1)] == list(range(1, count + 2))
    await service.close()


async def test_a_service_that_does_not_read_is_closed_and_comes_back_to_everything(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    service, observer = await connected(path), await connected(path, "observer")
    service.writer.transport.pause_reading()  # type: ignore[attr-defined]
    sent = 0
    while server.has_service:
        cabinet.publish(Plugged(evse=1))
        cabinet.publish(padded("x" * 20_000))
        sent += 2
        assert [(await observer.hear())["seq"] for _ in range(2)] == [sent - 1, sent]
        assert sent < 1000, "the bound does not hold"
    await service.close()
    service = await connected(path)
    assert [(await service.hear())["seq"] for _ in range(sent // 2)] == list(range(1, sent, 2))
    await service.close()
    await observer.close()


async def test_a_killed_service_makes_room_for_the_next(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    code = (
        "import socket, sys, time\n"
        f"s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r})\n"
        f's.sendall(b\'{{"kind":"greeting","version":{CONTRACT_VERSION},"role":"service"}}\\n{{"kind":"requ\')\n'
        "time.sleep(60)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", code)
    await eventually(lambda: server.has_service)
    cabinet.publish(Plugged(evse=1))
    process.kill()
    await eventually(lambda: not server.has_service)
    await process.wait()
    service = await connected(path)
    assert (await service.hear())["replayed"] is True
    await service.close()


def bad_reading(energy_wh: float) -> MeterReading:
    return MeterReading(
        evse=1,
        context=MeterContext.PERIODIC,
        energy_wh=energy_wh,
        voltage_v=0.0,
        current_a=0.0,
        power_w=0.0,
        offered_a=0.0,
        offered_w=0.0,
    )


async def test_an_event_that_can_not_be_sent_is_dropped(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await connected(path)
    cabinet.publish(bad_reading(math.nan))
    cabinet.publish(padded("x" * 70_000))
    cabinet.publish(FaultRaised(fault=Fault("meter"), detail="\udcff"))
    cabinet.publish(EvseSelected(evse=1))
    assert (await peer.hear())["seq"] == 1
    assert caplog.text.count("can't be sent") == 3
    await peer.close()


async def test_an_event_that_is_too_long_by_its_stamps_alone_is_dropped(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await connected(path)
    bare = len(encode(Stamped(seq=0, mono_s=0.0, utc_s=0.0, event=padded("x")))) - 1
    cabinet.publish(padded("x" * (MAX_LINE_BYTES - bare)))
    cabinet.publish(EvseSelected(evse=1))
    assert (await peer.hear())["seq"] == 1
    assert "can't be sent" in caplog.text
    await peer.close()


async def test_a_snapshot_that_can_not_be_sent_closes_the_client_only(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    cabinet.next_snapshot = msgspec.structs.replace(snapshot(), evses=[idle_evse(reading=bad_reading(math.inf))])
    peer = await greeted(path)
    assert await peer.line() == b""
    await peer.close()
    await eventually(lambda: not server.has_service)
    cabinet.next_snapshot = None
    peer = await connected(path)
    await peer.close()


async def test_events_before_start_and_without_clients_are_numbered(cabinet: AnsweringCabinet, path: Path) -> None:
    server = HalServer(cabinet, path=path, clock=ManualClock(100.0), utc=lambda: 0.0)
    cabinet.publish(Plugged(evse=1))
    await server.start()
    peer = await RawPeer.connect(path)
    peer.say(kind="greeting", version=CONTRACT_VERSION, role="service", software="")
    await peer.hear()
    state = await peer.hear()
    assert (state["seq"], state["run_id"]) == (1, server.run_id)
    assert (await peer.hear())["replayed"] is True
    await server.close()
    await peer.close()
    assert HalServer(AnsweringCabinet(), path=path, clock=ManualClock(100.0), utc=lambda: 0.0).run_id != server.run_id


# --- commands -----------------------------------------------------------------------------------------


async def test_commands_are_executed_and_answered_once(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    cabinet.while_executing = [EvseSelected(evse=1)]
    peer = await connected(path)
    peer.say(kind="request", id=5, command=PERMIT)
    peer.say(kind="request", id=6, command={**PERMIT, "evse": 9})
    answers = [await peer.hear() for _ in range(4)]
    assert [answer["kind"] for answer in answers] == ["event", "done", "event", "refused"]
    assert answers[1] == {"kind": "done", "id": 5}
    assert answers[3] == {"kind": "refused", "id": 6, "problem": "unknown_evse", "detail": "there is no EVSE 9"}
    assert cabinet.commands[0] == Permit(evse=1, session="s", lease_s=10.0)
    await peer.close()


async def test_an_observer_may_not_command_nor_acknowledge(
    cabinet: AnsweringCabinet, path: Path, server: HalServer
) -> None:
    cabinet.publish(Plugged(evse=1))
    observer = await connected(path, "observer")
    observer.say(kind="request", id=1, command=PERMIT)
    answer = await observer.hear()
    assert (answer["kind"], answer["problem"]) == ("refused", "not_allowed")
    assert cabinet.commands == []
    observer.say(kind="acknowledge", seq=1)
    assert await observer.line() == b""
    service = await connected(path)
    assert (await service.hear())["seq"] == 1
    await service.close()
    await observer.close()


@pytest.mark.parametrize(
    "command",
    [
        {**PERMIT, "lease_s": -1.0},
        {**PERMIT, "lease_s": 0.0},
        {**PERMIT, "lease_s": 60.1},
        {**PERMIT, "lease_s": 60.5},
        {**PERMIT, "session": ""},
        {"kind": "set_limit", "evse": 1, "power_w": -0.5},
        {"kind": "set_limit", "evse": 1, "power_w": -1.0},
    ],
)
async def test_values_out_of_range_do_not_reach_the_cabinet(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, command: dict[str, Any]
) -> None:
    peer = await connected(path)
    peer.say(kind="request", id=1, command=command)
    assert (await peer.hear())["problem"] == "bad_request"
    assert cabinet.commands == []
    await peer.close()


@pytest.mark.parametrize(
    "command",
    [Permit(1, "s", math.nan), Permit(1, "s", math.inf), SetLimit(1, math.nan), SetLimit(1, math.inf)],
)
def test_numbers_that_json_can_not_carry_are_out_of_range(command: Command) -> None:
    assert out_of_range(command) is not None


@pytest.mark.parametrize("power_w", [None, 0.0, 400e3])
async def test_limits_in_range_do(
    cabinet: AnsweringCabinet, path: Path, server: HalServer, power_w: float | None
) -> None:
    peer = await connected(path)
    peer.say(kind="request", id=1, command={"kind": "set_limit", "evse": 1, "power_w": power_w})
    assert await peer.hear() == {"kind": "done", "id": 1}
    await peer.close()


async def test_a_long_detail_is_cut(cabinet: AnsweringCabinet, path: Path, server: HalServer) -> None:
    peer = await connected(path)
    peer.say(kind="request", id=1, command={"kind": "show", "screen": 9, "model": {"page": "idle"}})
    assert len((await peer.hear())["detail"]) == 500
    await peer.close()


def test_every_command_of_the_contract_is_someones() -> None:
    assert {kind for kinds in _COMMANDS.values() for kind in kinds} == set(get_args(Command))
    assert SetAvailable in _COMMANDS[Role.SERVICE]
