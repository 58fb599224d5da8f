# SPDX-License-Identifier: Apache-2.0
"""The commissioning page of a station that runs."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.commissioning import Browser
from tests.support.scenario import Site, site

NEW = "a-better-Pa55phrase"
MOST_KB = 40_000


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A station with its page, accepted by its CSMS."""
    async with site(tmp_path, page=True) as found:
        yield found


@asynccontextmanager
async def events(browser: Browser, path: str) -> AsyncIterator[asyncio.Queue[tuple[str, Any]]]:
    """The events of a stream as they come."""
    found: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    async with browser.open(path) as response:

        async def read() -> None:
            name = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    name = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    found.put_nowait((name, json.loads(line[6:])))

        task = asyncio.create_task(read())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(found: asyncio.Queue[tuple[str, Any]], name: str, **fields: Any) -> Any:
    """The first event of that name whose data has these fields."""
    async with asyncio.timeout(20.0):
        while True:
            event, data = await found.get()
            if event == name and fields.items() <= data.items():
                return data


async def page_of(here: Site) -> dict[str, Any]:
    state: dict[str, Any] = await here.rig.client.until(lambda state: state["commissioning"] is not None)
    return state


@asynccontextmanager
async def signed_in(here: Site) -> AsyncIterator[Browser]:
    """The first installer of the station, with a password of their own."""
    state = await page_of(here)
    async with Browser(state["commissioning"]) as installer:
        await installer.sign_in("installer", state["label"]["commissioning_password"])
        await installer.change_password(state["label"]["commissioning_password"], NEW)
        yield installer


def resident_kb(pid: int) -> int:
    """The most that was ever resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_first_log_in_and_status(here: Site) -> None:
    state = await page_of(here)
    label = state["label"]["commissioning_password"]
    async with Browser(state["commissioning"]) as installer:
        assert (await installer.sign_in("installer", label))["must_change_password"]
        assert (await installer.get("/api/status")).error == "password_must_be_changed"
        await installer.change_password(label, NEW)
        status = (await installer.get("/api/status")).content
        assert (status["hal"], status["service"], status["csms"]["registration"]) == (True, True, "Accepted")
        assert status["serial_number"] == state["label"]["serial_number"]
        assert [each["status"] for each in status["evses"]] == ["Available", "Available"]
    assert (await here.rig.state())["label"]["commissioning_password"] is None


async def test_what_csms_and_cars_do_is_seen_at_once(here: Site) -> None:
    async with signed_in(here) as installer:
        async with events(installer, "/api/events") as seen:
            value = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}
            await here.csms.call("SetVariables", {"setVariableData": [{**value, "attributeValue": "77"}]})
            changed = await until(seen, "variables")
            while not changed["variables"]:
                changed = await until(seen, "variables")
            found = [(each["variable"], each["value"]) for each in changed["variables"]]
            assert found == [("EVConnectionTimeOut", "77")]
            await here.plug_in(1)
            while not (await until(seen, "status"))["evses"][0]["plugged"]:
                pass
        async with events(installer, "/api/messages/events?direction=in&action=set") as seen:
            exchange = await until(seen, "exchange", answered=True)
            assert (exchange["action"], exchange["outcome"]) == ("SetVariables", "result")
            assert exchange["answer"]["setVariableResult"][0]["attributeStatus"] == "Accepted"
        async with events(installer, "/api/log/events?process=hal") as seen:
            assert (await until(seen, "line"))["process"] == "hal"
        bundle = await installer.get("/api/log/bundle")
        assert gzip.decompress(bundle.content)
        pid = (await here.rig.state())["processes"]["commissioning"]
        assert resident_kb(pid) < MOST_KB


async def test_hardware_is_tested_without_a_car(here: Site) -> None:
    async with signed_in(here) as installer, events(installer, "/api/events") as seen:

        async def outcome(name: str) -> dict[str, Any]:
            while True:
                tests = {each["name"]: each for each in (await until(seen, "tests"))["tests"]}
                if tests[name]["state"] in ("passed", "failed"):
                    found: dict[str, Any] = tests[name]
                    return found

        devices = (await installer.get("/api/devices")).content["devices"]
        assert {"card_reader", "evse 1, meter"} <= {each["place"] for each in devices}
        status = (await installer.get("/api/status")).content
        assert [each["name"] for each in status["devices"] if not each["ok"]] == []
        assert len(status["devices"]) == len(devices)
        assert (await installer.post("/api/tests/contactor-1")).status == 200
        assert (await outcome("contactor-1"))["state"] == "passed"
        assert (await installer.post("/api/tests/card_reader")).status == 200
        await here.rig.op("present_card", uid="04AABBCC", hold_s=2.0)
        assert (await outcome("card_reader"))["state"] == "passed"
        assert (await installer.post("/api/tests/contactor-9")).error == "not_found"
        limit = (await installer.call("PUT", "/api/site-limit", {"limit_w": 60_000})).content
        assert (limit["in_force_w"], limit["next_w"]) == (400_000.0, 60_000.0)
        await here.plug_in(2)
        while not (await until(seen, "status"))["evses"][1]["plugged"]:
            pass
        refused = await installer.post("/api/tests/insulation-2")
        assert (refused.status, refused.error) == (409, "not_allowed")
        await here.rig.op("process", kill="hal")  # a start of the HAL
        await here.rig.wait("process_restarted", process="hal")
        while (await installer.get("/api/site-limit")).content.get("in_force_w") != 60_000.0:
            await until(seen, "status")


async def test_power_cut_kill_and_full_disk_keep_the_password(here: Site) -> None:
    async with signed_in(here) as installer:
        await here.rig.op("storage", full=True)
        change = {"current": NEW, "new": "Another-one-88"}
        assert (await installer.post("/api/session/password", change)).error == "storage"
        await here.rig.op("storage", full=False)
        before = await page_of(here)
        await here.rig.op("process", kill="commissioning")
        await here.rig.wait("process_restarted", process="commissioning")
        again = await page_of(here)
        assert again["commissioning"] == before["commissioning"]
        assert again["processes"]["commissioning"] != before["processes"]["commissioning"]
        assert (await installer.get("/api/status")).error == "not_signed_in"
        assert (await installer.sign_in("installer", NEW))["has_seat"]
    await here.rig.op("power_cycle")
    await here.rig.wait("powered", powered=True)
    assert (await page_of(here))["label"]["commissioning_password"] is None
    async with Browser((await page_of(here))["commissioning"]) as installer:
        await installer.sign_in("installer", NEW)


@pytest.mark.slow
async def test_factory_reset_makes_it_a_new_station(here: Site) -> None:
    label = (await page_of(here))["label"]["commissioning_password"]
    async with signed_in(here) as installer:
        value = {"component": "ClockCtrlr", "variable": "TimeZone", "value": "Europe/Oslo"}
        results = (await installer.post("/api/variables", {"values": [value]})).content["results"]
        assert [each["status"] for each in results] == ["Accepted"]
        mark = here.rig.mark
        assert (await installer.post("/api/factory-reset", {"identity": "CP001"})).status == 200
        await here.rig.wait("process_restarted", since=mark, process="ocpp")
        await here.settled()
        assert (await installer.sign_in("installer", label))["must_change_password"]
        await installer.change_password(label, NEW)
        found = (await installer.get("/api/variables?component=ClockCtrlr")).content["variables"]
        assert {each["value"] for each in found if each["variable"] == "TimeZone"} == {""}
