# SPDX-License-Identifier: Apache-2.0
"""Configuration slots: stored, ordered, and checked."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import ConfigError
from firmware.factory_settings import NetworkProfile
from firmware.product import load
from services.ocpp import network_profiles
from services.ocpp.csms.dial import connection_url
from services.ocpp.key_values import Key

PRODUCT = load("c7am-400-cc")
FACTORY = [NetworkProfile(slot=slot, url=f"ws://host{slot}/ocpp") for slot in (1, 3)]


class KeyValues:
    """`key_values.KeyValueStore` in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def put(self, key: str, value: Any) -> None:
        self.values[key] = value


def data(**more: Any) -> Any:
    return {
        "messageTimeout": 20,
        "ocppCsmsUrl": "ws://csms.example/ocpp",
        "ocppInterface": "Wireless0",
        "ocppTransport": "JSON",
        "ocppVersion": "OCPP20",
        "securityProfile": 1,
        **more,
    }


def test_factory_profiles_until_others_are_stored() -> None:
    key_values = KeyValues()
    profiles = network_profiles.load(key_values, FACTORY)
    assert list(profiles) == [1, 3]
    profiles[2] = network_profiles.parse(2, data(), PRODUCT)
    network_profiles.store(key_values, profiles)
    again = network_profiles.load(key_values, [])
    assert again == profiles
    assert again[2] == NetworkProfile(
        slot=2, url="ws://csms.example/ocpp", security_profile=1, interface="Wireless0", message_timeout_s=20
    )


def test_priority() -> None:
    profiles = network_profiles.load(KeyValues(), FACTORY)
    assert [profile.slot for profile in network_profiles.in_priority(profiles, ("3", "2", "x", "1"))] == [3, 1]


@pytest.mark.parametrize(
    ("url", "security_profile"), [("ws://a/b", 1), ("ws://a/b", 0), ("wss://a/b", 2), ("wss://[::1]:99/b", 3)]
)
def test_valid_profiles(url: str, security_profile: int) -> None:
    assert network_profiles.parse(1, data(ocppCsmsUrl=url, securityProfile=security_profile), PRODUCT).url == url


def test_the_version_is_ignored() -> None:
    older = network_profiles.parse(1, data(ocppVersion="OCPP16"), PRODUCT)
    assert older == network_profiles.parse(1, data(), PRODUCT)


@pytest.mark.parametrize(
    "fault",
    [
        {"vpn": {"server": "vpn.example", "user": "me", "password": "x", "key": "x", "type": "IPSec"}},
        {"ocppTransport": "SOAP"},
        {"ocppCsmsUrl": ""},
        {"ocppCsmsUrl": "csms.example"},
        {"ocppCsmsUrl": "ws://a b/"},
        {"ocppCsmsUrl": "ws://a/?identity=follows"},
        {"ocppCsmsUrl": "ws://a/" + "x" * 600},
        {"ocppCsmsUrl": "ws://a/\n"},
        {"ocppCsmsUrl": "ws://a/\r\nX: y"},
        {"ocppCsmsUrl": "ws://a/\x00"},
        {"ocppCsmsUrl": "ws://a/\x7f"},
        {"ocppCsmsUrl": "ws://ä/"},
        {"ocppCsmsUrl": "ws:///ocpp"},
        {"ocppCsmsUrl": "ws://user@/ocpp"},
        {"ocppCsmsUrl": "ws://:9000/ocpp"},
        {"ocppCsmsUrl": "ws://a:0/ocpp"},
        {"ocppCsmsUrl": "ws://a:65536/ocpp"},
        {"ocppCsmsUrl": "ws://a:x/ocpp"},
        {"ocppCsmsUrl": "ws://[::1/ocpp"},
        {"ocppCsmsUrl": "wss://a/", "securityProfile": 1},
        {"ocppCsmsUrl": "ws://a/", "securityProfile": 3},
        {"securityProfile": -1},
        {"ocppInterface": "Serial0"},
        {"ocppInterface": "Wired1"},
        {"ocppInterface": "Wireless3"},
        {"apn": {"apn": "internet", "apnAuthentication": "NONE"}},
        {"messageTimeout": 0},
        {"messageTimeout": 4000},
    ],
)
def test_invalid_profiles(fault: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        network_profiles.parse(1, data(**fault), PRODUCT)


def test_an_unusable_stored_profile_is_skipped() -> None:
    key_values = KeyValues()
    network_profiles.store(key_values, network_profiles.load(key_values, FACTORY))
    key_values.values[Key.NETWORK_PROFILES][0]["url"] = "ws://käse/"
    assert list(network_profiles.load(key_values, [])) == [3]


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.from_regex(r"\Awss?://[ -~\x7f-\x9f]{0,40}\Z"))
def test_any_url_is_refused_or_can_be_dialled(url: str) -> None:
    try:
        secure = 2 if url[:4] == "wss:" else 1
        profile = network_profiles.parse(1, data(ocppCsmsUrl=url, securityProfile=secure), PRODUCT)
    except ConfigError:
        return
    dialled = connection_url(profile.url, "CP 001")
    assert re.fullmatch(r"wss?://[!-~]+/CP%20001", dialled)
    parts = urlsplit(dialled)
    assert parts.hostname
    assert "@" not in parts.netloc
    assert parts.port is None or 0 < parts.port < 65536
