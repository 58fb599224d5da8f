# SPDX-License-Identifier: Apache-2.0
"""`Board`: identity, clock, reset, watchdog, and the faults that only the board's own sensors see."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated import messages as wire
from drivers.simulated.bus import WorldOptions
from firmware.contract import BoardClock, Fault

__all__ = ["SimulatedBoard"]

CLOCK_STEP_S = 0.5
"""UTC that moves against the monotonic clock by more than this has been set."""


class SimulatedBoard:
    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus
        self.boot_id = self._bus.hello.boot_id
        self.boot_cause = self._bus.hello.boot_cause
        self.serial_number = self._bus.hello.serial_number

    def clock(self) -> BoardClock:
        return self._bus.readings().clock

    def listen(
        self,
        on_clock: Callable[[BoardClock], None],
        on_fault: Callable[[Fault, int | None, bool, str], None],
    ) -> None:
        """Faults that are already present are reported with the next reading."""
        clock = self.clock()
        faults: dict[tuple[Fault, int | None], str] = {}

        def on_message(message: wire.FromWorld) -> None:
            nonlocal clock, faults
            if not isinstance(message, wire.Readings):
                return
            before, clock = clock, message.clock
            if _stepped(before, clock):
                on_clock(clock)
            known = faults
            faults = {(e.fault, e.evse): e.detail for e in message.faults if e.fault is not Fault.CARD_READER}
            for fault, evse in known.keys() - faults.keys():
                on_fault(fault, evse, False, "")
            for fault, evse in faults.keys() - known.keys():
                on_fault(fault, evse, True, faults[fault, evse])

        self._bus.listen(on_message)

    def reboot(self) -> None:
        self._bus.send(wire.Reboot())

    def power_off(self) -> None:
        self._bus.send(wire.PowerOff())

    def feed_watchdog(self, coils: bool) -> None:
        """The simulated one is that of the coils alone."""
        if coils:
            self._bus.send(wire.FeedWatchdog())

    def close(self) -> None:
        """The watchdog expires by itself."""


def _stepped(before: BoardClock, now: BoardClock) -> bool:
    ahead = (now.utc_s - now.mono_s) - (before.utc_s - before.mono_s)
    return abs(ahead) > CLOCK_STEP_S or (before.is_set, before.synchronised) != (now.is_set, now.synchronised)
