# SPDX-License-Identifier: Apache-2.0
"""Alarm contacts, on a simulated pigpiod: a contact that opens, a broken wire, a chip that is lost and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.board.alarms import Alarm, Alarms
from drivers.gpio.pigpio_lines import PigpioLines
from firmware.contract import Fault
from tests.support.sockets import eventually
from tools.rig.devices.gpio import Pigpiod

Report = tuple[Fault, int | None, bool, str]
GROUND, LATCH = (Fault.GROUND_FAULT, None), (Fault.CONNECTOR_LOCK, 2)


@pytest.fixture
async def chip() -> AsyncIterator[Pigpiod]:
    daemon = Pigpiod()
    daemon.drive(3, True)
    daemon.drive(4, True)
    await daemon.start()
    yield daemon
    daemon.close()


@pytest.fixture
async def reports(chip: Pigpiod) -> AsyncIterator[list[Report]]:
    lines = PigpioLines(PigpioLines.Options(host="127.0.0.1", port=chip.port))
    alarms = Alarms(
        [
            Alarm(fault=Fault.GROUND_FAULT, lines=lines, line=3),
            Alarm(fault=Fault.CONNECTOR_LOCK, evse=2, lines=lines, line=4),
        ]
    )
    found: list[Report] = []
    alarms.listen(lambda *report: found.append(report))
    await lines.open()
    yield found
    lines.close()


def present(reports: list[Report]) -> set[tuple[Fault, int | None]]:
    """The faults by the last report of each."""
    last = {(fault, evse): now for fault, evse, now, _ in reports}
    return {each for each, now in last.items() if now}


async def test_a_contact_that_opens_is_a_fault_of_its_evse(chip: Pigpiod, reports: list[Report]) -> None:
    await eventually(lambda: len(reports) == 2)
    assert present(reports) == set()
    chip.drive(4, False)
    await eventually(lambda: present(reports) == {LATCH})
    assert reports[-1] == (*LATCH, True, "alarm contact 4 is open")
    chip.drive(4, True)
    await eventually(lambda: present(reports) == set())


async def test_a_broken_wire_is_an_alarm(chip: Pigpiod, reports: list[Report]) -> None:
    chip.drive(3, None)
    await eventually(lambda: present(reports) == {GROUND})


async def test_two_contacts_of_one_fault_are_both_to_close(chip: Pigpiod) -> None:
    lines = PigpioLines(PigpioLines.Options(host="127.0.0.1", port=chip.port))
    alarms = Alarms([Alarm(fault=Fault.GROUND_FAULT, lines=lines, line=line) for line in (3, 4)])
    found: list[Report] = []
    alarms.listen(lambda *report: found.append(report))
    await lines.open()
    chip.drive(3, None)
    chip.drive(4, None)
    await eventually(lambda: [each[2] for each in found[-2:]] == [True, True])
    chip.drive(3, True)
    await eventually(lambda: not lines.inputs[4].read() and lines.inputs[3].read())
    assert present(found) == {GROUND}
    chip.drive(4, True)
    await eventually(lambda: present(found) == set())
    lines.close()


async def test_what_was_read_remains_while_the_chip_is_lost(chip: Pigpiod, reports: list[Report]) -> None:
    chip.drive(3, None)
    await eventually(lambda: present(reports) == {GROUND})
    chip.close()
    await eventually(lambda: not chip.connected)
    before = len(reports)
    chip.drive(3, True)
    await asyncio.sleep(0)
    assert len(reports) == before
    await chip.start()
    await eventually(lambda: present(reports) == set())
