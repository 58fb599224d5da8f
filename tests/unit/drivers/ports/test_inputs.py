# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.Inputs`, over each driver."""

from __future__ import annotations

import pytest

from firmware.contract import Fault
from firmware.errors import DeviceLost
from hal.ports import Described, Inputs, InputsReading
from tests.support.station_benches import StationBench, WireStation


def _pressed(inputs: Inputs) -> bool | None:
    """Whether the stop button is pressed; None: the inputs are lost."""
    try:
        return inputs.reading().emergency_stop
    except DeviceLost:
        return None


async def test_stop_button_and_door_call_the_listener(station: StationBench) -> None:
    await station.until(lambda: _pressed(station.inputs) is False)
    reported: list[InputsReading] = []
    station.inputs.listen(reported.append)
    station.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    await station.until(lambda: reported and reported[-1].emergency_stop and not reported[-1].door_open)
    assert station.inputs.reading().emergency_stop
    station.world.faults.set(Fault.DOOR_OPEN, None, True)
    await station.until(lambda: reported[-1].door_open)
    station.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    await station.until(lambda: not reported[-1].emergency_stop and reported[-1].door_open)
    station.world.faults.set(Fault.DOOR_OPEN, None, False)
    await station.until(lambda: not reported[-1].door_open)
    assert not station.inputs.reading().door_open


async def test_reading_carries_the_time_at_which_it_was_true(station: StationBench) -> None:
    first = station.inputs.reading().mono_s
    await station.until(lambda: station.inputs.reading().mono_s > first)
    assert 0.0 < station.inputs.stale_after_s <= 2.0


async def test_temperatures_of_the_plugs(station: StationBench) -> None:
    await station.until(lambda: _near(station.inputs.reading().plug_temp_c, {1: 25.0, 2: 25.0}))
    station.world.evses[1].set_plug_temperature(87.5)
    station.world.evses[2].set_plug_temperature(-12.0)
    await station.until(lambda: _near(station.inputs.reading().plug_temp_c, {1: 87.5, 2: -12.0}))
    station.world.evses[1].set_plug_temperature(None)
    await station.until(lambda: station.inputs.reading().plug_temp_c[1] is None)
    assert station.inputs.reading().plug_temp_c[2] is not None


async def test_lost_inputs_are_lost(station: StationBench) -> None:
    await station.unplug()
    await station.until(lambda: _pressed(station.inputs) is None)


async def test_inputs_come_back_with_the_state_of_now(wire: WireStation) -> None:
    reported: list[bool] = []
    wire.inputs.listen(lambda reading: reported.append(reading.emergency_stop))
    await wire.until(lambda: reported[-1:] == [False])
    await wire.unplug()
    await wire.until(lambda: _pressed(wire.inputs) is None)
    wire.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    await wire.plug_in()
    await wire.until(lambda: _pressed(wire.inputs))
    await wire.until(lambda: reported[-1])
    wire.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    await wire.until(lambda: _pressed(wire.inputs) is False)


async def test_broken_wire_reads_as_pressed(wire: WireStation) -> None:
    await wire.until(lambda: _pressed(wire.inputs) is False)
    wire.cabinet.stop_wire_broken = True
    await wire.until(lambda: _pressed(wire.inputs))


async def test_reading_of_a_silent_chip_grows_old_and_is_then_lost(wire: WireStation) -> None:
    wire.cabinet.daemons[0].silent = True
    with pytest.raises(DeviceLost, match="no answer"):
        await wire.until(lambda: wire.inputs.reading() is None)


async def test_installer_sees_contacts_and_each_sensor(wire: WireStation) -> None:
    assert isinstance(wire.inputs, Described)
    described = wire.inputs.devices
    wire.world.evses[2].set_plug_temperature(None)
    await wire.until(lambda: described()[2].state == "open, shorted or out of range")
    contacts, first, second = described()
    assert (contacts.answers, contacts.state) == (True, "emergency stop released, door closed")
    assert (first.name, first.address, first.answers) == ("temperature of EVSE 1", "max31865 resistance1", True)
    assert not second.answers
    await wire.unplug()
    await wire.until(lambda: not described()[0].answers)


def _near(found: dict[int, float | None], wanted: dict[int, float]) -> bool:
    return all((value := found.get(evse)) is not None and abs(value - wanted[evse]) < 0.5 for evse in wanted)
