# SPDX-License-Identifier: Apache-2.0
"""Simulated cars behind simulated SECC boards, on a CAN bus: what tests of the driver start from.

For virtual time: a board may be silent for no longer than in life, which a busy machine does not grant it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from drivers.can.bus import CanBus
from drivers.can.secc import AdvanticsSecc, SeccOptions
from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import EvseOptions, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.inputs import SimulatedInputs
from drivers.simulated.insulation import SimulatedInsulationMonitor
from drivers.simulated.links import SimulatedLinksOptions, SimulatedNetworkLinks
from drivers.simulated.messages import FeedWatchdog
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.world.car import Car
from drivers.simulated.world.garage import CarOrder
from firmware.clock import SystemClock
from firmware.contract import Event, Fault, FaultCleared, FaultRaised, Permit, Phase, PhaseChanged, Withdraw
from firmware.errors import DriverError
from hal.cabinet import StationCabinet
from hal.hardware import EvseHardware, Hardware
from hal.ports import InputsReading, Pilot
from tests.support.evse_bench import RATING
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.secc import SeccBoard

__all__ = ["SeccBench", "SeccStation", "secc_bench", "secc_station"]

STEP_S = 0.02


class SeccBench:
    """Two outlets of one world, a board each, and one bus to both of them."""

    def __init__(self) -> None:
        self.world = new_world()
        self.local = LocalBus(self.world, mono_s=time.monotonic())
        self.hub = CanHub()
        self.boards = {number: self._board(number) for number in (1, 2)}
        self.bus: CanBus

    def _board(self, number: int) -> SeccBoard:
        return SeccBoard(self.hub, number, self.world.evses[number], boot_s=0.0, monotonic=SystemClock().monotonic)

    async def start(self) -> None:
        await self.hub.start()
        for board in self.boards.values():
            await board.start()
        self.bus = CanBus(CanBus.Options(interface="slcan", channel=self.hub.channel, bitrate=500_000))
        await self.bus.open()

    def driver(self, number: int) -> AdvanticsSecc:
        return AdvanticsSecc(SeccOptions(bus=self.bus, evse=number, index=number, wake_s=0.5))

    async def run(self) -> None:
        """Let time pass in the world."""
        while True:
            self.local.send(FeedWatchdog())
            self.local.advance(time.monotonic() - self.local.mono_s)
            await asyncio.sleep(STEP_S)

    def close(self) -> None:
        self.bus.close()
        for board in self.boards.values():
            board.close()
        self.hub.close()
        self.local.close()

    @property
    def violations(self) -> list[str]:
        return [text for board in self.boards.values() for text in board.violations]


@asynccontextmanager
async def secc_bench() -> AsyncIterator[SeccBench]:
    bench = SeccBench()
    await bench.start()
    running = asyncio.create_task(bench.run())
    yield bench
    running.cancel()
    bench.close()


class _Inputs(SimulatedInputs):
    """Inputs without sensors in the plugs: those are wired to the SECC boards."""

    def reading(self) -> InputsReading:
        return replace(super().reading(), plug_temp_c={})


class SeccStation:
    """The HAL on real SECC drivers; everything else in its cabinet is simulated."""

    def __init__(self, bench: SeccBench) -> None:
        self.bench = bench
        self.events: list[Event] = []
        self._sessions: dict[int, str] = {}
        self._links = {number: bench.driver(number) for number in bench.boards}
        station = WorldOptions(bus=bench.local)
        hardware = Hardware(
            shelf=SimulatedShelf(station),
            board=SimulatedBoard(station),
            inputs=_Inputs(station),
            links=SimulatedNetworkLinks(SimulatedLinksOptions(bus=bench.local)),
            evses=[self._evse(number) for number in bench.boards],
            card_reader=None,
            screens=[],
        )
        self.cabinet = StationCabinet(hardware, SystemClock())

    def _evse(self, number: int) -> EvseHardware:
        options = EvseOptions(bus=self.bench.local, evse=number)
        return EvseHardware(
            evse=number,
            connector=1,
            rating=RATING,
            meter=SimulatedMeter(options),
            insulation=SimulatedInsulationMonitor(options),
            contactor=SimulatedContactor(options),
            vehicle=self._links[number],
        )

    # --- what tests do ---------------------------------------------------------------------------------------

    async def plug(self, *evses: int) -> None:
        for evse in evses:
            self.bench.world.plug_in(evse, CarOrder())
        await self.until(lambda: all(self.phase(evse) is Phase.PLUGGED for evse in evses))

    async def charge(self, *evses: int) -> None:
        """Permit a session and wait for its current."""
        self.permit(*evses)
        await self.until(lambda: all(self.bench.world.evses[evse].current_a > 20.0 for evse in evses))

    def permit(self, *evses: int) -> None:
        """Give each a permission of its own; a former one is withdrawn."""
        for evse in evses:
            self.withdraw(evse)
            self._sessions[evse] = f"session {len(self.events)}"

    def withdraw(self, *evses: int) -> None:
        for evse in evses:
            self._sessions.pop(evse, None)
            self.cabinet.execute(Withdraw(evse=evse))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait; permissions are renewed meanwhile, and dropped when the HAL does not accept them."""
        async with asyncio.timeout(30.0):
            while not condition():
                for evse, session in tuple(self._sessions.items()):
                    if self.cabinet.execute(Permit(evse=evse, session=session, lease_s=5.0)) is not None:
                        del self._sessions[evse]
                await asyncio.sleep(0.02)

    async def play(self, seconds: float) -> None:
        """Let time pass, with the permissions renewed."""
        end = time.monotonic() + seconds
        await self.until(lambda: time.monotonic() >= end)

    # --- what tests see --------------------------------------------------------------------------------------

    def pilot(self, evse: int) -> Pilot | None:
        """As the driver reports it; None: it reports nothing."""
        try:
            return self._links[evse].vehicle().pilot
        except DriverError:
            return None

    def car(self, evse: int) -> Car:
        car = self.bench.world.evses[evse].car
        assert car is not None
        return car

    def phase(self, evse: int) -> Phase:
        found = [event.phase for event in self.events if isinstance(event, PhaseChanged) and event.evse == evse]
        return found[-1] if found else Phase.IDLE

    def raised(self, evse: int) -> dict[Fault, str]:
        """Every fault of this EVSE so far, with its first detail."""
        found: dict[Fault, str] = {}
        for event in self.events:
            if isinstance(event, FaultRaised) and event.evse == evse:
                found.setdefault(event.fault, event.detail)
        return found

    def present(self, evse: int) -> set[Fault]:
        """The faults of this EVSE that are not cleared."""
        present: set[Fault] = set()
        for event in self.events:
            if isinstance(event, FaultRaised) and event.evse == evse:
                present.add(event.fault)
            elif isinstance(event, FaultCleared) and event.evse == evse:
                present.discard(event.fault)
        return present

    def is_safe(self, evse: int) -> bool:
        outlet = self.bench.world.evses[evse]
        return not outlet.contactor.closed and outlet.bank.current_a == 0.0


@asynccontextmanager
async def secc_station() -> AsyncIterator[SeccStation]:
    """A station whose two EVSEs are idle."""
    async with secc_bench() as bench:
        station = SeccStation(bench)
        station.cabinet.start()
        station.cabinet.listen(station.events.append)
        running = asyncio.create_task(station.cabinet.run())
        yield station
        running.cancel()
        await station.cabinet.close()
