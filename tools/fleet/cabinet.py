# SPDX-License-Identifier: Apache-2.0
"""The cabinet behind a station's HAL socket: EVSEs that obey the contract (firmware/contract), EV drivers who come.

`hal.server.HalServer` serves it, as it serves a real cabinet; this one has no physics. Energy is given when the service
permits it and a vehicle is plugged in, and ends when the permission, the lease or the driver says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from firmware.clock import Clock
from firmware.contract import (
    BoardClock,
    BootCause,
    CabinetCommand,
    CardPresented,
    Cause,
    DeviceReport,
    EnergyFlow,
    EnergyFlowChanged,
    Event,
    EvseSelected,
    EvseStatus,
    MeterContext,
    MeterReading,
    Network,
    NetworkCommand,
    Permit,
    Phase,
    PhaseChanged,
    Plugged,
    Problem,
    Reboot,
    SetLimit,
    SiteLimit,
    Snapshot,
    Unplugged,
    Withdraw,
)
from firmware.product import Product
from hal.network import NetworkRefused

__all__ = ["Cabinet", "Outcome"]

_HANDLING_S = 1.0
"""What a driver or a step of the charging sequence takes."""
_PATIENCE_S = 60.0
"""How long a driver waits for the energy to flow, or to have stopped."""
_LAST_S = 30.0
"""How long a driver whose card is being checked waits while the fleet closes: who leaves at once may leave a
transaction that is about to start."""
_BATTERY_WH = 80_000.0
_PEAK_W = 150_000.0
_VOLTAGE_V = 400.0


class Outcome(Enum):
    """How the visit of an EV driver ended."""

    CHARGED = "charged"
    IN_USE = "in use"
    """No EVSE was free: the driver went on."""
    NOT_CHARGED = "not charged"
    """No energy within a minute: the card was refused, or there was no connection."""
    CUT = "cut"
    """The station rebooted or was switched off."""


@dataclass(slots=True)
class _Outlet:
    """One EVSE."""

    phase: Phase = Phase.IDLE
    flow: EnergyFlow = EnergyFlow.NONE
    plugged: bool = False
    session: str | None = None
    lease_until: float = 0.0
    limit_w: float | None = None
    energy_wh: float = 0.0
    soc: float = 20.0
    read_at: float = 0.0
    visited: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each change of the phase."""


