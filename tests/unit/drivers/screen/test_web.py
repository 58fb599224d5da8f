# SPDX-License-Identifier: Apache-2.0
"""The displays' server as a browser, a stranger and a slow page meet it; the driver, and its browser's unit."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from drivers.screen import PAGE, kiosk, site
from drivers.screen.browser_watch import MOST_RESTARTS, START_S
from drivers.screen.kiosk import KioskServer
from drivers.screen.web import WebScreen
from firmware.contract import Page, PageModel
from firmware.errors import DeviceLost
from tests.support.clock import ManualClock
from tests.support.sockets import eventually

BEAT = '{"kind":"beat","count":1}'


@pytest.fixture
async def server() -> AsyncIterator[KioskServer]:
    server = KioskServer(KioskServer.Options(port=0))
    await server.open()
    yield server
    server.close()


class Driver:
    """The driver of display 1, and what it reports."""

    def __init__(self, server: KioskServer, *, restarts: bool = True) -> None:
        self.clock = ManualClock()
        self.reports: list[str | None] = []
        self.restarts = 0
        self.refusal: DeviceLost | None = None
        self.screen = WebScreen(
            WebScreen.Options(server=server, screen=1, language="de"),
            clock=self.clock,
            restart=self._restart if restarts else None,
            watched=False,
        )
        self.screen.listen(
            lambda: self.reports.append("select"), lambda: self.reports.append("stop"), self.reports.append
        )

    async def _restart(self) -> None:
        self.restarts += 1
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def driver(server: KioskServer) -> Driver:
    return Driver(server)


async def fetch(
    server: KioskServer, path: str, *, host: str | None = None, method: str = "GET", more: str = ""
) -> tuple[int, str, str]:
    """Status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.origin.rpartition(":")[2]))
    here = server.origin.removeprefix("http://") if host is None else host
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {here}\r\n{more}\r\n".encode())
    answer = (await reader.read()).decode("utf-8", "replace")
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ")[1]) if head else 0, head, body


def open_page(server: KioskServer, screen: int = 1, origin: str | None = None) -> connect:
    where = f"ws{server.origin.removeprefix('http')}/display/{screen}/events"
    return connect(where, origin=origin or server.origin, compression=None)  # type: ignore[arg-type]


async def hear(page: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await page.recv())
            if message["kind"] == kind:
                return message


# --- files -----------------------------------------------------------------------------------------------------------


async def test_what_a_page_needs_is_served_with_strict_headers(server: KioskServer, driver: Driver) -> None:
    needed = ["/display/1", "/look/look.css", "/look/icon.svg", "/languages/ja.json"]
    needed += [f"/screen/{file.name}" for file in PAGE.iterdir() if file.suffix in (".js", ".css")]
    for path in needed:
        status, head, body = await fetch(server, path)
        assert (status, bool(body)) == (200, True), path
        assert "default-src 'none'" in head
        assert "nosniff" in head
    assert json.loads((await fetch(server, "/languages/ja.json"))[2])["language"] == "日本語"


async def test_a_browser_keeps_the_parts_of_the_page(server: KioskServer, driver: Driver) -> None:
    """The page is asked for each time, and not sent again; what has a version in its address is not even asked for."""
    _, head, page = await fetch(server, "/display/1")
    assert "no-cache" in head
    (etag,) = re.findall(r'ETag: ("\w+")', head)
    assert (await fetch(server, "/display/1", more=f"If-None-Match: {etag}\r\n"))[::2] == (304, "")
    parts = re.findall(r'="(/[^"]+)"', page)
    assert len(parts) > 5
    for part in parts:
        status, head, body = await fetch(server, part)
        assert (status, bool(body), "immutable" in head) == (200, True, True), part


@pytest.mark.parametrize(
    "path",
    ["/", "/display/2", "/display/01", "/display/1/", "/display/../display/1", "/screen/../__init__.py", "/screen/",
     "/screen/%2e%2e/web.py", "/languages/__init__.py", "/look/../update/image.py", "//etc/passwd",
     "/screen/index.html"],
)  # fmt: skip
async def test_nothing_else_is_served(server: KioskServer, driver: Driver, path: str) -> None:
    assert (await fetch(server, path))[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "127.0.0.1", "127.0.0.1:1", ""])
