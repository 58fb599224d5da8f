# SPDX-License-Identifier: Apache-2.0
"""Settings of NetworkManager's profiles: what is written, what is on the disk, and what a failure leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from dbus_fast import Variant

from drivers.net.objects import plain
from drivers.net.profiles import cellular_of, new_cellular, new_wired, wired_of, with_cellular, with_wired
from firmware.contract import (
    Addressing,
    ApnAuthentication,
    NetworkInterface,
    NewCellularSettings,
    WiredSettings,
)
from firmware.errors import DeviceLost, DeviceRefused
from tests.support.networks import NetworkBench, network_bench
from tests.support.sockets import eventually
from tools.rig.devices.network_profiles import FakeProfiles, Profile

FIXED = WiredSettings(Addressing.FIXED, "203.0.113.10/24", "203.0.113.1", ["203.0.113.53"])
CABLE, MODEM = FakeProfiles.path(1), FakeProfiles.path(2)
WITHIN_S = 180.0


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[NetworkBench]:
    async with network_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def profiles(bench: NetworkBench) -> FakeProfiles:
    return bench.fakes.networks.profiles


def wired(profile: Profile) -> WiredSettings | None:
    return wired_of(profile)


# --- the codec ---------------------------------------------------------------------------------------------------


def test_a_fixed_address_as_network_manager_has_it() -> None:
    profile = plain(with_wired(new_wired("eth0"), FIXED))
    assert profile["connection"]["interface-name"] == "eth0"
    assert profile["ipv4"] == {
        "method": "manual",
        "address-data": [{"address": "203.0.113.10", "prefix": 24}],
        "gateway": "203.0.113.1",
        "dns": [int.from_bytes(bytes([53, 113, 0, 203]))],
        "ignore-auto-dns": True,
        "dad-timeout": 3000,
        "route-metric": 100,
    }
    assert profile["ipv6"] == {"method": "auto", "route-metric": 100}


@pytest.mark.parametrize(
    "settings", [FIXED, WiredSettings(Addressing.DHCP), WiredSettings(Addressing.DHCP, dns=["192.0.2.53"])]
)
def test_wired_settings_come_back(settings: WiredSettings) -> None:
    assert wired_of(with_wired(with_wired(new_wired("eth0"), FIXED), settings)) == settings


@pytest.mark.parametrize("authentication", ApnAuthentication)
def test_the_authentication_comes_back(authentication: ApnAuthentication) -> None:
    settings = NewCellularSettings("internet", authentication=authentication)
    profile = with_cellular(
        with_cellular(new_cellular(), NewCellularSettings("a", authentication=ApnAuthentication.PAP)), settings
    )
    found = cellular_of(profile, {})
    assert found is not None
    assert found.authentication is authentication


def test_chap_refuses_all_others() -> None:
    profile = with_cellular(new_cellular(), NewCellularSettings("a", authentication=ApnAuthentication.CHAP))
    refused = ("eap", "pap", "mschap", "mschapv2")
    assert plain(profile["ppp"]) == {"noauth": False, **{f"refuse-{each}": True for each in refused}}


def test_a_way_of_addressing_that_is_not_offered_is_not_known() -> None:
    profile = new_wired("eth0")
    for method in ("shared", "disabled", "link-local", "manual"):
        profile["ipv4"]["method"].value = method
        assert wired_of(profile) is None


# --- the daemon ----------------------------------------------------------------------------------------------------


async def test_what_is_tried_is_not_on_the_disk(bench: NetworkBench, profiles: FakeProfiles) -> None:
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    assert bench.fakes.networks.activations == ["eth0"]
    assert wired(profiles.running[CABLE]) == FIXED
    profiles.restart(board=True)  # a power cut
    assert wired(profiles.running[CABLE]) == WiredSettings(Addressing.DHCP)


async def test_what_is_kept_is(bench: NetworkBench, profiles: FakeProfiles) -> None:
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    await bench.links.keep_settings()
    profiles.restart(board=True)
    assert wired(profiles.running[CABLE]) == FIXED
    assert profiles.checkpoints == {}
    kept = profiles.disk[CABLE]["connection"]
    assert plain(kept)["uuid"] == "uuid of cable"


async def test_a_hal_that_has_ended_leaves_the_return_to_network_manager(
    bench: NetworkBench, profiles: FakeProfiles
) -> None:
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    ((timeout_s, _),) = profiles.checkpoints.values()
    assert timeout_s > WITHIN_S
    profiles.expire()
    assert wired(profiles.running[CABLE]) == WiredSettings(Addressing.DHCP)


@pytest.mark.parametrize("lost", ["restarted", "returned"])
async def test_without_its_checkpoint_the_profile_is_written_back(
    bench: NetworkBench, profiles: FakeProfiles, lost: str
) -> None:
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    if lost == "restarted":
        profiles.restart(board=False)
    else:
        profiles.expire()
    await bench.links.return_settings()
    for where in (profiles.running, profiles.disk):
        assert wired(where[CABLE]) == WiredSettings(Addressing.DHCP)
    assert bench.fakes.networks.activations == ["eth0", "eth0"]


async def test_a_full_disk_keeps_nothing_and_can_be_tried_again(bench: NetworkBench, profiles: FakeProfiles) -> None:
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    profiles.full = True
    with pytest.raises(DeviceRefused, match="No space left"):
        await bench.links.keep_settings()
    assert wired(profiles.disk[CABLE]) == WiredSettings(Addressing.DHCP)
    assert len(profiles.checkpoints) == 1
    profiles.full = False
    await bench.links.keep_settings()
    assert wired(profiles.disk[CABLE]) == FIXED


async def test_the_secrets_that_are_not_named_stay(bench: NetworkBench, profiles: FakeProfiles) -> None:
    settings = NewCellularSettings("m2m.example", "user", password="sesame")
    await bench.links.try_settings("Wireless0", settings, within_s=WITHIN_S)
    gsm = plain(profiles.running[MODEM])["gsm"]
    assert {name: gsm[name] for name in ("apn", "username", "password", "pin")} == {
        "apn": "m2m.example",
        "username": "user",
        "password": "sesame",
        "pin": "1234",
    }


async def test_a_modem_without_a_profile_gets_one(bench: NetworkBench, profiles: FakeProfiles) -> None:
    for where in (profiles.running, profiles.disk):
        del where[MODEM]
    await eventually(lambda: bench.links._device_of("Wireless0").profile is None)  # type: ignore[union-attr]
    (_, shown) = await bench.links.interfaces()
    assert (shown.cellular, shown.problem) == (None, "")
    await bench.links.try_settings("Wireless0", NewCellularSettings("m2m.example"), within_s=WITHIN_S)
    assert bench.fakes.networks.activations == ["cdc-wdm0"]
    assert not any(each["connection"]["type"].value == "gsm" for each in profiles.disk.values())
    await bench.links.keep_settings()
    (kept,) = (plain(each) for each in profiles.disk.values() if each["connection"]["type"].value == "gsm")
    assert kept["gsm"] == {"apn": "m2m.example"}
    assert kept["ipv4"] == {"method": "auto", "route-metric": 700}


async def test_a_new_profile_that_is_not_confirmed_goes(bench: NetworkBench, profiles: FakeProfiles) -> None:
    for where in (profiles.running, profiles.disk):
        del where[MODEM]
    await eventually(lambda: bench.links._device_of("Wireless0").profile is None)  # type: ignore[union-attr]
    await bench.links.try_settings("Wireless0", NewCellularSettings("m2m.example"), within_s=WITHIN_S)
    await eventually(lambda: bench.links._device_of("Wireless0").profile is not None)  # type: ignore[union-attr]
    profiles.restart(board=False)
    await bench.links.return_settings()
    assert list(profiles.running) == [CABLE]


async def test_a_refused_activation_changes_nothing(bench: NetworkBench, profiles: FakeProfiles) -> None:
    bench.fakes.follows = False
    bench.fakes.networks._paths["eth0"] = "/another"
    with pytest.raises(DeviceRefused, match="no connection"):
        await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    assert wired(profiles.running[CABLE]) == WiredSettings(Addressing.DHCP)
    assert profiles.checkpoints == {}
    with pytest.raises(DeviceRefused):
        await bench.links.keep_settings()


async def test_interfaces_that_cannot_be_set_say_why(bench: NetworkBench) -> None:
    bench.fakes.modems.modem.plugged = False
    await eventually(lambda: not bench.link("Wireless0").up)
    assert (await bench.links.interfaces())[1].problem == "there is no modem"
    with pytest.raises(DeviceLost, match="there is no modem"):
        await bench.links.try_settings("Wireless0", NewCellularSettings("m2m.example"), within_s=WITHIN_S)
    await bench.daemon.close()
    await eventually(lambda: bench.bus.trouble)
    assert "no system bus" in (await bench.links.interfaces())[0].problem


@pytest.mark.parametrize(
    ("number", "setting", "name", "value"),
    [
        (1, "ipv4", "dns", Variant("s", "192.0.2.53")),
        (1, "ipv4", "dns", Variant("at", [2**40])),
        (1, "ipv4", "method", Variant("u", 7)),
        (2, "gsm", "apn", Variant("as", ["internet"])),
        (2, "gsm", "username", Variant("u", 7)),
    ],
)
async def test_a_profile_that_is_nonsense_costs_its_interface_alone(
    bench: NetworkBench, profiles: FakeProfiles, number: int, setting: str, name: str, value: Variant
) -> None:
    profiles.running[FakeProfiles.path(number)][setting][name] = value
    found = await bench.links.interfaces()
    broken, whole = found[number - 1], found[2 - number]
    assert (broken.wired, broken.cellular) == (None, None)
    assert whole.wired or whole.cellular
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[NetworkInterface]) == found


async def test_addresses_in_use_are_shown(bench: NetworkBench) -> None:
    await eventually(lambda: bench.links._device_of("Wired0").addresses)  # type: ignore[union-attr]
    assert [each.addresses for each in await bench.links.interfaces()] == [["192.0.2.23/24"], ["198.51.100.7/30"]]
    await bench.links.try_settings("Wired0", FIXED, within_s=WITHIN_S)
    await eventually(lambda: bench.links._device_of("Wired0").addresses == ("203.0.113.10/24",))  # type: ignore[union-attr]
