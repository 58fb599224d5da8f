# SPDX-License-Identifier: Apache-2.0
"""Signing in: the label's password, wrong, missing and repeated ones, and what a session is worth elsewhere."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from firmware import log
from services.commissioning.guard import HEADERS
from services.commissioning.sessions import ABSOLUTE_S, IDLE_S
from tests.support.commissioning import LABEL, PASSWORD, Browser, Served, served

OTHER = "Quite-another-1"


async def attempt(browser: Browser, user: str, password: str) -> str | None:
    return (await browser.post("/api/session", {"user": user, "password": password})).error


# --- the first password ----------------------------------------------------------------------------------------------


async def test_with_the_labels_password_nothing_but_its_change_is_possible(tmp_path: Path) -> None:
    async with served(tmp_path, changed=False) as page, page.browser() as browser:
        assert (await browser.get("/api/session")).content["first_password"]
        assert (await browser.sign_in("installer", LABEL))["must_change_password"]
        for method, path in (("GET", "/api/status"), ("GET", "/api/users"), ("POST", "/api/variables")):
            assert (await browser.call(method, path, {})).error == "password_must_be_changed"
        assert not (await browser.change_password(LABEL, PASSWORD))["must_change_password"]
        assert (await browser.get("/api/status")).status == 200
        assert not (await browser.get("/api/session")).content["first_password"]


async def test_the_labels_password_is_worth_nothing_once_it_was_changed(page: Served) -> None:
    async with page.browser() as browser:
        assert await attempt(browser, "installer", LABEL) == "wrong_password"


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (LABEL, "label"),
        ("short", "10 to 128 characters"),
        ("aaaaaaaaaaaaaaa", "five different"),
        ("my-baywatt-station", "everybody can read"),
        ("Installer-2026!", "everybody can read"),
        ("line\nbreak-in-it", "can't be typed"),
    ],
)
async def test_a_new_password_that_is_too_easy_is_refused(
    page: Served, installer: Browser, new: str, says: str
) -> None:
    answer = await installer.post("/api/session/password", {"current": PASSWORD, "new": new})
    assert (answer.status, answer.error) == (400, "password_refused")
    assert says in answer.content["detail"]
    async with page.browser() as browser:
        await browser.sign_in("installer", PASSWORD)


async def test_a_change_needs_the_current_password(installer: Browser) -> None:
    answer = await installer.post("/api/session/password", {"current": "not-the-one", "new": OTHER})
    assert answer.error == "wrong_password"


async def test_a_change_ends_every_other_session_and_gives_this_one_another_id(
    page: Served, installer: Browser, stack: AsyncExitStack
) -> None:
    other = await page.installer(stack)
    before = installer.session_id
    await installer.change_password(PASSWORD, OTHER)
    assert installer.session_id not in ("", before)
    assert (await installer.get("/api/status")).status == 200
    assert (await other.get("/api/status")).error == "not_signed_in"


async def test_disk_full_while_a_password_is_changed_leaves_the_old_one(
    page: Served, installer: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("firmware.files.write_new", full)
    answer = await installer.post("/api/session/password", {"current": PASSWORD, "new": OTHER})
    assert (answer.status, answer.error) == (507, "storage")
    async with page.browser() as browser:
        assert await attempt(browser, "installer", OTHER) == "wrong_password"
        await browser.sign_in("installer", PASSWORD)


# --- guesses ---------------------------------------------------------------------------------------------------------


async def test_after_five_wrong_passwords_an_address_waits_ever_longer(page: Served) -> None:
    async with page.browser() as browser:
        for _ in range(5):
            assert await attempt(browser, "installer", "a-wrong-one") == "wrong_password"
        answer = await browser.post("/api/session", {"user": "installer", "password": PASSWORD})
        assert (answer.status, answer.error, answer.content["retry_after_s"]) == (429, "wait", 30)
        assert answer.headers["Retry-After"] == "30"
        page.clock.advance(30.0)
        assert await attempt(browser, "installer", "a-wrong-one") == "wrong_password"
        assert (await browser.post("/api/session", {"user": "viewer", "password": ""})).content["retry_after_s"] == 60
        page.clock.advance(60.0)
        await browser.sign_in("installer", PASSWORD)


async def test_a_restart_does_not_shorten_the_wait(tmp_path: Path) -> None:
    async with served(tmp_path) as page, page.browser() as browser:
        for _ in range(5):
            await attempt(browser, "installer", "a-wrong-one")
    async with served(tmp_path) as page, page.browser() as browser:
        assert await attempt(browser, "installer", PASSWORD) == "wait"


async def test_many_addresses_together_make_an_account_wait(page: Served) -> None:
    now = page.clock.monotonic()
    for number in range(20):
        page.service.site.failures.failed(f"192.0.2.{number}", "installer", now)
    async with page.browser() as browser:
        assert await attempt(browser, "installer", PASSWORD) == "wait"
        assert await attempt(browser, "viewer", "anything") == "wrong_password"


@pytest.mark.parametrize(("user", "password"), [("root", PASSWORD), ("", ""), ("viewer", ""), ("INSTALLER", PASSWORD)])
async def test_users_that_do_not_exist_are_wrong_like_any_password(page: Served, user: str, password: str) -> None:
    async with page.browser() as browser:
        answer = await browser.post("/api/session", {"user": user, "password": password})
        assert (answer.status, answer.content["detail"]) == (401, "user or password is wrong")


@pytest.mark.parametrize(
    "content", [{}, {"user": "installer"}, {"user": 1, "password": True}, [], "x", {"user": "i", "password": "x" * 200}]
)
async def test_a_missing_or_misshapen_password_is_malformed(page: Served, content: object) -> None:
    async with page.browser() as browser:
        answer = await browser.call("POST", "/api/session", content)
        assert (answer.status, answer.error) == (400, "malformed")


async def test_no_password_is_in_the_log(page: Served, caplog: pytest.LogCaptureFixture) -> None:
    async with page.browser() as browser:
        await attempt(browser, PASSWORD, "my-Wrong-secret")
        await browser.sign_in("installer", PASSWORD)
        await browser.change_password(PASSWORD, OTHER)
    lines = [log.redact(record.getMessage()) for record in caplog.records]
    assert not [line for line in lines if PASSWORD in line or OTHER in line or "my-Wrong-secret" in line]


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(page: Served) -> None:
    async with page.browser() as browser:
        answer = await browser.post("/api/session", {"user": "installer", "password": PASSWORD})
    name, *rules = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-baywatt=")
    assert len(name) > 50
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"} <= set(rules)


async def test_a_session_ends_when_it_is_idle(page: Served, installer: Browser) -> None:
    page.clock.advance(IDLE_S - 1.0)
    assert (await installer.get("/api/status")).status == 200
    page.clock.advance(IDLE_S)
    assert (await installer.get("/api/status")).error == "not_signed_in"


async def test_a_session_ends_at_last_whatever_is_done(page: Served, installer: Browser) -> None:
    for _ in range(int(ABSOLUTE_S / (IDLE_S - 1.0))):
        page.clock.advance(IDLE_S - 1.0)
        assert (await installer.get("/api/status")).status == 200
    page.clock.advance(IDLE_S - 1.0)
    assert (await installer.get("/api/status")).error == "not_signed_in"


async def test_signing_out_ends_it_for_the_thief_of_the_cookie_too(page: Served, installer: Browser) -> None:
    stolen = {"Cookie": f"__Host-baywatt={installer.session_id}"}
    async with page.browser() as thief:
        assert (await thief.call("GET", "/api/status", headers=stolen)).status == 200  # same address, same browser
        await installer.call("DELETE", "/api/session")
        assert (await thief.call("GET", "/api/status", headers=stolen)).error == "not_signed_in"


async def test_a_stolen_cookie_is_worth_nothing_in_another_browser(page: Served, installer: Browser) -> None:
    async with page.browser(**{"User-Agent": "thief/1"}) as thief:
        stolen = {"Cookie": f"__Host-baywatt={installer.session_id}"}
        assert (await thief.call("GET", "/api/status", headers=stolen)).error == "not_signed_in"


async def test_a_stolen_cookie_is_worth_nothing_at_another_address(page: Served, installer: Browser) -> None:
    (session,) = page.service.site.sessions._sessions.values()
    session.address = "192.0.2.9"
    assert (await installer.get("/api/status")).error == "not_signed_in"


async def test_signing_in_gives_another_id_than_the_one_that_was_brought(page: Served) -> None:
    async with page.browser() as browser:
        fixed = {"Cookie": "__Host-baywatt=chosen-by-somebody-else"}
        content = {"user": "installer", "password": PASSWORD}
        answer = await browser.call("POST", "/api/session", content, headers=fixed)
        assert "chosen-by-somebody-else" not in answer.headers["Set-Cookie"]
    async with page.browser() as browser:
        assert (await browser.call("GET", "/api/status", headers=fixed)).error == "not_signed_in"


async def test_two_cookies_of_the_name_are_none(page: Served, installer: Browser) -> None:
    own = f"__Host-baywatt={installer.session_id}"
    async with page.browser() as other:
        both = {"Cookie": f"{own}; __Host-baywatt=x"}
        assert (await other.call("GET", "/api/status", headers=both)).error == "not_signed_in"


async def test_sessions_are_bounded(page: Served, stack: AsyncExitStack) -> None:
    browsers = [await page.installer(stack) for _ in range(9)]
    assert (await browsers[0].get("/api/status")).error == "not_signed_in"
    assert (await browsers[8].get("/api/status")).status == 200


async def test_every_answer_has_the_headers(page: Served) -> None:
    files = {"/", "/look/look.css", "/api/openapi.json"}
    async with page.browser() as browser:
        for path in ("/", "/api/session", "/api/status", "/nothing", "/look/look.css", "/api/openapi.json"):
            headers = (await browser.get(path)).headers
            wanted = {**dict(HEADERS), "Cache-Control": "no-cache" if path in files else "no-store"}
            assert {name: headers.getall(name) for name in wanted} == {n: [v] for n, v in wanted.items()}, path


async def test_a_browser_keeps_the_parts_of_the_page(page: Served) -> None:
    async with page.browser() as browser:
        index = await browser.get("/")
        script = re.findall(r'src="(/v/[^"]+)"', index.content.decode())[-1]
        assert "immutable" in (await browser.get(script)).headers["Cache-Control"]
        again = await browser.call("GET", "/", headers={"If-None-Match": index.headers["ETag"]})
        assert (again.status, again.content) == (304, b"")
        assert again.headers["ETag"] == index.headers["ETag"]
        assert (await browser.get("/")).content == index.content  # the connection goes on
