# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.can.family import EVERY, Answer, Frame, GroupNumber, Mode, Output, Query, Serial, Status, module_target
from drivers.can.uugreen import HIGH, LOW, Uugreen

FAMILY = Uugreen()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([FAMILY.switch(EVERY, False)], [(0x02200000, "0004000000000001")]),
        ([FAMILY.switch(module_target(1), True)], [(0x02204000, "0004000000000000")]),
        (FAMILY.ask(Query.VOLTAGE, 2), [(0x02208000, "0200000000000000")]),
        (FAMILY.ask(Query.OUTPUT, 2), [(0x02208000, "0201000000000000")]),
        (FAMILY.ask(Query.STATUS, 2), [(0x02208000, "0208000000000000")]),
        (FAMILY.ask(Query.MODE, 2), [(0x02208000, "0260000000000000")]),
        (FAMILY.ask(Query.SERIAL, 2), [(0x02208000, "0205000000000000")]),
        (
            FAMILY.set_output(module_target(1), 400.0, 25.5),
            [(0x02204000, "0002000000061A80"), (0x02204000, "000300000000639C")],
        ),
        ([FAMILY.set_mode(1, HIGH)], [(0x02204000, "005F000000000001")]),
        ([FAMILY.set_mode(1, LOW)], [(0x02204000, "005F000000000002")]),
        ([FAMILY.set_group(1, 2)], [(0x02204000, "0059000000000002")]),
    ],
)
def test_frames_to_the_modules(frames: list[Frame], expected: list[tuple[int, str]]) -> None:
    assert [(frame.can_id, frame.data.hex().upper()) for frame in frames] == expected


@pytest.mark.parametrize("low_bits", [0, 0x2AA7, 0x3FFF])
@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ("0300000000061A80", Answer(module_target(2), Output(voltage_v=400.0))),
        ("030100000000639C", Answer(module_target(2), Output(current_a=25.5))),
        ("03000000FFFFFF9C", Answer(module_target(2), Output(voltage_v=-0.1))),
        ("03010000FFFFFFF6", Answer(module_target(2), Output(current_a=-0.01))),
        ("0308000000000001", Answer(module_target(2), Status(raw="00000001"))),
        ("0360000000000002", Answer(module_target(2), Mode(LOW))),
        ("0359000000000002", Answer(module_target(2), GroupNumber(2))),
        ("0405123400000007", Answer(module_target(2), Serial("123400000007"))),
        ("0102000000061A80", Answer(module_target(2), None)),
        ("1300000000061A80", Answer(module_target(2), Output(voltage_v=400.0))),  # of group 1
    ],
)
def test_frames_from_the_modules(low_bits: int, data: str, answer: Answer) -> None:
    """The lower bits of an answer's identifier are date and serial number."""
    assert FAMILY.decode(0x02208000 | low_bits, bytes.fromhex(data)) == answer


@pytest.mark.parametrize(
    ("can_id", "data"),
    [
        (0x02200000, "0300000000061A80"),  # from the broadcast address
        (0x02408000, "0300000000061A80"),  # for monitor 2
        (0x04208000, "0300000000061A80"),  # another version of the protocol
        (0x02208000, "03000000061A80"),
        (0x02208000, "0300000080000000"),
        (0x02208000, "030000007FFFFFFF"),
        (0x02208000, "0360000000000007"),
        (0x02208000, "0200000000000000"),  # a request
    ],
)
def test_what_is_no_answer_of_a_module_is_ignored(can_id: int, data: str) -> None:
    assert FAMILY.decode(can_id, bytes.fromhex(data)) is None


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))
def test_any_frame_is_decoded_or_ignored(can_id: int, data: bytes) -> None:
    FAMILY.decode(can_id, data)
