# SPDX-License-Identifier: Apache-2.0
"""What each display shows: the page that the OCPP service has sent, unless the HAL knows better.

The HAL decides what must be shown without the service: start-up, the emergency stop (which is shown at once, before
anything that the service says), and, while the service is away, a fault or that the outlet is out of service. A vehicle
that charges meanwhile keeps its page until the charge is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from firmware.contract import (
    Event,
    Fault,
    OutOfService,
    Page,
    PageModel,
    Problem,
    ScreenShown,
    Show,
    advice_of,
    worst_first,
)
from firmware.errors import DriverError
from hal.active_faults import ActiveFaults
from hal.hardware import ScreenHardware

__all__ = ["BOOT_S", "GRACE_S", "Displays"]

GRACE_S = 5.0
"""How long the OCPP service may be away before the displays say so: it restarts in less."""
BOOT_S = 60.0
"""How long it may take until it shows the first page after the HAL's start."""


class _Display:
    def __init__(self, hardware: ScreenHardware) -> None:
        self.hardware = hardware
        self.wanted: PageModel | None = None
        """By the service; None before its first page."""
        self.shown = PageModel(page=Page.STARTING, evse=hardware.evse)
        self.tried: PageModel | None = None
        """The last page that was sent to the port, whether or not it was taken."""


class Displays:
    """`running(evse)`: whether energy may flow there now."""

    def __init__(
        self,
        screens: Iterable[ScreenHardware],
        faults: ActiveFaults,
        publish: Callable[[Event], None],
        running: Callable[[int], bool],
    ) -> None:
        self._displays = {each.screen: _Display(each) for each in screens}
        self._faults = faults
        self._publish = publish
        self._running = running
        self._away_since: float | None = None
        self.has_service: Callable[[], bool] = lambda: True
        """Whether the OCPP service is connected."""

    def show(self, command: Show, now: float) -> tuple[Problem, str] | None:
        """Carry out the service's command; one that the HAL's own page hides is shown when that is over."""
        if not self._displays:
            return Problem.NO_HARDWARE, "no displays"
        display = self._displays.get(command.screen)
        if display is None:
            return Problem.UNKNOWN_EVSE, f"no screen {command.screen}"
        display.wanted = command.model
        model = self._page(display, now)
        return self._send(display, model) if model is command.model else None

    def refresh(self, now: float) -> None:
        """Show what the HAL decides itself; called with every tick, and at once for the stop button."""
        if self.has_service():
            self._away_since = None
        elif self._away_since is None:
            self._away_since = now
        for display in self._displays.values():
            model = self._page(display, now)
            if model != display.tried:
                self._send(display, model)

    def lost(self, screen: int, detail: str | None) -> None:
        """The display can't be seen any more, for this reason; None: it is back."""
        self._report(self._displays[screen], "lost", detail)

    def shown(self) -> list[ScreenShown]:
        return [ScreenShown(screen, display.shown) for screen, display in self._displays.items()]

    def _page(self, display: _Display, now: float) -> PageModel:
        evse = display.hardware.evse
        faults = self._faults.touching(evse)
        if Fault.EMERGENCY_STOP in faults:
            return _faulted(Page.EMERGENCY_STOP, evse, (Fault.EMERGENCY_STOP,))
        away_s = -math.inf if self._away_since is None else now - self._away_since
        patience_s = BOOT_S if display.wanted is None else GRACE_S
        if display.wanted is not None and (away_s < patience_s or self._running(evse)):
            return display.wanted
        stopping = worst_first(faults)
        if stopping:
            return _faulted(Page.FAULTED, evse, stopping)
        if away_s < patience_s:
            return PageModel(page=Page.STARTING, evse=evse)
        return PageModel(page=Page.UNAVAILABLE, evse=evse, out_of_service=OutOfService.SERVICE)

    def _send(self, display: _Display, model: PageModel) -> tuple[Problem, str] | None:
        display.tried = model
        try:
            display.hardware.port.show(model)
        except DriverError as error:
            self._report(display, "page", str(error))
            return Problem.DEVICE_FAILED, str(error)
        self._report(display, "page", None)
        if model != display.shown:
            display.shown = model
            self._publish(ScreenShown(display.hardware.screen, model))
        return None

    def _report(self, display: _Display, what: str, detail: str | None) -> None:
        source, evse = f"screen {display.hardware.screen} {what}", display.hardware.evse
        if detail is None:
            self._faults.remove(source, Fault.SCREEN, evse)
        else:
            self._faults.add(source, Fault.SCREEN, evse, detail=detail)


def _faulted(page: Page, evse: int, faults: tuple[Fault, ...]) -> PageModel:
    worst = faults[0]
    return PageModel(page=page, evse=evse, faults=faults, code=worst.mrec(evse) or worst.value, advice=advice_of(worst))
