# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS's page: the device model and the certificates of a real station, and a model of thousands of rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.accessibility import barriers
from tests.browser.bench_csms import bench_with_station
from tests.support.scripted_station import connected
from tools.csms.ca import BenchPki
from tools.csms.known_certificates import facts_of
from tools.csms.server import Running, running
from tools.csms.settings import Settings

pytestmark = pytest.mark.slow


async def test_the_device_model_and_the_certificates_of_a_station(page: Page, tmp_path: Path) -> None:
    async with bench_with_station(tmp_path, page) as (bench, _):
        await page.get_by_text("Device model").click()
        await page.get_by_role("button", name="Read it from the station").click()
        await a_value_is_set(page, bench)
        await secrets_and_lists(page)
        await page.get_by_role("heading", name="Certificates").click()
        await certificates(page, bench, tmp_path)
        await page.emulate_media(color_scheme="dark")
        assert await barriers(page) == []


async def find(page: Page, text: str, count: int = 1) -> Locator:
    """The row of one variable."""
    await page.get_by_label("Find variables").fill(text)
    await expect(page.locator("#model tbody tr")).to_have_count(count)
    return page.locator("#model tbody tr").first


async def a_value_is_set(page: Page, bench: Running) -> None:
    # The whole model has come when its last page can be turned to.
    await expect(page.locator("#model .pages")).to_contain_text("page 1 of")
    heartbeat = await find(page, "ocppcommctrlr.heartbeatinterval")
    field, result = heartbeat.get_by_role("spinbutton"), heartbeat.locator("td").last
    await expect(field).to_have_value("60")
    await expect(heartbeat).to_contain_text("integer · 60 to 120 · s")
    await field.fill("7")
    await field.press("Enter")
    await expect(result).to_contain_text("60")  # the browser's own sentence about the limit
    await field.fill("90")
    await heartbeat.get_by_role("button", name="Set OCPPCommCtrlr HeartbeatInterval").click()
    await expect(result).to_have_text("Accepted: set")
    held = bench.office.models.variables("CP001")
    values = {entry["variable"]["name"]: entry["variableAttribute"][0].get("value") for entry in held}
    assert values["HeartbeatInterval"] == "90"


async def secrets_and_lists(page: Page) -> None:
    password = await find(page, "basicauthpassword")
    await expect(password).to_contain_text("cannot be read")
    await expect(password.get_by_role("textbox")).to_have_value("")
    model = await find(page, "chargingstation.model")
    await expect(model).to_contain_text("read only")
    await expect(model.get_by_role("button")).to_have_count(0)
    points = await find(page, "txctrlr.txstartpoint")
    await points.get_by_role("textbox").fill("Authorized,Moonrise")
    await points.get_by_role("textbox").press("Enter")
    await expect(points.locator("td").last).to_have_text("not in the list: Moonrise")
    switch = await find(page, "messagelogctrlr.enabled")
    await switch.get_by_role("combobox").select_option("true")
    await switch.get_by_role("button").click()
    await expect(switch.locator("td").last).to_have_text("Accepted: set")
    await page.get_by_label("Find variables").fill("no such variable")
    await expect(page.locator("#model")).to_contain_text("No variable matches.")


async def certificates(page: Page, bench: Running, folder: Path) -> None:
    place = page.locator("#certificates")
    rows, said = place.locator("tbody tr"), place.locator(".outcome")
    await place.get_by_role("button", name="List what is installed").click()
    await expect(said).to_contain_text("List what is installed")
    await place.get_by_role("button", name="Install the bench's CSMS root").click()
    await expect(said).to_have_text("Install the bench's CSMS root Accepted: it is installed")
    own = rows.filter(has_text="bench CSMS root")
    await expect(own).to_contain_text("root of a CSMS")
    await expect(own.locator(".pill.good")).to_have_text(facts_of(bench.pki.root_pem).not_after[:10])

    other = BenchPki(folder / "other", "127.0.0.1")
    await place.get_by_text("Install another one").click()
    await place.get_by_label("Certificate, PEM").fill("no certificate")
    await place.get_by_role("button", name="Install it").click()
    await expect(said).to_contain_text("Install it Rejected")
    await place.get_by_label("Kind of certificate").select_option("ManufacturerRootCertificate")
    await place.get_by_label("Certificate from a file").set_input_files(other.manufacturer_root)
    await expect(place).to_contain_text("issued by")
    await place.get_by_role("button", name="Install it").click()
    await expect(said).to_have_text("Install it Accepted: it is installed")
    manufacturer = rows.filter(has_text="bench manufacturer root")
    await manufacturer.get_by_role("button").click()
    await manufacturer.get_by_role("button", name="Really delete").click()
    await expect(said).to_have_text("Delete Accepted: it is deleted")
    await expect(manufacturer).to_have_count(0)

    await place.get_by_role("button", name="New certificate for the station").click()
    await expect(page.locator(".message.call").filter(has_text="CertificateSigned").first).to_contain_text("Accepted")


