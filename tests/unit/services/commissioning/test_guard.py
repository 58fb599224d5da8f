# SPDX-License-Identifier: Apache-2.0
"""Forged requests, other hosts and origins, users who may only read, two installers, tokens."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from yarl import URL

from firmware.contract.administration import Command, GetStation, SetIdentity, StationInfo
from services.commissioning.audit import AUDIT
from services.commissioning.routes import ROUTES
from services.commissioning.site import Access, Route
from tests.support.commissioning import PASSWORD, Browser, Served

IDENTITY = {"identity": "CP9"}
VIEWERS = "Only-looking-77"


def orders(page: Served) -> list[Command]:
    return [each for each in page.peer.commands if isinstance(each, SetIdentity)]


def path_of(route: Route) -> str:
    return route.path.replace("{slot}", "1").replace("{id}", "x").replace("{fingerprint}", "x")


@pytest.fixture(autouse=True)
def station(page: Served) -> None:
    page.peer.answers[SetIdentity] = None
    page.peer.answers[GetStation] = StationInfo("CP1", "CP9", "p", "p", ["p"], "1.0.0", "SN", True)


# --- other hosts, other origins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8080", "127.0.0.1.attacker.example", "", "a b"])
async def test_a_name_that_a_stranger_has_pointed_at_us_is_not_ours(page: Served, host: str) -> None:
    async with page.browser() as browser:
        answer = await browser.call("GET", "/api/session", headers={"Host": host})
        assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost:8080", "[fe80::1]:8080", "192.0.2.7", "LOCALHOST"])
async def test_addresses_and_own_names_are_ours(page: Served, host: str) -> None:
    async with page.browser() as browser:
        headers = {"Host": host, "Origin": f"https://{host}"}
        assert (await browser.call("GET", "/api/session", headers=headers)).status == 200


@pytest.mark.parametrize(
    "origin",
    ["https://attacker.example", "null", "http://{host}", "https://{host}.attacker.example", "https://127.0.0.1:1"],
)
async def test_a_page_of_another_origin_changes_nothing(page: Served, installer: Browser, origin: str) -> None:
    forged = {"Origin": origin.format(host=installer.url.removeprefix("https://"))}
    answer = await installer.call("PUT", "/api/station/identity", IDENTITY, headers=forged)
    assert (answer.status, answer.error) == (403, "other_origin")
    answer = await installer.call("POST", "/api/session", {"user": "installer", "password": PASSWORD}, headers=forged)
    assert answer.error == "other_origin"
    assert orders(page) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_browser_that_says_the_request_is_anothers_is_believed(installer: Browser, site: str) -> None:
    answer = await installer.call("GET", "/api/status", headers={"Sec-Fetch-Site": site})
    assert answer.error == "other_origin"


async def test_without_the_token_of_the_session_nothing_is_changed(page: Served, installer: Browser) -> None:
    changing = [route for route in ROUTES if route.method != "GET" and route.access is not Access.ANYONE]
    for token in ("", "wrong", installer.session_id):
        for route in changing:
            answer = await installer.call(route.method, path_of(route), IDENTITY, headers={"X-CSRF-Token": token})
            assert (answer.status, answer.error) == (403, "csrf"), route.path
    assert orders(page) == []
    assert (await installer.get("/api/session")).content["signed_in"]


async def test_a_form_of_another_page_can_not_send_json(installer: Browser) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = await installer.call("PUT", "/api/station/identity", IDENTITY, headers={"Content-Type": kind})
        assert (answer.status, answer.error) == (415, "not_json")


# --- who may what -----------------------------------------------------------------------------------------------------


async def test_whoever_is_not_signed_in_reads_and_changes_nothing(page: Served) -> None:
    async with page.browser() as stranger:
        for route in ROUTES:
            if route.access is not Access.ANYONE:
                answer = await stranger.call(route.method, path_of(route), {})
                assert (answer.status, answer.error) == (401, "not_signed_in"), route.path


async def test_a_viewer_only_reads(page: Served, installer: Browser) -> None:
    await installer.call("PUT", "/api/users/viewer", {"password": VIEWERS})
    async with page.browser() as viewer:
        assert (await viewer.sign_in("viewer", VIEWERS))["role"] == "viewer"
        assert (await viewer.get("/api/status")).status == 200
        for route in ROUTES:
            if route.access is Access.INSTALLER:
                answer = await viewer.call(route.method, path_of(route), {})
                assert (answer.status, answer.error) == (403, "read_only"), route.path
        await installer.call("DELETE", "/api/users/viewer")
        assert (await viewer.get("/api/status")).error == "not_signed_in"
        assert (await viewer.post("/api/session", {"user": "viewer", "password": VIEWERS})).error == "wrong_password"


async def test_the_second_installer_is_told_and_may_take_over(
    page: Served, installer: Browser, stack: AsyncExitStack
) -> None:
    page.clock.advance(60.0)
    second = await page.installer(stack)
    told = (await second.get("/api/session")).content
    assert (told["has_seat"], told["seat"]) == (
        False, {"user": "installer", "address": "127.0.0.1", "since_s": 60, "idle_s": 60},
    )  # fmt: skip
    refused = await second.call("PUT", "/api/station/identity", IDENTITY)
    assert (refused.status, refused.error, refused.content["holder"]["user"]) == (409, "seat_taken", "installer")
    assert (await second.post("/api/session/seat")).content["has_seat"]
    assert (await second.call("PUT", "/api/station/identity", IDENTITY)).status == 200
    assert (await installer.call("PUT", "/api/station/identity", IDENTITY)).error == "seat_taken"
    await second.call("DELETE", "/api/session")
    assert (await installer.call("PUT", "/api/station/identity", IDENTITY)).status == 200
    assert len(orders(page)) == 2


async def test_a_token_is_shown_once_and_can_be_revoked(page: Served, installer: Browser) -> None:
    made = (await installer.post("/api/tokens", {"name": "nightly", "role": "installer"})).content
    bearer = {"Authorization": f"Bearer {made['token']}", "Origin": page.url.rstrip("/")}
    async with page.browser() as script:
        assert (await script.call("PUT", "/api/station/identity", IDENTITY, headers=bearer)).status == 200
        assert made["token"] not in str((await installer.get("/api/users")).content)
        assert made["token"].encode() not in (page.folder / "state" / "accounts.json").read_bytes()
        await installer.call("DELETE", f"/api/tokens/{made['info']['id']}")
        assert (await script.call("GET", "/api/status", headers=bearer)).error == "wrong_token"
    assert (await installer.call("DELETE", f"/api/tokens/{made['info']['id']}")).error == "not_found"


async def test_a_token_of_a_viewer_only_reads(page: Served, installer: Browser) -> None:
    made = (await installer.post("/api/tokens", {"name": "graphs"})).content
    bearer = {"Authorization": f"Bearer {made['token']}"}
    async with page.browser() as script:
        assert (await script.call("GET", "/api/status", headers=bearer)).status == 200
        assert (await script.call("PUT", "/api/station/identity", IDENTITY, headers=bearer)).error == "read_only"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer bw_guess", "Basic aW5zdGFsbGVyOng=", "x" * 4000])
async def test_a_wrong_token_counts_as_a_wrong_password(page: Served, header: str) -> None:
    async with page.browser() as script:
        for _ in range(5):
            assert (await script.call("GET", "/api/status", headers={"Authorization": header})).error == "wrong_token"
        assert (await script.call("GET", "/api/status", headers={"Authorization": header})).error == "wait"


async def test_tokens_are_bounded_and_named_plainly(installer: Browser) -> None:
    for name in ("", "<script>", "a\nb", "x" * 33):
        assert (await installer.post("/api/tokens", {"name": name})).error == "malformed"
    for number in range(16):
        assert (await installer.post("/api/tokens", {"name": f"t{number}"})).status == 200
    assert (await installer.post("/api/tokens", {"name": "one more"})).error == "refused"


async def test_each_change_is_in_the_log_with_who_and_from_where(
    page: Served, installer: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await installer.call("PUT", "/api/station/identity", IDENTITY)
    audit = [record.getMessage() for record in caplog.records if getattr(record, "fields", None) == AUDIT["fields"]]
    assert audit == [
        "audit: installer from 127.0.0.1: Set the identity towards the CSMS, from the next start on:"
        " PUT /api/station/identity"
    ]


async def test_a_flood_of_requests_is_not_passed_on(page: Served, installer: Browser) -> None:
    statuses = {(await installer.get("/api/station")).status for _ in range(301)}
    assert statuses == {200, 429}
    asked = len([each for each in page.peer.commands if isinstance(each, GetStation)])
    assert asked <= 300
    page.clock.advance(1.0)
    assert (await installer.get("/api/station")).status == 200


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config.py", "/static/..%2fconfig.py", "/static/%2e%2e/config.py", "/look/look.css/", "//", "/api",
        "/look/__init__.py", "/static/", "/api/status/", "/api//status", "/%00", "/api/openapi.json%00",
    ],
)  # fmt: skip
async def test_only_what_is_listed_is_served(page: Served, installer: Browser, path: str) -> None:
    async with installer._client.get(URL(page.url.rstrip("/") + path, encoded=True)) as response:
        assert response.status == 404


async def test_paths_that_are_no_text_and_methods_that_are_not_for_them(page: Served, installer: Browser) -> None:
    async with installer._client.get(URL(page.url + "%ff", encoded=True)) as response:
        assert response.status == 400
    assert (await installer.call("DELETE", "/api/status")).headers["Allow"] == "GET"
    assert (await installer.call("POST", "/")).status == 405
    assert (await installer.call("TRACE", "/api/status")).status == 405
