# SPDX-License-Identifier: Apache-2.0
"""Alarm contacts, on a simulated pigpiod: a contact that opens, a broken wire, a chip that is lost and back."""

from __future__ import annotations

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
async def lines(chip: Pigpiod) -> AsyncIterator[PigpioLines]:
    lines = PigpioLines(PigpioLines.Options(host="127.0.0.1", port=chip.port))
    yield lines
    lines.close()


@pytest.fixture
def alarms(lines: PigpioLines) -> Alarms:
    return Alarms(
        [
            Alarm(fault=Fault.GROUND_FAULT, lines=lines, line=3),
            Alarm(fault=Fault.CONNECTOR_LOCK, evse=2, lines=lines, line=4),
        ]
    )


@pytest.fixture
async def reports(lines: PigpioLines, alarms: Alarms) -> list[Report]:
    found: list[Report] = []
    alarms.listen(lambda *report: found.append(report))
    await lines.open()
    return found


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


async def test_a_chip_that_is_lost_is_an_alarm_of_each_contact(
    chip: Pigpiod, alarms: Alarms, reports: list[Report]
) -> None:
    """As a broken wire is: a contact that opens meanwhile would not be seen."""
    alarms.check()
    assert present(reports) == set()
    chip.close()

    def until(expected: set[tuple[Fault, int | None]]) -> bool:
        alarms.check()
        return present(reports) == expected

    await eventually(lambda: until({GROUND, LATCH}))
    known = len(reports)
    alarms.check()
    assert len(reports) == known
    assert reports[-1][3].startswith("alarm contact 4 can't be read: pigpiod at")
    chip.drive(3, None)
    await chip.start()
    await eventually(lambda: until({GROUND}))
    chip.drive(3, True)
    await eventually(lambda: until(set()))


async def test_a_contact_that_was_open_is_reported_until_it_closes_whatever_the_chip_does(
    chip: Pigpiod, alarms: Alarms, reports: list[Report]
) -> None:
    chip.drive(3, None)
    await eventually(lambda: present(reports) == {GROUND})
    chip.close()
    await eventually(lambda: not chip.connected)
    alarms.check()
    chip.drive(3, True)
    assert GROUND in present(reports)
    await chip.start()

    def closed() -> bool:
        alarms.check()
        return present(reports) == set()

    await eventually(closed)
