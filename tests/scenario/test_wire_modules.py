# SPDX-License-Identifier: Apache-2.0
"""Power modules of a wired station that are lost while a vehicle charges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario import site

pytestmark = pytest.mark.slow


async def test_a_lost_module_is_less_power_and_a_report(tmp_path: Path) -> None:
    """It counts for 15 s, longer than its own watchdog; the session goes on without it."""
    async with site(tmp_path, wire=True) as here:
        transaction = await here.charge(1)
        await here.rig.op("device", device="module 0", plugged=False)
        await here.until_evse(1, lambda it: it["faults"] == ["modules_derated"])
        assert "modules_derated of EVSE 1: module 0: no answer for 15 s" in here.log("hal")
        state = await here.rig.evse(1)
        assert (state["phase"], state["status"]) == ("charging", "Occupied")
        assert not here.transaction(transaction).ended
        await here.rig.op("device", device="module 0", plugged=True)
        await here.until_evse(1, lambda it: it["faults"] == [])
        (await here.stop_with_card(1)).check()
