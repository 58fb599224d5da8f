# SPDX-License-Identifier: Apache-2.0
"""`Board` for any single-board computer with Linux and systemd.

    [board]
    driver = "linux"
    lines = "io"                            # the watchdog relay, if it is on a digital line
    watchdog_relay = 22

`feed_watchdog` pulses the watchdog relay, through which the coils of all contactors are fed, by changing its line: the
relay drops out when no change comes for a second. It also feeds `/dev/watchdog`, which resets the board if the HAL
hangs; `watchdog = ""` leaves that to systemd. One that fails does not keep the other from being fed, and the relay
alone is left to drop out if a contactor can't be opened otherwise.

Faults: `over_temperature` of the station while the controller is hotter than `max_controller_c`, `under_voltage` while
its supply is too low. A disk that is nearly full stops nothing: it is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers import systemd
from drivers.background import Background
from drivers.board import sensors
from drivers.board.alarms import Alarm, Alarms
from drivers.board.boot import Evidence, Recorder
from drivers.board.causes import Causes, OnFault
from drivers.board.system_clock import SystemTime
from drivers.board.watchdog import Watchdog
from drivers.gpio.lines import Lines, LineSpec
from firmware.boot_id import boot_id
from firmware.clock import Clock, SystemClock
from firmware.contract import BoardClock, Fault
from firmware.errors import ConfigError, DriverError
from firmware.trouble import Trouble
from hal.ports import DeviceInfo

__all__ = ["LinuxBoard"]

POLL_S = 1.0
CLOCK_STEP_S = 0.5
"""UTC that moves against the monotonic clock by more than this between two polls has been set."""
COOL_K = 5.0
SUPPLY_POLLS = 3
"""The supply must be low this often in a row: a dip while a relay pulls in is no fault."""
SERIAL_CHARS = 25
_log = logging.getLogger(__name__)


class BoardOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`root`: the folder that has `dev`, `proc`, `run` and `sys`. `dbus_address`: of another bus than the system's."""

    serial_number: Annotated[str, Meta(min_length=1, max_length=SERIAL_CHARS)] | None = None
    boot_record: str = "/var/lib/baywatt/hal/boot.json"
    lines: Lines | None = None
    watchdog_relay: LineSpec | None = None
    alarm: tuple[Alarm, ...] = ()
    watchdog: str = "/dev/watchdog"
    watchdog_timeout_s: Annotated[int, Meta(ge=2, le=60)] = 10
    time_source: Literal["system", "rtc"] = "system"
    max_controller_c: Annotated[float, Meta(ge=50.0, le=125.0)] = 100.0
    disk: str = "/var/lib/baywatt"
    min_free_mb: Annotated[float, Meta(ge=0.0)] = 50.0
    dbus_address: str | None = None
    root: str = "/"

    def __post_init__(self) -> None:
        if (self.lines is None) is not (self.watchdog_relay is None):
            raise ValueError("lines and watchdog_relay belong together")


