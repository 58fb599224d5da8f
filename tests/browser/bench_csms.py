# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS for a test of its page, with the station of a rig."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.support.rig import Rig
from tests.support.scenario import factory
from tools.csms.server import Running, running
from tools.csms.settings import Settings
from tools.rig.factory_file import Variables

__all__ = ["bench_with_station", "card", "evse", "outcome"]

_MEASURANDS = "Energy.Active.Import.Register,Power.Active.Import,SoC,Voltage,Current.Import,Power.Offered"
_VARIABLES: Variables = {("SampledDataCtrlr", "TxUpdatedMeasurands"): _MEASURANDS}


@asynccontextmanager
async def bench_with_station(folder: Path, page: Page) -> AsyncIterator[tuple[Running, Rig]]:
    """A bench, the accepted station CP001 of the full product, and the bench's page with both its EVSEs."""
    async with running(Settings(folder / "csms.sqlite3", port=0)) as bench:
        file = folder / "station.toml"
        file.write_text(factory(bench.ocpp_url, product="full", variables=_VARIABLES))
        async with Rig(folder / "rig", station=file) as rig:
            await page.goto(bench.url)
            for number in (1, 2):
                await expect(evse(page, number).locator(".evse-head .pill")).to_have_text("Available")
            yield bench, rig


def evse(page: Page, number: int) -> Locator:
    return page.locator(f"section[data-evse='{number}']")


def card(page: Page) -> Locator:
    """Of the chosen station."""
    return page.locator("#station > section")


def outcome(place: Locator) -> Locator:
    """What became of the last button there."""
    return place.locator(".outcome")
