# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.conformance.bench.station import AttachedRig, NobodyAnswers, OwnRig, RealStation
from tools.conformance.checks.expected import CaseFailed, CaseSkipped


async def test_an_attached_rig_does_what_its_control_socket_does(control_socket: Path) -> None:
    rig = AttachedRig(control_socket)
    await rig.start(None, power=True)
    assert (await rig.manual("power_cycle"))["ok"]
    await rig.stop()


async def test_a_rig_that_does_not_start_reports_the_reason(tmp_path: Path) -> None:
    rig = OwnRig(tmp_path)
    with pytest.raises(CaseFailed, match=r"the rig did not start: .*identity"):
        await rig.start("identity = 7\n", power=True)
    await rig.stop()


async def test_a_person_is_asked_and_may_say_no() -> None:
    asked: list[str] = []
    answers = ["", "n"]

    async def ask(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    person = RealStation(ask)
    await person.manual("plug_in", evse=2)
    assert "Plug the cable of EVSE 2 into the car." in asked[0]
    with pytest.raises(CaseSkipped, match="car is not possible"):
        await person.manual("car", evse=1, suspended=True)
    with pytest.raises(CaseSkipped, match="only be done on a rig"):
        await person.manual("storage", full=True)


async def test_lines_typed_ahead_are_answers_and_the_end_of_input_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"\nn\n")
    os.close(writer)
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        person = RealStation()
        await person.manual("plug_in", evse=2)
        with pytest.raises(CaseSkipped, match="is not possible"):
            await person.manual("plug_out", evse=2)
        with pytest.raises(NobodyAnswers, match="no person is at the terminal"):
            await person.manual("plug_in", evse=2)
