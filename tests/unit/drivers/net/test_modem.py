# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from drivers.net.links import condition_of
from drivers.net.modem import Modem, ModemState, SimTrouble, find_modem
from drivers.net.recovery import Condition

MODEM = "org.freedesktop.ModemManager1.Modem"
PATH = "/org/freedesktop/ModemManager1/Modem/3"


def modem(state: object = 11, **more: object) -> dict[str, Any]:
    return {MODEM: {"State": state, **more}}


def found(objects: dict[str, Any]) -> Modem:
    modem = find_modem(objects)
    assert modem is not None
    return modem


def test_a_connected_modem() -> None:
    objects: dict[str, Any] = {
        PATH: {
            MODEM: {"State": 11, "SignalQuality": [64, True], "Ports": [["cdc-wdm0", 6], ["wwan0", 2], ["ttyUSB0", 3]]},
            f"{MODEM}.Modem3gpp": {"OperatorName": "Testnet"},
            f"{MODEM}.Signal": {"Lte": {"rsrp": -97.0, "rsrq": -11.5, "rssi": -70.0}},
        },
    }
    assert found(objects) == Modem(PATH, ModemState.CONNECTED, 0, 64, -97.0, -11.5, "Testnet", "wwan0")


@pytest.mark.parametrize(
    ("signal", "dbm", "rsrq"),
    [
        ({"Nr5g": {"rsrp": -90.0, "rsrq": -10.0}, "Lte": {"rsrp": -97.0, "rsrq": -12.0}}, -90.0, -10.0),
        ({"Nr5g": {}, "Lte": {"rsrp": -97.0}}, -97.0, None),
        ({"Lte": {}, "Umts": {"rssi": -71.0}}, -71.0, None),
        ({"Gsm": {"rssi": -80.0}}, -80.0, None),
        ({"Lte": {"rsrp": -32768.0}}, None, None),
        ({"Lte": {"rsrp": "strong"}}, None, None),
        ({"Lte": 7}, None, None),
        ({}, None, None),
    ],
)
def test_the_signal_of_the_newest_technology(signal: dict[str, Any], dbm: float | None, rsrq: float | None) -> None:
    reported = found({PATH: modem() | {f"{MODEM}.Signal": signal}})
    assert (reported.signal_dbm, reported.rsrq_db) == (dbm, rsrq)


@pytest.mark.parametrize("quality", [None, [], [101, True], [-1, True], "64", 64, ["64", True]])
def test_a_quality_that_can_not_be(quality: object) -> None:
    assert found({PATH: modem(SignalQuality=quality)}).signal_percent is None


def test_no_modem_among_other_objects() -> None:
    assert find_modem({"/sim/0": {"org.freedesktop.ModemManager1.Sim": {"Active": True}}}) is None


def test_of_several_the_one_that_has_got_furthest() -> None:
    assert found({"/m/0": modem(-1), "/m/1": modem(8), "/m/2": modem(7)}).path == "/m/1"


@pytest.mark.parametrize("state", [None, "connected", 99, True])
def test_a_state_that_can_not_be(state: object) -> None:
    assert found({PATH: modem(state)}).state is ModemState.UNKNOWN


@pytest.mark.parametrize("ports", [None, "wwan0", [7], [["wwan0"]], [["wwan0", "net"]], [[2, 2]], [["ttyUSB0", 3]]])
def test_no_network_port(ports: object) -> None:
    assert found({PATH: modem(Ports=ports)}).interface is None


@pytest.mark.parametrize(
    ("properties", "condition"),
    [
        ({"State": 11}, Condition.GOOD),
        ({"State": 8}, Condition.UNCONNECTED),
        ({"State": 10}, Condition.UNCONNECTED),
        ({"State": 7}, Condition.WAITING),
        ({"State": 1}, Condition.WAITING),
        ({"State": 2}, Condition.SIM),
        ({"State": -1, "StateFailedReason": 1}, Condition.FAILED),
        ({"State": -1, "StateFailedReason": 4}, Condition.FAILED),
        ({"State": -1, "StateFailedReason": 99}, Condition.FAILED),
        ({"State": -1, "StateFailedReason": 2}, Condition.SIM),
        ({"State": -1, "StateFailedReason": 3}, Condition.SIM),
        ({"State": -1, "StateFailedReason": 5}, Condition.SIM),
    ],
)
def test_what_is_wrong(properties: dict[str, Any], condition: Condition) -> None:
    assert condition_of(found({PATH: {MODEM: properties}}), None) is condition


def test_nothing_is_wrong_with_no_modem_but_that() -> None:
    assert condition_of(None, None) is Condition.ABSENT


def test_the_reason_of_an_earlier_failure_means_nothing() -> None:
    assert found({PATH: modem(11, StateFailedReason=2)}).sim_trouble is None
    assert found({PATH: modem(-1, StateFailedReason=2)}).sim_trouble is SimTrouble.MISSING
