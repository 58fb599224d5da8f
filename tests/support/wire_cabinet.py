# SPDX-License-Identifier: Apache-2.0
"""A cabinet whose devices of one kind are simulators on their wires, with the real HAL on top, in virtual time.

    async with WireCabinet(tmp_path, "meter") as here:
        await here.charge(1)
        here.disturb("meter 1", "malformed")
        await here.until(lambda: here.faults(1) == {Fault.METER})

Everything else is the simulated world's, which both share. Serial lines are TCP connections, as through a device
server: what is written there can be read at once, which virtual time needs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from drivers.simulated.world.garage import CarOrder
from firmware.clock import SystemClock
from firmware.config import convert
from firmware.contract import Event, EvseStatus, Fault, FaultRaised, Permit, Phase, Withdraw
from hal.cabinet import StationCabinet
from hal.config import HalConfig
from hal.known_meters import KnownMeters
from hal.registry import Bus, close_buses, make_buses, make_hardware, open_buses
from tests.support.world_bench import LocalBus, new_world
from tools.rig.wire import Wire

__all__ = ["WireCabinet"]

STEP_S = 0.025
PATIENCE_S = 90.0
RENEW_S = 5.0
_STATION = ("shelf", "inputs", "links", "board", "card_reader")
_OF_EVSE = ("meter", "insulation", "contactor", "vehicle")
_SIMULATED = {"driver": "simulated", "bus": "world"}
_RATING = {"max_voltage_v": 1000.0, "min_voltage_v": 150.0, "max_current_a": 500.0, "max_power_w": 400_000.0}
_CAR = CarOrder(soc_percent=5, capacity_kwh=500)


_OVER = (Phase.FINISHED, Phase.FAULTED, Phase.PLUGGED, Phase.IDLE)


class WireCabinet:
    """`kinds`: the ports whose drivers are real; contactors and inputs are on the same lines."""

    def __init__(self, folder: Path, *kinds: str) -> None:
        self.world = new_world()
        self.wire = Wire(self.world, SystemClock(), folder, lambda _: None)
        self.events: list[Event] = []
        self._folder = folder
        self._kinds = kinds
        self._devices = [name for name in self.wire.names if _port_of(name) in (*kinds, "line")]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> WireCabinet:
        for line in self.wire.modbus.values():
            line.transport = "rtu"
        self._bus = LocalBus(self.world, mono_s=time.monotonic())
        await self.wire.start(self._devices)
        config = self._config()
        self._buses: dict[str, Bus] = make_buses(config, "test")
        self._buses["world"] = self._bus
        if "board" in self._kinds:
            self.wire.boot()
        await open_buses(self._buses)
        self._tasks.append(asyncio.create_task(self._live()))
        await asyncio.sleep(2.0)  # an SECC boots
        self.cabinet = StationCabinet(
            make_hardware(config, self._buses, "test"), SystemClock(), meters=KnownMeters(self._folder / "meters")
        )
        self.cabinet.start()
        self.cabinet.listen(self.events.append)
        self._tasks += [asyncio.create_task(self.cabinet.run()), asyncio.create_task(self._renew())]
        await self.until(lambda: not any(self.faults(evse) for evse in (1, 2)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks[1:]:
            task.cancel()
        await self.cabinet.close()
        close_buses(self._buses)
        self._tasks[0].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.wire.close()

    def _config(self) -> HalConfig:
        wire = self.wire
        own, station = wire.buses(), wire.station()
        tables: dict[str, Any] = {port: station[port] if port in self._kinds else _SIMULATED for port in _STATION}
        tables["bus"] = {name: table for name, table in own.items() if self._needs(name)}
        tables["bus"]["world"] = {"driver": "simulated", "path": "unused"}
        tables["evse"] = []
        for number in self.world.evses:
            devices = wire.evse(number)
            ports = {port: devices[port] if port in self._kinds else _SIMULATED for port in _OF_EVSE}
            tables["evse"].append({"evse": number, "connector": 1, **_RATING, **ports})
        return convert(tables, HalConfig, "test")

    def _needs(self, bus: str) -> bool:
        ports = {
            "modules": {"shelf"},
            "vehicles": {"vehicle"},
            "rs485": {"meter", "insulation"},
            "lines0": {"inputs"},
            "alarms0": {"board"},
        }
        return bool(ports.get(bus, set()) & set(self._kinds))

    # --- time ------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            now = time.monotonic()
            elapsed = now - self._bus.mono_s
            if "shelf" in self._kinds:
                self.wire.shelf.step(elapsed)
            self._bus.advance(elapsed)
            if "inputs" in self._kinds:
                self.wire.after_step(now)
            await asyncio.sleep(STEP_S)

    async def _renew(self) -> None:
        """What the OCPP service does while a session is wanted."""
        while True:
            for evse in self.world.evses:
                if self.status(evse).session is not None:
                    self.cabinet.execute(Permit(evse, _session(evse), 3 * RENEW_S))
            await asyncio.sleep(RENEW_S)

    async def until(self, condition: Callable[[], object], what: str = "it") -> None:
        """Let time pass until the condition holds; fails after a while."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"{what} never happened: {self._state()}"
            await asyncio.sleep(STEP_S)

    # --- people ----------------------------------------------------------------------------------------------------

    def disturb(self, device: str, fault: str, *, present: bool = True) -> None:
        self.wire.switches[device][fault](present)

    def begin(self, *evses: int) -> None:
        """A permission and a car."""
        for evse in evses:
            assert self.cabinet.execute(Permit(evse, _session(evse), 3 * RENEW_S)) is None
            self.world.plug_in(evse, _CAR)

    async def charge(self, *evses: int) -> None:
        self.begin(*evses)
        await self.until(lambda: all(self.charges(evse) for evse in evses), f"charging at {evses}")

    async def stop(self, evse: int) -> None:
        """The session ends, the plug stays."""
        self.cabinet.execute(Withdraw(evse))
        await self.until(lambda: self.is_over(evse), f"end of the session at EVSE {evse}")

    async def end(self, evse: int) -> None:
        """The car is unplugged, with force if need be; until the EVSE is free."""
        self.cabinet.execute(Withdraw(evse))
        if self.world.evses[evse].car is not None:
            self.world.plug_out(evse, force=True)
        await self.until(lambda: self.is_free(evse), f"EVSE {evse} is free")

    # --- what is seen ----------------------------------------------------------------------------------------------

    def status(self, evse: int) -> EvseStatus:
        return next(each for each in self.cabinet.snapshot(0, "").evses if each.evse == evse)

    def charges(self, evse: int) -> bool:
        return self.status(evse).phase is Phase.CHARGING and self.world.evses[evse].current_a > 10.0

    def is_over(self, evse: int) -> bool:
        """The session has ended, and no energy flows."""
        outlet = self.world.evses[evse]
        return self.status(evse).phase in _OVER and not outlet.contactor.closed and outlet.current_a == 0.0

    def is_free(self, evse: int) -> bool:
        return self.status(evse).phase is Phase.IDLE and not self.faults(evse)

    def faults(self, evse: int) -> set[Fault]:
        """The EVSE's and the station's."""
        return {*self.status(evse).faults, *self.cabinet.snapshot(0, "").faults}

    def reported(self, evse: int) -> list[FaultRaised]:
        """What was reported of the EVSE, or of the whole station."""
        return [each for each in self.events if isinstance(each, FaultRaised) and each.evse in (None, evse)]

    def details(self, fault: Fault, evse: int | None) -> list[str]:
        """What was reported of it."""
        raised = [each for each in self.events if isinstance(each, FaultRaised)]
        return [each.detail for each in raised if (each.fault, each.evse) == (fault, evse)]

    def _state(self) -> str:
        status = [(each, self.status(each).phase.value, sorted(self.faults(each))) for each in self.world.evses]
        return f"{status}, {[each for each in self.events if isinstance(each, FaultRaised)]}"


def _session(evse: int) -> str:
    return f"session-{evse}"


def _port_of(device: str) -> str:
    """The port whose driver speaks with it."""
    names = {"module": "shelf", "vehicle": "vehicle", "insulation": "insulation", "meter": "meter", "modbus": "line"}
    whole = {"lines": "inputs", "alarms": "board", "card reader": "card_reader"}
    return whole.get(device) or names.get(device.partition(" ")[0], "")
