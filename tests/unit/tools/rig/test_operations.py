# SPDX-License-Identifier: Apache-2.0
"""Every operation of the contract is accepted as written, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from drivers.simulated.world.car import Misbehaviour
from drivers.simulated.world.garage import CarOrder
from firmware.contract import Fault
from tools.rig import operations as op
from tools.rig.operations import NO_ID, OPERATIONS, Operation, OperationError, parse

GOOD: list[tuple[dict[str, Any], Operation]] = [
    ({"op": "state"}, op.State()),
    ({"op": "subscribe"}, op.Subscribe()),
    ({"op": "power_off"}, op.PowerOff()),
    ({"op": "power_on"}, op.PowerOn()),
    ({"op": "power_cycle"}, op.PowerCycle(off_s=0.2)),
    ({"op": "power_cycle", "off_s": 3}, op.PowerCycle(off_s=3)),
    ({"op": "reboot"}, op.Reboot()),
    ({"op": "select_evse", "evse": 2}, op.SelectEvse(evse=2)),
    ({"op": "present_card", "uid": "04a1B2"}, op.PresentCard(uid="04a1B2", evse=None, hold_s=0.5)),
    (
        {"op": "present_card", "uid": "AABBCCDD", "evse": 1, "hold_s": 2},
        op.PresentCard(uid="AABBCCDD", evse=1, hold_s=2),
    ),
    ({"op": "press_stop", "evse": 1}, op.PressStop(evse=1)),
    ({"op": "plug_in", "evse": 1}, op.PlugIn(evse=1)),
    (
        {
            "op": "plug_in",
            "evse": 1,
            "car": {
                "soc_percent": 50,
                "capacity_kwh": 60,
                "max_kw": 100,
                "max_v": 400,
                "max_a": 300,
                "evcc_id": "0102AB",
                "ready": False,
            },
        },
        op.PlugIn(
            evse=1,
            car=CarOrder(
                soc_percent=50, capacity_kwh=60, max_kw=100, max_v=400, max_a=300, evcc_id="0102AB", ready=False
            ),
        ),
    ),
    ({"op": "plug_out", "evse": 1}, op.PlugOut(evse=1, force=False)),
    ({"op": "plug_out", "evse": 1, "force": True}, op.PlugOut(evse=1, force=True)),
    (
        {"op": "car", "evse": 1, "ready": True, "suspended": True, "soc_percent": 1, "max_kw": 2, "max_a": 3},
        op.Car(evse=1, ready=True, suspended=True, soc_percent=1, max_kw=2, max_a=3),
    ),
    (
        {"op": "car", "evse": 1, "insulation_kohm": 60, "plug_temp_c": 95.5, "misbehave": "hold_current"},
        op.Car(evse=1, insulation_kohm=60, plug_temp_c=95.5, misbehave=Misbehaviour.HOLD_CURRENT),
    ),
    ({"op": "car", "evse": 1, "plug_temp_c": None}, op.Car(evse=1, plug_temp_c=None)),
    ({"op": "meter", "evse": 1, "energy_wh": 5, "failed": True}, op.MeterChange(evse=1, energy_wh=5, failed=True)),
    ({"op": "fault", "code": "emergency_stop"}, op.RaiseFault(code=Fault.EMERGENCY_STOP)),
    ({"op": "fault", "code": "meter", "evse": 2}, op.RaiseFault(code=Fault.METER, evse=2)),
    ({"op": "clear_fault", "code": "door_open"}, op.ClearFault(code=Fault.DOOR_OPEN)),
    ({"op": "network", "mode": "down"}, op.Network(mode="down")),
    (
        {"op": "network", "mode": "up", "latency_ms": 20, "interface": "Wired0"},
        op.Network(mode="up", latency_ms=20, interface="Wired0"),
    ),
    (
        {"op": "network", "signal_percent": 20, "interface": "Wireless0"},
        op.Network(signal_percent=20, interface="Wireless0"),
    ),
    ({"op": "clock", "offset_s": -3600}, op.Clock(offset_s=-3600)),
    ({"op": "clock", "lost": True}, op.Clock(lost=True)),
    ({"op": "storage", "full": True}, op.Storage(full=True)),
    ({"op": "storage", "corrupt": "database"}, op.Storage(corrupt="database")),
    ({"op": "process", "kill": "hal"}, op.Process(kill="hal")),
    ({"op": "firmware", "next": "boot_fails"}, op.Firmware(next="boot_fails")),
    (
        {"op": "device_fault", "device": "meter 1", "fault": "cut"},
        op.DeviceFault(device="meter 1", fault="cut", present=True),
    ),
    ({"op": "device", "device": "meter 1", "plugged": False}, op.Device(device="meter 1", plugged=False)),
]

BAD: list[tuple[bytes, str]] = [
    (b"", "bad_request"),
    (b"{", "bad_request"),
    (b"[]", "bad_request"),
    (b"7", "bad_request"),
    (b"\xff\xfe{}", "bad_request"),
    (b"[" * 20000, "bad_request"),
    (b"{}", "bad_request"),
    (b'{"op": 7}', "bad_request"),
    (b'{"op": "car", "evse": 1, "soc_percent": 1e999}', "bad_request"),
    (b'{"op": "explode"}', "unknown_op"),
    (b'{"op": "state", "more": 1}', "bad_request"),
    (b'{"op": "select_evse"}', "bad_request"),
    (b'{"op": "select_evse", "evse": "1"}', "bad_request"),
    (b'{"op": "select_evse", "evse": true}', "bad_request"),
    (b'{"op": "select_evse", "evse": 1.5}', "bad_request"),
    (b'{"op": "select_evse", "evse": 0}', "bad_request"),
    (b'{"op": "present_card", "uid": "XY"}', "bad_request"),
    (b'{"op": "present_card", "uid": "ABC"}', "bad_request"),
    (b'{"op": "present_card", "uid": ""}', "bad_request"),
    (b'{"op": "present_card", "uid": "AABB", "hold_s": -1}', "bad_request"),
    (b'{"op": "present_card", "uid": "AABB", "hold_s": 1e999}', "bad_request"),
    (b'{"op": "plug_in", "evse": 1, "car": {"soc_percent": 101}}', "bad_request"),
    (b'{"op": "plug_in", "evse": 1, "car": {"colour": "red"}}', "bad_request"),
    (b'{"op": "plug_in", "evse": 1, "car": []}', "bad_request"),
    (b'{"op": "plug_out", "evse": 1, "force": 1}', "bad_request"),
    (b'{"op": "car", "evse": 1}', "bad_request"),
    (b'{"op": "car", "evse": 1, "misbehave": "explode"}', "bad_request"),
    (b'{"op": "car", "evse": 1, "max_kw": NaN}', "bad_request"),
    (b'{"op": "car", "evse": 1, "max_kw": null}', "bad_request"),
    (b'{"op": "meter", "evse": 1}', "bad_request"),
    (b'{"op": "meter", "evse": 1, "energy_wh": -1}', "bad_request"),
    (b'{"op": "fault", "code": "meteor"}', "bad_request"),
    (b'{"op": "network"}', "bad_request"),
    (b'{"op": "network", "interface": "Wired0"}', "bad_request"),
    (b'{"op": "network", "mode": "sideways"}', "bad_request"),
    (b'{"op": "clock"}', "bad_request"),
    (b'{"op": "clock", "offset_s": 1, "lost": true}', "bad_request"),
    (b'{"op": "storage"}', "bad_request"),
    (b'{"op": "storage", "full": true, "corrupt": "database"}', "bad_request"),
    (b'{"op": "storage", "corrupt": "everything"}', "bad_request"),
    (b'{"op": "process", "kill": "init"}', "bad_request"),
    (b'{"op": "firmware", "next": "maybe"}', "bad_request"),
]


@pytest.mark.parametrize(("request_fields", "operation"), GOOD, ids=lambda value: str(value)[:60])
def test_operation_is_parsed(request_fields: dict[str, Any], operation: Operation) -> None:
    request = parse(msgspec.json.encode({"id": 7, **request_fields}))
    assert (request.id, request.operation) == (Raw(b"7"), operation)


def test_every_operation_of_the_table_is_tried_here() -> None:
    assert {fields["op"] for fields, _ in GOOD} == set(OPERATIONS)


@pytest.mark.parametrize(("line", "code"), BAD, ids=lambda value: str(value)[:60])
def test_anything_else_is_refused_with_its_code(line: bytes, code: str) -> None:
    with pytest.raises(OperationError) as caught:
        parse(line)
    assert caught.value.code == code
    assert caught.value.detail


@pytest.mark.parametrize(
    "request_id",
    [
        b"12",
        b"1.0",
        b"-1e999",
        b"9" * 500,
        b'"a"',
        b'"' + b"a" * 500 + b'"',
        b"true",
        b"null",
        b'[1, "b"]',
        b'{"a": {}}',
    ],
)
def test_id_of_any_kind_comes_back_as_it_was_sent(request_id: bytes) -> None:
    assert bytes(parse(b'{"id": %s, "op": "state"}' % request_id).id) == request_id
    for rest in (b'"op": "nope"', b'"op": 7', b'"op": "state", "more": 1', b'"op": "meter", "evse": 1', b'"op": 1e999'):
        with pytest.raises(OperationError) as caught:
            parse(b'{"id": %s, %s}' % (request_id, rest))
        assert bytes(caught.value.request_id) == request_id


def test_request_without_an_id_is_answered_without_one() -> None:
    assert parse(b'{"op": "state"}').id == NO_ID


@given(st.binary(max_size=200))
def test_garbage_is_refused(line: bytes) -> None:
    with pytest.raises(OperationError):
        parse(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(st.sampled_from(["evse", "uid", "mode", "x"]), json_values))
def test_any_fields_are_accepted_or_refused(name: str, fields: dict[str, Any]) -> None:
    try:
        line = msgspec.json.encode({"id": 1, **fields, "op": name})
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return
    codes = []
    try:
        assert parse(line).id == Raw(b"1")
    except OperationError as error:
        codes.append(error.code)
    assert codes in ([], ["bad_request"])
