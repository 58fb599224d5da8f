# SPDX-License-Identifier: Apache-2.0
"""Any answer of any device on a line may be wrong: what the drivers report is then late, but never false."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from drivers.modbus import isocha, meter
from drivers.modbus.bus import ModbusBus
from drivers.modbus.isocha import IsoCha425Hv
from drivers.modbus.meter import ModbusMeter
from firmware.errors import DriverError
from hal.ports import InsulationReading, MeterSample
from tests.support.sockets import eventually
from tools.rig.devices.isocha import IsoCha, Wires
from tools.rig.devices.modbus_meter import AcrelMeter, Readout
from tools.rig.devices.modbus_slave import Mischief, Registers, Slave, SlaveLine

REQUESTS = 40
"""Of all devices together."""


class Unreliable(Slave):
    """Every second answer is wrong in some way."""

    def __init__(self, registers: Registers, rng: Random) -> None:
        super().__init__(registers, late_s=0.25)
        self._rng = rng

    def next_mischief(self) -> Mischief | None:
        return self._rng.choice([None] * len(Mischief) + list(Mischief))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_answer_is_believed_that_is_false(
    terminal: SlaveLine, serial_bus: ModbusBus, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for module, name in ((isocha, "RETRY_S"), (meter, "LOST_RETRY_S")):
        monkeypatch.setattr(module, name, 0.05)
    rng = Random(seed)
    readout = Readout(voltage_v=812.0, current_a=120.0, energy_wh=1_234_567.0)
    device = IsoCha(Wires(resistance_ohm=432_000.0, voltage_v=500.0), settle_s=0.0)
    terminal.slaves = {1: Unreliable(AcrelMeter(readout), rng), 3: Unreliable(device, rng)}
    device.settings[3026] = 0
    a_meter = ModbusMeter(ModbusMeter.Options(bus=serial_bus, evse=1, map="acrel-djsf1352-rn", poll_s=0.01))
    monitor = IsoCha425Hv(IsoCha425Hv.Options(bus=serial_bus, evse=1, poll_s=0.01, settle_s=0.0))

    def all_true() -> bool:
        for read in (a_meter.sample, monitor.reading):
            with suppress(DriverError):
                check(read())
        with suppress(DriverError):
            monitor.enable(True)
        return sum(each.requests for each in terminal.slaves.values()) >= REQUESTS

    await eventually(all_true)
    terminal.slaves = {1: Slave(AcrelMeter(readout)), 3: Slave(device)}
    await eventually(lambda: all_answer(a_meter, monitor))
    a_meter.close()
    monitor.close()
    assert terminal.violations == []


def check(reading: MeterSample | InsulationReading) -> None:
    if isinstance(reading, MeterSample):
        values = (reading.voltage_v, reading.current_a, reading.energy_wh)
        assert values == pytest.approx((812.0, 120.0, 1_234_567.0))
        return
    assert not reading.valid or reading.resistance_kohm == pytest.approx(432.0)
    assert reading.voltage_v is None or reading.voltage_v == pytest.approx(500.0)
    assert reading.to_earth_v is None or reading.to_earth_v == pytest.approx((250.0, -250.0))


def all_answer(a_meter: ModbusMeter, monitor: IsoCha425Hv) -> bool:
    try:
        a_meter.sample()
        monitor.reading()
    except DriverError:
        return False
    return True
