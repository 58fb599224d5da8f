# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.modbus import meter as modbus_meter
from drivers.modbus.bus import ModbusBus
from drivers.modbus.meter import ModbusMeter
from firmware.config import convert
from firmware.errors import ConfigError, DeviceLost
from hal.ports import DeviceInfo, MeterSample
from tests.support.sockets import eventually
from tools.rig.devices.modbus_meter import AcrelMeter, GavazziMeter, Readout
from tools.rig.devices.modbus_slave import Mischief, Slave, SlaveLine

ACREL = "acrel-djsf1352-rn"


@dataclass
class Bench:
    readout: Readout
    slave: Slave
    line: SlaveLine
    make: Callable[..., ModbusMeter]


@pytest.fixture
async def bench(terminal: SlaveLine, serial_bus: ModbusBus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(modbus_meter, "LOST_RETRY_S", 0.1)
    readout = Readout(812.3, 123.4, 987_654.0)
    made: list[ModbusMeter] = []

    def make(**options: Any) -> ModbusMeter:
        options = {"map": ACREL, "poll_s": 0.1, **options}
        made.append(ModbusMeter(ModbusMeter.Options(bus=serial_bus, evse=1, **options)))
        return made[-1]

    yield Bench(readout, terminal.add(1, AcrelMeter(readout)), terminal, make)
    for meter in made:
        meter.close()


async def sampled(meter: ModbusMeter, condition: Callable[[MeterSample], object]) -> MeterSample:
    def holds() -> bool:
        try:
            return bool(condition(meter.sample()))
        except DeviceLost:
            return False

    await eventually(holds)
    return meter.sample()


async def test_acrel_is_read_in_one_request(bench: Bench) -> None:
    meter = bench.make()
    first = await sampled(meter, lambda sample: True)
    assert (first.energy_wh, first.voltage_v, first.current_a) == pytest.approx((987_654, 812.3, 123.4))
    assert first.power_w == pytest.approx(100_240, rel=1e-3)
    bench.readout.energy_wh += 25.0
    second = await sampled(meter, lambda sample: sample.energy_wh == 987_679)
    assert second.mono_s > first.mono_s
    assert (meter.resolution_wh, meter.speed, second.serial_number) == (1.0, 1.0, None)
    assert bench.line.violations == []


async def test_a_meter_with_the_low_word_first_and_a_serial_number(bench: Bench) -> None:
    bench.slave.registers = GavazziMeter(bench.readout)
    meter = bench.make(map="carlo-gavazzi-et112")
    sample = await sampled(meter, lambda sample: True)
    assert sample.serial_number == "BW123456789"
    assert (sample.energy_wh, sample.voltage_v, sample.current_a) == pytest.approx((987_600, 812.3, 123.4))
    assert meter.resolution_wh == pytest.approx(100.0)
    described = DeviceInfo("Carlo Gavazzi ET112", address="1", serial_number="BW123456789", state="987.600 kWh")
    assert meter.devices() == [described]


async def test_a_unit_is_corrected_by_option(bench: Bench) -> None:
    meter = bench.make(scale={"energy": 10.0, "current": -1.0})
    sample = await sampled(meter, lambda sample: True)
    assert (sample.energy_wh, sample.current_a) == pytest.approx((9_876_540, -123.4))
    assert meter.resolution_wh == 10.0


async def test_a_meter_that_is_replaced_while_it_is_lost_has_its_own_serial_number(bench: Bench) -> None:
    bench.slave.registers = gavazzi = GavazziMeter(bench.readout)
    meter = bench.make(map="carlo-gavazzi-et112")
    await sampled(meter, lambda sample: True)
    bench.slave.silent = True
    await eventually(lambda: is_lost(meter))
    gavazzi.serial_number = "BW987654321"
    bench.slave.silent = False
    await sampled(meter, lambda sample: sample.serial_number == "BW987654321")


async def test_a_meter_with_another_serial_number_is_refused_if_one_is_expected(bench: Bench) -> None:
    bench.slave.registers = gavazzi = GavazziMeter(bench.readout)
    meter = bench.make(map="carlo-gavazzi-et112", serial_number="BW987654321")
    await eventually(lambda: "it is meter BW123456789, but BW987654321 is the commissioned one" in why_lost(meter))
    gavazzi.serial_number = "BW987654321"
    await sampled(meter, lambda sample: sample.serial_number == "BW987654321")


async def test_a_line_that_babbles_is_a_lost_meter_until_it_is_quiet(bench: Bench) -> None:
    meter = bench.make()
    await sampled(meter, lambda sample: True)

    def babble() -> bool:
        bench.line.babble(b"\x01\x03\x28 noise")
        return "damaged answers" in why_lost(meter)

    bench.slave.silent = True
    await eventually(babble)
    bench.slave.silent = False
    await sampled(meter, lambda sample: True)


async def test_a_few_misses_cost_no_more_than_a_reading(bench: Bench) -> None:
    meter = bench.make()
    first = await sampled(meter, lambda sample: True)
    bench.slave.misbehave(Mischief.LOST, times=2)
    await eventually(lambda: meter.sample().mono_s > first.mono_s and bench.slave.times == 0)


async def test_another_model_is_refused_with_its_reason(bench: Bench) -> None:
    bench.slave.registers = GavazziMeter(bench.readout)
    meter = bench.make()
    await eventually(lambda: "it has no such register" in why_lost(meter))
    assert "Acrel DJSF1352-RN (address 1 on" in why_lost(meter)


def is_lost(meter: ModbusMeter) -> bool:
    return bool(why_lost(meter))


def why_lost(meter: ModbusMeter) -> str:
    try:
        meter.sample()
    except DeviceLost as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "map"),
        ({"map": ACREL, "address": 300}, "address"),
        ({"map": ACREL, "serial_number": "BW1"}, "serial_number: Acrel DJSF1352-RN reports none"),
        ({"map": "acrel"}, "map: no register map 'acrel', expected acrel-djsf1352-rn"),
        (
            {"map": ACREL, "scale": {"energie": 10.0}},
            "scale: expected numbers other than 0 for some of voltage, current",
        ),
        ({"map": ACREL, "scale": {"energy": 0.0}}, "scale: expected"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], says: str) -> None:
    bus = ModbusBus(ModbusBus.Options(port="/dev/ttyS1"))
    with pytest.raises(ConfigError, match=says):
        convert({"bus": "rs485", "evse": 1, **options}, ModbusMeter.Options, "hal.toml", look_up=lambda *_: bus)
