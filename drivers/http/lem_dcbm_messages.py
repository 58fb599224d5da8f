# SPDX-License-Identifier: Apache-2.0
"""What is read of the answers of a LEM DCBM 400/600 (LEM, communication protocols manual). Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from firmware.errors import DeviceRefused
from hal.ports import MeterSample

__all__ = ["Ended", "LiveMeasure", "SettingsResult", "Status", "Transaction", "decode", "sample_of"]

_S = TypeVar("_S", bound=Struct)
_STILL_RUNNING = 0x04


class _Bits(Struct, frozen=True, rename="camel"):
    transaction_is_on_going: bool = False


class _State(Struct, frozen=True):
    bits: _Bits = _Bits()


class _Version(Struct, frozen=True, rename="camel"):
    application_firmware_version: str


class Status(Struct, frozen=True, rename="camel"):
    """GET /v1/status."""

    meter_id: str
    version: _Version
    status: _State = _State()

    @property
    def firmware(self) -> str:
        return self.version.application_firmware_version

    @property
    def api(self) -> str:
        """`/v2` if the second part of the version is above 1, else `/v1`; status and settings are always `/v1`."""
        second = self.firmware.partition(".")[2].partition(".")[0]
        return "/v2" if second.isdecimal() and int(second) > 1 else "/v1"

    @property
    def is_charging(self) -> bool:
        """A transaction of the meter is going on."""
        return self.status.bits.transaction_is_on_going


class LiveMeasure(Struct, frozen=True, rename="camel"):
    """GET /v1/livemeasure: V, A, kW, kWh."""

    voltage: float
    current: float
    power: float
    energy_import_total: float
    timestamp: str = ""


class Transaction(Struct, frozen=True, rename="camel"):
    """GET /v1/legal."""

    transaction_id: str


class _MeterValue(Struct, frozen=True, rename="camel"):
    transaction_status: int = 0


class Ended(Struct, frozen=True, rename="camel"):
    """PUT /v1/legal, with which a transaction ends."""

    meter_value: _MeterValue = _MeterValue()

    @property
    def is_over(self) -> bool:
        return not self.meter_value.transaction_status & _STILL_RUNNING


class SettingsResult(Struct, frozen=True):
    """PUT /v1/settings: 1 is success."""

    result: int


def decode(body: bytes, kind: type[_S]) -> _S:
    """An answer; raises `DeviceRefused`, with the field that is missing or wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceRefused(f"an answer that is not as the protocol has it: {error}") from error


def sample_of(measure: LiveMeasure, mono_s: float, serial_number: str) -> MeterSample:
    """The values in W and Wh, without the rounding error of the factor."""
    return MeterSample(
        mono_s=mono_s,
        energy_wh=round(measure.energy_import_total * 1000.0, 3),
        voltage_v=measure.voltage,
        current_a=measure.current,
        power_w=round(measure.power * 1000.0, 3),
        serial_number=serial_number,
    )