class LinuxBoard:
    Options = BoardOptions

    def __init__(self, options: BoardOptions, *, clock: Clock | None = None) -> None:
        self._options = options
        self._root = root = Path(options.root)
        self.boot_id = boot_id(kernel=root / "proc/sys/kernel/random/boot_id") or "unknown"
        self.serial_number = options.serial_number or _serial_number(root)
        self._recorder = Recorder(Path(options.boot_record), self.boot_id, Evidence.collect(root))
        self.boot_cause = self._recorder.cause
        self._time = SystemTime(root, clock or SystemClock(), options.time_source)
        self._watchdog = (
            Watchdog(root / options.watchdog.lstrip("/"), options.watchdog_timeout_s) if options.watchdog else None
        )
        self._relay = None
        if options.lines is not None and options.watchdog_relay is not None:
            self._relay = options.lines.output(options.watchdog_relay)
        self._alarms = Alarms(options.alarm)
        self._relay_on = False
        self._listened_to = False
        self._requested = False
        self._low_polls = 0
        self._present: dict[Fault, str] = {}
        self._disk = Trouble(_log, "the disk is nearly full")
        self._background = Background("board")
        self._hottest_c: float | None = None
        """By the last look at the sensors, which may be slow."""

    # --- clock and faults ---------------------------------------------------------------------------------------

    def clock(self) -> BoardClock:
        return self._time.read()

    def listen(self, on_clock: Callable[[BoardClock], None], on_fault: OnFault) -> None:
        self._recorder.note()
        self._listened_to = True
        causes = Causes(on_fault)
        self._alarms.listen(causes.of("alarm contacts"))
        self._background.start("sensors", partial(self._watch, on_clock, causes.of("sensors")))

    async def _watch(self, on_clock: Callable[[BoardClock], None], on_fault: OnFault) -> None:
        before = self.clock()
        while True:
            measured_c, low, free_mb = await asyncio.to_thread(self._measure)
            self._hottest_c = measured_c
            now = self.clock()
            if _stepped(before, now):
                on_clock(now)
            before = now
            self._report(self._faults(measured_c, low), on_fault)
            self._alarms.check()
            self._note_free_disk(free_mb)
            await asyncio.sleep(POLL_S)

    def _measure(self) -> tuple[float | None, bool, float | None]:
        """On a thread: an RTC or sensor on a slow bus may block."""
        self._time.update()
        return (
            sensors.hottest_c(self._root),
            sensors.supply_is_low(self._root),
            sensors.free_mb(Path(self._options.disk)),
        )

    def _faults(self, measured_c: float | None, low: bool) -> dict[Fault, str]:
        found = {}
        limit_c = self._options.max_controller_c - (COOL_K if Fault.OVER_TEMPERATURE in self._present else 0.0)
        if measured_c is not None and measured_c > limit_c:
            found[Fault.OVER_TEMPERATURE] = f"controller at {measured_c:.0f} °C"
        self._low_polls = self._low_polls + 1 if low else 0
        if self._low_polls >= SUPPLY_POLLS:
            found[Fault.UNDER_VOLTAGE] = "the controller's supply is too low"
        return found

    def _report(self, found: dict[Fault, str], on_fault: OnFault) -> None:
        known, self._present = self._present, found
        for fault in known.keys() - found.keys():
            on_fault(fault, None, False, "")
        for fault in found.keys() - known.keys():
            on_fault(fault, None, True, found[fault])

    def _note_free_disk(self, free_mb: float | None) -> None:
        if free_mb is not None and free_mb < self._options.min_free_mb:
            self._disk.failed(DriverError(f"less than {self._options.min_free_mb:g} MB free for {self._options.disk}"))
        else:
            self._disk.worked()

    def devices(self) -> list[DeviceInfo]:
        clock = self.clock()
        measured_c = self._hottest_c if self._listened_to else sensors.hottest_c(self._root)
        parts = [
            f"boot cause {self.boot_cause.value}",
            f"clock {'set' if clock.is_set else 'not set'}{', synchronised' if clock.synchronised else ''}",
            *([f"{measured_c:.0f} °C"] if measured_c is not None else []),
        ]
        found = [DeviceInfo(serial_number=self.serial_number, state=", ".join(parts))]
        if self._watchdog is not None:
            state = "" if self._watchdog.exists else "there is no such device, or no permission to write to it"
            found.append(
                DeviceInfo(name="watchdog", address=str(self._watchdog.path), answers=not state, state=state or "there")
            )
        return found

    # --- commands -----------------------------------------------------------------------------------------------

    def reboot(self) -> None:
        self._background.start("reboot", self._reboot)

    async def _reboot(self) -> None:
        self._requested = True
        self._recorder.note(requested=True)
        try:
            await systemd.reboot(self._options.dbus_address)
        except DriverError as error:
            self._requested = False
            self._recorder.note()
            _log.error("the board can't be restarted: %s", error)

    def power_off(self) -> None:
        self._background.start("power-off", self._power_off)

    async def _power_off(self) -> None:
        try:
            await systemd.power_off(self._options.dbus_address)
        except DriverError as error:
            _log.error("the board can't be switched off: %s", error)

    def feed_watchdog(self, coils: bool) -> None:
        try:
            if self._relay is not None and coils:
                self._relay.set(not self._relay_on)
                self._relay_on = not self._relay_on
        finally:
            if self._watchdog is not None:
                self._watchdog.feed()

    def close(self) -> None:
        self._background.close()
        if self._watchdog is not None:
            self._watchdog.close()
        if self._listened_to:
            self._recorder.note(requested=self._requested, orderly=True)


def _stepped(before: BoardClock, now: BoardClock) -> bool:
    ahead_s = (now.utc_s - now.mono_s) - (before.utc_s - before.mono_s)
    return abs(ahead_s) > CLOCK_STEP_S or (before.is_set, before.synchronised) != (now.is_set, now.synchronised)


def _serial_number(root: Path) -> str:
    """By the device tree, by the firmware of a PC, or made of the machine's identity, which is not to be published."""
    for name in ("sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_serial"):
        found = _text(root / name)
        if found:
            return found[:SERIAL_CHARS]
    import hashlib  # 0.6 MB that a board with a number of its own does not need

    machine = _text(root / "etc/machine-id")
    if not machine:
        raise ConfigError("board: serial_number is missing: the board has none of its own, and no /etc/machine-id")
    return hashlib.sha256(f"baywatt {machine}".encode()).hexdigest()[:16].upper()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return None
