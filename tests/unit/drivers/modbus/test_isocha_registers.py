# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import isocha_registers as reg
from drivers.modbus.isocha_registers import Alarm, Range, RunningTest


def block(words: str) -> reg.Measurement:
    return reg.decode(tuple(int(word, 16) for word in words.split()))


@pytest.mark.parametrize(
    ("words", "kohm"),
    [
        ("48F4 2400 0002 0047", 500.0),
        ("48F4 2400 0082 0047", 500.0),  # bigger than shown
        ("48F4 2400 0042 0047", 0.0),  # smaller than shown
        ("48F4 2400 00C2 0047", None),  # invalid
        ("48F4 2400 0000 0047", None),  # no unit
        ("48F4 2400 0004 004C", None),  # a voltage
        ("7FC0 0000 0002 0047", None),  # not a number
        ("7F80 0000 0082 0047", None),  # infinite
        ("C8F4 2400 0002 0047", None),  # below zero
    ],
)
def test_insulation_is_what_is_there_at_least(words: str, kohm: float | None) -> None:
    assert reg.insulation_kohm(block(words)) == kohm


def test_voltages_have_a_sign() -> None:
    assert reg.volts(block("444B 1333 0004 004C")) == pytest.approx(812.3)
    assert reg.volts(block("C3CB 1333 0004 0066")) == pytest.approx(-406.15)
    assert reg.volts(block("444B 1333 00C4 004C")) is None
    assert reg.volts(block("444B 1333 0002 004C")) is None


@pytest.mark.parametrize(
    ("status", "alarm", "test", "error"),
    [
        ("0002", Alarm.NONE, RunningTest.NONE, False),
        ("0102", Alarm.PRE_WARNING, RunningTest.NONE, False),
        ("0202", Alarm.DEVICE_ERROR, RunningTest.NONE, True),
        ("0402", Alarm.WARNING, RunningTest.NONE, False),
        ("0502", Alarm.ALARM, RunningTest.NONE, False),
        ("4202", Alarm.DEVICE_ERROR, RunningTest.INTERNAL, False),
        ("8202", Alarm.DEVICE_ERROR, RunningTest.EXTERNAL, False),
        ("8002", Alarm.NONE, RunningTest.EXTERNAL, False),
    ],
)
def test_alarm_and_test_share_a_byte(status: str, alarm: Alarm, test: RunningTest, error: bool) -> None:
    found = block(f"48F4 2400 {status} 0047")
    assert (found.alarm, found.test, found.device_error) == (alarm, test, error)


def test_range_and_unit_share_a_byte() -> None:
    found = block("48F4 2400 0082 0047")
    assert (found.range, found.unit) == (Range.BIGGER, reg.Unit.OHM)


@given(st.tuples(*[st.integers(0, 0xFFFF)] * 4))
def test_any_block_decodes(registers: tuple[int, ...]) -> None:
    found = reg.decode(registers)
    kohm = reg.insulation_kohm(found)
    assert kohm is None or 0.0 <= kohm < 1e36
    reg.volts(found)


def test_text_is_two_characters_a_register() -> None:
    assert reg.text((0x6973, 0x6F43, 0x4841, 0x3432, 0x3548, 0x5600, 0, 0, 0, 0)) == "isoCHA425HV"


def test_settings_are_read_back_in_runs() -> None:
    runs = reg.runs_of({3000: 0, 3007: 0, 3008: 0, 3009: 0, 3026: 0, 3025: 0})
    assert runs == [range(3000, 3001), range(3007, 3010), range(3025, 3027)]
