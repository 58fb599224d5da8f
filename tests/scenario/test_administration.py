# SPDX-License-Identifier: Apache-2.0
"""A person administers a running station: identity, restart, factory reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from firmware.contract.administration import (
    ConnectionTest,
    FactoryReset,
    GetStation,
    Outcome,
    Restart,
    SetIdentity,
    StationInfo,
    Step,
    TestConnection,
)
from firmware.ipc.administration import AdministrationLink
from tests.support.scenario import Site
from tests.support.sockets import eventually
from tools.rig.station_dir import ADMINISTRATION_SOCKET


@asynccontextmanager
async def administration(here: Site) -> AsyncIterator[AdministrationLink]:
    link = AdministrationLink(here.rig.directory / ADMINISTRATION_SOCKET, software="test")
    task = asyncio.create_task(link.run())
    await eventually(lambda: link.up)
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_new_identity_holds_until_the_factory_reset(here: Site) -> None:
    async with administration(here) as link:
        test = await link.ask_for(TestConnection(slot=1), ConnectionTest)
        assert test.steps[-1].step is Step.BOOT
        assert test.steps[-1].outcome is Outcome.OK
        await link.ask(SetIdentity("CP-NEW"))
        assert await restarted_as(here, link, Restart("service")) == "CP-NEW"
        assert await restarted_as(here, link, FactoryReset()) == "CP001"
    here.check_logs()


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
