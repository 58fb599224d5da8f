# SPDX-License-Identifier: Apache-2.0
"""Two links, a slot for each: the whole station moves from one to the other, while a car charges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.csms import ScriptedCsms
from tests.support.rig import Rig
from tests.support.sockets import eventually
from tools.rig.client import RigRefused
from tools.rig.factory_file import Variables, factory_file

pytestmark = pytest.mark.slow

BACK_OFF_S = 60
TIMEOUT_S = 20.0


@pytest.fixture(params=[False, True], ids=["simulated", "wire"])
async def rig(request: pytest.FixtureRequest, csms: ScriptedCsms, tmp_path: Path) -> AsyncIterator[Rig]:
    """With a back-off that is longer than the test may take."""
    variables: Variables = {
        ("OCPPCommCtrlr", "RetryBackOffWaitMinimum"): str(BACK_OFF_S),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority"): "1,2",
    }
    slots: list[dict[str, Any]] = [
        {"slot": 1, "url": csms.url, "interface": "Wired0"},
        {"slot": 2, "url": csms.url, "interface": "Wireless0"},
    ]
    station = tmp_path / "station.toml"
    station.write_text(factory_file(csms.url, variables=variables, network_profile=slots, rig={"wire": request.param}))
    async with Rig(tmp_path / "cp", station=station) as rig:
        await rig.wait("registration", status="Accepted")
        async with asyncio.timeout(TIMEOUT_S):
            while await _read(csms, ("Wired0", "Active"), ("Wireless0", "Active")) != ["true", "true"]:
                pass  # the CSMS can be connected before the HAL has read the links
        yield rig


async def _read(csms: ScriptedCsms, *wanted: tuple[str, str]) -> list[str]:
    """Variables of DataLink, by the name of the link; an empty text for one that is not known yet."""
    rows = [{"component": {"name": "DataLink", "instance": link}, "variable": {"name": name}} for link, name in wanted]
    answer = await csms.call("GetVariables", {"getVariableData": rows})
    return [each.get("attributeValue", "") for each in answer["getVariableResult"]]


async def test_the_other_link_takes_over_at_once_and_the_session_goes_on(rig: Rig, csms: ScriptedCsms) -> None:
    await rig.op("plug_in", evse=1)
    await rig.op("present_card", uid="04A1B2C3", evse=1)
    await rig.wait("phase", evse=1, phase="charging")
    transaction = (await rig.evse(1))["transaction_id"]
    state = await rig.state()
    assert (state["ocpp"]["slot"], state["ocpp"]["interface"], state["default_link"]) == (1, "Wired0", "Wired0")
    since = rig.mark
    await rig.op("network", mode="down", interface="Wired0")
    await rig.wait("disconnected", since=since)
    await rig.wait("connected", since=since, slot=2)
    state = await rig.state()
    assert (state["ocpp"]["interface"], state["default_link"]) == ("Wireless0", "Wireless0")
    assert (await rig.evse(1))["transaction_id"] == transaction


async def test_the_csms_reads_links_and_signal(rig: Rig, csms: ScriptedCsms) -> None:
    with pytest.raises(RigRefused, match="Wired0 is not wireless"):
        await rig.op("network", signal_percent=0, interface="Wired0")
    await rig.op("network", signal_percent=0)
    await rig.op("network", mode="down", interface="Wired0")
    await rig.wait("connected", slot=2)
    wanted = (("Wired0", "Active"), ("Wireless0", "Active"), ("Wireless0", "SignalStrength"))
    wired, wireless, strength = await _read(csms, *wanted)
    assert (wired, wireless) == ("false", "true")
    assert -140.0 < float(strength) <= -113.0


@pytest.mark.parametrize("rig", [True], ids=["wire"], indirect=True)
async def test_daemons_that_are_gone_change_no_link(rig: Rig) -> None:
    """When they have been away for some seconds, the kernel is asked."""
    since, log = rig.mark, rig.directory / "log" / "hal.log"
    await rig.op("device", device="links", plugged=False)
    await eventually(lambda: log.read_text().count("what it reported is forgotten") == 2)
    assert (await rig.state())["ocpp"]["connected"]
    await rig.op("device", device="links", plugged=True)
    await rig.op("network", mode="down", interface="Wired0")
    await rig.wait("connected", since=since, slot=2)
    assert sum(event["event"] == "disconnected" for event in rig.client.events[since:]) == 1
