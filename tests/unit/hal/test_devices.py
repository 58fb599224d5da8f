# SPDX-License-Identifier: Apache-2.0
"""The list of devices: what each says, and what was wrong with it."""

from __future__ import annotations

from firmware.contract import Fault
from hal.ports import DeviceInfo
from tests.support.hardware import CabinetDouble, FakeMeter


class DescribedMeter(FakeMeter):
    def devices(self) -> list[DeviceInfo]:
        return [DeviceInfo(address="line 1, 5", serial_number="A-7", firmware="2.1", state="x" * 9999)]


def started() -> CabinetDouble:
    fake = CabinetDouble()
    fake.start()
    fake.run(1.5)
    return fake


def test_every_device_of_the_cabinet_is_listed() -> None:
    listed = started().cabinet.devices()
    assert [each.place for each in listed] == [
        "shelf",
        "board",
        "inputs",
        "links",
        "card_reader",
        *(f"evse {evse}, {port}" for evse in (1, 2) for port in ("meter", "insulation", "contactor", "vehicle")),
        "screen 1",
        "screen 2",
    ]
    assert all(each.answers and each.state and not each.faults for each in listed)


def test_a_driver_that_knows_more_says_it() -> None:
    fake = CabinetDouble()
    fake.meters[1] = DescribedMeter(fake.clock)
    again = CabinetDouble()
    again.meters[1] = fake.meters[1]
    again.cabinet = type(again.cabinet)(again.hardware(), again.clock)
    again.start()
    (meter,) = [each for each in again.cabinet.devices() if each.place == "evse 1, meter"]
    assert (meter.address, meter.serial_number, meter.firmware) == ("line 1, 5", "A-7", "2.1")
    assert len(meter.state) == 200


def test_one_that_does_not_answer_says_why_and_its_trouble_is_remembered() -> None:
    fake = started()
    fake.meters[1].failing = True
    fake.run(7.0)
    (meter,) = [each for each in fake.cabinet.devices() if each.place == "evse 1, meter"]
    assert (meter.answers, meter.faults) == (False, [Fault.METER])
    assert "does not answer" in meter.state
    assert meter.last_trouble
    fake.meters[1].failing = False
    fake.run(15.0)
    (meter,) = [each for each in fake.cabinet.devices() if each.place == "evse 1, meter"]
    assert (meter.answers, meter.faults) == (True, [])
    assert meter.last_trouble
    assert meter.last_trouble_utc_s is not None
    (other,) = [each for each in fake.cabinet.devices() if each.place == "evse 2, meter"]
    assert not other.last_trouble
