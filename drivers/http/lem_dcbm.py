# SPDX-License-Identifier: Apache-2.0
"""`Meter`: a LEM DCBM 400/600 over HTTP or HTTPS, read twice a second.

    [[evse]]
    meter = { driver = "lem_dcbm", host = "192.0.2.20", serial_number = "12024072805" }

- At each contact the meter's identity is read first, and again after every failure: it may have been restarted or
  replaced. Another meter than the commissioned one is refused.
- Then a transaction that was left open in the meter is ended, and its signed record kept in `records`, if there is
  such a folder. The firmware opens none: what it bills is the register (`energyImportTotal`), and signed values are
  not part of what it reports.
- The meter's clock is set from the board's: not in the first 2 minutes after a contact, when a meter that has just been
  switched on may not keep settings, nor while a transaction is open; repeated before the 48 h for which it is valid.
- A measurement has the time at which it was requested. While the meter's own time stamp stays where it is after it has
  moved before, the measurement is an old one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from drivers.background import Background
from drivers.http.client import HttpClient, PinnedCertificate
from drivers.http.lem_dcbm_messages import (
    Ended,
    LiveMeasure,
    SettingsResult,
    Status,
    Transaction,
    decode,
    sample_of,
)
from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, Clock, SystemClock, format_utc
from firmware.errors import DeviceLost, DeviceRefused, DriverError
from firmware.files import replace
from firmware.trouble import Trouble
from hal.ports import DeviceInfo, MeterSample

__all__ = ["LemDcbm"]

SETTLE_S = 120.0
SYNC_EVERY_S = 12 * 3600.0
CHORES_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class LemDcbmOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    evse: int
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 80
    """The meter has the same port for HTTPS."""
    certificate: str | None = None
    """File with the meter's certificate (PEM): HTTPS, with this certificate and no other."""
    serial_number: str | None = None
    """Of the commissioned meter; another one is refused."""
    poll_s: Annotated[float, Meta(ge=0.1, le=1.0)] = 0.5
    timeout_s: Annotated[float, Meta(ge=0.5, le=20.0)] = 5.0
    resolution_wh: Annotated[float, Meta(gt=0.0, le=1000.0, description="the smallest step of the register")] = 1.0
    set_clock: bool = True
    records: str | None = None
    """Folder for the signed records of transactions that were left open in the meter."""
    speed: Annotated[float, Meta(gt=0.0)] = 1.0
    """How much faster than in life the register counts; other than 1 only on a test bench."""


