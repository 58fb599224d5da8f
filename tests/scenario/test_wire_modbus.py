# SPDX-License-Identifier: Apache-2.0
"""Insulation monitors and a meter on one Modbus line: what they measure ends a session, and the next one is right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.scenario import CARD, OTHER_CARD, Site, site

pytestmark = pytest.mark.slow

SIXTEEN = Path(__file__).parents[1] / "support" / "sixteen.toml"
LAST_WH = 0xFFFFFFFF
"""The meter of EVSE 2 counts in 32 bits."""


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True) as found:
        yield found


async def test_insulation_that_is_bad_and_that_becomes_bad(wired: Site) -> None:
    """Found by the monitor's readings in the cable check, and while energy flows; the EVSE is free afterwards."""
    await wired.plug_in(1)
    await wired.rig.op("car", evse=1, insulation_kohm=20)
    assert await wired.card(1) == "started"
    await wired.rig.wait("fault", evse=1, code="isolation")
    transaction = await wired.until_ended()
    transaction.check()
    assert (transaction.reason, transaction.energy_wh) == ("GroundFault", 0.0)
    await wired.plug_out(1)
    await wired.free(1)
    transaction_id = await wired.charge(1)
    await wired.rig.op("car", evse=1, insulation_kohm=20)
    transaction = await wired.end_of(transaction_id)
    transaction.check()
    assert (transaction.reason, transaction.triggers[-1]) == ("GroundFault", "AbnormalCondition")
    assert "20 kOhm while charging" in wired.log("hal")
    await wired.plug_out(1)
    await wired.free(1)


async def test_a_register_that_rolls_over_while_charging(wired: Site) -> None:
    """The session ends with the last reading that can be true; the next begins at the register as it then is."""
    await wired.rig.op("power_off")
    await wired.rig.op("meter", evse=2, energy_wh=LAST_WH - 2000.0)
    await wired.rig.op("power_on")
    await wired.settled()
    transaction_id = await wired.charge(2)
    transaction = await wired.end_of(transaction_id)
    transaction.check()
    assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", "Other")
    assert transaction.registers[0] == LAST_WH - 2000.0
    assert transaction.registers[-1] <= LAST_WH
    assert "the register fell from" in wired.log("hal")
    await wired.until_evse(2, lambda it: it["faults"] == [] and it["phase"] in ("plugged", "finished"))
    await wired.leave(2)
    await wired.charge(2)
    transaction = await wired.stop_with_card(2)
    transaction.check()
    assert transaction.registers[0] < 1e6


async def test_sixteen_outlets_have_four_lines(tmp_path: Path) -> None:
    """The last outlet's monitor and meter are on another line than the first's."""
    async with site(tmp_path, product=str(SIXTEEN), wire=True) as here:
        for evse, card in ((1, CARD), (16, OTHER_CARD)):
            await here.charge(evse, uid=card)
            (await here.stop_with_card(evse, card)).check()
