# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers.modbus import isocha
from drivers.modbus.bus import ModbusBus
from drivers.modbus.isocha import IsoCha425Hv
from firmware.config import convert
from firmware.errors import ConfigError, DeviceLost, DeviceRefused, DriverError
from hal.ports import DeviceInfo
from tests.support.sockets import eventually
from tools.rig.devices.isocha import BIGGER, INVALID, SMALLER, IsoCha, Wires
from tools.rig.devices.modbus_slave import Mischief, Slave, SlaveLine


@dataclass
class Bench:
    device: IsoCha
    wires: Wires
    slave: Slave
    line: SlaveLine
    bus: ModbusBus
    made: list[IsoCha425Hv] = field(default_factory=list)

    def make(self, **options: Any) -> IsoCha425Hv:
        options = {"settle_s": 0.0, "poll_s": 0.1, **options}
        self.made.append(IsoCha425Hv(IsoCha425Hv.Options(bus=self.bus, evse=1, **options)))
        return self.made[-1]

    async def ready(self, **options: Any) -> IsoCha425Hv:
        """A monitor that answers, and is off."""
        monitor = self.make(**options)
        await eventually(lambda: not why_lost(monitor))
        return monitor

    async def measuring(self, **options: Any) -> IsoCha425Hv:
        monitor = await self.ready(**options)
        monitor.enable(True)
        await eventually(lambda: monitor.reading().valid)
        return monitor


