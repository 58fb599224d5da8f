# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from drivers.modbus.bus import ModbusBus
from drivers.modbus.frames import Function, Request
from firmware.config import convert
from firmware.errors import ConfigError, DeviceLost, DeviceRefused
from tests.support.sockets import eventually
from tools.rig.devices.modbus_slave import Mischief, ModbusError, SlaveLine


class Memory:
    """Registers 0 to 99, each of which holds its own number at first."""

    def __init__(self) -> None:
        self.values = list(range(100))

    def read(self, function: int, address: int, count: int) -> list[int]:
        if address + count > 100:
            raise ModbusError(2)
        return self.values[address : address + count]

    def write(self, address: int, values: list[int]) -> None:
        self.values[address : address + len(values)] = values


def read(unit: int, address: int, count: int = 2) -> Request:
    return Request(unit, Function.READ_HOLDING, address, count)


async def test_registers_are_read_and_written(line: SlaveLine, bus: ModbusBus) -> None:
    memory = Memory()
    line.add(7, memory)
    assert await bus.transact(read(7, 40, 3)) == (40, 41, 42)
    assert await bus.transact(Request(7, Function.WRITE, 41, values=(9,))) == ()
    assert await bus.transact(Request(7, Function.READ_INPUT, 40, 3)) == (40, 9, 42)
    assert line.violations == []


async def test_an_exception_is_refused_in_words(line: SlaveLine, bus: ModbusBus) -> None:
    line.add(7, Memory())
    with pytest.raises(DeviceRefused, match=r"it has no such register \(exception 2, register 99\)"):
        await bus.transact(read(7, 99))


async def test_a_device_that_refuses_everything_is_one_device(line: SlaveLine, bus: ModbusBus) -> None:
    """An exception says neither which request it answers nor how many registers were asked for."""
    line.add(7, Memory()).misbehave(Mischief.BUSY)
    reasons = set()
    for request in (read(7, 40), read(7, 40, 3)) * 5:
        with pytest.raises(DeviceLost) as refused:
            await bus.transact(request)
        reasons.add(str(refused.value))
    assert "it is busy (exception 6, register 40)" in reasons
    assert not any("two answers" in each for each in reasons)


async def test_requests_of_many_wait_for_each_other(line: SlaveLine, bus: ModbusBus) -> None:
    for unit in (1, 3, 4):
        line.add(unit, Memory())
    answers = await asyncio.gather(*(bus.transact(read(unit, unit)) for unit in (1, 3, 4, 1, 3, 4)))
    assert answers == [(unit, unit + 1) for unit in (1, 3, 4, 1, 3, 4)]
    assert line.violations == []


@pytest.mark.parametrize("mischief", [Mischief.DOUBLE, Mischief.NOISE, Mischief.SPLIT, Mischief.MERGED])
async def test_the_answer_is_found_among_other_bytes(terminal: SlaveLine, mischief: Mischief) -> None:
    terminal.add(7, Memory()).misbehave(mischief)
    bus = ModbusBus(ModbusBus.Options(port=terminal.port, reply_s=0.5))
    await bus.open()
    assert await bus.transact(read(7, 40)) == (40, 41)
    assert await bus.transact(read(7, 50)) == (50, 51)
    bus.close()


@pytest.mark.parametrize(
    ("mischief", "why"),
    [
        (Mischief.CORRUPT, "damaged answers"),
        (Mischief.CUT, "damaged answers"),
        (Mischief.WRONG_ADDRESS, "address 8 answers instead"),
        (Mischief.WRONG_FUNCTION, "the answer is of another request"),
        (Mischief.LATE, "no answer"),
        (Mischief.LOST, "no answer"),
        (Mischief.BUSY, "it is busy"),
    ],
)
async def test_a_wrong_answer_is_not_believed(terminal: SlaveLine, mischief: Mischief, why: str) -> None:
    terminal.add(7, Memory()).misbehave(mischief, times=1)
    bus = ModbusBus(ModbusBus.Options(port=terminal.port, reply_s=0.2))
    await bus.open()
    with pytest.raises(DeviceLost, match=why):
        await bus.transact(read(7, 40))
    bus.close()


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
async def test_an_address_that_answers_twice_is_not_believed(
    terminal: SlaveLine, serial_bus: ModbusBus, pause_s: float
) -> None:
    """Two meters with one address, one of them slower: whose answer is taken depends on the moment."""
    slave = terminal.add(7, Memory())
    slave.twin = Memory()

    async def why() -> str:
        await asyncio.sleep(pause_s)
        try:
            await serial_bus.transact(read(7, 40))
        except DeviceLost as error:
            return str(error)
        return ""

    while await why() != "two answers to each request: do two devices have this address?":
        assert slave.requests < 500, "on a busy machine, answers and requests meet on the line"
    slave.twin = None
    while await why():
        assert slave.requests < 1000


async def test_the_second_answer_is_found_while_another_device_is_asked(
    terminal: SlaveLine, serial_bus: ModbusBus
) -> None:
    terminal.add(8, Memory())
    slave = terminal.add(7, Memory())
    slave.twin = Memory()
    with pytest.raises(DeviceLost, match="do two devices have this address"):  # noqa: PT012 - in one of these rounds
        for _ in range(20):
            await serial_bus.transact(read(7, 40))
            await serial_bus.transact(read(8, 40))
    assert await serial_bus.transact(read(8, 40)) == (40, 41)


