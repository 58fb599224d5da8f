# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from msgspec import Struct

from drivers.http.lem_dcbm_messages import LiveMeasure, SettingsResult, Status, decode, sample_of
from firmware.errors import DeviceRefused
from hal.ports import MeterSample

STATUS = (
    b'{"meterId": "12024072805", "publicKeyOcmf": "3059", "version": {"applicationFirmwareVersion": "%s"},'
    b' "status": {"value": 17, "bits": {"transactionIsOnGoing": true}}}'
)
LIVE = (
    b'{"voltage": 399.8, "current": 250.1, "power": 99.99, "temperatureH": 40.1, "temperatureL": 39, '
    b'"energyImportTotal": 1234.567, "energyExportTotal": 0, "timestamp": "2026-11-23T02:00:00.000Z"}'
)


@pytest.mark.parametrize(
    ("firmware", "api"),
    [("0.1.2.3", "/v1"), ("0.2.0.0", "/v2"), ("0.10.0.0", "/v2"), ("1.1.9.9", "/v1"), ("x", "/v1"), ("", "/v1")],
)
def test_status(firmware: str, api: str) -> None:
    status = decode(STATUS % firmware.encode(), Status)
    assert (status.meter_id, status.firmware, status.is_charging, status.api) == ("12024072805", firmware, True, api)


def test_status_without_bits() -> None:
    assert not decode(b'{"meterId": "1", "version": {"applicationFirmwareVersion": "0.1"}}', Status).is_charging


def test_values_are_in_watts_and_watt_hours() -> None:
    assert sample_of(decode(LIVE, LiveMeasure), 5.0, "1") == MeterSample(
        mono_s=5.0,
        energy_wh=1_234_567.0,
        voltage_v=399.8,
        current_a=250.1,
        power_w=99_990.0,
        serial_number="1",
    )


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"", Status, "truncated"),
        (b'{"meterId": ', Status, "truncated"),
        (b"<html>", Status, "malformed"),
        (b"[" * 100_000, Status, "array|recursion"),
        (b'{"meterId": 7}', Status, "meterId"),
        (b'{"meterId": "1"}', Status, "version"),
        (b'{"voltage": "400", "current": 1, "power": 1, "energyImportTotal": 1}', LiveMeasure, "voltage"),
        (b'{"voltage": NaN, "current": 1, "power": 1, "energyImportTotal": 1}', LiveMeasure, "malformed"),
        (b'{"voltage": 1, "current": 1, "power": 1}', LiveMeasure, "energyImportTotal"),
        (b'{"result": null}', SettingsResult, "result"),
        (b"\xff\xfe", SettingsResult, ""),
    ],
)
def test_what_is_not_as_the_protocol_has_it(body: bytes, kind: type[Struct], text: str) -> None:
    with pytest.raises(DeviceRefused, match=f"not as the protocol has it: .*({text})"):
        decode(body, kind)