async def test_thousands_of_variables_stay_quick(page: Page, tmp_path: Path) -> None:
    async with (
        running(Settings(tmp_path / "csms.sqlite3", port=0)) as bench,
        connected(f"{bench.ocpp_url}/CP007") as station,
    ):
        for part in range(15):
            items = [_item(number) for number in range(part * 200, part * 200 + 200)]
            report = {"requestId": 1, "generatedAt": "2026-11-23T12:00:00Z", "seqNo": part, "reportData": items}
            await station.ask("NotifyReport", {**report, "tbc": part < 14})
        await page.goto(bench.url)
        await page.get_by_text("Device model").click()
        await expect(page.locator("#model .pages")).to_contain_text("page 1 of 120, 3000 variables")
        await expect(page.locator("#model tbody tr")).to_have_count(25)
        await page.locator("#model").get_by_role("button", name="Next").click()
        await expect(page.locator("#model .pages")).to_contain_text("page 2 of 120")
        await find(page, "variable2999")
        station.answers["GetMonitoringReport"] = {"status": "Accepted"}
        await page.get_by_role("button", name="Read its monitors").click()
        await expect(page.locator("#model .outcome")).to_have_text(
            "Read its monitors Accepted: the report is on its way"
        )
        await station.ask("NotifyMonitoringReport", _monitored(2999))
        await expect(page.locator("#model tbody tr")).to_contain_text("UpperThreshold 80, severity 2")
        # While someone types, what the station reports leaves the field alone; other rows follow.
        field = page.locator("#model tbody input")
        await field.fill("typed")
        await station.ask("NotifyEvent", _changed(2999, "reported"))
        await station.ask("NotifyEvent", _changed(2998, "<b>reported</b>"))
        await expect(page.locator(".message.call").filter(has_text="NotifyEvent")).to_have_count(2)
        await expect(field).to_have_value("typed")
        await find(page, "variable2998")
        await expect(page.locator("#model tbody input")).to_have_value("<b>reported</b>")


def _item(number: int) -> dict[str, object]:
    place = {"component": {"name": "Many"}, "variable": {"name": f"Variable{number}"}}
    return {**place, "variableAttribute": [{"value": str(number)}], "variableCharacteristics": _TEXT}


_TEXT = {"dataType": "string", "supportsMonitoring": True}


def _monitored(number: int) -> dict[str, object]:
    monitor = {"id": 1, "transaction": False, "value": 80, "type": "UpperThreshold", "severity": 2}
    place = {"component": {"name": "Many"}, "variable": {"name": f"Variable{number}"}}
    report = {"requestId": 1, "seqNo": 0, "generatedAt": "2026-11-23T12:00:00Z"}
    return {**report, "monitor": [{**place, "variableMonitoring": [monitor]}]}


def _changed(number: int, value: str) -> dict[str, object]:
    event: dict[str, object] = {
        "component": {"name": "Many"},
        "variable": {"name": f"Variable{number}"},
        "actualValue": value,
    }
    event |= {"eventId": number, "timestamp": "2026-11-23T12:00:00Z", "trigger": "Delta"}
    event |= {"eventNotificationType": "CustomMonitor"}
    return {"generatedAt": "2026-11-23T12:00:00Z", "seqNo": 0, "eventData": [event]}
