# SPDX-License-Identifier: Apache-2.0
"""A LEM DCBM 400/600 meter: its HTTP server on the loopback, after the meter's manual and not after the driver.

What a client does wrong (two requests at once, a path of another version of the interface, settings right after
power-on, a clock set during a transaction) is logged and kept in `violations`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web

__all__ = ["LemDcbm", "Line", "StillLine"]

SETTLE_S = 120.0
_log = logging.getLogger(__name__)


class Line(Protocol):
    """What the meter measures; a `drivers.simulated.world.evse.Evse` is one."""

    @property
    def voltage_v(self) -> float: ...

    @property
    def current_a(self) -> float: ...

    @property
    def energy_wh(self) -> float: ...


class StillLine:
    """A line whose values a test sets."""

    voltage_v = 0.0
    current_a = 0.0
    energy_wh = 0.0


class LemDcbm:
    """The meter.

    Args:
        line: what it measures.
        serial_number: its `meterId`.
        firmware: the version of its application, which decides between `/v1` and `/v2`.
        tls: HTTPS with this context.

    Attributes:
        port: of its server; the same again after it was unplugged.
        delay_s: how long it waits before each answer.
        fails_with: an HTTP status for every request.
        malformed: answers that are not JSON.
        cut: answers that end before their end.
        frozen: it repeats its last measurement, with its time stamp.
        dark: how many requests from now it ends without an answer, as while it starts.
        keeps_running: a transaction that is to end does not.
        loses_records: how many requests of a signed record fail.
        violations: what a client did against the protocol.
    """

    def __init__(
        self,
        line: Line | None = None,
        *,
        serial_number: str = "12024072805",
        firmware: str = "0.2.5.0",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.line: Line = line or StillLine()
        self.serial_number = serial_number
        self.firmware = firmware
        self.tls = tls
        self.port = 0
        self.delay_s = 0.0
        self.fails_with: int | None = None
        self.malformed = self.cut = self.frozen = False
        self.keeps_running = False
        self.requests = self.loses_records = self.dark = 0
        self.transaction_id: str | None = None
        """Of the transaction that is going on."""
        self.ended: list[str] = []
        self.clock_set_to: str | None = None
        self.violations: list[str] = []
        self._measure: dict[str, Any] = {}
        self._busy = 0
        self._on_since = time.monotonic()
        self._runner: web.AppRunner | None = None

    @property
    def api(self) -> str:
        return "/v2" if self.firmware.split(".")[1] > "1" else "/v1"

    async def start(self) -> None:
        """Connect it to the network."""
        app = web.Application(middlewares=[self._disturb])
        for api in ("/v1", "/v2"):
            app.router.add_get(f"{api}/livemeasure", self._versioned(api, self._get_livemeasure))
            app.router.add_get(f"{api}/legal", self._versioned(api, self._get_legal))
            app.router.add_post(f"{api}/legal", self._versioned(api, self._start_transaction))
            app.router.add_put(f"{api}/legal", self._versioned(api, self._stop_transaction))
            app.router.add_get(f"{api}/ocmf", self._versioned(api, self._get_ocmf))
        app.router.add_get("/v1/status", self._get_status)
        app.router.add_put("/v1/settings", self._put_settings)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Disconnect it."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def power_on(self, seconds_ago: float = 0.0) -> None:
        """It begins anew: a transaction goes on, the clock is lost."""
        self._on_since = time.monotonic() - seconds_ago
        self.clock_set_to = None

    # --- every request -------------------------------------------------------------------------------------------

    @web.middleware
    async def _disturb(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests += 1
        self._busy += 1
        try:
            if self._busy > 1:
                self._violated("two requests at once")
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.dark and request.transport is not None:
                self.dark -= 1
                request.transport.close()
            if self.fails_with is not None:
                return web.Response(status=self.fails_with)
            if self.malformed:
                return web.Response(body=b'{"meterId": ', content_type="application/json")
            if self.cut:
                return await _cut_off(request)
            if request.method in ("PUT", "POST") and request.content_type != "application/json":
                self._violated(f"{request.method} {request.path} with {request.content_type}")
            return await handler(request)
        finally:
            self._busy -= 1

    def _versioned(
        self, api: str, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            if api != self.api:
                self._violated(f"{request.path}, but this firmware has {self.api}")
                raise web.HTTPNotFound
            return await handler(request)

        return handle

    def _violated(self, what: str) -> None:
        _log.warning("LEM DCBM: %s", what)
        self.violations = [*self.violations, what][-20:]

    # --- the interface -------------------------------------------------------------------------------------------

    async def _get_status(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "meterId": self.serial_number,
                "publicKeyOcmf": "3059301306072a8648ce3d0201",
                "status": {"value": 17, "bits": {"transactionIsOnGoing": self.transaction_id is not None}},
                "version": {"applicationFirmwareVersion": self.firmware},
            }
        )

    async def _get_livemeasure(self, request: web.Request) -> web.Response:
        line = self.line
        if not (self.frozen and self._measure):
            self._measure = {
                "voltage": round(line.voltage_v, 1),
                "current": round(line.current_a, 2),
                "power": round(line.voltage_v * line.current_a / 1000.0, 4),
                "temperatureH": 31.5,
                "temperatureL": 30.5,
                "energyImportTotal": math.floor(line.energy_wh) / 1000.0,
                "energyExportTotal": 0.0,
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
        return web.json_response(self._measure)

    async def _get_legal(self, request: web.Request) -> web.Response:
        return web.json_response({"transactionId": self.transaction_id or (self.ended or [""])[-1]})

    async def _start_transaction(self, request: web.Request) -> web.Response:
        if self.clock_set_to is None or self.transaction_id is not None:
            raise web.HTTPConflict
        order = await request.json()
        self.transaction_id = str(order["transactionId"])
        return web.json_response({"running": True, "transactionId": self.transaction_id}, status=201)

    async def _stop_transaction(self, request: web.Request) -> web.Response:
        wanted, order = request.query.get("transactionId"), await request.json()
        if wanted is None or wanted != self.transaction_id or order != {"running": False}:
            self._violated(f"PUT legal of {wanted}: {order}")
            raise web.HTTPBadRequest
        if self.keeps_running:
            return web.json_response({"meterValue": {"transactionStatus": 21}})
        self.transaction_id = None
        self.ended.append(wanted)
        return web.json_response({"paginationCounter": len(self.ended), "meterValue": {"transactionStatus": 17}})

    async def _get_ocmf(self, request: web.Request) -> web.Response:
        wanted = request.query.get("transactionId")
        if self.loses_records:
            self.loses_records -= 1
            raise web.HTTPServiceUnavailable
        if wanted not in self.ended:
            raise web.HTTPNotFound
        return web.Response(text="OCMF|" + json.dumps({"MS": self.serial_number, "TX": wanted}) + '|{"SD":"00"}')

    async def _put_settings(self, request: web.Request) -> web.Response:
        settings = await request.json()
        utc = settings.get("time", {}).get("utc")
        on_for_s = time.monotonic() - self._on_since
        if on_for_s < SETTLE_S:
            self._violated(f"settings {on_for_s:.0f} s after power-on")
        if utc is not None and self.transaction_id is not None:
            self._violated("the clock is set during a transaction")
            return web.json_response({"meterId": self.serial_number, "result": 0})
        self.clock_set_to = utc or self.clock_set_to
        return web.json_response({"meterId": self.serial_number, "result": 1})


async def _cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"meterId": ')
    if request.transport is not None:
        request.transport.close()
    return response
