# SPDX-License-Identifier: Apache-2.0
"""A daemon that is silent, babbles, refuses or forgets edges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from drivers.gpio.lines import Line
from drivers.gpio.pigpio_lines import PigpioLines
from firmware.errors import ConfigError, DeviceLost
from tests.support.line_benches import PigpioBench
from tests.support.sockets import eventually


@pytest.fixture
async def bench() -> AsyncIterator[PigpioBench]:
    made = PigpioBench()
    await made.start()
    yield made
    made.close()


def _lost(bench: PigpioBench) -> str | None:
    try:
        bench.lines.require()
    except DeviceLost as error:
        return str(error).removeprefix(f"{bench.lines.chip}: ")
    return None


async def test_silent_daemon_is_lost_and_logged_once(bench: PigpioBench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.daemon.silent = True
    await eventually(lambda: _lost(bench) == "no answer for 0.5 s")
    await eventually(lambda: _lost(bench) == "no answer")
    bench.daemon.silent = False
    await eventually(lambda: _lost(bench) is None)
    reasons = [record.getMessage() for record in caplog.records if "pigpiod" in record.getMessage()]
    assert [each.partition("is lost: ")[2] for each in reasons] == ["no answer for 0.5 s", "no answer", "no longer so"]


async def test_daemon_that_babbles_is_lost_and_comes_back(bench: PigpioBench) -> None:
    bench.daemon.babble()
    await eventually(lambda: _lost(bench) == "it answers what was not asked: is this pigpiod?")
    await eventually(lambda: _lost(bench) is None)


async def test_line_that_the_daemon_refuses_is_named(bench: PigpioBench) -> None:
    bench.daemon.refused = {5}
    bench.lines.output(5)
    await eventually(lambda: _lost(bench) == "command 4 for 5 refused: no permission for this line")
    bench.daemon.refused.clear()
    await eventually(lambda: _lost(bench) is None)


async def test_edge_that_is_not_reported_is_found_by_reading(bench: PigpioBench) -> None:
    edges: list[bool] = []
    bench.lines.input(17).listen(lambda value, mono_s: edges.append(value))
    await eventually(lambda: edges == [False])
    bench.daemon.deaf = True
    bench.drive(17, True)
    await eventually(lambda: edges == [False, True])


async def test_pulse_shorter_than_a_reading_is_reported(bench: PigpioBench) -> None:
    edges: list[bool] = []
    bench.lines.input(Line(line=17, debounce_s=0.0)).listen(lambda value, mono_s: edges.append(value))
    bench.drive(17, True)
    await eventually(lambda: edges[-1:] == [True])
    bench.drive(17, None)
    bench.drive(17, True)
    await eventually(lambda: edges[-2:] == [False, True])


async def test_bounce_within_the_glitch_filter_is_no_edge(bench: PigpioBench) -> None:
    edges: list[bool] = []
    found = bench.lines.input(Line(line=17, debounce_s=0.05))
    bench.drive(17, True)
    await eventually(found.read)
    found.listen(lambda value, mono_s: edges.append(value))
    await eventually(lambda: edges == [True])
    bench.drive(17, None)
    bench.drive(17, True)
    other: list[bool] = []
    bench.lines.input(18).listen(lambda value, mono_s: other.append(value))
    bench.drive(18, True)
    await eventually(lambda: other[-1:] == [True])
    assert edges == [True]


async def test_something_else_listens_there() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 files.example FTP ready\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    lines = PigpioLines(PigpioLines.Options(port=server.sockets[0].getsockname()[1]))
    await lines.open()
    with pytest.raises(DeviceLost, match="it answers what was not asked"):
        lines.require()
    lines.close()
    server.close()


@pytest.mark.parametrize("name", [-1, 32, "GPIO", "GPIO99", "", "DOOR"])
def test_line_that_no_raspberry_has(name: int | str) -> None:
    with pytest.raises(ConfigError, match=r'expected a GPIO number from 0 to 31, as 17 or "GPIO17"'):
        PigpioLines(PigpioLines.Options()).input(name)
