# SPDX-License-Identifier: Apache-2.0
"""B09 SetNetworkProfile and B10 NetworkConfigurationPriority: what is accepted, and that security is not lowered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firmware.factory_settings import NetworkProfile
from services.ocpp.device_model import keys
from tests.support.station_bench import PROFILE, StationBench, set_variables


def connection_data(**more: Any) -> Any:
    return {
        "messageTimeout": 20,
        "ocppCsmsUrl": "ws://csms.example/ocpp",
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "ocppVersion": "OCPP20",
        "securityProfile": 1,
        **more,
    }


def set_profile(bench: StationBench, slot: int = 2, **more: Any) -> tuple[str, str | None]:
    request = {"configurationSlot": slot, "connectionData": connection_data(**more)}
    answer = bench.call("SetNetworkProfile", request)
    return answer["status"], answer.get("statusInfo", {}).get("reasonCode")


def set_priority(bench: StationBench, value: str) -> str:
    answer = bench.call("SetVariables", set_variables("OCPPCommCtrlr", "NetworkConfigurationPriority", value))
    return str(answer["setVariableResult"][0]["attributeStatus"])


def test_a_profile_is_kept(bench: StationBench) -> None:
    assert set_profile(bench) == ("Accepted", None)  # B09.FR.01
    bench.power_cut()
    bench.up()
    assert bench.context.profiles[2].url == "ws://csms.example/ocpp"
    assert bench.context.profiles[1] == PROFILE


@pytest.mark.parametrize("slot", [0, 7, -1])
def test_an_unknown_slot(bench: StationBench, slot: int) -> None:
    assert set_profile(bench, slot) == ("Rejected", "InvalidConfSlot")  # B09.FR.05


@pytest.mark.parametrize(
    "fault",
    [
        {"ocppTransport": "SOAP"},
        {"ocppCsmsUrl": "http://csms.example"},
        {"ocppCsmsUrl": "ws://"},
        {"ocppCsmsUrl": "wss://csms.example"},
        {"securityProfile": 2},
        {"securityProfile": 4},
        {"messageTimeout": 0},
        {"messageTimeout": -5},
        {"ocppInterface": "Wired3"},
        {"apn": {"apn": "internet", "apnAuthentication": "NONE"}},
    ],
)
def test_invalid_profiles(bench: StationBench, fault: dict[str, Any]) -> None:
    assert set_profile(bench, 2, **fault) == ("Rejected", "InvalidNetworkConf")  # B09.FR.02
    assert 2 not in bench.context.profiles


def test_the_reason_names_what_the_hardware_has(bench: StationBench) -> None:
    """Also while the HAL is away: the answer does not depend on who is connected."""
    bench.hal_down()
    data = connection_data(ocppInterface="Wired3")
    answer = bench.call("SetNetworkProfile", {"configurationSlot": 2, "connectionData": data})
    assert answer["statusInfo"]["additionalInfo"] == "there is no network interface Wired3, only Wired0 and Wireless0"
    assert set_profile(bench, ocppInterface="Wireless0") == ("Accepted", None)


def test_priority_of_an_interface_that_is_not_there(bench: StationBench) -> None:
    """A profile that an earlier firmware has accepted."""
    bench.context.profiles[2] = replace(PROFILE, slot=2, interface="Wired3")
    assert set_priority(bench, "2,1") == "Rejected"  # B10.FR.02
    assert set_profile(bench) == ("Accepted", None)
    assert set_priority(bench, "2,1") == "Accepted"  # B10.FR.01


def test_a_slot_in_use_gets_no_profile_without_its_certificates(bench: StationBench) -> None:
    """The next boot would dial it: as for NetworkConfigurationPriority (A05.FR.02)."""
    tls = {"securityProfile": 2, "ocppCsmsUrl": "wss://csms.example/x"}
    assert set_profile(bench, 1, **tls) == ("Rejected", "InvalidNetworkConf")
    assert set_profile(bench, 2, **tls) == ("Accepted", None)


def test_without_a_password_no_profile_that_needs_one(tmp_path: Path) -> None:
    bench = secure(tmp_path, "full", 3)
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, "")
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true"))
    assert set_profile(bench, 2, securityProfile=2, ocppCsmsUrl="wss://csms.example/x") == ("Accepted", None)
    assert set_priority(bench, "2") == "Rejected"
    bench.call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", "0123456789abcdef"))
    assert set_priority(bench, "2") == "Accepted"


def secure(directory: Path, product: str = "c7am-400-cc", profile: int = 2) -> StationBench:
    bench = StationBench(directory, product_name=product)
    bench.hal_up()
    bench.link_up(NetworkProfile(slot=1, url="wss://127.0.0.1:9/ocpp", security_profile=profile))
    return bench


def test_security_is_not_lowered(tmp_path: Path) -> None:
    bench = secure(tmp_path)
    assert set_profile(bench, 2, securityProfile=1) == ("Rejected", "NoSecurityDowngrade")  # B09.FR.04
    assert set_profile(bench, 2, securityProfile=0) == ("Rejected", "NoSecurityDowngrade")
    assert set_profile(bench, 2, securityProfile=3, ocppCsmsUrl="wss://csms.example/x") == ("Accepted", None)


def test_security_may_be_lowered_one_step_where_that_is_allowed(tmp_path: Path) -> None:
    bench = secure(tmp_path, "full", 3)
    wss = {"ocppCsmsUrl": "wss://csms.example/x"}
    assert set_profile(bench, 2, securityProfile=2, **wss) == ("Rejected", "NoSecurityDowngrade")
    bench.call("SetVariables", set_variables("SecurityCtrlr", "AllowSecurityProfileDowngrade", "true"))
    assert set_profile(bench, 2, securityProfile=2, **wss) == ("Accepted", None)
    assert set_profile(bench, 2, securityProfile=1) == ("Rejected", "NoSecurityDowngrade")  # B09.FR.31


def test_priority(bench: StationBench) -> None:
    assert set_priority(bench, "2,1") == "Rejected"  # B10.FR.02
    set_profile(bench)
    assert set_priority(bench, "2,1") in ("Accepted", "RebootRequired")  # B10.FR.01
    for nonsense in ("", "1,1", "9", "one", "1,"):
        assert set_priority(bench, nonsense) == "Rejected"


def test_priority_does_not_lower_security(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    set_profile(bench)
    bench.link_down()
    bench.link_up(NetworkProfile(slot=1, url="wss://127.0.0.1:9/ocpp", security_profile=2))
    assert set_priority(bench, "2") == "Rejected"  # A05.FR.04


def test_two_slots_at_least(bench: StationBench) -> None:
    for slot in (1, 2):  # B09.FR.06
        assert set_profile(bench, slot) == ("Accepted", None)