async def test_damaged_answers_of_one_address_among_good_ones(terminal: SlaveLine, serial_bus: ModbusBus) -> None:
    terminal.add(7, Memory()).misbehave(Mischief.CORRUPT)
    other = terminal.add(8, Memory())
    with pytest.raises(DeviceLost, match="check baud rate"):
        await serial_bus.transact(read(7, 40))
    await serial_bus.transact(read(8, 40))
    with pytest.raises(DeviceLost, match="others on this line are understood: two devices with this address"):
        await serial_bus.transact(read(7, 40))
    other.silent = True
    with pytest.raises(DeviceLost, match="no answer"):
        await serial_bus.transact(read(8, 40))
    with pytest.raises(DeviceLost, match="check baud rate"):
        await serial_bus.transact(read(7, 40))


async def test_a_terminal_is_opened_again_with_the_same_setting(terminal: SlaveLine) -> None:
    """As by each new process; the C library finds fault with parity only when nothing else changes."""
    terminal.add(7, Memory())
    for _ in range(3):
        bus = ModbusBus(ModbusBus.Options(port=terminal.port, parity="E", reply_s=0.5))
        await bus.open()
        assert await why_not(bus, read(7, 40)) == ""
        bus.close()


async def test_another_baud_rate_is_not_understood(terminal: SlaveLine) -> None:
    terminal.add(7, Memory())
    terminal.baud = 19200
    for baud, why in ((9600, "no answer"), (19200, "")):
        bus = ModbusBus(ModbusBus.Options(port=terminal.port, baud=baud, reply_s=0.2))
        await bus.open()
        assert await why_not(bus, read(7, 40)) == why
        bus.close()


async def test_what_arrives_between_transactions_is_dropped(terminal: SlaveLine) -> None:
    terminal.add(7, Memory())
    bus = ModbusBus(ModbusBus.Options(port=terminal.port, reply_s=0.5))
    await bus.open()
    for _ in range(50):
        terminal.babble(b"\x07\x03\x04garbage" * 100)
        await asyncio.sleep(0)
        assert bus.received_bytes <= 1024
    assert await bus.transact(read(7, 40)) == (40, 41)
    bus.close()


@pytest.mark.parametrize("line", ["rtu", "tcp"], indirect=True)
async def test_a_connection_that_babbles_is_closed(line: SlaveLine, bus: ModbusBus) -> None:
    """Of a serial port its bit rate is the bound."""
    line.babble(b"garbage" * 1000)
    why: list[str] = []
    await eventually(lambda: bus.received_bytes == 0)
    while not any("the line can't be used: " in each for each in why):
        why.append(await why_not(bus, read(7, 40)))
    line.add(7, Memory())
    while await why_not(bus, read(7, 40)):
        pass


async def why_not(bus: ModbusBus, request: Request) -> str:
    """Why the request fails; empty if it does not."""
    try:
        await bus.transact(request)
    except DeviceLost as error:
        await asyncio.sleep(0.01)
        return str(error)
    return ""


async def test_a_line_that_vanishes_is_opened_again(line: SlaveLine, bus: ModbusBus) -> None:
    line.add(7, Memory())
    line.close()
    while "the line can't be used" not in await why_not(bus, read(7, 1)):
        pass
    await line.start()
    while await why_not(bus, read(7, 1)):
        pass
    assert await bus.transact(read(7, 40)) == (40, 41)


async def test_a_line_that_is_not_there_yet_is_opened_later(terminal: SlaveLine) -> None:
    terminal.close()
    bus = ModbusBus(ModbusBus.Options(port=terminal.port))
    await bus.open()
    with pytest.raises(DeviceLost, match=r"the line can't be used: .*No such file or directory"):
        await bus.transact(read(7, 1))
    bus.close()


async def test_the_last_request_of_a_driver_needs_no_reply(line: SlaveLine, bus: ModbusBus) -> None:
    memory = Memory()
    line.add(7, memory)
    bus.post(Request(7, Function.WRITE, 41, values=(9,)))
    await eventually(lambda: memory.values[41] == 9)


async def test_a_port_without_rs485_mode_says_so(terminal: SlaveLine) -> None:
    bus = ModbusBus(ModbusBus.Options(port=terminal.port, rs485="rts_high"))
    await bus.open()
    with pytest.raises(DeviceLost, match=r"can't be set as configured: .*RS485"):
        await bus.transact(read(7, 1))
    bus.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "port"),
        ({"port": "http://192.168.1.20:80"}, "rtu://HOST:PORT"),
        ({"port": "/dev/ttyS1", "parity": "even"}, "parity"),
        ({"port": "/dev/ttyS1", "baudrate": 9600}, "baudrate"),
        ({"port": "/dev/ttyS1", "reply_s": 2.0}, "reply_s"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        convert(options, ModbusBus.Options, "hal.toml: bus.rs485")


def test_a_line_shows_its_setting() -> None:
    assert str(ModbusBus(ModbusBus.Options(port="/dev/ttyS1", baud=19200, parity="E"))) == "/dev/ttyS1, 19200 baud 8E1"
    assert str(ModbusBus(ModbusBus.Options(port="tcp://[::1]:502"))) == "tcp://[::1]:502"
