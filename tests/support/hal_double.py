# SPDX-License-Identifier: Apache-2.0
"""A board and its HAL without I/O: two EVSEs that obey the contract, with the EV driver and the car at them."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import Any

from firmware.clock import Clock
from firmware.contract import (
    BoardClock,
    BootCause,
    CardPresented,
    CardProblem,
    CardUnreadable,
    Cause,
    ClockChanged,
    Command,
    EnergyFlow,
    EnergyFlowChanged,
    Event,
    EvseSelected,
    EvseStatus,
    Fault,
    FaultCleared,
    FaultRaised,
    MeterContext,
    MeterReading,
    Page,
    PageModel,
    Permit,
    Phase,
    PhaseChanged,
    Plugged,
    Reboot,
    ScreenShown,
    SetLimit,
    Show,
    Snapshot,
    Stamped,
    Unplugged,
    Withdraw,
)

__all__ = ["SERIAL_NUMBER", "HalDouble"]

SERIAL_NUMBER = "SN-1"


class HalDouble(ABC):
    """The state of each EVSE, and what happens to it. A subclass takes the events."""

    def __init__(self, clock: Clock) -> None:
        self._hal_clock = clock
        self.plugged = {1: False, 2: False}
        self.phase = {1: Phase.IDLE, 2: Phase.IDLE}
        self.flow = {1: EnergyFlow.NONE, 2: EnergyFlow.NONE}
        self.registers = {1: 1000.0, 2: 2000.0}
        self.max_wh_per_s: float | None = None
        """How fast a register can rise; None: tests deliver energy in no time."""
        self.evse_faults: dict[int, set[Fault]] = {1: set(), 2: set()}
        self.held: dict[int, str | None] = {1: None, 2: None}
        """The session that holds a permission."""
        self.lease_until = {1: 0.0, 2: 0.0}
        self.limits: dict[int, float | None] = {1: None, 2: None}
        self.reading_age_s = 0.0
        """How old the register is that the HAL reports; more than 0 while the meter is silent."""
        self.faults: set[Fault] = set()
        self.shown: dict[int, PageModel] = {}
        self.clock_set = True
        self.synchronised = False
        self.commands: list[Command] = []
        self.refused: list[Permit] = []
        """Permissions under another name than the one held."""
        self.hal_linked = False
        self._boots = 0
        self._runs = itertools.count(1)
        self._kept: list[Stamped] = []

    @abstractmethod
    def on_stamped(self, stamped: Stamped) -> None:
        """An event for the service; called while `hal_linked`."""

    # --- the board ---------------------------------------------------------------------------------------------

    def power_up(self, cause: BootCause) -> None:
        """A new boot of the board, and a new run of the HAL."""
        self._boots += 1
        self.boot_id = f"boot-{self._boots}"
        self.boot_cause = cause
        self.rebooting = False
        self.new_run()

    def new_run(self) -> None:
        """The HAL starts: contactors are open, its permissions and kept events are gone."""
        self.run_id = f"run-{next(self._runs)}"
        self._seq = itertools.count(1)
        self._kept.clear()
        for evse in (1, 2):
            self.flow[evse], self.held[evse], self.limits[evse] = EnergyFlow.NONE, None, None
            self.phase[evse] = Phase.PLUGGED if self.plugged[evse] else Phase.IDLE

    def board_clock(self) -> BoardClock:
        utc = self._hal_clock.utc() if self.clock_set else 0.0
        return BoardClock(self._hal_clock.monotonic(), utc, is_set=self.clock_set, synchronised=self.synchronised)

    def clock_changed(self, *, is_set: bool | None = None, synchronised: bool | None = None) -> None:
        self.clock_set = self.clock_set if is_set is None else is_set
        self.synchronised = self.synchronised if synchronised is None else synchronised
        self.event(ClockChanged(self.clock_set, self.synchronised))

    def fault(self, fault: Fault, evse: int | None = None) -> None:
        (self.faults if evse is None else self.evse_faults[evse]).add(fault)
        self.event(FaultRaised(fault, evse))

    def clear_fault(self, fault: Fault, evse: int | None = None) -> None:
        (self.faults if evse is None else self.evse_faults[evse]).discard(fault)
        self.event(FaultCleared(fault, evse))

    # --- the socket --------------------------------------------------------------------------------------------

    def obey(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Permit(evse=evse, session=name, lease_s=lease_s):
                if self.held[evse] not in (None, name):
                    self.refused.append(command)
                    return
                self.held[evse], self.lease_until[evse] = name, self._hal_clock.monotonic() + lease_s
            case Withdraw(evse=evse):
                self.held[evse] = None
            case SetLimit(evse=evse, power_w=power_w):
                self.limits[evse] = power_w
            case Show(screen=screen, model=model):
                self.shown[screen] = model
            case Reboot():
                self.rebooting = True

    def permitted(self, evse: int) -> bool:
        """Whether the HAL holds a permission that has not run out."""
        return self.held[evse] is not None and self._hal_clock.monotonic() < self.lease_until[evse]

    def snapshot(self) -> Snapshot:
        return Snapshot(
            seq=0,
            run_id=self.run_id,
            boot_id=self.boot_id,
            boot_cause=self.boot_cause,
            serial_number=SERIAL_NUMBER,
            clock=self.board_clock(),
            evses=[self._evse_status(evse) for evse in (1, 2)],
            faults=sorted(self.faults),
            links={"Wired0": True},
            screens=[ScreenShown(screen, PageModel(page=Page.STARTING)) for screen in (1, 2)],
        )

    def _evse_status(self, evse: int) -> EvseStatus:
        return EvseStatus(
            evse=evse,
            connector=1,
            phase=self.phase[evse],
            plugged=self.plugged[evse],
            locked=False,
            contactor_closed=False,
            flow=self.flow[evse],
            session=self.held[evse],
            lease_left_s=max(0.0, self.lease_until[evse] - self._hal_clock.monotonic()),
            limit_w=self.limits[evse],
            reading=self.reading(evse),
            faults=sorted(self.evse_faults[evse]),
            max_wh_per_s=self.max_wh_per_s,
        )

    def event(self, event: Event) -> None:
        """Something happened; what matters for billing is kept until the service acknowledges it."""
        keep = isinstance(event, Plugged | Unplugged | CardPresented) or (
            isinstance(event, MeterReading) and event.context is not MeterContext.PERIODIC
        )
        clock = self.board_clock()
        stamped = Stamped(next(self._seq), clock.mono_s, clock.utc_s, event, keep=keep)
        if keep:
            self._kept.append(stamped)
        if self.hal_linked:
            self.on_stamped(stamped)

    @property
    def kept(self) -> list[Event]:
        """The events that the service has not acknowledged."""
        return [stamped.event for stamped in self._kept]

    def replay(self) -> None:
        for stamped in tuple(self._kept):
            self.on_stamped(stamped)

    def acknowledge(self, seq: int) -> None:
        self._kept = [stamped for stamped in self._kept if stamped.seq > seq]

    # --- the EV driver and the car -----------------------------------------------------------------------------

    def plug(self, evse: int) -> None:
        self.plugged[evse], self.phase[evse] = True, Phase.PLUGGED
        self.event(Plugged(evse))

    def unplug(self, evse: int) -> None:
        self.plugged[evse], self.phase[evse] = False, Phase.IDLE
        self.event(Unplugged(evse))

    def card(self, uid: str = "04A1B2C3D4E580", evse: int | None = None) -> None:
        if evse is not None:
            self.select(evse)
        self.event(CardPresented(uid))

    def select(self, evse: int) -> None:
        """The EV driver touches this EVSE's display."""
        self.event(EvseSelected(evse))

    def bad_card(self, problem: CardProblem) -> None:
        self.event(CardUnreadable(problem))

    def energy_on(self, evse: int) -> None:
        """The HAL's sequence succeeds and energy flows."""
        self.phase[evse] = Phase.CHARGING
        self.event(PhaseChanged(evse, Phase.CHARGING, Cause.SEQUENCE))
        self.event(self.reading(evse, MeterContext.START))
        self.flow[evse] = EnergyFlow.FLOWING
        self.event(EnergyFlowChanged(evse, EnergyFlow.FLOWING))

    def deliver(self, evse: int, wh: float) -> None:
        self.registers[evse] += wh
        self.event(self.reading(evse))

    def energy_off(self, evse: int, phase: Phase = Phase.FINISHED, cause: Any = None) -> None:
        """The HAL ramps down and opens."""
        self.flow[evse], self.phase[evse] = EnergyFlow.NONE, phase
        self.event(EnergyFlowChanged(evse, EnergyFlow.NONE))
        self.event(PhaseChanged(evse, Phase.STOPPING, cause or Cause.SERVICE))
        self.event(self.reading(evse, MeterContext.STOP))
        self.event(PhaseChanged(evse, phase, cause or Cause.SERVICE))

    def suspend(self, evse: int, flow: EnergyFlow) -> None:
        """Energy is held back, or flows again."""
        self.flow[evse] = flow
        self.event(EnergyFlowChanged(evse, flow))

    def reading(self, evse: int, context: MeterContext = MeterContext.PERIODIC) -> MeterReading:
        power = 100_000.0 if self.flow[evse] is EnergyFlow.FLOWING else 0.0
        return MeterReading(
            evse,
            context,
            self.registers[evse],
            400.0,
            power / 400,
            power,
            250.0,
            100_000.0,
            50.0,
            age_s=self.reading_age_s,
        )
