# SPDX-License-Identifier: Apache-2.0
"""Two poles, kinds of auxiliary contacts, a sensor for the voltage; the rest is in `ports/test_contactor.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.gpio.contactor import GpioContactor, Voltage
from tests.support.line_benches import PigpioBench
from tests.support.sockets import eventually

COIL, MIRROR, NEGATIVE_COIL, NEGATIVE_MIRROR = 7, 8, 9, 10


@pytest.fixture
async def bench() -> AsyncIterator[PigpioBench]:
    made = PigpioBench()
    await made.start()
    yield made
    made.close()


async def test_of_two_poles_the_one_that_does_not_follow_counts(bench: PigpioBench) -> None:
    contactor = GpioContactor(
        GpioContactor.Options(
            evse=1,
            lines=bench.lines,
            coil=COIL,
            mirror=MIRROR,
            negative_coil=NEGATIVE_COIL,
            negative_mirror=NEGATIVE_MIRROR,
        )
    )
    bench.drive(MIRROR, True)
    bench.drive(NEGATIVE_MIRROR, True)
    await eventually(lambda: not contactor.is_closed())
    contactor.command(True)
    await eventually(lambda: bench.level(COIL) and bench.level(NEGATIVE_COIL))
    bench.drive(MIRROR, None)
    await eventually(lambda: bench.lines.inputs[MIRROR].read() is False)
    assert not contactor.is_closed()  # the negative pole has not closed
    bench.drive(NEGATIVE_MIRROR, None)
    await eventually(contactor.is_closed)
    contactor.command(False)
    await eventually(lambda: not bench.level(COIL) and not bench.level(NEGATIVE_COIL))
    bench.drive(MIRROR, True)
    await eventually(bench.lines.inputs[MIRROR].read)
    assert contactor.is_closed()  # the negative pole is welded


async def test_auxiliary_contact_that_closes_with_the_main_contacts(bench: PigpioBench) -> None:
    contactor = GpioContactor(
        GpioContactor.Options(evse=1, lines=bench.lines, coil=COIL, mirror=MIRROR, mirror_normally_open=True)
    )
    await eventually(lambda: not contactor.is_closed())
    bench.drive(MIRROR, True)
    await eventually(contactor.is_closed)


async def test_broken_wire_of_a_mirror_contact_reads_as_closed(bench: PigpioBench) -> None:
    contactor = GpioContactor(GpioContactor.Options(evse=1, lines=bench.lines, coil=COIL, mirror=MIRROR))
    bench.drive(MIRROR, None)
    await eventually(contactor.is_closed)


async def test_voltage_of_a_sensor_or_none(bench: PigpioBench, tmp_path: Path) -> None:
    folder = tmp_path / "sys/bus/iio/devices/iio:device0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("ads1115\n")
    (folder / "in_voltage0_raw").write_text("6400\n")
    (folder / "in_voltage0_scale").write_text("0.1875\n")
    sensor = Voltage(device="ads1115", channel="voltage0", ratio=400.0)
    contactor = GpioContactor(
        GpioContactor.Options(evse=1, lines=bench.lines, coil=COIL, mirror=MIRROR, voltage=sensor, root=str(tmp_path))
    )
    await eventually(lambda: contactor.connector_voltage_v() == pytest.approx(480.0))
    (folder / "in_voltage0_raw").unlink()
    await eventually(lambda: contactor.connector_voltage_v() is None)
    contactor.close()
    without = GpioContactor(GpioContactor.Options(evse=2, lines=bench.lines, coil=11, mirror=12))
    assert without.connector_voltage_v() is None
