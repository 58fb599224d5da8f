# SPDX-License-Identifier: Apache-2.0
"""A session on disk: the JSON that stations in the field hold is read, and written, in the same shape."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from firmware.contract import EnergyFlow, MeterContext
from services.ocpp.session import Session, Stop
from tests.support.station_bench import StationBench, charge

ID = "00000000-0000-0000-0000-000000000009"
PERMISSION = "00000000-0000-0000-0000-000000000008"
RUNNING = (
    b'{"id":"00000000-0000-0000-0000-000000000009","evse":2,"connector":1,"boot_id":"boot-1","started_utc":1800000000.0,'
    b'"last_utc":1800000030.0,"seq_no":3,"charging_state":"Charging","held":["Authorized","EnergyTransfer",'
    b'"PowerPathClosed","EVConnected"],"id_token":{"idToken":"04A1B2C3D4E580","type":"ISO14443"},"group":{"idToken":'
    b'"FLEET","type":"Central"},"authorised":true,"permission":"00000000-0000-0000-0000-000000000008",'
    b'"remote_start_id":7,"evse_reported":true,"begun":true,"begin_wh":2000.0,"last_reading":{"kind":"meter_reading",'
    b'"evse":2,"context":"periodic","energy_wh":2500.0,"voltage_v":400.0,"current_a":250.0,"power_w":100000.0,'
    b'"offered_a":250.0,"offered_w":100000.0,"soc_percent":50.0},"invalid_from_wh":null,"suspended":false,"stop":null,'
    b'"stop_reason":null,"hal_run":"run-1","ended_values":[{"timestamp":"2027-01-15T08:00:00.000Z","sampledValue":['
    b'{"value":2000.0,"context":"Transaction.Begin","measurand":"Energy.Active.Import.Register","location":"Outlet",'
    b'"unitOfMeasure":{"unit":"Wh"}}]}]}'
)
"""As it has been written since 1.0.0."""

STOPPING = RUNNING.replace(b'"authorised":true', b'"authorised":false').replace(
    b'"stop":null,"stop_reason":null',
    b'"stop":{"trigger":"ChargingStateChanged","reason":"Local","id_token":null,"deadline":1061.0,"ends":false},'
    b'"stop_reason":"Local"',
)


def test_a_running_transaction_is_read() -> None:
    session = Session.decode(RUNNING)
    assert (session.id, session.evse, session.seq_no) == (ID, 2, 3)
    assert (session.authorised, session.permission) == (True, PERMISSION)
    assert session.id_token == {"idToken": "04A1B2C3D4E580", "type": "ISO14443"}
    assert session.group == {"idToken": "FLEET", "type": "Central"}
    assert session.held == {"Authorized", "EnergyTransfer", "PowerPathClosed", "EVConnected"}
    assert session.last_reading is not None
    assert (session.last_reading.context, session.last_reading.energy_wh) == (MeterContext.PERIODIC, 2500.0)
    assert session.ended_values[0]["timestamp"] == "2027-01-15T08:00:00.000Z"
    assert session.stop is None


def test_a_stopping_transaction_is_read() -> None:
    session = Session.decode(STOPPING)
    assert session.stop == Stop("ChargingStateChanged", "Local", None, 1061.0)
    assert (session.authorised, session.stop_reason) == (False, "Local")


@pytest.mark.parametrize("state", [RUNNING, STOPPING])
def test_an_older_firmware_can_read_it(state: bytes) -> None:
    """Nothing is renamed or left out, and what was added since is ignored: an update may be rolled back."""
    written, read = json.loads(Session.decode(state).encode()), json.loads(state)
    assert written.pop("last_reading_utc") == 0.0
    assert list(written) == list(read)
    assert {**written, "held": sorted(written["held"])} == {**read, "held": sorted(read["held"])}


@pytest.mark.parametrize(
    "state", [b"{}", b'{"evse":2,"authorised":true}', RUNNING[:-1], RUNNING.replace(b"true", b"1")]
)
def test_another_shape_is_refused(state: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Session.decode(state)


def updated(directory: Path, state: bytes) -> StationBench:
    """A station that was charging when its firmware was updated, with this state on disk."""
    bench = StationBench(directory, product_name="full", variables={("TxCtrlr", "TxStopPoint"): "EVConnected"})
    bench.up()
    charge(bench)
    bench.die()
    state = state.replace(b"boot-1", bench.boot_id.encode()).replace(b"run-1", bench.run_id.encode())
    with closing(sqlite3.connect(directory / "station.db")) as database:
        database.execute("UPDATE transactions SET id = ?, state = ?", (ID, state))
        database.commit()
    bench.held[2] = PERMISSION
    bench.requests.clear()
    bench.restart_service()
    bench.up()
    return bench


def numbered(bench: StationBench) -> list[tuple[int, str, str]]:
    assert {event["transactionInfo"]["transactionId"] for event in bench.events} == {ID}
    return [(event["seqNo"], event["eventType"], event["triggerReason"]) for event in bench.events]


def test_a_running_transaction_survives_a_firmware_update(tmp_path: Path) -> None:
    bench = updated(tmp_path, RUNNING)
    assert bench.held[2] == PERMISSION
    assert bench.permitted(2)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.energy_off(2)
    bench.unplug(2)
    assert numbered(bench) == [
        (3, "Updated", "ChargingStateChanged"),
        (4, "Updated", "ChargingStateChanged"),
        (5, "Ended", "EVCommunicationLost"),
    ]
    assert bench.events[-1]["meterValue"][0]["timestamp"] == "2027-01-15T08:00:00.000Z"


def test_a_stopping_transaction_survives_a_firmware_update(tmp_path: Path) -> None:
    bench = updated(tmp_path, STOPPING)
    assert not bench.permitted(2)
    bench.energy_off(2)
    bench.unplug(2)
    assert numbered(bench) == [(3, "Updated", "ChargingStateChanged"), (4, "Ended", "EVCommunicationLost")]
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"