@pytest.fixture
async def bench(terminal: SlaveLine, serial_bus: ModbusBus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(isocha, "RETRY_S", 0.1)
    monkeypatch.setattr(isocha, "SELF_TEST_BEGINS_S", 0.6)
    wires = Wires(resistance_ohm=432_100.0, voltage_v=500.0)
    device = IsoCha(wires, settle_s=0.0, test_latency_s=0.15, test_s=0.3)
    bench = Bench(device, wires, terminal.add(3, device), terminal, serial_bus)
    yield bench
    assert terminal.violations == []
    assert device.earth_reads_in_test == 0
    for monitor in bench.made:
        monitor.close()


def why_lost(monitor: IsoCha425Hv) -> str:
    try:
        monitor.reading()
    except DriverError as error:
        return str(error)
    return ""


# --- settings --------------------------------------------------------------------------------------------------------


async def test_it_starts_off_with_every_setting_written(bench: Bench) -> None:
    monitor = bench.make(pre_alarm_kohm=300, alarm_kohm=120, registers={"3018": 1})
    with pytest.raises(DeviceLost, match="has not answered yet"):
        monitor.enable(True)
    await eventually(lambda: not why_lost(monitor))
    settings = bench.device.settings
    assert {number for number, _ in bench.device.writes} == set(settings)
    assert [settings[each] for each in (3005, 3007, 3018, 3021, 3025, 3026)] == [300, 120, 1, 3, 1, 0]
    assert settings[3027] & 0b11_0010 == 0b11_0010
    assert monitor.devices() == [DeviceInfo(name="isoCHA425HV", address="3", firmware="5.10", state="off")]
    assert not monitor.reading().valid
    assert monitor.reading().voltage_v is None


async def test_a_device_that_answers_can_be_commanded_before_its_settings_are_complete(bench: Bench) -> None:
    monitor = bench.make()
    await eventually(lambda: bench.device.writes)
    assert why_lost(monitor)
    monitor.enable(True)
    await eventually(lambda: not why_lost(monitor) and monitor.reading().valid)
    assert bench.device.measuring


@pytest.mark.parametrize(("pre_alarm", "alarm"), [(600, 300), (150, 90), (102, 101)])
async def test_alarms_are_set_in_the_order_that_the_device_takes(bench: Bench, pre_alarm: int, alarm: int) -> None:
    bench.device.settings |= {3005: pre_alarm, 3007: alarm}
    await bench.ready()
    assert (bench.device.settings[3005], bench.device.settings[3007]) == (250, 100)


async def test_older_firmware_has_no_fast_mode(bench: Bench) -> None:
    bench.device.firmware = 430
    monitor = await bench.ready()
    assert bench.device.settings[3021] == 0
    assert monitor.devices()[0].firmware == "4.30"


async def test_a_setting_that_does_not_hold_is_refused(bench: Bench) -> None:
    bench.device.settings_that_stick[3007] = 90
    monitor = bench.make()
    await eventually(lambda: "register 3007 holds 90 after 100 was written" in why_lost(monitor))
    bench.device.settings_that_stick.clear()
    await eventually(lambda: not why_lost(monitor))


async def test_another_device_at_its_address_is_refused(bench: Bench) -> None:
    bench.device.name = "isoPV1685"
    monitor = bench.make()
    await eventually(lambda: "is another device: 'isoPV1685'" in why_lost(monitor))
    with pytest.raises(DeviceRefused):
        monitor.enable(True)


async def test_settings_are_written_again_after_a_lost_link(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.slave.silent = True
    await eventually(lambda: "no answer" in why_lost(monitor))
    bench.device.replace()
    bench.slave.silent = False
    await eventually(lambda: not why_lost(monitor))
    assert [bench.device.settings[each] for each in (3005, 3007, 3026)] == [250, 100, 1]
    await eventually(lambda: monitor.reading().valid)


# --- measuring -------------------------------------------------------------------------------------------------------


async def test_it_measures_resistance_and_voltages(bench: Bench) -> None:
    monitor = await bench.measuring()
    assert monitor.reading().resistance_kohm == pytest.approx(432.1)
    assert monitor.reading().voltage_v == pytest.approx(500.0)
    assert monitor.reading().to_earth_v == pytest.approx((250.0, -250.0))
    first = monitor.reading()
    bench.wires.resistance_ohm = 60_000.0
    await eventually(lambda: monitor.reading().resistance_kohm == pytest.approx(60.0))
    assert monitor.reading().mono_s > first.mono_s


async def test_measuring_off_disconnects_it(bench: Bench) -> None:
    monitor = await bench.measuring()
    monitor.enable(False)
    await eventually(lambda: not bench.device.measuring)
    await eventually(lambda: not monitor.reading().valid)
    assert monitor.reading().resistance_kohm == 0.0


async def test_a_reading_is_not_valid_before_it_has_settled(bench: Bench) -> None:
    bench.device.settle_s = 0.5
    monitor = await bench.ready(settle_s=0.5)
    monitor.enable(True)
    await eventually(lambda: bench.device.measuring)
    assert not monitor.reading().valid
    await eventually(lambda: monitor.reading().valid)


async def test_bigger_is_at_least_and_smaller_is_nothing(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.device.range = BIGGER
    bench.wires.resistance_ohm = 2_000_000.0
    await eventually(lambda: monitor.reading().resistance_kohm == pytest.approx(2000.0))
    bench.device.range = SMALLER
    await eventually(lambda: monitor.reading().resistance_kohm == 0.0)
    assert monitor.reading().valid


async def test_a_value_that_is_marked_invalid_is_none(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.device.range = INVALID
    await eventually(lambda: not monitor.reading().valid)
    assert monitor.reading().resistance_kohm == 0.0
    assert monitor.reading().voltage_v == pytest.approx(500.0)
    bench.device.range = None
    await eventually(lambda: monitor.reading().valid)


async def test_a_device_error_is_refused_until_it_is_gone(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.device.device_error = True
    await eventually(lambda: "reports a device error" in why_lost(monitor))
    bench.device.writes.clear()
    with pytest.raises(DeviceRefused):
        monitor.enable(False)
    await eventually(lambda: not bench.device.measuring)
    assert {number for number, _ in bench.device.writes} == {3026}
    bench.device.device_error = False
    await eventually(lambda: not why_lost(monitor))
    assert {number for number, _ in bench.device.writes} == set(bench.device.settings)


# --- self test -------------------------------------------------------------------------------------------------------


async def test_a_self_test_passes_with_voltage(bench: Bench) -> None:
    monitor = await bench.measuring()
    monitor.start_self_test()
    assert (8005, 0x5445) not in bench.device.writes
    await eventually(lambda: not monitor.reading().valid)
    assert monitor.reading().self_test_passed is None
    await eventually(lambda: monitor.reading().self_test_passed)
    assert (8005, 0x5445) in bench.device.writes
    await eventually(lambda: monitor.reading().valid)


async def test_a_self_test_without_voltage_fails(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.wires.voltage_v = 0.0
    monitor.start_self_test()
    await eventually(lambda: (reading := reading_of(monitor)) is not None and reading.self_test_passed is False)


async def test_a_self_test_that_does_not_begin_fails(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.device.ignores_test = True
    monitor.start_self_test()
    await eventually(lambda: monitor.reading().self_test_passed is False)


async def test_a_self_test_from_before_a_lost_link_is_none(bench: Bench) -> None:
    bench.device.test_s = 60.0
    monitor = await bench.measuring()
    monitor.start_self_test()
    await eventually(lambda: (8005, 0x5445) in bench.device.writes)
    bench.slave.silent = True
    await eventually(lambda: why_lost(monitor))
    bench.slave.silent = False
    await eventually(lambda: not why_lost(monitor))
    assert monitor.reading().self_test_passed is None


async def test_without_measuring_there_is_no_self_test(bench: Bench) -> None:
    monitor = await bench.ready()
    monitor.start_self_test()
    before = monitor.reading()
    await eventually(lambda: monitor.reading().mono_s > before.mono_s)
    assert monitor.reading().self_test_passed is None
    assert (8005, 0x5445) not in bench.device.writes


# --- the link --------------------------------------------------------------------------------------------------------


async def test_a_pressed_device_that_drops_requests_is_not_lost(bench: Bench) -> None:
    monitor = await bench.measuring()
    before = monitor.reading()
    bench.slave.misbehave(Mischief.LOST, times=2)
    await eventually(lambda: monitor.reading().mono_s > before.mono_s and bench.slave.times == 0)


async def test_what_was_on_before_a_short_loss_is_on_after_it(bench: Bench) -> None:
    monitor = await bench.measuring()
    bench.slave.silent = True
    await eventually(lambda: why_lost(monitor))
    bench.slave.silent = False
    await eventually(lambda: not why_lost(monitor) and monitor.reading().valid)


@pytest.mark.parametrize("active", [False, True])
async def test_a_refused_command_leaves_it_off(bench: Bench, active: bool) -> None:
    monitor = await bench.measuring()
    bench.slave.silent = True
    await eventually(lambda: why_lost(monitor))
    with pytest.raises(DeviceLost):
        monitor.enable(active)
    bench.slave.silent = False
    await eventually(lambda: not why_lost(monitor))
    assert not bench.device.measuring


async def test_a_device_that_never_answered_is_described(bench: Bench) -> None:
    monitor = bench.make(address=4)
    await eventually(lambda: "factory setting: 19200 or 9600 baud, even parity" in why_lost(monitor))
    assert "isoCHA425HV (address 4 on " in why_lost(monitor)
    bench.line.close()
    await eventually(lambda: "the line can't be used" in why_lost(monitor))
    assert "factory setting" not in why_lost(monitor)


async def test_a_problem_does_not_grow_with_each_reading(bench: Bench) -> None:
    monitor = bench.make()
    lengths = set()
    for _ in range(5):
        with pytest.raises(DeviceLost) as caught:
            monitor.reading()
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1


async def test_close_switches_it_off(bench: Bench) -> None:
    monitor = await bench.measuring()
    monitor.close()
    await eventually(lambda: not bench.device.measuring)
    with pytest.raises(DeviceLost, match="is closed"):
        monitor.reading()


def reading_of(monitor: IsoCha425Hv) -> Any:
    try:
        return monitor.reading()
    except DriverError:
        return None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"address": 2}, "address"),
        ({"pre_alarm_kohm": 100}, "alarm_kohm is not below pre_alarm_kohm"),
        ({"registers": {"3026": 1}}, "registers: 3026 is not a setting of this device"),
        ({"poll": 1}, "poll"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], says: str) -> None:
    bus = ModbusBus(ModbusBus.Options(port="/dev/ttyS1"))
    with pytest.raises(ConfigError, match=says):
        convert({"bus": "imd", "evse": 1, **options}, IsoCha425Hv.Options, "hal.toml", look_up=lambda *_: bus)
