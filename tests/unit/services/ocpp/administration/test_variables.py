# SPDX-License-Identifier: Apache-2.0
"""Variables over the administration socket: the same values and the same checks as over OCPP."""

from __future__ import annotations

import pytest

from firmware.contract.administration import (
    GetVariables,
    NewValue,
    Problem,
    SetResults,
    SetVariables,
    Subscribe,
    Variables,
)
from firmware.ipc.administration import CommandRefused
from services.ocpp.device_model import keys
from tests.support.administration import Site
from tests.support.sockets import eventually
from tests.support.station_bench import StationBench, set_variables

SECRET = "a-new-password-of-24-chr"


async def test_every_attribute_is_listed_once(site: Site) -> None:
    listed = await site.link.variables()
    model = site.bench.context.model
    assert len(listed) == sum(len(variable.attributes) for variable in model.variables.values())
    interval = next(each for each in listed if each.variable == "HeartbeatInterval")
    assert (interval.component, interval.value, interval.unit) == ("OCPPCommCtrlr", "60", "s")
    assert (interval.data_type, interval.mutability) == ("integer", "ReadWrite")
    assert "whole number" in interval.expected
    assert (interval.minimum, interval.reboot) == (model.variables[keys.HEARTBEAT_INTERVAL.station].kind.minimum, False)


async def test_a_secret_is_never_listed(site: Site) -> None:
    await site.set("SecurityCtrlr", "BasicAuthPassword", SECRET)
    listed = await site.link.variables()
    password = next(each for each in listed if each.variable == "BasicAuthPassword")
    assert (password.value, password.mutability) == (None, "WriteOnly")
    assert not [each for each in listed if each.value is not None and SECRET in each.value]


async def test_a_value_is_on_the_disk_before_the_answer(site: Site) -> None:
    result = await site.set("clockctrlr", "TIMEZONE", "Europe/Oslo")
    assert (result.component, result.variable, result.status) == ("clockctrlr", "TIMEZONE", "Accepted")
    site.bench.power_cut()
    site.bench.up()
    answer = site.bench.call(
        "GetVariables", {"getVariableData": [{"component": {"name": "ClockCtrlr"}, "variable": {"name": "TimeZone"}}]}
    )
    assert answer["getVariableResult"][0]["attributeValue"] == "Europe/Oslo"


async def test_what_the_csms_may_not_set_a_person_may_not(site: Site) -> None:
    wrong = [
        ("OCPPCommCtrlr", "HeartbeatInterval", "soon"),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", "2"),
        ("ChargingStation", "Model", "another"),
        ("NoCtrlr", "Enabled", "true"),
    ]
    results = await site.link.ask_for(SetVariables([NewValue(*each) for each in wrong]), SetResults)
    request = {"setVariableData": [set_variables(*each)["setVariableData"][0] for each in wrong]}
    answer = site.bench.call("SetVariables", request)["setVariableResult"]
    assert [each.status for each in results.results] == [each["attributeStatus"] for each in answer]
    for mine, theirs in zip(results.results, answer, strict=True):
        info = theirs.get("attributeStatusInfo", {})
        assert (mine.reason, mine.detail) == (info.get("reasonCode", ""), info.get("additionalInfo", ""))


async def test_a_value_that_no_message_could_carry_is_refused(site: Site) -> None:
    with pytest.raises(CommandRefused) as caught:
        await site.set("OCPPCommCtrlr", "HeartbeatInterval", "1" * 3000)
    assert caught.value.problem is Problem.BAD_REQUEST
    assert (await site.set("OCPPCommCtrlr", "HeartbeatInterval", "120")).status == "Accepted"


@pytest.mark.parametrize("command", [SetVariables([]), SetVariables([NewValue("a", "b", "")] * 101), GetVariables(-1)])
async def test_an_impossible_request_is_refused(site: Site, command: SetVariables | GetVariables) -> None:
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(command)
    assert caught.value.problem is Problem.BAD_REQUEST


async def test_a_page_after_the_last_variable_is_empty(site: Site) -> None:
    assert await site.link.ask(GetVariables(10**6)) == Variables([])


async def test_a_change_of_the_csms_is_sent(site: Site) -> None:
    await site.link.ask(Subscribe())
    site.bench.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", "77"))
    site.shell.commands.publish()
    await eventually(lambda: site.heard.changed)
    (changed,) = site.heard.changed[0].variables
    assert (changed.variable, changed.value) == ("HeartbeatInterval", "77")


async def test_an_own_change_is_sent_too_and_without_its_secret(site: Site) -> None:
    await site.link.ask(Subscribe())
    await site.set("SecurityCtrlr", "BasicAuthPassword", SECRET)
    await eventually(lambda: site.heard.changed)
    assert [(each.variable, each.value) for each in site.heard.changed[0].variables] == [("BasicAuthPassword", None)]


async def test_nothing_is_set_on_a_full_disk(site: Site, bench: StationBench) -> None:
    bench.context.commit = lambda: False
    result = await site.set("OCPPCommCtrlr", "HeartbeatInterval", "78")
    assert (result.status, result.reason) == ("Rejected", "OutOfStorage")
    assert bench.context.model.get(keys.HEARTBEAT_INTERVAL) != 78


async def test_before_the_hal_has_answered_nothing_is_done(site: Site) -> None:
    site.shell.started = False
    with pytest.raises(CommandRefused) as caught:
        await site.link.variables()
    assert caught.value.problem is Problem.NOT_READY
