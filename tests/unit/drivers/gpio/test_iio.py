# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from drivers.gpio.iio import Channel, ChannelOptions, Sampler
from firmware.errors import DeviceLost
from tests.support.sockets import eventually


def _device(root: Path, number: int, **files: str) -> Path:
    folder = root / f"sys/bus/iio/devices/iio:device{number}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    return folder


def _channel(root: Path, device: str, channel: str) -> Channel:
    return Channel(ChannelOptions(device=device, channel=channel), str(root))


def test_processed_value_is_taken_as_it_is(tmp_path: Path) -> None:
    _device(tmp_path, 0, name="lm75", in_temp0_input="23500", in_temp0_raw="1")
    assert _channel(tmp_path, "lm75", "temp0").read() == 23500.0


def test_raw_value_has_offset_and_scale_of_channel_or_kind(tmp_path: Path) -> None:
    files = {"in_voltage1_raw": "100", "in_voltage1_offset": "-20", "in_voltage_scale": "0.5"}
    _device(tmp_path, 0, name="ads1115", in_voltage1_scale="2.0", **files)
    _device(tmp_path, 1, name="other", **files)
    assert _channel(tmp_path, "ads1115", "voltage1").read() == 160.0
    assert _channel(tmp_path, "other", "voltage1").read() == 40.0
    assert _channel(tmp_path, "iio:device1", "voltage1").read() == 40.0


def test_device_is_found_by_its_label_under_any_number(tmp_path: Path) -> None:
    _device(tmp_path, 0, name="max31865", label="plug-1", in_temp_raw="1")
    _device(tmp_path, 3, name="max31865", label="plug-2", in_temp_raw="2")
    assert _channel(tmp_path, "plug-2", "temp").read() == 2.0


def test_device_that_returns_under_another_number_is_found_again(tmp_path: Path) -> None:
    first = _device(tmp_path, 0, name="adc", in_voltage0_raw="1")
    channel = _channel(tmp_path, "adc", "voltage0")
    assert channel.read() == 1.0
    first.rename(tmp_path / "gone")
    with pytest.raises(DeviceLost, match="adc voltage0: No such file or directory"):
        channel.read()
    with pytest.raises(DeviceLost, match="no IIO device adc"):
        channel.read()
    _device(tmp_path, 7, name="adc", in_voltage0_raw="2")
    assert channel.read() == 2.0


def test_text_that_is_no_number_is_lost(tmp_path: Path) -> None:
    _device(tmp_path, 0, name="adc", in_voltage0_raw="garbage")
    with pytest.raises(DeviceLost, match="garbage"):
        _channel(tmp_path, "adc", "voltage0").read()


async def test_sampler_reads_again_and_has_no_value_after_an_error() -> None:
    answers: list[float | None] = [1.0, None, 2.0]

    def read() -> float:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise DeviceLost("gone")
        return answer

    sampler = Sampler("a sensor", read, every_s=0.02, lost_after_s=5.0)
    seen: list[float | None] = []

    def watch() -> list[float | None]:
        if not seen or seen[-1] != sampler.value:
            seen.append(sampler.value)
        return seen

    await eventually(lambda: watch() == [None, 1.0, None, 2.0])
    sampler.close()
