# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.can.family import (
    EVERY,
    Alarm,
    Answer,
    Available,
    Capability,
    Frame,
    Output,
    Query,
    Refused,
    Report,
    Serial,
    Status,
    group_target,
    module_target,
)
from drivers.can.infypower import Infypower

FAMILY = Infypower()
ZEROS = bytes(8)
SHORT = {Alarm.SHORT_CIRCUIT}


@pytest.mark.parametrize(
    ("frames", "can_id", "data"),
    [
        (FAMILY.ask(Query.OUTPUT, 0), 0x028900F0, "0000000000000000"),
        (FAMILY.ask(Query.STATUS, 5), 0x028405F0, "0000000000000000"),
        (FAMILY.ask(Query.CAPABILITY, 5), 0x028A05F0, "0000000000000000"),
        (FAMILY.ask(Query.SERIAL, 5), 0x028B05F0, "0000000000000000"),
        (FAMILY.ask(Query.AVAILABLE, 5), 0x028C05F0, "0000000000000000"),
        (FAMILY.ask_group(1), 0x02C801F0, "0000000000000000"),
        ([FAMILY.switch(EVERY, False)], 0x029A3FF0, "0100000000000000"),
        ([FAMILY.switch(EVERY, True)], 0x029A3FF0, "0000000000000000"),
        ([FAMILY.switch(group_target(2), False)], 0x02DA02F0, "0100000000000000"),
        (FAMILY.set_output(EVERY, 200.0, 5.0), 0x029C3FF0, "00030D4000001388"),
        (FAMILY.set_output(module_target(5), 200.0, 5.0), 0x029C05F0, "00030D4000001388"),
        (FAMILY.set_output(group_target(1), 400.0, 250.0), 0x02DB01F0, "00061A800003D090"),
        ([FAMILY.set_group(5, 2)], 0x029605F0, "0200000000000000"),
    ],
)
def test_frames_to_the_modules(frames: list[Frame], can_id: int, data: str) -> None:
    assert [(hex(frame.can_id), frame.data.hex().upper()) for frame in frames] == [(hex(can_id), data)]


@pytest.mark.parametrize(
    ("can_id", "data", "answer"),
    [
        (0x0289F000, "00030D4000001388", Answer(module_target(0), Output(200.0, 5.0))),
        (0x0283F005, struct.pack(">ff", 200.0, 5.0).hex(), Answer(module_target(5), Output(200.0, 5.0))),
        (0x02C8F001, "00061A800003D090", Answer(group_target(1), Output(400.0, 250.0))),
        (0x028AF005, "03E80096053507D0", Answer(module_target(5), Capability(1000.0, 150.0, 133.3, 20_000.0))),
        (0x028CF005, "0F3C03E800000000", Answer(module_target(5), Available(100.0, 390.0))),
        (0x028BF005, "4130000000000007", Answer(module_target(5), Serial("4130000000000007"))),
        (0x0284F005, "0000020023000100", Answer(module_target(5), Status(frozenset(), True, 35.0, 2))),
        (
            0x0284F005,
            "000001 00 F6 03 12 01".replace(" ", ""),
            Answer(
                module_target(5),
                Status(
                    frozenset({Alarm.POWER_LIMITED, Alarm.DUPLICATE, Alarm.FAULT, Alarm.OVER_TEMPERATURE} | SHORT),
                    False,
                    -10.0,
                    1,
                ),
            ),
        ),
        (0x02C4F005, "0000010023000000", Answer(module_target(5), Status(frozenset(), False, 35.0, 1))),
        (0x1E9CF005, "0000000000000000", Answer(module_target(5), Refused("start-up in progress"))),
        (0x0E9CF005, "0000000000000000", Answer(module_target(5), Refused("data invalid"))),
        (0x029AF005, "0100000000000000", Answer(module_target(5), None)),
    ],
)
def test_frames_from_the_modules(can_id: int, data: str, answer: Answer) -> None:
    assert FAMILY.decode(can_id, bytes.fromhex(data)) == answer


@pytest.mark.parametrize(
    ("can_id", "data"),
    [
        (0x028900F0, ZEROS),  # our own request
        (0x0289F100, ZEROS),  # for another controller
        (0x0309F000, ZEROS),  # another device number
        (0x0289F03F, ZEROS),  # the source is no module
        (0x0289F000, ZEROS[:7]),
        (0x0289F000, bytes.fromhex("7FFFFFFF00001388")),
        (0x0283F005, bytes.fromhex("7FC0000040A00000")),  # not a number
        (0x028AF005, ZEROS),
    ],
)
def test_what_is_no_answer_of_a_module_is_ignored(can_id: int, data: bytes) -> None:
    assert FAMILY.decode(can_id, data) is None


def test_answers_to_this_controller_pass_the_filter_with_any_error_code() -> None:
    can_id, mask = FAMILY.listen
    for answer in (0x0289F000, 0x02C8F001, 0x1E9CF005):
        assert answer & mask == can_id
    for other in (0x028900F0, 0x0289F100, 0x0106B000):
        assert other & mask != can_id


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))
def test_any_frame_is_decoded_or_ignored(can_id: int, data: bytes) -> None:
    answer = FAMILY.decode(can_id, data)
    report: Report | None = answer.report if answer is not None else None
    if isinstance(report, Output):
        assert report.voltage_v is not None
        assert abs(report.voltage_v) < 2000.0


@given(st.floats(150.0, 1000.0), st.floats(1.0, 1000.0))
def test_set_points_are_milli_units(voltage_v: float, current_a: float) -> None:
    (frame,) = FAMILY.set_output(module_target(1), voltage_v, current_a)
    millivolts, milliamperes = struct.unpack(">II", frame.data)
    assert millivolts == pytest.approx(voltage_v * 1000, abs=0.5)
    assert milliamperes == pytest.approx(current_a * 1000, abs=0.5)


def test_the_voltage_behind_the_diode_can_be_left_out() -> None:
    data = bytes.fromhex("1068 05DC 00000000")
    assert FAMILY.decode(0x028CF005, data) == Answer(module_target(5), Available(150.0, 420.0))
    left_out = Infypower(believe_external=False)
    assert left_out.decode(0x028CF005, data) == Answer(module_target(5), Available(150.0))