async def test_another_host_is_refused(server: KioskServer, driver: Driver, host: str) -> None:
    """A name of an attacker that leads to the loopback."""
    assert (await fetch(server, "/display/1", host=host))[0] in (400, 421)


async def test_only_get_and_only_small_requests(server: KioskServer, driver: Driver) -> None:
    assert (await fetch(server, "/display/1", method="POST"))[0] == 405
    assert (await fetch(server, "/" + "x" * 100_000))[0] != 200
    assert (await fetch(server, "/display/1"))[0] == 200


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_a_page_gets_its_language_and_what_is_shown(server: KioskServer, driver: Driver) -> None:
    driver.screen.show(PageModel(page=Page.IDLE, evse=1))
    async with open_page(server) as page:
        greeting = await hear(page, "hello")
        assert (greeting["language"], greeting["theme"]) == ("de", "light")
        assert ["ja", "日本語"] in greeting["languages"]
        assert (await hear(page, "page"))["model"] == {"page": "idle", "evse": 1}
        driver.screen.show(PageModel(page=Page.SELECT, evse=1))
        assert (await hear(page, "page"))["model"]["page"] == "select"


async def test_touches_and_heartbeats(server: KioskServer, driver: Driver) -> None:
    async with open_page(server) as page:
        for message in ('{"kind":"select"}', '{"kind":"select"}', BEAT, '{"kind":"stop"}'):
            await page.send(message)
            await hear(page, "beat")
            if message == BEAT:
                driver.clock.advance(1.0)
    assert driver.reports == ["select", "stop"]  # the second touch follows the first at once


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost"])
async def test_a_page_of_somebody_else_can_not_connect(server: KioskServer, driver: Driver, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_page(server, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_there_are_only_so_many_pages(server: KioskServer, driver: Driver) -> None:
    async with open_page(server) as one, open_page(server), open_page(server):
        async with open_page(server) as last:
            await hear(last, "hello")
            with pytest.raises(InvalidStatus) as refused:
                async with open_page(server):
                    pass
            assert refused.value.response.status_code == 503
            await hear(one, "hello")
        await last.wait_closed()
        async with asyncio.timeout(10):
            while True:
                try:
                    async with open_page(server) as again:
                        await hear(again, "hello")
                        break
                except InvalidStatus:
                    await asyncio.sleep(0.01)


async def test_there_are_only_so_many_connections(
    server: KioskServer, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "MAX_CONNECTIONS", 3)
    port = int(server.origin.rpartition(":")[2])
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):  # being cut off reads as an end or as an error
        assert await reader.read() == b""
    writer.close()
    for _reader, each in idle:
        each.close()
    await eventually_served(server)


async def eventually_served(server: KioskServer) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                if (await fetch(server, "/display/1"))[0] == 200:
                    return
            except ConnectionError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "message",
    ["", "what?", "[]", '{"kind":"page"}', '{"kind":"beat"}', '{"kind":"beat","count":"<b>"}',
     '{"kind":"stop","evse":2}', '{"kind":"beat","count":1,"x":"' + "x" * 2000 + '"}', b"\xff\x00"],
)  # fmt: skip
async def test_a_page_that_sends_what_none_of_ours_does_is_closed(
    server: KioskServer, driver: Driver, message: str | bytes
) -> None:
    async with open_page(server) as page:
        await page.send(message)
        async with asyncio.timeout(10):
            await page.wait_closed()
        assert page.close_code in (1007, 1008, 1009)
    assert driver.reports == []
    async with open_page(server) as page:
        await hear(page, "hello")


async def test_a_page_that_reads_nothing_gets_the_newest_model_and_holds_up_nobody(
    server: KioskServer, driver: Driver
) -> None:
    async with open_page(server) as slow:
        await hear(slow, "hello")
        slow.transport.pause_reading()
        models = [PageModel(page=Page.CHARGING, duration_s=count, history_kw=(1.5,) * 60) for count in range(5000)]
        for model in models:
            driver.screen.show(model)
            if model.duration_s is not None and model.duration_s % 100 == 0:
                await asyncio.sleep(0)
        async with open_page(server) as other:
            assert (await hear(other, "page"))["model"]["duration_s"] == 4999
        slow.transport.resume_reading()
        seen = 0
        while (await hear(slow, "page"))["model"]["duration_s"] != 4999:
            seen += 1
        assert seen < 5000


