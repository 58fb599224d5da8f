# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from drivers.net.devices import Device, default_device, devices, is_starting

NM = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
MODEM = "/org/freedesktop/ModemManager1/Modem/3"


def board(**manager: object) -> dict[str, Any]:
    return {
        ROOT: {NM: {"PrimaryConnection": f"{ROOT}/ActiveConnection/1", **manager}},
        f"{ROOT}/ActiveConnection/1": {
            f"{NM}.Connection.Active": {"Connection": f"{ROOT}/Settings/1", "Devices": [f"{ROOT}/Devices/2"]}
        },
        f"{ROOT}/Devices/2": {
            f"{NM}.Device": {
                "Interface": "eth0",
                "IpInterface": "eth0",
                "DeviceType": 1,
                "State": 100,
                "ActiveConnection": f"{ROOT}/ActiveConnection/1",
                "AvailableConnections": [f"{ROOT}/Settings/1"],
                "Ip4Connectivity": 4,
                "Ip6Connectivity": 1,
            }
        },
        f"{ROOT}/Devices/3": {
            f"{NM}.Device": {
                "Interface": "cdc-wdm0",
                "IpInterface": "",
                "DeviceType": 8,
                "Udi": MODEM,
                "State": 30,
                "ActiveConnection": "/",
                "AvailableConnections": [f"{ROOT}/Settings/2"],
                "Ip4Connectivity": 0,
            }
        },
    }


def test_devices_and_the_default_one() -> None:
    found = devices(board())
    wired = Device(f"{ROOT}/Devices/2", "eth0", "eth0", 1, "", 100, True, f"{ROOT}/Settings/1")
    modem = Device(f"{ROOT}/Devices/3", "cdc-wdm0", "", 8, MODEM, 30, None, f"{ROOT}/Settings/2")
    assert found == [wired, modem]
    assert (wired.up, modem.up, modem.managed, modem.is_modem) == (True, False, True, True)
    assert default_device(board(), found) == wired


@pytest.mark.parametrize("primary", ["/", "/gone", None, 7])
def test_no_default_route(primary: object) -> None:
    assert default_device(board(PrimaryConnection=primary), devices(board())) is None


def test_a_device_of_others() -> None:
    objects = {"/d/1": {f"{NM}.Device": {"Interface": "eth0", "State": 10}}}
    assert not devices(objects)[0].managed


@pytest.mark.parametrize(("startup", "starting"), [(True, True), (False, False), (None, False), ("yes", False)])
def test_a_start(startup: object, starting: bool) -> None:
    assert is_starting(board(Startup=startup)) is starting


@pytest.mark.parametrize(
    ("ip4", "ip6", "reachable"),
    [(0, 0, None), (4, 0, True), (3, 0, False), (1, 4, True), (2, 1, False), ("full", None, None)],
)
def test_the_connectivity_check(ip4: object, ip6: object, reachable: bool | None) -> None:
    objects = {"/d/1": {f"{NM}.Device": {"Ip4Connectivity": ip4, "Ip6Connectivity": ip6}}}
    assert devices(objects)[0].reachable is reachable


def test_properties_of_a_wrong_type() -> None:
    objects = {"/d/1": {f"{NM}.Device": {"Interface": 7, "State": "activated", "AvailableConnections": [None, "/"]}}}
    assert devices(objects) == [Device("/d/1", "", "", 0, "", 0, None, None)]
