# SPDX-License-Identifier: Apache-2.0
"""The meter of each EVSE is known by its serial number, also after a restart; a new one has to be accepted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from firmware.contract import Fault, FaultCleared, FaultRaised, MeterContext, MeterReading, Permit, Phase
from hal.config import HalConfig
from hal.known_meters import RETRY_S, KnownMeters
from tests.support.hardware import CabinetDouble


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hal" / "meters.json"


def station(
    path: Path, numbers: Mapping[int, str | None], commissioned: Mapping[int, str] | None = None
) -> CabinetDouble:
    """A HAL that has just been started, with these meters on its wires."""
    fake = CabinetDouble(meters=KnownMeters(path, commissioned))
    for evse, number in numbers.items():
        fake.meters[evse].serial_number = number
    fake.start()
    fake.run(0.2)
    return fake


def faulted(fake: CabinetDouble) -> dict[int, list[Fault]]:
    return {each.evse: each.faults for each in fake.cabinet.snapshot(0, "").evses if each.faults}


def test_another_meter_is_a_fault_until_it_is_accepted(path: Path) -> None:
    assert faulted(station(path, {1: "A", 2: "B"})) == {}
    for _ in range(3):  # switched off and on again
        assert faulted(station(path, {1: "C", 2: "B"})) == {1: [Fault.METER]}
    assert faulted(station(path, {1: "C", 2: "B"}, {1: "C"})) == {}
    assert faulted(station(path, {1: "C", 2: "B"})) == {}, "the setting is needed once"
    assert faulted(station(path, {1: "A", 2: "B"})) == {1: [Fault.METER]}


def test_the_fault_names_both_meters_and_goes_with_the_stranger(path: Path) -> None:
    fake = station(path, {1: "A", 2: "B"})
    fake.meters[1].serial_number = "C"
    fake.run(0.2)
    (raised,) = fake.of_kind(FaultRaised)
    assert (raised.fault, raised.evse) == (Fault.METER, 1)
    assert raised.detail.startswith("it is meter C, but meter A belongs here: ")
    fake.meters[1].serial_number = "A"
    fake.run(0.2)
    assert fake.of_kind(FaultCleared) == [FaultCleared(Fault.METER, 1)]


def test_exchanged_cables_are_named(path: Path) -> None:
    fake = station(path, {1: "A", 2: "B"})
    fake.meters[1].serial_number, fake.meters[2].serial_number = "B", "A"
    fake.run(0.2)
    assert [each.detail.partition(": check")[0] for each in fake.of_kind(FaultRaised)] == [
        "it is meter B, which is that of EVSE 2, but meter A belongs here",
        "it is meter A, which is that of EVSE 1, but meter B belongs here",
    ]


def test_nothing_of_a_stranger_is_billed(path: Path) -> None:
    fake = station(path, {1: "A"})
    fake.cars[1].plug()
    assert fake.cabinet.execute(Permit(1, "one", 60.0)) is None
    fake.run(12.0)
    before_wh = fake.meters[1].energy_wh
    fake.meters[1].serial_number, fake.meters[1].energy_wh = "C", before_wh + 5.0
    fake.run(10.0)
    stop = [each for each in fake.of_kind(MeterReading) if each.context is MeterContext.STOP]
    assert [each.energy_wh for each in stop] == [pytest.approx(before_wh, abs=1.0)]
    assert fake.cabinet.snapshot(0, "").evses[0].phase is Phase.FAULTED


def test_a_meter_without_a_number_is_left_alone(path: Path) -> None:
    station(path, {1: "A"})
    assert faulted(station(path, {1: None, 2: ""})) == {}
    assert faulted(station(path, {1: "C"})) == {1: [Fault.METER]}


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "hal").write_text("a file where the folder should be")
    path = tmp_path / "hal" / "meters.json"
    meters = KnownMeters(path)
    assert meters.objection(1, "A", 0.0) is None
    assert meters.objection(1, "C", 0.1) is not None
    (tmp_path / "hal").unlink()
    assert meters.objection(1, "A", RETRY_S - 1.0) is None
    assert not path.exists()
    assert meters.objection(1, "A", RETRY_S + 1.0) is None
    assert KnownMeters(path).objection(1, "C", 0.0) is not None
    assert [record.levelno for record in caplog.records if "kept" in record.getMessage()] == [logging.ERROR]


@pytest.mark.parametrize("content", [b"", b"[", b'{"1": 7}', b'{"one": "A"}', b"\xff\x00"])
def test_a_damaged_file_is_reported_and_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "meters.json"
    path.write_bytes(content)
    assert KnownMeters(path).objection(1, "A", 0.0) is None
    assert "can't be read" in caplog.text
    assert msgspec.json.decode(path.read_bytes()) == {"1": "A"}


def test_the_settings_say_which_meter_is_accepted() -> None:
    device: dict[str, object] = {"driver": "some"}
    rating = {"max_voltage_v": 1000.0, "min_voltage_v": 150.0, "max_current_a": 500.0, "max_power_w": 400_000.0}
    others = dict.fromkeys(("insulation", "contactor", "vehicle"), device)
    numbers: list[dict[str, object]] = [{"serial_number": "C"}, {}, {"serial_number": 7}]
    evses = [
        {"evse": evse, "connector": 1, **rating, **others, "meter": device | options}
        for evse, options in enumerate(numbers, start=1)
    ]
    station = dict.fromkeys(("shelf", "board", "inputs", "links"), device)
    config = msgspec.convert({**station, "evse": evses}, HalConfig)
    assert config.commissioned_meters == {1: "C"}
