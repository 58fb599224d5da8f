# SPDX-License-Identifier: Apache-2.0
"""What every kind of lines must do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from drivers.gpio.lines import Line
from firmware.errors import ConfigError, DeviceLost
from tests.support.line_benches import BENCHES, LinesBench
from tests.support.sockets import eventually

CAN_BE_LOST = ("pigpio", "gpiod")


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[LinesBench]:
    made = BENCHES[request.param]()
    await made.start()
    yield made
    made.close()


@pytest.fixture(params=CAN_BE_LOST)
async def plugged(request: pytest.FixtureRequest) -> AsyncIterator[LinesBench]:
    made = BENCHES[request.param]()
    await made.start()
    yield made
    made.close()


async def test_output_has_its_initial_value_then_what_is_set(bench: LinesBench) -> None:
    high = bench.lines.output(5, initial=True)
    low = bench.lines.output(6)
    await eventually(lambda: bench.level(5) and not bench.level(6))
    high.set(False)
    low.set(True)
    await eventually(lambda: not bench.level(5) and bench.level(6))


async def test_active_low_output(bench: LinesBench) -> None:
    output = bench.lines.output(Line(line=5, active_low=True))
    await eventually(lambda: bench.level(5))
    output.set(True)
    await eventually(lambda: not bench.level(5))


async def test_edges_are_reported_once_each(bench: LinesBench) -> None:
    found = bench.lines.input(Line(line=17, debounce_s=0.0))
    edges: list[bool] = []
    found.listen(lambda value, mono_s: edges.append(value))
    await eventually(lambda: edges == [False])
    bench.drive(17, True)
    await eventually(lambda: edges == [False, True])
    assert found.read()
    bench.drive(17, None)
    await eventually(lambda: edges == [False, True, False])
    assert not found.read()


async def test_debounced_edge_is_reported(bench: LinesBench) -> None:
    found = bench.lines.input(Line(line=17, debounce_s=0.002))
    edges: list[bool] = []
    found.listen(lambda value, mono_s: edges.append(value))
    bench.drive(17, True)
    await eventually(lambda: edges and edges[-1])


@pytest.mark.parametrize("active_low", [False, True])
async def test_open_input_is_inactive(bench: LinesBench, active_low: bool) -> None:
    found = bench.lines.input(Line(line=17, active_low=active_low))
    bench.drive(17, None)
    await eventually(lambda: bench.level(17) is active_low)
    await eventually(lambda: not found.read())


async def test_input_that_nobody_listens_to_is_read(bench: LinesBench) -> None:
    found = bench.lines.input(17)
    await eventually(lambda: not found.read())
    bench.drive(17, True)
    await eventually(found.read)
    assert bench.lines.read_at > 0.0


async def test_one_line_has_one_user(bench: LinesBench) -> None:
    bench.lines.output(5)
    with pytest.raises(ConfigError, match="line 5 is used twice"):
        bench.lines.input(5)


async def test_close_gives_outputs_their_initial_value(bench: LinesBench) -> None:
    output = bench.lines.output(5)
    output.set(True)
    await eventually(lambda: bench.level(5))
    bench.lines.close()
    await eventually(lambda: not bench.level(5))
    with pytest.raises(DeviceLost):
        output.set(True)


async def test_lost_chip_is_lost_and_comes_back_with_initial_values(plugged: LinesBench) -> None:
    output, found = plugged.lines.output(5), plugged.lines.input(17)
    edges: list[bool] = []
    found.listen(lambda value, mono_s: edges.append(value))
    plugged.drive(17, True)
    output.set(True)
    await eventually(lambda: plugged.level(5) and edges[-1:] == [True])
    plugged.unplug()
    await eventually(lambda: _is_lost(plugged))
    with pytest.raises(DeviceLost):
        found.read()
    with pytest.raises(DeviceLost):
        output.set(True)
    plugged.drive(17, None)
    await plugged.plug()
    await eventually(lambda: not _is_lost(plugged))
    await eventually(lambda: not plugged.level(5) and edges[-1:] == [False])
    output.set(True)
    await eventually(lambda: plugged.level(5))


async def test_chip_that_is_absent_at_the_start_comes_later(plugged: LinesBench) -> None:
    plugged.lines.close()
    plugged.unplug()
    await plugged.lines.open()
    output = plugged.lines.output(5, initial=True)
    assert _is_lost(plugged)
    await plugged.plug()
    await eventually(lambda: not _is_lost(plugged))
    await eventually(lambda: plugged.level(5))
    output.set(False)
    await eventually(lambda: not plugged.level(5))


def _is_lost(bench: LinesBench) -> bool:
    try:
        bench.lines.require()
    except DeviceLost:
        return True
    return False
