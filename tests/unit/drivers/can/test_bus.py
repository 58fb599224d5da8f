# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import errno
import logging
import os
import tty
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import can
import pytest

from drivers.can import bus as can_bus
from drivers.can.bus import CanBus
from drivers.can.slcan import SlcanBus, parse_line
from firmware.errors import DeviceLost
from tests.support.sockets import eventually
from tools.rig.devices.can_hub import CanHub, Delivery

Frame = tuple[int, bytes]


@pytest.fixture
async def hub() -> AsyncIterator[CanHub]:
    hub = CanHub()
    await hub.start()
    yield hub
    hub.close()


@pytest.fixture
async def bus(hub: CanHub) -> AsyncIterator[CanBus]:
    bus = new_bus(hub)
    await bus.open()
    yield bus
    bus.close()


def new_bus(hub: CanHub) -> CanBus:
    return CanBus(CanBus.Options(interface="slcan", channel=hub.channel, bitrate=500_000))


def collect(bus: CanBus, can_id: int = 0, mask: int = 0) -> list[Frame]:
    received: list[Frame] = []
    bus.listen(can_id, mask, lambda can_id, data, _now: received.append((can_id, data)))
    return received


async def test_frames_go_both_ways(hub: CanHub, bus: CanBus) -> None:
    at_node: list[Frame] = []
    send = hub.attach(lambda can_id, data: at_node.append((can_id, data)))
    received = collect(bus)
    bus.send(0x01063000, bytes.fromhex("9E0FE304554601FA"))
    await eventually(lambda: at_node)
    send(0x0106B003, bytes.fromhex("A00FE704E70448"))
    send(0x0106B000, b"")
    await eventually(lambda: len(received) == 2)
    assert at_node == [(0x01063000, bytes.fromhex("9E0FE304554601FA"))]
    assert received == [(0x0106B003, bytes.fromhex("A00FE704E70448")), (0x0106B000, b"")]


async def test_listeners_get_what_their_mask_selects(hub: CanHub, bus: CanBus) -> None:
    send = hub.attach(lambda _id, _data: None)
    first, second = collect(bus, 0x01000000, 0x1F000000), collect(bus, 0x02000000, 0x1F000000)
    gone: list[Frame] = []
    unsubscribe = bus.listen(0, 0, lambda can_id, data, _now: gone.append((can_id, data)))
    unsubscribe()
    send(0x0106B000, b"\x01")
    send(0x0206B000, b"\x02")
    await eventually(lambda: first and second)
    assert first == [(0x0106B000, b"\x01")]
    assert second == [(0x0206B000, b"\x02")]
    assert not gone


async def test_two_buses_on_one_adapter_hear_each_other(hub: CanHub, bus: CanBus) -> None:
    other = new_bus(hub)
    await other.open()
    received, own = collect(other), collect(bus)
    await eventually(lambda: hub.clients == 2)
    bus.send(0x1, b"a")
    await eventually(lambda: received)
    other.send(0x2, b"b")
    await eventually(lambda: own)
    assert own == [(0x2, b"b")]
    other.close()
    await eventually(lambda: hub.clients == 1)
    bus.send(0x3, b"")


async def test_bus_without_its_adapter_opens_when_it_comes() -> None:
    hub = CanHub()
    await hub.start()
    hub.close()
    bus = new_bus(hub)
    states: list[tuple[bool, str]] = []
    bus.on_state(lambda up, why: states.append((up, why)))
    await bus.open()
    assert not bus.up
    with pytest.raises(DeviceLost, match="refused"):
        bus.send(0x1, b"")
    await hub.start()
    await eventually(lambda: bus.up)
    assert [up for up, _ in states] == [False, True]
    bus.close()
    hub.close()


async def test_unplugged_adapter_is_used_again_when_it_is_back(hub: CanHub, bus: CanBus) -> None:
    received = collect(bus)
    send = hub.attach(lambda _id, _data: None)
    for _ in range(3):
        hub.close()
        await eventually(lambda: not bus.up)
        with pytest.raises(DeviceLost):
            bus.send(0x1, b"")
        await hub.start()
        await eventually(lambda: bus.up and hub.clients == 1)
        received.clear()
        bus.send(0x1, b"x")
        send(0x2, b"y")
        await eventually(lambda: received == [(0x2, b"y")])


async def test_bus_off_ends_and_is_logged_once(
    hub: CanHub, bus: CanBus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_bus, "LONGEST_PAUSE_S", 0.05)
    caplog.set_level(logging.INFO, "drivers.can.bus")
    lost = 0

    def keep_sending() -> bool:
        nonlocal lost
        try:
            bus.send(0x1, b"")
        except DeviceLost:
            lost += 1
        return lost > 20

    hub.bus_off = True
    await eventually(keep_sending)
    hub.bus_off = False
    send = hub.attach(lambda _id, _data: None)
    received = collect(bus)

    def try_again() -> list[Frame]:
        send(0x2, b"")
        return received

    await eventually(lambda: try_again() and bus.up)
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "the adapter refuses every frame: bus-off, or no other node [Error Code 100]",
        "frames are sent",
    ]