class LemDcbm:
    Options = LemDcbmOptions
    stale_after_s = 2.0

    def __init__(self, options: LemDcbmOptions, clock: Clock | None = None) -> None:
        pin = PinnedCertificate(Path(options.certificate)) if options.certificate is not None else None
        self._options = options
        self.resolution_wh = options.resolution_wh
        self.speed = options.speed
        self._client = HttpClient(options.host, options.port, timeout_s=options.timeout_s, pin=pin)
        self._clock = clock or SystemClock()
        self._where = f"meter of EVSE {options.evse} at {options.host}"
        self._trouble = Trouble(_log, self._where, device=self._where)
        self._chores = Trouble(_log, f"{self._where}: clock and open transaction")
        self._identity = ""
        """Which meter it was at the last contact, for the log."""
        self._status: Status | None = None
        self._open_transaction = False
        self._unkept_record = ""
        """The path of a signed record that has still to be kept."""
        self._chores_at = self._sync_at = 0.0
        self._latest: MeterSample | None = None
        self._stamp = ""
        """The meter's time stamp of the latest measurement."""
        self._stamps_move = False
        self._error: DriverError = DeviceLost(f"{self._where}: no answer yet")
        self._background = Background(self._where)
        self._background.start("read", self._read)

    def sample(self) -> MeterSample:
        latest = self._latest
        if latest is None or self._clock.monotonic() - latest.mono_s > self.stale_after_s:
            raise self._error.with_traceback(None)  # raised again and again, it would grow
        return latest

    def devices(self) -> list[DeviceInfo]:
        """For `hal.ports.Described`."""
        status, address = self._status, f"{self._options.host}:{self._options.port}"
        if status is None or self._latest is None:
            return [DeviceInfo(address=address, answers=False, state=str(self._error))]
        state = f"{self._latest.energy_wh / 1000.0:.3f} kWh, {self._latest.voltage_v:.1f} V"
        return [DeviceInfo(address=address, serial_number=status.meter_id, firmware=status.firmware, state=state)]

    def close(self) -> None:
        self._background.close()
        self._client.close()

    # --- reading -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                status = self._status or await self._identify(began)
                await self._measure(status)
                await self._do_chores(status, began)
            except DriverError as error:
                self._status = None
                self._error = type(error)(f"{self._where}: {error}")
                self._trouble.failed(error)
            else:
                self._trouble.worked()
            await asyncio.sleep(max(0.0, began + self._options.poll_s - self._clock.monotonic()))

    async def _identify(self, now: float) -> Status:
        status = decode(await self._request("GET", "/v1/status"), Status)
        wanted = self._options.serial_number
        if wanted is not None and status.meter_id != wanted:
            self._latest = None
            raise DeviceRefused(f"it is meter {status.meter_id}, but {wanted} is the commissioned one")
        identity = f"DCBM {status.meter_id} with firmware {status.firmware}"
        if identity != self._identity:
            self._identity = identity
            _log.info("%s: %s", self._where, identity)
        self._status, self._open_transaction = status, status.is_charging
        self._chores_at, self._sync_at = now, now + SETTLE_S
        self._stamp, self._stamps_move = "", False
        return status

    async def _measure(self, status: Status) -> None:
        asked_at = self._clock.monotonic()
        measure = decode(await self._request("GET", f"{status.api}/livemeasure"), LiveMeasure)
        if measure.timestamp == self._stamp and self._stamps_move:
            self._error = DeviceLost(f"{self._where}: it repeats its measurement of {self._stamp}")
            return
        self._stamps_move = bool(self._stamp) and measure.timestamp != self._stamp
        self._stamp = measure.timestamp
        self._latest = sample_of(measure, asked_at, status.meter_id)

    async def _request(self, method: str, path: str, content: object = None, *, expected: int = 200) -> bytes:
        body = msgspec.json.encode(content) if content is not None else None
        response = await self._client.request(method, path, body)
        if response.status != expected:
            raise DeviceRefused(f"{method} {path.partition('?')[0]}: HTTP status {response.status}")
        return response.body

    # --- chores --------------------------------------------------------------------------------------------------

    async def _do_chores(self, status: Status, now: float) -> None:
        """What may fail while the meter is read all the same."""
        if now < self._chores_at:
            return
        self._chores_at = now + CHORES_EVERY_S
        try:
            if self._open_transaction:
                self._unkept_record = await self._end_transaction(status)
                self._open_transaction = False
            if self._unkept_record:
                await self._keep_record(status, self._unkept_record)
                self._unkept_record = ""
            if self._options.set_clock and now >= self._sync_at:
                await self._set_clock()
                self._sync_at = now + SYNC_EVERY_S
        except (DeviceRefused, OSError) as error:
            self._chores.failed(error)
        else:
            self._chores.worked()

    async def _end_transaction(self, status: Status) -> str:
        """Returns the path of its signed record."""
        found = decode(await self._request("GET", f"{status.api}/legal"), Transaction)
        of_it = f"?transactionId={quote(found.transaction_id, safe='')}"
        body = await self._request("PUT", f"{status.api}/legal{of_it}", {"running": False})
        if not decode(body, Ended).is_over:
            raise DeviceRefused("the transaction does not end")
        _log.info("%s: ended a transaction that was left open", self._where)
        return f"{status.api}/ocmf{of_it}"

    async def _keep_record(self, status: Status, path: str) -> None:
        if self._options.records is not None:
            record = await self._request("GET", path)
            name = f"{quote(status.meter_id, safe='')}-{hashlib.sha256(record).hexdigest()[:16]}.ocmf"
            await asyncio.to_thread(replace, Path(self._options.records) / name, record)

    async def _set_clock(self) -> None:
        utc = self._clock.utc()
        if not CLOCK_FLOOR <= utc < CLOCK_CEILING:
            raise DeviceRefused("the station's own clock is not set")
        setting = {"time": {"utc": format_utc(utc)}}
        if decode(await self._request("PUT", "/v1/settings", setting), SettingsResult).result != 1:
            raise DeviceRefused("the meter does not take the time")
