# SPDX-License-Identifier: Apache-2.0
"""The boots of a station on the wire, as its board explains them to the CSMS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.scenario import Site, site


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True) as found:
        yield found


async def test_reason_of_each_boot(wired: Site) -> None:
    """The board's record and its hardware tell mains, reset button and a restart by the CSMS apart."""
    assert wired.boot_reasons() == ["PowerUp"]
    for reason, boot_cause in (("PowerUp", "power_up"), ("LocalReset", "local_reset"), ("RemoteReset", "requested")):
        received, since = len(wired.csms.received), wired.rig.mark
        if reason == "PowerUp":
            await wired.rig.op("power_cycle")
        elif reason == "LocalReset":
            await wired.rig.op("reboot")
        else:
            assert (await wired.csms.call("Reset", {"type": "Immediate"}))["status"] == "Accepted"
        await wired.rig.wait("booted", since=since, boot_cause=boot_cause)
        assert await _next_boot_reason(wired, received) == reason


async def _next_boot_reason(wired: Site, since: int) -> str:
    await wired.csms.until(lambda: wired.boot_reasons(since=since) != [], "BootNotification", timeout=20)
    await wired.settled()
    return wired.boot_reasons(since=since)[0]


async def test_hal_that_dies_and_starts_again_keeps_its_boot(wired: Site) -> None:
    since = wired.rig.mark
    await wired.rig.op("process", kill="hal")
    await wired.rig.wait("process_restarted", since=since)
    await wired.settled()
    await wired.until_status(1, "Available")
    assert wired.boot_reasons() == ["PowerUp"]
