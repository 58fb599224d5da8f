# SPDX-License-Identifier: Apache-2.0
"""A person administers a running station: identity, restart, factory reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from firmware.contract import (
    Answer,
    Done,
    ListDevices,
    PowerOff,
    Role,
    SelfTest,
    SelfTestFinished,
    Snapshot,
    Stamped,
    StartTest,
)
from firmware.contract.administration import (
    ConnectionTest,
    FactoryReset,
    FollowMessages,
    GetStation,
    Outcome,
    Restart,
    SetIdentity,
    StationInfo,
    Step,
    Subscribe,
    TestConnection,
)
from firmware.ipc.administration import AdministrationLink
from firmware.ipc.hal_link import HalLink, LinkState
from tests.support.administration import Recorder
from tests.support.scenario import Site
from tests.support.sockets import eventually
from tests.support.station_bench import set_variables
from tools.rig.station_dir import ADMINISTRATION_SOCKET, HAL_SOCKET


@asynccontextmanager
async def administration(here: Site, heard: Recorder | None = None) -> AsyncIterator[AdministrationLink]:
    link = AdministrationLink(here.rig.directory / ADMINISTRATION_SOCKET, heard, software="test")
    task = asyncio.create_task(link.run())
    await eventually(lambda: link.up)
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_the_csms_does_is_seen_at_once(here: Site) -> None:
    heard = Recorder()
    async with administration(here, heard) as link:
        await link.ask(Subscribe())
        await link.ask(FollowMessages())
        await here.csms.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", "77"))
        await eventually(lambda: heard.changed and heard.changed[-1].variables[-1].value == "77")
        await eventually(lambda: [line["type"] for line in heard.lines if line.get("action") == "SetVariables"][1:])
    kinds = [(line["type"], line["direction"]) for line in heard.lines if line.get("action") == "SetVariables"]
    assert kinds == [("CALL", "in"), ("CALLRESULT", "out")]


async def test_a_new_identity_holds_until_the_factory_reset(here: Site) -> None:
    async with administration(here) as link:
        test = await link.ask_for(TestConnection(slot=1), ConnectionTest)
        assert test.steps[-1].step is Step.BOOT
        assert test.steps[-1].outcome is Outcome.OK
        await link.ask(SetIdentity("CP-NEW"))
        assert await restarted_as(here, link, Restart("service")) == "CP-NEW"
        assert await restarted_as(here, link, FactoryReset()) == "CP001"
    here.check_logs()


async def test_devices_are_listed_and_tested_and_the_board_is_switched_off(here: Site) -> None:
    async with maintenance(here) as hal:
        hal.link.request(ListDevices())
        await eventually(lambda: hal.answers)
        assert {"shelf", "board", "evse 1, meter", "screen 2"} <= {each.place for each in hal.answers[0].devices or ()}
        for number, test in enumerate((SelfTest.CONTACTOR, SelfTest.INSULATION), start=1):
            hal.link.request(StartTest(test, 2))
            await eventually(partial(hal.has_ended, number))
            assert hal.tests[-1].passed, hal.tests[-1].detail
        since = here.rig.mark
        hal.link.request(PowerOff())
        await here.rig.wait("powered", since=since, powered=False)
    here.check_logs()


class Maintenance:
    """A client for maintenance that records what it is told."""

    def __init__(self, here: Site) -> None:
        path = here.rig.directory / HAL_SOCKET
        self.link = HalLink(path, self, on_answer=self._on_answer, role=Role.MAINTENANCE, software="test")
        self.answers: list[Done] = []
        self.tests: list[SelfTestFinished] = []

    def _on_answer(self, answer: Answer) -> None:
        assert isinstance(answer, Done), answer
        self.answers.append(answer)

    def has_ended(self, tests: int) -> bool:
        return len(self.tests) == tests

    def on_hal_up(self, snapshot: Snapshot) -> None: ...

    def on_hal_event(self, stamped: Stamped) -> None:
        if isinstance(stamped.event, SelfTestFinished):
            self.tests.append(stamped.event)

    def on_hal_down(self, reason: str) -> None: ...


@asynccontextmanager
async def maintenance(here: Site) -> AsyncIterator[Maintenance]:
    client = Maintenance(here)
    task = asyncio.create_task(client.link.run())
    await eventually(lambda: client.link.state is LinkState.UP)
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.wait([task])


async def restarted_as(here: Site, link: AdministrationLink, command: Restart | FactoryReset) -> str:
    """The identity with which the station is back at its CSMS."""
    before, since = len(here.csms.received), here.rig.mark
    await link.ask(command)
    await here.rig.wait("process_restarted", since=since, process="ocpp")
    await here.csms.until(lambda: len(here.boot_reasons(since=before)) == 1, "BootNotification", timeout=20)
    await eventually(lambda: link.up)
    identity = (await link.ask_for(GetStation(), StationInfo)).identity
    assert here.csms.handshakes[-1].path.rpartition("/")[2] == identity
    return identity
