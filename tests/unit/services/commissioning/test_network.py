# SPDX-License-Identifier: Apache-2.0
"""Settings of the network: checked field by field, asked of the HAL, told to every page, and no secret anywhere."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from firmware.contract import (
    Addressing,
    ApnAuthentication,
    CellularSettings,
    EndNetworkTrial,
    GetNetwork,
    Network,
    NetworkInterface,
    NetworkTrial,
    NewCellularSettings,
    Problem,
    SetCellular,
    SetWired,
    WiredSettings,
)
from tests.support.commissioning import Browser, HalDouble, Served

WIRED = "/api/network/Wired0/wired"
CELLULAR = "/api/network/Wireless0/cellular"
FIXED = {"method": "fixed", "address": "203.0.113.10/24", "gateway": "203.0.113.1", "dns": ["203.0.113.53"]}
NETWORK = Network(
    [
        NetworkInterface("Wired0", wired=WiredSettings(Addressing.DHCP), addresses=["192.0.2.23/24"]),
        NetworkInterface(
            "Wireless0",
            is_cellular=True,
            cellular=CellularSettings("internet.example", password_is_set=True),
            addresses=["198.51.100.7/30"],
        ),
    ],
    NetworkTrial("Wired0", 171.5),
)


@pytest.fixture
def hal(link: HalDouble) -> HalDouble:
    link.network = NETWORK
    return link


async def test_the_settings_and_the_trial_are_shown(hal: HalDouble, installer: Browser) -> None:
    shown = (await installer.get("/api/network")).content
    assert shown["trial"] == {"interface": "Wired0", "left_s": 171.5}
    assert shown["interfaces"][1] == {
        "name": "Wireless0",
        "is_cellular": True,
        "cellular": {"apn": "internet.example", "password_is_set": True},
        "addresses": ["198.51.100.7/30"],
    }


async def test_what_is_asked_for_reaches_the_hal(hal: HalDouble, installer: Browser) -> None:
    assert (await installer.call("PUT", WIRED, FIXED)).status == 200
    cellular = {"apn": "m2m.example", "user": "u", "password": "sesame", "authentication": "chap", "pin": None}
    assert (await installer.call("PUT", CELLULAR, cellular)).status == 200
    assert (await installer.post("/api/network/keep")).status == 200
    assert (await installer.post("/api/network/return")).status == 200
    settings = WiredSettings(Addressing.FIXED, "203.0.113.10/24", "203.0.113.1", ["203.0.113.53"])
    assert [each for each in hal.commands if not isinstance(each, GetNetwork)] == [
        SetWired("Wired0", settings),
        SetCellular("Wireless0", NewCellularSettings("m2m.example", "u", ApnAuthentication.CHAP, "sesame")),
        EndNetworkTrial(keep=True),
        EndNetworkTrial(keep=False),
    ]


async def test_each_field_has_its_own_sentence(hal: HalDouble, installer: Browser) -> None:
    answer = await installer.call("PUT", WIRED, {**FIXED, "gateway": "203.0.114.1", "dns": ["dns"]})
    assert (answer.status, answer.error) == (400, "refused")
    assert answer.content["fields"] == {
        "gateway": "203.0.114.1 can't be reached: it is not in 203.0.113.0/24",
        "dns": "expected IPv4 addresses such as 192.0.2.53, got 'dns'",
    }
    answer = await installer.call("PUT", WIRED, {**FIXED, "address": "198.51.100.5/24", "gateway": ""})
    assert "overlaps 198.51.100.4/30" in answer.content["fields"]["address"]
    answer = await installer.call("PUT", CELLULAR, {"apn": "a_b", "pin": "12"})
    assert sorted(answer.content["fields"]) == ["apn", "pin"]
    assert [each for each in hal.commands if not isinstance(each, GetNetwork)] == []


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"method": "magic"},
        {"method": "fixed", "address": 7},
        {"method": "dhcp", "dns": "192.0.2.53"},
        {"method": "dhcp", "mtu": 9000},
    ],
)
async def test_what_is_no_setting_is_refused(hal: HalDouble, installer: Browser, content: object) -> None:
    assert (await installer.call("PUT", WIRED, content)).error == "malformed"
    assert hal.commands == []


async def test_a_refusal_of_the_hal_is_told(hal: HalDouble, installer: Browser) -> None:
    hal.refusal = Problem.NOT_ALLOWED, "new settings of Wired0 are being tried: confirm or end that first"
    answer = await installer.call("PUT", WIRED, {"method": "dhcp"})
    assert (answer.status, answer.error, answer.content["detail"]) == (409, "not_allowed", hal.refusal[1])
    hal.refusal = Problem.DEVICE_FAILED, "no system bus: not connected yet"
    assert (await installer.post("/api/network/keep")).status == 502


async def test_every_page_hears_of_a_trial(hal: HalDouble, installer: Browser) -> None:
    async with installer.open("/api/events") as stream:
        await stream.content.readuntil(b"\n\n")
        await installer.call("PUT", WIRED, FIXED)
        async with asyncio.timeout(10.0):
            while (line := await stream.content.readline()) != b"event: network\n":
                assert line
            data = await stream.content.readline()
    assert json.loads(data.removeprefix(b"data: "))["trial"]["interface"] == "Wired0"


async def test_secrets_are_neither_logged_nor_answered(
    page: Served, hal: HalDouble, installer: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {"user": "u", "password": "open-sesame", "pin": "47114711"}
    answers = [
        await installer.call("PUT", CELLULAR, {"apn": "m2m.example", **secrets}),
        await installer.call("PUT", CELLULAR, {"apn": "a_b", **secrets}),
        await installer.call("PUT", CELLULAR, {"apn": "m2m", **secrets, "pin": 47114711}),
    ]
    assert [each.status for each in answers] == [200, 400, 400]
    assert "audit: installer from 127.0.0.1: Try an access point" in caplog.text
    for secret in ("open-sesame", "47114711"):
        assert secret not in caplog.text
        assert secret not in str([each.content for each in answers])
