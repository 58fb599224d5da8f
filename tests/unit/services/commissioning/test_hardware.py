# SPDX-License-Identifier: Apache-2.0
"""Devices and self tests: what the HAL says, refuses, or no longer answers."""

from __future__ import annotations

import pytest

from firmware.contract import (
    GetSiteLimit,
    ListDevices,
    PowerOff,
    Problem,
    SelfTest,
    SelfTestFinished,
    SetSiteLimit,
    Stamped,
    StartTest,
)
from tests.support.commissioning import Browser, HalDouble, Served


async def state_of(browser: Browser, name: str) -> tuple[str, str]:
    tests = (await browser.get("/api/tests")).content["tests"]
    return next((each["state"], each["result"]) for each in tests if each["name"] == name)


async def test_devices_with_their_health(link: HalDouble, installer: Browser) -> None:
    found = (await installer.get("/api/devices")).content["devices"]
    assert [each["place"] for each in found] == ["card_reader", "evse 1, meter", "shelf"]
    assert (await installer.get("/api/status")).content["devices"] == [
        {"name": "card_reader", "ok": True, "text": "77 1.2"},
        {"name": "evse 1, meter", "ok": False, "text": "meter: line is dead"},
        {"name": "shelf, module 3", "ok": True, "text": ""},
    ]


async def test_the_hal_is_asked_for_its_devices_now_and_then(page: Served, link: HalDouble, installer: Browser) -> None:
    for _ in range(5):
        await installer.get("/api/status")
        await installer.get("/api/devices")
    assert link.commands == [ListDevices()]
    page.clock.advance(2.0)
    await installer.get("/api/status")
    assert link.commands == [ListDevices()] * 2


async def test_a_test_runs_and_ends(link: HalDouble, installer: Browser) -> None:
    assert (await installer.post("/api/tests/contactor-2")).status == 200
    assert link.commands == [StartTest(SelfTest.CONTACTOR, 2)]
    assert await state_of(installer, "contactor-2") == ("running", "")
    finished = SelfTestFinished(SelfTest.CONTACTOR, 2, False, "the mirror contact did not follow")
    link.hal.on_hal_event(Stamped(1, 0.0, 0.0, finished))
    assert await state_of(installer, "contactor-2") == ("failed", "the mirror contact did not follow")
    assert await state_of(installer, "contactor-1") == ("idle", "")


@pytest.mark.parametrize(
    ("problem", "status"), [(Problem.NOT_ALLOWED, 409), (Problem.NO_HARDWARE, 501), (Problem.BUSY, 409)]
)
async def test_a_refused_test_does_not_run(link: HalDouble, installer: Browser, problem: Problem, status: int) -> None:
    link.refusal = problem, "a vehicle is plugged in"
    answer = await installer.post("/api/tests/insulation-1")
    assert (answer.status, answer.error, answer.content["detail"]) == (status, problem.value, "a vehicle is plugged in")
    assert await state_of(installer, "insulation-1") == ("idle", "")


async def test_a_hal_that_dies_leaves_nobody_waiting(page: Served, link: HalDouble, installer: Browser) -> None:
    link.dies = True
    assert (await installer.post("/api/tests/contactor-1")).error == "hal_down"
    status = (await installer.get("/api/status")).content
    assert (status["hal"], status["devices"], status["evses"]) == (False, [], [])
    assert (await installer.get("/api/tests")).content == {"tests": []}


async def test_without_a_hal_it_is_said(page: Served, installer: Browser) -> None:
    for method, path in (("GET", "/api/devices"), ("POST", "/api/power-off")):
        answer = await installer.call(method, path, {})
        assert (answer.status, answer.error) == (503, "hal_down")


async def test_the_limit_of_the_site_is_asked_of_the_hal(link: HalDouble, installer: Browser) -> None:
    limit = {"in_force_w": 400_000.0, "settings_w": 400_000.0, "next_w": 150_000.0}
    assert (await installer.get("/api/site-limit")).content == limit
    assert (await installer.call("PUT", "/api/site-limit", {"limit_w": 150_000})).content == limit
    assert link.commands == [GetSiteLimit(), SetSiteLimit(150_000.0)]
    link.refusal = Problem.BAD_REQUEST, "expected 1000 W to 400000 W, what the settings allow"
    answer = await installer.call("PUT", "/api/site-limit", {"limit_w": 1e9})
    assert (answer.status, answer.error, answer.content["detail"]) == (400, "bad_request", link.refusal[1])
    for content in ({}, {"limit_w": "150"}, {"limit_w": [1]}):
        assert (await installer.call("PUT", "/api/site-limit", content)).error == "malformed"


async def test_power_off_is_asked_of_the_hal(link: HalDouble, installer: Browser) -> None:
    assert (await installer.post("/api/power-off")).status == 200
    assert link.commands == [PowerOff()]
