# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.gpio.pigpio_frames import Answer, Code, Report, command
from firmware.errors import DeviceRefused


@pytest.mark.parametrize(
    ("code", "first", "second", "frame"),
    [
        (Code.SET_MODE, 17, 1, "00000000 11000000 01000000 00000000"),
        (Code.SET_PULL, 4, 2, "02000000 04000000 02000000 00000000"),
        (Code.WRITE, 27, 1, "04000000 1b000000 01000000 00000000"),
        (Code.READ_BANK, 0, 0, "0a000000 00000000 00000000 00000000"),
        (Code.NOTIFY, 0, 0x8000_0010, "13000000 00000000 10000080 00000000"),
        (Code.GLITCH_FILTER, 4, 1000, "61000000 04000000 e8030000 00000000"),
        (Code.NOTIFY_HERE, 0, 0, "63000000 00000000 00000000 00000000"),
    ],
)
def test_commands(code: Code, first: int, second: int, frame: str) -> None:
    assert command(code, first, second) == bytes.fromhex(frame)


def test_answers() -> None:
    answer = Answer.decode(bytes.fromhex("0a000000 00000000 00000000 10002080"))
    assert answer.levels == 0x8020_0010
    version = Answer.decode(bytes.fromhex("1a000000 00000000 00000000 4f000000"))
    assert version.require() == 79


@pytest.mark.parametrize(
    ("result", "reason"),
    [("d7ffffff", "no permission"), ("e8ffffff", "no more notifications"), ("9cffffff", "error -100")],
)
def test_error_of_an_answer_is_refused(result: str, reason: str) -> None:
    with pytest.raises(DeviceRefused, match=f"command 4 for 5 refused: {reason}"):
        Answer.decode(bytes.fromhex(f"04000000 05000000 01000000 {result}")).require()


def test_reports() -> None:
    assert Report.decode(bytes.fromhex("0201 0000 40420f00 10000000")) == Report(0x0102, 0, 1_000_000, 0x10)
    assert Report.decode(bytes.fromhex("ffff 4000 00000000 00000080")) == Report(0xFFFF, 0x40, 0, 0x8000_0000)
