# SPDX-License-Identifier: Apache-2.0
"""Literal frames of the protocol."""

from __future__ import annotations

import pytest

from drivers.can.advantics import (
    BatteryState,
    ChargeLimits,
    ControllerState,
    EmergencyOrigin,
    EmergencyStop,
    FromSecc,
    Function,
    Identity,
    Inputs,
    ModulesStatus,
    NewSession,
    Parameters,
    PilotLevel,
    PilotState,
    PowerControl,
    SequenceControl,
    SessionFinished,
    Status,
    VehicleVoltages,
    decode,
    index_of,
)

_TRANSFER = PowerControl(
    target_v=400.0,
    max_a=125.5,
    min_a=125.5,
    function=Function.POWER_TRANSFER,
    range_mode=False,
    contactor_closed=True,
    lower_output=False,
)
_LOWER = PowerControl(
    target_v=0.0,
    max_a=-1.0,
    min_a=0.0,
    function=Function.STANDBY,
    range_mode=True,
    contactor_closed=False,
    lower_output=True,
)


@pytest.mark.parametrize(
    ("can_id", "data", "meaning"),
    [
        (0x0106B000, "07", Status(ControllerState.CHARGING)),
        (0x0206B000, "0C", Status(ControllerState.NOT_AVAILABLE)),
        (0x0106B001, "0201", NewSession(protocol=2, pins=1)),
        (0x0106B003, "A00FE704E70448", _TRANSFER),
        (0x0106B003, "0000F6FF0000A1", _LOWER),
        (0x0106B004, "01", SessionFinished(rushed=True)),
        (0x0106B005, "01", EmergencyStop(EmergencyOrigin.STATION)),
        (0x0106B005, "03", EmergencyStop(EmergencyOrigin.VEHICLE)),
        (0x0106B100, "4B0014005064", BatteryState(20.0)),
        (0x0106B100, "4B00FF005064", BatteryState(None)),
        (0x0106B101, "B80B68108C0A", VehicleVoltages(420.0, 270.0)),
        (0x0106B102, "000070170000FA00", ChargeLimits(600.0, 250_000.0)),
        (0x0106B105, "02BA7700A001", Identity("02BA7700A001")),
        (0x0106B105, "000000000000", Identity(None)),
        (0x0106B105, "FFFFFFFFFFFF", Identity(None)),
        (0x0106B201, "0000000000555200", Inputs((42.0, None))),
        (0x0106B203, "0CE8030000000000", PilotState(PilotLevel.A)),
        (0x0106B203, "06320000", PilotState(PilotLevel.C)),
    ],
)
def test_frame_of_the_board(can_id: int, data: str, meaning: FromSecc) -> None:
    assert decode(can_id, bytes.fromhex(data)) == meaning


@pytest.mark.parametrize(
    ("can_id", "data"),
    [
        (0x0106B000, ""),
        (0x0106B000, "0E"),
        (0x0106B003, "A00FE704E704"),
        (0x0106B003, "A00FE704E70443"),
        (0x0106B005, "02"),
        (0x0106B102, "00007017000000"),
        (0x0106B105, "02BA7700A0"),
        (0x0106B203, "07"),
    ],
)
def test_frame_that_the_protocol_does_not_have_is_refused(can_id: int, data: str) -> None:
    with pytest.raises(ValueError, match=r"frame|not a valid"):
        decode(can_id, bytes.fromhex(data))


def test_other_frames_are_of_no_use() -> None:
    assert decode(0x0106B300, b"\x00\x00") is None
    assert decode(0x0106B002, b"\x01") is None


def test_index_is_in_the_id() -> None:
    assert index_of(0x0206B000) == 2
    assert index_of(0x1F06B000) == 31


@pytest.mark.parametrize(
    ("frame", "can_id", "data"),
    [
        (ModulesStatus(399.8, 125.1, True, 500.0, 45.0, 30.0).frame(1), 0x01063000, "9E0FE304554601FA"),
        (ModulesStatus(0.0, 0.0, False, None, 25.0, 25.0).frame(2), 0x02063000, "0000000041410000"),
        (ModulesStatus(9999.0, -3.0, True, 20_000.0, -60.0, 400.0).frame(1), 0x01063000, "FFFF000001FF01FF"),
        (Parameters(1000.0, 500.0).frame(1), 0x01063001, "1027881300000000"),
        (Parameters(1000.0, 0.0).frame(1), 0x01063001, "1027010000000000"),
        (Parameters(840.0, 12.39).frame(31), 0x1F063001, "D0207B0000000000"),
        (SequenceControl(True, True, True, True, False).frame(1), 0x01063002, "010700"),
        (SequenceControl(True, True, False, False, True).frame(1), 0x01063002, "010101"),
        (SequenceControl(False, False, False, False, False).frame(2), 0x02063002, "000000"),
    ],
)
def test_frame_of_the_host(frame: tuple[int, bytes], can_id: int, data: str) -> None:
    assert frame == (can_id, bytes.fromhex(data))