@pytest.mark.slow
async def test_an_hour_of_updates_does_not_grow(server: KioskServer, driver: Driver) -> None:
    """An update a second: after the first quarter the server holds what it held."""

    async def update(page: ClientConnection, count: int) -> int:
        for at in range(count):
            driver.screen.show(PageModel(page=Page.CHARGING, evse=1, duration_s=at, power_kw=at % 200))
            shown = (await hear(page, "page"))["model"]
            assert shown["duration_s"] == at
            await page.send(BEAT)
            await hear(page, "beat")
        gc.collect()
        ours = [tracemalloc.Filter(True, f"*/{place}/*") for place in ("drivers/screen", "websockets")]
        return sum(each.size for each in tracemalloc.take_snapshot().filter_traces(ours).statistics("filename"))

    async with open_page(server) as page:
        await hear(page, "hello")
        tracemalloc.start()
        try:
            before = await update(page, 900)
            after = await update(page, 3600)
        finally:
            tracemalloc.stop()
    print(f"{before} bytes, then {after}")
    assert after < before + 20_000


# --- the server ------------------------------------------------------------------------------------------------------


async def test_a_port_that_is_taken_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kiosk, "RETRY_S", 0.01)
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    server = KioskServer(KioskServer.Options(port=taken.sockets[0].getsockname()[1]))
    await server.open()
    assert server.origin == ""
    assert "no displays" in caplog.text
    taken.close()
    await eventually(lambda: server.origin)
    server.close()


async def test_a_free_port_is_kept(tmp_path: Path) -> None:
    """A page that is open finds the HAL again after its restart."""
    options = KioskServer.Options(port=0, address_file=str(tmp_path / "displays"))
    origins = []
    for _ in range(2):
        server = KioskServer(options)
        await server.open()
        origins.append(server.origin)
        assert (tmp_path / "displays").read_text() == server.origin
        server.close()
    assert origins[0] == origins[1]
    for damaged in ("", "http://127.0.0.1:99999", "\xff"):
        (tmp_path / "displays").write_text(damaged, encoding="latin-1")
        server = KioskServer(options)
        await server.open()
        assert server.origin
        server.close()


# --- the browser's unit ----------------------------------------------------------------------------------------------


async def test_a_browser_that_dies_is_restarted_and_in_the_end_reported(driver: Driver) -> None:
    for _ in range(MOST_RESTARTS):
        driver.clock.advance(START_S)
        await driver.screen.check()
    assert (driver.restarts, driver.reports) == (MOST_RESTARTS, [])
    driver.refusal = DeviceLost("systemd: no such unit")
    driver.clock.advance(START_S)
    await driver.screen.check()
    assert driver.reports == ["no browser shows the page, also after 3 restarts"]
    await driver.screen.check()
    assert len(driver.reports) == 1


async def test_a_lost_display_is_back_with_its_first_heartbeat(server: KioskServer) -> None:
    driver = Driver(server, restarts=False)
    driver.clock.advance(START_S)
    await driver.screen.check()
    async with open_page(server) as page:
        await page.send(BEAT)
        await hear(page, "beat")
    assert driver.reports == ["no browser shows the page for 30 s", None]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("language", "xx"),
        ("language", "../../etc/passwd"),
        ("theme", "pink"),
        ("unit", "a; reboot"),
        ("unit", "x.socket"),
    ],
)
def test_options_that_can_not_be(key: str, value: str) -> None:
    def any_bus(_kind: type, _name: object) -> object:
        return KioskServer(KioskServer.Options())

    with pytest.raises(msgspec.ValidationError, match=key):
        msgspec.convert({"server": "displays", "screen": 1, key: value}, WebScreen.Options, dec_hook=any_bus)