async def test_a_full_adapter_is_down_until_it_takes_frames_though_it_delivers_some(hub: CanHub, bus: CanBus) -> None:
    """Neither up and down again with each attempt, nor up because frames arrive."""
    states: list[bool] = []
    bus.on_state(lambda up, _why: states.append(up))
    received = collect(bus)
    send = hub.attach(lambda _id, _data: None)

    def exchange() -> None:
        send(0x2, b"")
        with suppress(DeviceLost):
            bus.send(0x1, b"")

    def received_in_vain() -> bool:
        exchange()
        return not bus.up and len(received) > seen + 50

    def takes_frames() -> bool:
        exchange()
        return bus.up

    seen = 0
    hub.full = True
    await eventually(received_in_vain)
    seen = len(received)
    await eventually(received_in_vain)
    assert states == [True, False]
    hub.full = False
    await eventually(takes_frames)
    assert states == [True, False, True]


async def test_hub_plays_faults(hub: CanHub, bus: CanBus) -> None:
    received = collect(bus)
    send = hub.attach(lambda _id, _data: None)

    def fault(can_id: int, data: bytes) -> Iterable[Delivery]:
        return {0x1: [], 0x2: [(0.0, 0x2, b"other")], 0x3: [(0.0, 0x3, data)] * 2, 0x4: [(0.02, 0x4, data)]}[can_id]

    hub.fault = fault
    for can_id in (0x1, 0x4, 0x2, 0x3):
        send(can_id, b"data")
    await eventually(lambda: len(received) == 4)
    assert received == [(0x2, b"other"), (0x3, b"data"), (0x3, b"data"), (0x4, b"data")]


class _Faulty:
    """An interface of python-can whose controller is in trouble, as SocketCAN shows it."""

    def __init__(self) -> None:
        self.error: can.CanOperationError | None = None
        self.incoming: list[can.Message] = []

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        if self.error is not None:
            raise self.error

    def recv(self, timeout: float | None = None) -> can.Message | None:
        return self.incoming.pop(0) if self.incoming else None

    def fileno(self) -> int:
        raise NotImplementedError

    def shutdown(self) -> None:
        pass


@pytest.fixture
async def faulty(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[CanBus, list[_Faulty]]]:
    """A bus on an interface without a file descriptor; the list has one entry for each time it was opened."""
    opened: list[_Faulty] = []

    def make(*_arguments: object, **_settings: object) -> _Faulty:
        opened.append(_Faulty())
        return opened[-1]

    monkeypatch.setattr(can, "Bus", make)
    bus = CanBus(CanBus.Options(interface="socketcan", channel="can0", bitrate=500_000))
    await bus.open()
    yield bus, opened
    bus.close()


async def test_full_queue_loses_a_frame_and_nothing_else(faulty: tuple[CanBus, list[_Faulty]]) -> None:
    bus, (interface,) = faulty
    interface.error = can.CanOperationError("Failed to transmit", errno.ENOBUFS)
    with pytest.raises(DeviceLost, match="Failed to transmit"):
        bus.send(0x1, b"")
    interface.error = None
    bus.send(0x1, b"")
    assert bus.up


async def test_interface_that_goes_down_is_opened_again(faulty: tuple[CanBus, list[_Faulty]]) -> None:
    bus, opened = faulty
    opened[0].error = can.CanOperationError("Failed to transmit", errno.ENETDOWN)
    with pytest.raises(DeviceLost):
        bus.send(0x1, b"")
    assert not bus.up
    await eventually(lambda: len(opened) == 2 and bus.up)
    bus.send(0x1, b"")


async def test_bus_off_of_a_controller_lasts_until_it_restarts(faulty: tuple[CanBus, list[_Faulty]]) -> None:
    bus, (interface,) = faulty
    interface.incoming.append(can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8)))
    await eventually(lambda: not bus.up)
    interface.incoming.append(can.Message(arbitration_id=0x100, is_error_frame=True, data=bytes(8)))
    await eventually(lambda: bus.up)
    interface.incoming.append(can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8)))
    await eventually(lambda: not bus.up)
    with pytest.raises(DeviceLost, match="bus-off"):
        bus.send(0x1, b"")
    interface.incoming.append(can.Message(arbitration_id=0x5, is_extended_id=True))
    await eventually(lambda: bus.up)


