# SPDX-License-Identifier: Apache-2.0
"""`baywatt-hal probe`: what answers, what does not, and that it leaves a running HAL alone."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from firmware.errors import DeviceLost
from hal import registry
from hal.__main__ import main
from hal.ports import DeviceInfo, InputsReading, Link, MeterSample
from tests.support.hal_settings import hal_settings

DEVICE = '{ driver = "probed" }'
SETTINGS = hal_settings(DEVICE, station=f"card_reader = {DEVICE}")


class NoOptions(Struct, frozen=True, kw_only=True):
    evse: int = 0


class Probed:
    """A driver whose readings are what the test sets, or lost."""

    Options = NoOptions
    answers: ClassVar[dict[str, Any]] = {}
    made: ClassVar[list[Probed]] = []

    def __init__(self, options: NoOptions) -> None:
        self.closed = False
        Probed.made.append(self)

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            raise AttributeError(name)
        return lambda *_: self._answer(name)

    def _answer(self, name: str) -> Any:
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


class Shelf(Probed):
    def devices(self) -> list[DeviceInfo]:
        return [
            DeviceInfo(name="module 0", address="0x00", serial_number="41A2", firmware="1.13", state="off, 31 °C"),
            DeviceInfo(name="module 1", address="0x01", answers=False, state="no frame for 15 s"),
        ]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Probing sets up the log of its process, which is that of all tests."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _drivers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for port in ("meter", "insulation", "contactor", "vehicle", "inputs", "links", "board", "card_reader"):
        monkeypatch.setitem(registry.DRIVERS, (port, "probed"), f"{__name__}:Probed")
    monkeypatch.setitem(registry.DRIVERS, ("shelf", "probed"), f"{__name__}:Shelf")
    monkeypatch.setattr(Probed, "made", [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hal.toml").write_text(SETTINGS)
    yield
    assert all(driver.closed for driver in Probed.made)


GOOD = {
    "sample": MeterSample(1.0, 12345.6, 0.0, 0.0, 0.0),
    "is_closed": False,
    "listen": None,
    "links": {"Wired0": Link(True), "Wireless0": Link(False)},
    "serial_number": "BW1",
    "reading": InputsReading(1.0, False, True, {}),
}


def lines_of(text: str) -> dict[str, str]:
    return {line.split("  ")[0]: line for line in text.splitlines()}


def test_every_device_has_a_line_and_silence_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = GOOD | {"is_closed": DeviceLost("GPIO chip io: gone"), "vehicle": DeviceLost("no status for 200 ms")}
    answers["reading"] = DeviceLost("no answer at address 3, 19200 baud")
    monkeypatch.setattr(Probed, "answers", answers)
    assert main(["probe", "--config", "hal.toml", "--patience", "0"]) == 1
    lines = lines_of(capsys.readouterr().out)
    assert lines["shelf, module 0"].split() == [
        "shelf,",
        "module",
        "0",
        "probed",
        "0x00",
        "41A2",
        "1.13",
        "off,",
        "31",
        "°C",
    ]
    assert lines["shelf, module 1"].endswith("NO ANSWER: no frame for 15 s")
    assert lines["evse 1, meter"].endswith("12.346 kWh")
    assert lines["evse 1, insulation"].endswith("NO ANSWER: no answer at address 3, 19200 baud")
    assert lines["evse 1, contactor"].endswith("NO ANSWER: GPIO chip io: gone")
    assert lines["links"].endswith("Wired0 up, Wireless0 down")


def test_a_running_hal_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as hal:
        hal.bind("hal.sock")
        hal.listen()
        assert main(["probe", "--config", "hal.toml", "--patience", "0"]) == 2
    assert "the HAL is running" in capsys.readouterr().err
    assert Probed.made == []


def test_safe_makes_and_closes_only_what_moves_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probed, "answers", GOOD)
    assert main(["safe", "--config", "hal.toml", "--patience", "0"]) == 1  # module 1 does not answer
    assert [type(driver).__name__ for driver in Probed.made] == ["Shelf", "Probed"]


def test_safe_opens_nothing_of_a_demonstration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "packaging/etc/hal.toml"
    state = tmp_path / "world.json"
    (tmp_path / "hal.toml").write_text(shipped.read_text().replace("/var/lib/baywatt/hal/world.json", str(state)))
    assert main(["safe", "--config", "hal.toml"]) == 0
    assert not state.exists()
