# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from tools.rig.summary import summary

EVSE: dict[str, Any] = {
    "evse": 2,
    "connector": 1,
    "availability": "Operative",
    "status": "Occupied",
    "phase": "charging",
    "selected": True,
    "plugged": True,
    "locked": True,
    "contactor": "closed",
    "voltage_v": 700.0,
    "current_a": 200.0,
    "power_kw": 140.0,
    "energy_wh": 12_345.6,
    "soc_percent": 41.2,
    "offered_kw": 400.0,
    "transaction_id": "41c2b7ab-08fa-4ee0-a246-9a2ec4e0078c",
    "charging_state": "Charging",
    "id_token": "04A1B2C3",
    "faults": [],
}
STATE: dict[str, Any] = {
    "powered": True,
    "boots": 3,
    "identity": "CP001",
    "firmware_version": "1.0.0",
    "ocpp": {
        "connected": True,
        "registration": "Accepted",
        "slot": 1,
        "security_profile": 2,
        "queued_messages": 0,
        "last_failure": None,
    },
    "evses": [EVSE],
    "links": {"Wired0": "up", "Wireless0": "down"},
    "processes": {"hal": 11, "ocpp": 12, "commissioning": None},
    "faults": ["door_open"],
}


def test_a_station_in_a_few_lines() -> None:
    assert summary(STATE).splitlines() == [
        "CP001, firmware 1.0.0, boot 3; processes: hal 11, ocpp 12",
        "CSMS: connected (slot 1, security profile 2), Accepted",
        "links: Wired0 up, Wireless0 down",
        "faults of the station: door_open",
        "",
        "EVSE  status    phase     cable   power     offered  meter      car   transaction        faults",
        "2     Occupied  charging  locked  140.0 kW  400 kW   12.35 kWh  41 %  41c2b7ab Charging  -",
    ]


def test_without_the_csms() -> None:
    failure = {"text": "nothing listens at 127.0.0.1:9000"}
    away = {"connected": False, "registration": None, "queued_messages": 7, "last_failure": failure}
    line = "CSMS: not connected: nothing listens at 127.0.0.1:9000; messages queued: 7"
    assert line in summary(STATE | {"ocpp": STATE["ocpp"] | away})
    assert summary(STATE | {"powered": False}) == "CP001: without power"
