# SPDX-License-Identifier: Apache-2.0
"""Cards at a real reader: what the EV driver reads when there is none that could be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario import CARD, OTHER_CARD, site

pytestmark = pytest.mark.slow

PHONE = "08C0FFEE"


async def test_what_is_held_to_the_reader(tmp_path: Path) -> None:
    async with site(tmp_path, wire=True) as here:
        await here.rig.op("present_card", uid=PHONE, hold_s=1.0)
        await here.until_page(1, "rejected", reason="no_identity")
        await here.until_page(1, "idle")
        for uid in (CARD, OTHER_CARD):
            await here.rig.op("present_card", uid=uid, hold_s=2.0)
        await here.until_page(1, "rejected", reason="several_cards")
        await here.until_page(1, "idle")
        assert await here.card(1) == "started"
