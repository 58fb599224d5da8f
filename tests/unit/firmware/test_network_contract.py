# SPDX-License-Identifier: Apache-2.0
"""What is wrong with settings of the network, field by field."""

from __future__ import annotations

import pytest

from firmware.contract import (
    Addressing,
    ApnAuthentication,
    NewCellularSettings,
    WiredSettings,
    cellular_problems,
    wired_problems,
)

OTHERS = ["198.51.100.7/24"]


def fixed(address: str, gateway: str = "", *dns: str) -> WiredSettings:
    return WiredSettings(Addressing.FIXED, address, gateway, list(dns))


@pytest.mark.parametrize(
    "settings",
    [
        WiredSettings(Addressing.DHCP),
        WiredSettings(Addressing.DHCP, dns=["192.0.2.53"]),
        fixed("192.0.2.10/24"),
        fixed("192.0.2.10/24", "192.0.2.1", "192.0.2.53", "198.51.100.53"),
        fixed("10.1.2.3/8", "10.255.255.254"),
        fixed("192.0.2.1/30", "192.0.2.2"),
    ],
)
def test_settings_that_can_work(settings: WiredSettings) -> None:
    assert wired_problems(settings, others=OTHERS) == {}


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        (fixed(""), "address", "expected an IPv4 address with its prefix"),
        (fixed("192.0.2.10"), "address", "with its prefix"),
        (fixed("192.0.2.10/255.255.255.0"), "address", "with its prefix"),
        (fixed("192.0.2.256/24"), "address", "with its prefix"),
        (fixed("192.0.2.10/٢٤"), "address", "with its prefix"),
        (fixed("fe80::1/64"), "address", "with its prefix"),
        (fixed("192.0.2.10/31"), "address", "a prefix of 8 to 30, got 31"),
        (fixed("192.0.2.10/0"), "address", "a prefix of 8 to 30, got 0"),
        (fixed("192.0.2.0/24"), "address", "is the network address of 192.0.2.0/24"),
        (fixed("192.0.2.255/24"), "address", "is the broadcast address of 192.0.2.0/24"),
        (fixed("127.0.0.1/8"), "address", "not an address of a host"),
        (fixed("224.0.0.5/24"), "address", "not an address of a host"),
        (fixed("169.254.7.7/16"), "address", "not an address of a host"),
        (fixed("0.0.0.5/24"), "address", "not an address of a host"),
        (fixed("198.51.100.9/25"), "address", "overlaps 198.51.100.0/24"),
        (fixed("192.0.2.10/24", "192.0.3.1"), "gateway", "can't be reached: it is not in 192.0.2.0/24"),
        (fixed("192.0.2.10/24", "192.0.2.10"), "gateway", "another address than the station's own"),
        (fixed("192.0.2.10/24", "192.0.2.255"), "gateway", "not an address of a host in 192.0.2.0/24"),
        (fixed("192.0.2.10/24", "router"), "gateway", "expected an IPv4 address"),
        (fixed("192.0.2.10/24", "", "dns.example"), "dns", "got 'dns.example'"),
        (fixed("192.0.2.10/24", "", *["192.0.2.53"] * 4), "dns", "at most 3"),
        (WiredSettings(Addressing.DHCP, "192.0.2.10/24"), "address", "expected nothing"),
        (WiredSettings(Addressing.DHCP, gateway="192.0.2.1"), "gateway", "expected nothing"),
    ],
)
def test_settings_that_cannot(settings: WiredSettings, field: str, words: str) -> None:
    problems = wired_problems(settings, others=OTHERS)
    assert list(problems) == [field]
    assert words in problems[field]


@pytest.mark.parametrize("apn", ["internet", "m2m.example-2.com", "a.mnc012.mcc345.gprs", "a" * 62, "X.Y"])
def test_names_of_access_points(apn: str) -> None:
    assert cellular_problems(NewCellularSettings(apn)) == {}


@pytest.mark.parametrize(
    ("apn", "words"),
    [
        ("", "the name of an access point"),
        ("internet example", "letters, digits and hyphens"),
        ("internet.", "letters, digits and hyphens"),
        ("inter..net", "letters, digits and hyphens"),
        ("-internet", "letters, digits and hyphens"),
        ("internet-", "letters, digits and hyphens"),
        ("интернет", "letters, digits and hyphens"),
        ("internet_2", "letters, digits and hyphens"),
        ("internet\n", "letters, digits and hyphens"),
        ("*", "letters, digits and hyphens"),
        ("a" * 64, "letters, digits and hyphens"),
        ("a.gprs", "before .gprs"),
        ("a.mnc1.mcc2.gprs", "before .gprs"),
        ("sgsn7.example", "another beginning"),
        ("RAC", "another beginning"),
        (".".join(["a" * 20] * 4), "at most 62"),
        ("a" * 100, "at most 99"),
    ],
)
def test_no_names_of_access_points(apn: str, words: str) -> None:
    problems = cellular_problems(NewCellularSettings(apn))
    assert list(problems) == ["apn"]
    assert words in problems["apn"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user": "u" * 65}, "user"),
        ({"user": "jürgen"}, "user"),
        ({"user": "u", "password": "p\n"}, "password"),
        ({"password": "secret"}, "user"),
        ({"pin": "123"}, "pin"),
        ({"pin": "123456789"}, "pin"),
        ({"pin": "12a4"}, "pin"),
        ({"pin": "١٢٣٤"}, "pin"),
        ({"user": "u", "authentication": ApnAuthentication.NONE}, "authentication"),
    ],
)
def test_settings_of_a_modem_that_cannot_work(changes: dict[str, object], field: str) -> None:
    problems = cellular_problems(NewCellularSettings("internet", **changes))  # type: ignore[arg-type]
    assert list(problems) == [field]
    assert "secret" not in repr(problems)


def test_secrets_are_in_no_log() -> None:
    settings = NewCellularSettings("internet", "user", password="sesame", pin="1234")
    assert "sesame" not in f"{settings!r} {settings}"
    assert "1234" not in f"{settings!r} {settings}"
