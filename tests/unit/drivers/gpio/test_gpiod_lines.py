# SPDX-License-Identifier: Apache-2.0
"""What `test_lines.py` does not do: the kernel's time stamps, names, a chip that is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from gpiod.line import Bias, Direction, Edge

from drivers.gpio.gpiod_lines import GpiodLines
from drivers.gpio.lines import Line
from firmware.errors import ConfigError, DeviceLost
from tests.support.line_benches import GpiodBench
from tests.support.sockets import eventually


@pytest.fixture
async def bench() -> AsyncIterator[GpiodBench]:
    made = GpiodBench()
    await made.start()
    yield made
    made.close()


async def test_edge_has_the_kernels_time(bench: GpiodBench) -> None:
    edges: list[tuple[bool, float]] = []
    bench.lines.input(17).listen(lambda value, mono_s: edges.append((value, mono_s)))
    bench.chip.now_ns = 12_500_000_000
    bench.drive(17, True)
    await eventually(lambda: (True, 12.5) in edges)


async def test_pulse_between_two_readings_is_two_edges(bench: GpiodBench) -> None:
    edges: list[bool] = []
    bench.lines.input(17).listen(lambda value, mono_s: edges.append(value))
    await eventually(lambda: edges == [False])
    bench.drive(17, True)
    bench.drive(17, False)
    await eventually(lambda: edges == [False, True, False])


async def test_settings_of_a_request(bench: GpiodBench) -> None:
    bench.lines.input(Line(line="ESTOP", active_low=True, debounce_s=0.004))
    bench.lines.input(Line(line="DOOR", bias="none"))
    bench.lines.output("COIL")
    stop, door, coil = (bench.chip.requests[name].settings for name in ("ESTOP", "DOOR", "COIL"))
    assert (stop.direction, stop.edge_detection, stop.bias) == (Direction.INPUT, Edge.BOTH, Bias.PULL_UP)
    assert stop.debounce_period == timedelta(milliseconds=4)
    assert not stop.active_low  # the line's user inverts
    assert door.bias is Bias.DISABLED
    assert coil.direction is Direction.OUTPUT


async def test_line_that_the_chip_does_not_have_is_named(bench: GpiodBench) -> None:
    bench.chip.missing = {"ESTOP"}
    bench.lines.input("ESTOP")
    with pytest.raises(DeviceLost, match="line ESTOP: No such file or directory"):
        bench.lines.require()
    bench.chip.missing.clear()
    await eventually(lambda: "ESTOP" in bench.chip.requests)


@pytest.mark.parametrize(
    ("chip", "reason"),
    [
        ("/dev/gpiochip99", "line 1: No such file or directory"),
        ("/dev/null", "line 1: "),
        ("no such label", "no GPIO chip has the name or label no such label"),
    ],
)
async def test_chip_that_is_none(chip: str, reason: str) -> None:
    lines = GpiodLines(GpiodLines.Options(chip=chip))
    lines.input(1)
    await lines.open()
    with pytest.raises(DeviceLost, match=reason):
        lines.require()
    lines.close()


@pytest.mark.parametrize("name", [-1, ""])
def test_line_without_a_name(name: int | str) -> None:
    with pytest.raises(ConfigError, match="expected the offset or the name of a line"):
        GpiodLines(GpiodLines.Options()).input(name)
