# SPDX-License-Identifier: Apache-2.0
"""The example of docs/hardware.md is a driver: its code is taken from the page and run."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tty
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from firmware.errors import ConfigError, DeviceLost
from hal import registry
from hal.config import device
from tests.support.sockets import eventually

PAGE = Path(__file__).parents[3] / "docs" / "hardware.md"
LIMIT = 100


@pytest.fixture
def code() -> str:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def _example(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example_meter")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - the page's own code
    monkeypatch.setitem(registry.DRIVERS, ("meter", "line_meter"), "example_meter:LineMeter")


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """The meter's end of the line, and the name of the other."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def made(port: str, **options: Any) -> Any:
    table = {"driver": "line_meter", "port": port, **options}
    return registry.make_device(device("meter", table, "evse 1, meter", evse=1), {}, "hal.toml")


def test_the_example_is_short(code: str) -> None:
    assert len(code.splitlines()) < LIMIT


@pytest.mark.usefixtures("_example")
async def test_the_example_reads_a_meter(terminal: tuple[int, str]) -> None:
    line, port = terminal
    meter = made(port)
    with pytest.raises(DeviceLost, match="has not sent anything yet"):
        meter.sample()
    await asyncio.sleep(0)
    os.write(line, b"noise\n")
    await eventually(lambda: "not its protocol" in problem(meter))
    os.write(line, b"400.1 V;125.0 A;12345")
    os.write(line, b"67 Wh\r\n")
    await eventually(lambda: not problem(meter))
    sample = meter.sample()
    assert (sample.voltage_v, sample.current_a, sample.energy_wh) == (400.1, 125.0, 1_234_567)
    meter.close()


def problem(meter: Any) -> str:
    try:
        meter.sample()
    except DeviceLost as lost:
        return str(lost)
    return ""


@pytest.mark.usefixtures("_example")
async def test_a_wrong_option_of_the_example_is_named() -> None:
    with pytest.raises(ConfigError, match=r"hal\.toml: evse 1, meter: baud: expected a bit rate"):
        made("/dev/null", baud=7)
