# SPDX-License-Identifier: Apache-2.0
"""The whole station on the real drivers: every device is a simulator that speaks its protocol on a real transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.scenario import CARD, OTHER_CARD, Site, site


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True) as found:
        yield found


async def test_a_session_on_each_evse(wired: Site) -> None:
    for evse, card in ((1, CARD), (2, OTHER_CARD)):
        await wired.charge(evse, uid=card)
        transaction = await wired.stop_with_card(evse, card)
        transaction.check()
        await wired.leave(evse)