class Cabinet:
    """See the module. `on_reboot` is called when the service orders a restart of the board."""

    def __init__(self, product: Product, serial_number: str, *, clock: Clock, reading_s: float) -> None:
        self._clock = clock
        self._serial_number = serial_number
        self._reading_s = reading_s
        self._max_w = {evse.id: float(evse.max_power_w) for evse in product.hardware.evse}
        self._outlets = {evse: _Outlet(energy_wh=random.uniform(0, 1e6)) for evse in self._max_w}
        self._links = dict.fromkeys(map(str, product.hardware.interfaces), True)
        self._publish: Callable[[Event], None] = lambda event: None
        self._tasks: set[asyncio.Task[object]] = set()
        self._boots = 0
        self._on = False
        self._cause = BootCause.POWER_UP
        self.closing = asyncio.Event()
        """Drivers who charge end their session, and none come any more."""
        self.on_reboot: Callable[[], None] = lambda: None

    @property
    def visited(self) -> int:
        """The number of EVSEs with a driver."""
        return sum(outlet.visited for outlet in self._outlets.values())

    @property
    def charging(self) -> int:
        return sum(outlet.flow is EnergyFlow.FLOWING for outlet in self._outlets.values())

    # --- the board ----------------------------------------------------------------------------------------------

    def boot(self, cause: BootCause) -> None:
        """The board starts: no vehicle is plugged in."""
        self._boots += 1
        self._on = True
        self._cause = cause
        for evse, outlet in self._outlets.items():
            self._outlets[evse] = _Outlet(energy_wh=outlet.energy_wh, read_at=self._clock.monotonic())
        self._begin(self._read())

    async def halt(self) -> None:
        """The board stops, and with it all that goes on at it."""
        self._on = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- hal.server.Cabinet -------------------------------------------------------------------------------------

    def snapshot(self, seq: int, run_id: str) -> Snapshot:
        now, utc = self._clock.monotonic(), self._clock.utc()
        return Snapshot(
            seq=seq,
            run_id=run_id,
            boot_id=f"{self._serial_number}-{self._boots}",
            boot_cause=self._cause,
            serial_number=self._serial_number,
            clock=BoardClock(now, utc, is_set=True, synchronised=False),
            evses=[self._status(evse, outlet, now) for evse, outlet in self._outlets.items()],
            faults=[],
            links=self._links,
            screens=[],
        )

    def _status(self, evse: int, outlet: _Outlet, now: float) -> EvseStatus:
        return EvseStatus(
            evse=evse,
            connector=1,
            phase=outlet.phase,
            plugged=outlet.plugged,
            locked=outlet.plugged,
            contactor_closed=outlet.phase in (Phase.CHARGING, Phase.PAUSED),
            flow=outlet.flow,
            session=outlet.session,
            lease_left_s=max(0.0, outlet.lease_until - now),
            limit_w=outlet.limit_w,
            reading=self._reading(evse, MeterContext.PERIODIC),
            faults=[],
            max_wh_per_s=self._max_w[evse] / 3600.0,
        )

    def devices(self) -> list[DeviceReport]:
        return []

    def site_limit(self) -> SiteLimit:
        return SiteLimit(None, None, None)

    def listen(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish

    async def set_network(self, command: NetworkCommand) -> Network:
        raise NetworkRefused(Problem.NO_HARDWARE, "a station of the fleet has no network of its own")

    def execute(self, command: CabinetCommand) -> tuple[Problem, str] | None:
        outlet = self._outlets.get(getattr(command, "evse", 0))
        match command:
            case Permit() | Withdraw() | SetLimit() if outlet is None:
                return Problem.UNKNOWN_EVSE, ""
            case Permit() if outlet is not None:
                if outlet.session not in (None, command.session):
                    return Problem.NOT_ALLOWED, "another session holds the permission"
                outlet.session, outlet.lease_until = command.session, self._clock.monotonic() + command.lease_s
                if outlet.phase is Phase.PLUGGED:
                    self._begin(self._energise(command.evse))
            case Withdraw() if outlet is not None:
                outlet.session = None
                self._begin(self._de_energise(command.evse, Cause.SERVICE))
            case SetLimit() if outlet is not None:
                self._limit(command.evse, outlet, command.power_w)
            case Reboot():
                self.on_reboot()
        return None

    # --- the charging sequence ----------------------------------------------------------------------------------

    def _enter(self, evse: int, phase: Phase, cause: Cause) -> None:
        outlet = self._outlets[evse]
        outlet.phase = phase
        self._publish(PhaseChanged(evse, phase, cause))
        outlet.changed.set()

    def _flow(self, evse: int, flow: EnergyFlow) -> None:
        outlet = self._outlets[evse]
        self._count(outlet)
        if outlet.flow is not flow:
            outlet.flow = flow
            self._publish(EnergyFlowChanged(evse, flow))

    async def _energise(self, evse: int) -> None:
        outlet = self._outlets[evse]
        for phase in (Phase.AUTHORISED, Phase.CABLE_CHECK, Phase.PRECHARGE):
            self._enter(evse, phase, Cause.SEQUENCE)
            await asyncio.sleep(_HANDLING_S)
            if outlet.session is None or not outlet.plugged:  # withdrawn meanwhile
                self._enter(evse, Phase.FINISHED if outlet.plugged else Phase.IDLE, Cause.SERVICE)
                return
        self._enter(evse, Phase.CHARGING, Cause.SEQUENCE)
        self._publish(self._reading(evse, MeterContext.START))
        self._flow(evse, EnergyFlow.FLOWING)

    async def _de_energise(self, evse: int, cause: Cause) -> None:
        outlet = self._outlets[evse]
        if outlet.phase not in (Phase.CHARGING, Phase.PAUSED):
            return
        self._flow(evse, EnergyFlow.NONE)
        self._enter(evse, Phase.STOPPING, cause)
        await asyncio.sleep(_HANDLING_S)
        self._publish(self._reading(evse, MeterContext.STOP))
        self._enter(evse, Phase.FINISHED, cause)

    def _limit(self, evse: int, outlet: _Outlet, power_w: float | None) -> None:
        outlet.limit_w = power_w
        if outlet.phase in (Phase.CHARGING, Phase.PAUSED):
            paused = power_w == 0.0
            self._enter(evse, Phase.PAUSED if paused else Phase.CHARGING, Cause.SERVICE)
            self._flow(evse, EnergyFlow.SUSPENDED_BY_STATION if paused else EnergyFlow.FLOWING)

    # --- the meter ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Readings at their interval, the EVSEs one after the other; a lease that has run out ends the energy."""
        await asyncio.sleep(random.uniform(0, self._reading_s))
        while True:
            for evse, outlet in self._outlets.items():
                if outlet.flow is EnergyFlow.FLOWING and outlet.lease_until < self._clock.monotonic():
                    self._begin(self._de_energise(evse, Cause.LEASE))
                self._publish(self._reading(evse, MeterContext.PERIODIC))
            await asyncio.sleep(self._reading_s)

    def _power_w(self, outlet: _Outlet) -> float:
        """Less from 60 % on, as with a real battery."""
        if outlet.flow is not EnergyFlow.FLOWING:
            return 0.0
        power_w = _PEAK_W * min(1.0, max(0.1, (100.0 - outlet.soc) / 40.0))
        return power_w if outlet.limit_w is None else min(power_w, outlet.limit_w)

    def _count(self, outlet: _Outlet) -> None:
        """Add the energy since the last reading."""
        now = self._clock.monotonic()
        energy_wh = self._power_w(outlet) * (now - outlet.read_at) / 3600.0
        outlet.read_at = now
        outlet.energy_wh += energy_wh
        outlet.soc = min(100.0, outlet.soc + 100.0 * energy_wh / _BATTERY_WH)

    def _reading(self, evse: int, context: MeterContext) -> MeterReading:
        outlet = self._outlets[evse]
        self._count(outlet)
        power_w = self._power_w(outlet)
        return MeterReading(
            evse=evse,
            context=context,
            energy_wh=round(outlet.energy_wh, 1),
            voltage_v=_VOLTAGE_V if power_w else 0.0,
            current_a=power_w / _VOLTAGE_V,
            power_w=power_w,
            offered_a=_PEAK_W / _VOLTAGE_V,
            offered_w=_PEAK_W,
            soc_percent=round(outlet.soc, 1) if outlet.plugged else None,
        )

    # --- EV drivers ---------------------------------------------------------------------------------------------

    def come(self, evse: int, uid: str, length_s: float, left: Callable[[Outcome], None]) -> None:
        """A driver comes to an EVSE, to charge for this long; `left` is called when the visit is over."""
        outlet = self._outlets[evse]
        if not self._on or outlet.visited or outlet.phase is not Phase.IDLE or self.closing.is_set():
            left(Outcome.IN_USE)
            return
        outlet.visited = True
        self._begin(self._visit(evse, uid, length_s, left))

    async def _visit(self, evse: int, uid: str, length_s: float, left: Callable[[Outcome], None]) -> None:
        outcome = Outcome.CUT
        try:
            outcome = await self._charge(evse, uid, length_s)
            self._outlets[evse].visited = False
        finally:
            left(outcome)

    async def _charge(self, evse: int, uid: str, length_s: float) -> Outcome:
        outlet = self._outlets[evse]
        outlet.plugged, outlet.soc = True, random.uniform(5.0, 60.0)
        self._publish(Plugged(evse))
        self._enter(evse, Phase.PLUGGED, Cause.DRIVER)
        if outlet.session is not None:  # the CSMS was asked for the session before
            self._begin(self._energise(evse))
        else:
            await asyncio.sleep(_HANDLING_S)
            self._present(evse, uid)
        await self._unless_closing(self._until(outlet, Phase.CHARGING, Phase.FINISHED), grace_s=_LAST_S)
        charged = outlet.phase is Phase.CHARGING
        if charged:
            await self._unless_closing(self._until(outlet, Phase.FINISHED, patience_s=length_s))
        if outlet.phase in (Phase.CHARGING, Phase.PAUSED):
            self._present(evse, uid)
            await self._until(outlet, Phase.FINISHED)
        await self._de_energise(evse, Cause.DRIVER)
        outlet.plugged = False
        self._publish(Unplugged(evse))
        self._enter(evse, Phase.IDLE, Cause.DRIVER)
        return Outcome.CHARGED if charged else Outcome.NOT_CHARGED

    def _present(self, evse: int, uid: str) -> None:
        self._publish(EvseSelected(evse))
        self._publish(CardPresented(uid))

    async def _unless_closing(self, wait: Coroutine[Any, Any, bool], *, grace_s: float = 0.0) -> None:
        """What a driver waits for, but no longer than until the fleet closes, and `grace_s` from then."""
        waiting = asyncio.ensure_future(wait)
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await asyncio.wait({waiting}, timeout=grace_s)
        finally:
            waiting.cancel()
            closing.cancel()

    async def _until(self, outlet: _Outlet, *phases: Phase, patience_s: float | None = None) -> bool:
        """Wait for one of the phases; False if none came in time."""
        try:
            async with asyncio.timeout(_PATIENCE_S if patience_s is None else patience_s):
                while outlet.phase not in phases:
                    outlet.changed.clear()
                    await outlet.changed.wait()
        except TimeoutError:
            return False
        return True