async def test_other_kinds_of_frames_are_ignored(faulty: tuple[CanBus, list[_Faulty]]) -> None:
    bus, (interface,) = faulty
    received = collect(bus)
    interface.incoming += [
        can.Message(arbitration_id=0x1, is_extended_id=False),
        can.Message(arbitration_id=0x2, is_remote_frame=True),
        can.Message(arbitration_id=0x3, is_rx=False),
        can.Message(arbitration_id=0x4),
    ]
    await eventually(lambda: received)
    assert received == [(0x4, b"")]


async def test_a_flood_is_read_in_turns_with_everything_else(
    hub: CanHub, bus: CanBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The descriptor is readable all the time, and there is always one more frame."""
    frame = can.Message(arbitration_id=0x1, is_extended_id=True)
    interface = bus._bus
    assert interface is not None
    send = hub.attach(lambda _id, _data: None)
    flood = 0

    def recv(timeout: float | None = None) -> can.Message:
        nonlocal flood
        flood += 1
        return frame

    monkeypatch.setattr(interface, "recv", recv)
    send(0x1, b"")
    await eventually(lambda: flood)
    rounds = 50
    flood = 0
    for _ in range(rounds):
        await asyncio.sleep(0)
    assert 0 < flood <= 2 * can_bus._BURST * (rounds + 1)


async def test_own_frames_of_an_echoing_interface_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = _Faulty()
    monkeypatch.setattr(can, "Bus", lambda *_arguments, **_settings: interface)
    bus = CanBus(CanBus.Options(interface="udp_multicast", channel="239.74.163.2", bitrate=500_000))
    await bus.open()
    received = collect(bus)
    bus.send(0x1, b"mine")
    interface.incoming += [can.Message(arbitration_id=0x1, data=data) for data in (b"mine", b"mine", b"his")]
    await eventually(lambda: len(received) == 2)
    assert received == [(0x1, b"mine"), (0x1, b"his")]
    bus.close()


async def test_virtual_interface_needs_no_descriptor() -> None:
    buses = [CanBus(CanBus.Options(interface="virtual", channel="test_bus", bitrate=500_000)) for _ in range(2)]
    for bus in buses:
        await bus.open()
    received = collect(buses[1])
    buses[0].send(0x1, b"x")
    await eventually(lambda: received == [(0x1, b"x")])
    for bus in buses:
        bus.close()


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (b"T0106B0037A00FE704E70448", (0x0106B003, bytes.fromhex("A00FE704E70448"))),
        (b"T0106B0000", (0x0106B000, b"")),
        (b"T0106b0001ff", (0x0106B000, b"\xff")),
        (b"T0106B0001071A2B", (0x0106B000, b"\x07")),
        (b"T0106B00010", None),
        (b"T0106B0001", None),
        (b"T0106B0001T0106B000107", None),
        (b"T2106B000107", None),
        (b"T0106B000900112233445566778", None),
        (b"t1232ABCD", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_line_is_a_whole_frame_or_none(line: bytes, frame: Frame | None) -> None:
    assert parse_line(line) == frame


async def test_garbage_from_an_adapter_is_counted_and_does_not_grow(hub: CanHub) -> None:
    bus = SlcanBus(hub.channel, bitrate=500_000)
    await eventually(lambda: hub.clients == 1)
    (client,) = hub._clients
    assert client._transport is not None
    client._transport.write(b"T0106B00010\rgarbage\r" + b"x" * 100_000)
    client._transport.write(b"\rT0106B000107\r")
    found: list[can.Message] = []

    def read() -> bool:
        message = bus.recv(0)
        if message is not None:
            found.append(message)
        return bool(found)

    await eventually(read)
    assert bytes(found[0].data) == b"\x07"
    assert bus.malformed >= 3
    assert len(bus._partial) <= 64
    bus.shutdown()


async def test_adapter_on_a_serial_port_is_used_and_missed() -> None:
    adapter, port = os.openpty()
    tty.setraw(port)
    bus = CanBus(CanBus.Options(interface="slcan", channel=os.ttyname(port), bitrate=125_000))
    await bus.open()
    received = collect(bus)
    bus.send(0x1, b"x")
    with os.fdopen(os.dup(adapter), "rb", buffering=0) as written:
        lines = b"".join(iter(lambda: written.read(1), b"8")) + b"8"
    assert lines == b"C\rS4\rO\rT00000001178"
    os.write(adapter, b"T00000002179\r")
    await eventually(lambda: received == [(0x2, b"y")])
    os.close(adapter)
    await eventually(lambda: not bus.up)
    bus.close()
    os.close(port)


def test_bit_rate_that_slcan_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="bit rate of 123456"):
        SlcanBus("socket://127.0.0.1:1", bitrate=123_456)
