# SPDX-License-Identifier: Apache-2.0
"""A single-board computer as its firmware sees it: files below a folder, a watchdog device, and systemd-logind.

    tree = BoardTree(folder, serial_number="BW1")
    tree.boot(boot_id, BootCause.POWER_UP)
    tree.step(board_clock, temperatures)    # clock and sensors, as often as they shall be seen

Written from the kernel's sysfs documentation. The watchdog device is a FIFO: bytes written to it feed it, `V` before
it is closed stops it, and `watchdog_expired` is what would reset the board. Temperatures of plugs are PT1000 sensors
behind a 15-bit converter with a reference of 4000 ohm (as MAX31865), one channel for each EVSE.

`Login1` owns `org.freedesktop.login1` on a bus of its own (`BusDaemon`) and reports each request for a restart.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from drivers.simulated.world.world import PowerOffRequested, RebootRequested
from firmware.contract import BoardClock, BootCause

__all__ = ["BoardTree", "Login1", "pt1000_ohm"]

REFERENCE_OHM = 4000.0
FULL_SCALE = 1 << 15
_POWER_ON_REASONS = {
    BootCause.POWER_UP: "regular power-up",
    BootCause.WATCHDOG: "watchdog timeout",
    BootCause.LOCAL_RESET: "reset button action",
    BootCause.REQUESTED: "software reset",
}


def pt1000_ohm(celsius: float) -> float:
    """IEC 60751: R0 (1 + A t + B t² + C (t - 100) t³), the last term below 0 °C only."""
    below = -4.183e-12 * (celsius - 100.0) * celsius**3 if celsius < 0.0 else 0.0
    return 1000.0 * (1.0 + 3.9083e-3 * celsius - 5.775e-7 * celsius**2 + below)


class BoardTree:
    """The files of one board; `has_reason` false: hardware that does not say why it started, as most."""

    def __init__(
        self, root: Path, *, serial_number: str, has_reason: bool = True, watchdog_timeout_s: float = 10.0
    ) -> None:
        self.root = root
        self.watchdog_timeout_s = watchdog_timeout_s
        self.watchdog_feeds = 0
        self.watchdog_stopped = True
        self._has_reason = has_reason
        self._fed_at: float | None = None
        self._fifo: int | None = None
        self._written: dict[str, str] = {}
        self._put("sys/firmware/devicetree/base/serial-number", f"{serial_number}\0")
        self._put("sys/class/rtc/rtc0/hctosys", "1\n")
        self._put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
        self._put("sys/class/hwmon/hwmon0/name", "rpi_volt\n")
        self._put("sys/bus/iio/devices/iio:device0/name", "max31865\n")
        self._put("sys/bus/iio/devices/iio:device0/in_resistance_scale", f"{REFERENCE_OHM / FULL_SCALE}\n")
        self.set_controller_temperature(45.0)
        self.set_supply_low(False)
        (root / "dev").mkdir(parents=True, exist_ok=True)

    def _put(self, name: str, text: str) -> None:
        """Replace a file, so that a reader sees the old content or the new."""
        if self._written.get(name) != text:
            self._written[name] = text
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(path.name + ".new")
            new.write_text(text)
            os.replace(new, path)

    def _remove(self, name: str) -> None:
        self._written.pop(name, None)
        (self.root / name).unlink(missing_ok=True)

    # --- boots --------------------------------------------------------------------------------------------------

    def boot(self, boot_id: str, cause: BootCause) -> None:
        """The board starts: a new boot, and what its hardware remembers of the reset."""
        self._put("proc/sys/kernel/random/boot_id", f"{boot_id}\n")
        by_watchdog = cause is BootCause.WATCHDOG
        self._put("sys/class/watchdog/watchdog0/bootstatus", f"{0x20 if by_watchdog else 0}\n")
        if self._has_reason and cause in _POWER_ON_REASONS:
            self._put("sys/devices/platform/pmic/power_on_reason", f"{_POWER_ON_REASONS[cause]}\n")
        self.close()
        path = self.root / "dev/watchdog"
        if not path.exists():
            os.mkfifo(path)
        self._fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.watchdog_stopped, self._fed_at = True, None

    def close(self) -> None:
        if self._fifo is not None:
            os.close(self._fifo)
            self._fifo = None

    def lose_watchdog(self) -> None:
        """The watchdog's driver is gone."""
        self.close()
        (self.root / "dev/watchdog").unlink(missing_ok=True)

    # --- clock and sensors ----------------------------------------------------------------------------------------

    def step(self, clock: BoardClock, plug_temp_c: Mapping[int, float | None]) -> None:
        """Write clock and plug temperatures (None: the sensor is not connected), and look after the watchdog."""
        self._put("sys/class/rtc/rtc0/since_epoch", f"{int(clock.utc_s)}\n")
        if clock.synchronised:
            self._put("run/systemd/timesync/synchronized", "")
        else:
            self._remove("run/systemd/timesync/synchronized")
        for evse, celsius in plug_temp_c.items():
            ohm = pt1000_ohm(celsius) if celsius is not None else REFERENCE_OHM
            raw = min(round(ohm / REFERENCE_OHM * FULL_SCALE), FULL_SCALE - 1)
            self._put(f"sys/bus/iio/devices/iio:device0/in_resistance{evse}_raw", f"{raw}\n")
        self._read_watchdog(clock.mono_s)

    def set_controller_temperature(self, celsius: float) -> None:
        self._put("sys/class/thermal/thermal_zone0/temp", f"{round(celsius * 1000.0)}\n")

    def set_supply_low(self, low: bool) -> None:
        self._put("sys/class/hwmon/hwmon0/in0_lcrit_alarm", f"{int(low)}\n")

    def _read_watchdog(self, now: float) -> None:
        written = b""
        if self._fifo is not None:
            with contextlib.suppress(BlockingIOError):
                written = os.read(self._fifo, 4096)
        if written:
            self.watchdog_feeds += len(written)
            self.watchdog_stopped = written.endswith(b"V")
            self._fed_at = now

    def watchdog_expired(self, now: float) -> bool:
        """Whether the board resets itself: it was fed once, not stopped since, and not fed for its time."""
        return not self.watchdog_stopped and self._fed_at is not None and now - self._fed_at > self.watchdog_timeout_s

    # --- settings ---------------------------------------------------------------------------------------------------

    def temperatures(self, evses: Mapping[int, object]) -> list[dict[str, object]]:
        """The tables `[[inputs.temperature]]`."""
        return [{"evse": evse, "device": "max31865", "channel": f"resistance{evse}"} for evse in evses]


_REQUESTS: dict[str, RebootRequested | PowerOffRequested] = {
    "Reboot": RebootRequested(),
    "PowerOff": PowerOffRequested(),
}


class Login1:
    """systemd-logind on the bus at `address`; `refuses`: as polkit does to a user without the right."""

    def __init__(self, address: str, on_request: Callable[[RebootRequested | PowerOffRequested], None]) -> None:
        self.refuses = False
        self._address = address
        self._on_request = on_request
        self._bus: MessageBus | None = None

    async def start(self) -> None:
        bus = await MessageBus(self._address).connect()
        bus.add_message_handler(self._on_message)
        await bus.request_name("org.freedesktop.login1")
        self._bus = bus

    def close(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()

    def _on_message(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        called = (message.path, message.interface, message.signature)
        request = _REQUESTS.get(message.member or "")
        if called != ("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "b") or request is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "no such method")
        if self.refuses:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "Permission denied")
        self._on_request(request)
        return Message.new_method_return(message)
