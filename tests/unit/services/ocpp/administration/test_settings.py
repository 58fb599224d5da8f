# SPDX-License-Identifier: Apache-2.0
"""Identity, product and network profiles over the administration socket."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from firmware.contract.administration import (
    Command,
    GetStation,
    ListProfiles,
    Problem,
    Profile,
    Profiles,
    SetIdentity,
    SetPriority,
    SetProduct,
    SetProfile,
    StationInfo,
)
from firmware.factory_settings import FactoryVariable
from firmware.ipc.administration import CommandRefused
from services.ocpp.device_model import keys
from services.ocpp.product_choice import ProductChoice
from tests.support.administration import Site
from tests.support.station_bench import set_variables

SECOND = Profile(slot=2, url="ws://csms.example/ocpp", security_profile=1, interface="Wireless0", message_timeout_s=20)


async def refusal(site: Site, command: Command) -> CommandRefused:
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(command)
    return caught.value


async def station(site: Site) -> StationInfo:
    return await site.link.ask_for(GetStation(), StationInfo)


async def test_a_new_identity_counts_from_the_next_start(site: Site) -> None:
    await site.link.ask(SetIdentity("CP-NEW"))
    info = await station(site)
    assert (info.identity, info.next_identity) == ("CP001", "CP-NEW")
    site.bench.power_cut()
    site.bench.up()
    assert (await station(site)).identity == site.bench.parts.identity == "CP-NEW"


@pytest.mark.parametrize("identity", ["", "a b", "x" * 49, "CP:1", "\x00"])
async def test_an_impossible_identity_is_refused(site: Site, identity: str) -> None:
    error = await refusal(site, SetIdentity(identity))
    assert error.problem is Problem.BAD_REQUEST
    assert error.detail
    assert (await station(site)).next_identity == "CP001"


async def test_a_full_disk_keeps_the_identity(site: Site) -> None:
    site.bench.context.commit = lambda: False
    assert (await refusal(site, SetIdentity("CP-NEW"))).problem is Problem.STORAGE
    assert (await station(site)).next_identity == "CP001"


async def test_a_product_counts_from_the_next_start(site: Site) -> None:
    info = await station(site)
    assert (info.product, info.next_product, info.products) == ("c7am-400-cc", "c7am-400-cc", ["c7am-400-cc", "full"])
    await site.link.ask(SetProduct("full"))
    info = await station(site)
    assert (info.product, info.next_product) == ("c7am-400-cc", "full")
    chosen = ProductChoice(site.bench.directory, "c7am-400-cc")
    assert chosen.in_force == "full"
    assert chosen.load().features != site.bench.product.features


@pytest.mark.parametrize("product", ["", "another", "../../etc/passwd", "/etc/station.toml", "model.py"])
async def test_only_an_installed_product_can_be_chosen(site: Site, product: str) -> None:
    assert (await refusal(site, SetProduct(product))).problem is Problem.NOT_FOUND


async def test_a_product_that_the_factory_values_contradict_is_refused(site: Site) -> None:
    site.bench.context.model._factory = [factory_variable("OCPPCommCtrlr", "NoSuchVariable")]
    error = await refusal(site, SetProduct("full"))
    assert error.problem is Problem.REFUSED
    assert "no such variable" in error.detail


def factory_variable(component: str, variable: str) -> FactoryVariable:
    return FactoryVariable(component=component, variable=variable, value="1")


async def test_a_chosen_product_that_is_gone_gives_way_to_the_factorys(site: Site) -> None:
    (site.bench.directory / "product").write_text("removed-by-a-downgrade")
    assert ProductChoice(site.bench.directory, "c7am-400-cc").in_force == "c7am-400-cc"
    (site.bench.directory / "product").write_bytes(b"\xff\xfe")
    assert ProductChoice(site.bench.directory, "c7am-400-cc").in_force == "c7am-400-cc"


async def test_a_profile_is_kept_and_takes_its_turn(site: Site) -> None:
    await site.link.ask(SetProfile(SECOND))
    await site.link.ask(SetPriority([2, 1]))
    site.bench.power_cut()
    site.bench.up()
    listed = await site.link.ask_for(ListProfiles(), Profiles)
    assert listed.profiles[1] == SECOND
    assert listed.priority == [2, 1]
    assert (listed.slots, listed.interfaces, listed.connected) == (6, ["Wired0", "Wireless0"], 1)


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        (Profile(9, "ws://csms.example/", 1), Problem.REFUSED),
        (Profile(2, "ws://csms.example/", 2), Problem.REFUSED),
        (Profile(2, "wss://csms.example/", 1), Problem.REFUSED),
        (Profile(2, "ws://user:secret@csms.example/", 1), Problem.REFUSED),
        (Profile(2, "ws://csms.example/", 1, "Wired3"), Problem.REFUSED),
        (Profile(2, "javascript:alert(1)", 1), Problem.REFUSED),
        (Profile(2, "ws://csms.example/", 1, "Wire"), Problem.BAD_REQUEST),
        (Profile(2, "x" * 600, 1), Problem.BAD_REQUEST),
    ],
)
async def test_a_profile_that_can_not_be_dialled_is_refused(site: Site, profile: Profile, problem: Problem) -> None:
    error = await refusal(site, SetProfile(profile))
    assert error.problem is problem
    assert error.detail
    assert "secret" not in error.detail


async def test_what_the_csms_hears_a_person_hears(site: Site) -> None:
    """The same rules, in the same words."""
    error = await refusal(site, SetPriority([2, 1]))
    answer = site.bench.call("SetVariables", set_variables("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1"))
    (result,) = answer["setVariableResult"]
    assert error.detail == result["attributeStatusInfo"]["additionalInfo"]


async def test_a_full_disk_keeps_the_profiles(site: Site) -> None:
    await site.link.ask(SetProfile(replace(SECOND, slot=3)))
    site.bench.context.commit = lambda: False
    assert (await refusal(site, SetProfile(SECOND))).problem is Problem.STORAGE
    assert (await refusal(site, SetPriority([3, 1]))).problem is Problem.STORAGE
    assert list(site.bench.context.profiles) == [1, 3]
    assert site.bench.context.model.get(keys.NETWORK_CONFIGURATION_PRIORITY) == ("1",)
