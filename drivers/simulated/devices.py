# SPDX-License-Identifier: Apache-2.0
"""A working stand-in for every port of `hal/ports.py`, over the wiring to the simulated world.

Each is made of the shared bus and its options (`evse` or `screen`). They keep nothing of their own but what a
listener has to be compared with: readings carry the world's stamp, and a world that is gone is `DeviceLost`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.simulated import messages as wire
from drivers.simulated.bus import WorldBus, outlet_of
from firmware.contract import BoardClock, CardProblem, Fault, Page
from firmware.errors import ConfigError, DeviceLost
from hal.ports import (
    InputsReading,
    InsulationReading,
    MeterSample,
    PowerReading,
    Vehicle,
)

__all__ = [
    "SimulatedBoard",
    "SimulatedCardReader",
    "SimulatedContactor",
    "SimulatedInputs",
    "SimulatedInsulationMonitor",
    "SimulatedMeter",
    "SimulatedNetworkLinks",
    "SimulatedScreen",
    "SimulatedShelf",
    "SimulatedVehicleLink",
]

Options = Mapping[str, Any]

STALE_AFTER_S = 2.0
"""A simulation on a busy laptop may be held up longer than real hardware is silent; readings come at 10 to 20 Hz."""
CLOCK_STEP_S = 0.5


def _number(options: Options, key: str) -> int:
    value = options.get(key)
    if not isinstance(value, int):
        raise ConfigError(f"simulated device: `{key}` is missing")
    return value


def _send_quietly(bus: WorldBus, message: wire.Actuation) -> None:
    """For `close`: a world that is gone is in its safe state already."""
    try:
        bus.send(message)
    except DeviceLost:
        return


class SimulatedShelf:
    """`PowerShelf`: all outlets' modules."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self.groups = bus.hello.groups
        self.group_power_w = bus.hello.group_power_w
        self.group_current_a = bus.hello.group_current_a
        self.max_voltage_v = bus.hello.max_voltage_v
        self.min_voltage_v = bus.hello.min_voltage_v

    def assign(self, groups: dict[int, int]) -> None:
        self._bus.send(wire.Assign(groups=groups))

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        self._bus.send(wire.SetOutput(evse=evse, voltage_v=voltage_v, current_a=current_a))

    def switch_off(self, evse: int) -> None:
        self._bus.send(wire.SwitchOff(evse=evse))

    def reading(self, evse: int) -> PowerReading:
        readings = self._bus.readings()
        shelf = outlet_of(readings, evse).shelf
        return PowerReading(
            mono_s=readings.mono_s,
            voltage_v=shelf.voltage_v,
            current_a=shelf.current_a,
            groups=shelf.groups,
            failed_modules=shelf.failed_modules,
        )

    def close(self) -> None:
        try:
            outlets = self._bus.readings().outlets
        except DeviceLost:
            return
        for outlet in outlets:
            _send_quietly(self._bus, wire.SwitchOff(evse=outlet.evse))


class SimulatedMeter:
    """`Meter` of one outlet."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self._evse = _number(options, "evse")

    def sample(self) -> MeterSample:
        readings = self._bus.readings()
        meter = outlet_of(readings, self._evse).meter
        if meter is None:
            raise DeviceLost(f"meter of EVSE {self._evse} does not answer")
        return MeterSample(
            mono_s=readings.mono_s,
            energy_wh=meter.energy_wh,
            voltage_v=meter.voltage_v,
            current_a=meter.current_a,
            power_w=meter.power_w,
        )

    def close(self) -> None:
        """A meter has no outputs."""


class SimulatedInsulationMonitor:
    """`InsulationMonitor` of one outlet."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self._evse = _number(options, "evse")

    def enable(self, active: bool) -> None:
        self._bus.send(wire.EnableMonitor(evse=self._evse, active=active))

    def start_self_test(self) -> None:
        self._bus.send(wire.StartSelfTest(evse=self._evse))

    def reading(self) -> InsulationReading:
        readings = self._bus.readings()
        monitor = outlet_of(readings, self._evse).monitor
        return InsulationReading(
            mono_s=readings.mono_s,
            resistance_kohm=monitor.resistance_kohm,
            valid=monitor.valid,
            self_test_passed=monitor.self_test_passed,
        )

    def close(self) -> None:
        _send_quietly(self._bus, wire.EnableMonitor(evse=self._evse, active=False))


class SimulatedContactor:
    """`Contactor` of one outlet."""

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self._evse = _number(options, "evse")

    def command(self, closed: bool) -> None:
        self._bus.send(wire.CommandContactor(evse=self._evse, closed=closed))

    def is_closed(self) -> bool:
        return outlet_of(self._bus.readings(), self._evse).contactor_closed

    def connector_voltage_v(self) -> float:
        return outlet_of(self._bus.readings(), self._evse).outlet_voltage_v

    def close(self) -> None:
        _send_quietly(self._bus, wire.CommandContactor(evse=self._evse, closed=False))


class SimulatedVehicleLink:
    """`VehicleLink` of one outlet. A communication controller that is silent leaves the last report to grow old."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self._evse = _number(options, "evse")
        self._listeners: list[Callable[[Vehicle], None]] = []
        self._latest: Vehicle | None = None
        bus.listen(self._on_message)
        self._update(bus.readings())

    def vehicle(self) -> Vehicle:
        self._bus.readings()
        if self._latest is None:
            raise DeviceLost(f"vehicle communication of EVSE {self._evse} has not answered yet")
        return self._latest

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        self._listeners.append(on_change)

    def authorise(self, granted: bool) -> None:
        self._bus.send(wire.Authorise(evse=self._evse, granted=granted))

    def report_output(self, voltage_v: float, current_a: float) -> None:
        self._bus.send(wire.ReportOutput(evse=self._evse, voltage_v=voltage_v, current_a=current_a))

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        self._bus.send(
            wire.AnnounceLimits(
                evse=self._evse,
                max_voltage_v=max_voltage_v,
                max_current_a=max_current_a,
                max_power_w=max_power_w,
            )
        )

    def finish_cable_check(self, passed: bool) -> None:
        self._bus.send(wire.FinishCableCheck(evse=self._evse, passed=passed))

    def request_stop(self) -> None:
        self._bus.send(wire.RequestStop(evse=self._evse))

    def emergency_stop(self) -> None:
        self._bus.send(wire.EmergencyStop(evse=self._evse))

    def set_available(self, available: bool) -> None:
        self._bus.send(wire.SetAvailable(evse=self._evse, available=available))

    def close(self) -> None:
        _send_quietly(self._bus, wire.EmergencyStop(evse=self._evse))

    def _on_message(self, message: wire.FromWorld) -> None:
        if isinstance(message, wire.Readings):
            self._update(message)

    def _update(self, readings: wire.Readings) -> None:
        levels = outlet_of(readings, self._evse).vehicle
        if levels is None:
            return
        before, self._latest = self._latest, _vehicle(readings.mono_s, levels)
        if before is not None and _edges(before) != _edges(self._latest):
            for listener in self._listeners:
                listener(self._latest)


def _vehicle(mono_s: float, levels: wire.VehicleLevels) -> Vehicle:
    return Vehicle(
        mono_s=mono_s,
        pilot=levels.pilot,
        stage=levels.stage,
        target_voltage_v=levels.target_voltage_v,
        target_current_a=levels.target_current_a,
        max_voltage_v=levels.max_voltage_v,
        max_current_a=levels.max_current_a,
        max_power_w=levels.max_power_w,
        soc_percent=levels.soc_percent,
        evcc_id=levels.evcc_id,
        locked=levels.locked,
    )


def _edges(vehicle: Vehicle) -> tuple[object, ...]:
    return (vehicle.pilot, vehicle.stage, vehicle.locked, vehicle.evcc_id)


class SimulatedCardReader:
    """`CardReader`."""

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus

    def listen(self, on_card: Callable[[str], None], on_problem: Callable[[CardProblem], None]) -> None:
        def on_message(message: wire.FromWorld) -> None:
            if isinstance(message, wire.CardSeen):
                on_card(message.uid)
            elif isinstance(message, wire.CardTrouble):
                on_problem(message.problem)

        self._bus.listen(on_message)

    def close(self) -> None:
        """A reader has no outputs."""


class SimulatedInputs:
    """`Inputs`: stop button, door, plug temperatures."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus

    def reading(self) -> InputsReading:
        return _inputs(self._bus.readings())

    def listen(self, on_change: Callable[[InputsReading], None]) -> None:
        last = self.reading()

        def on_message(message: wire.FromWorld) -> None:
            nonlocal last
            if not isinstance(message, wire.Readings):
                return
            before, last = last, _inputs(message)
            if (before.emergency_stop, before.door_open) != (last.emergency_stop, last.door_open):
                on_change(last)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Inputs only."""


def _inputs(readings: wire.Readings) -> InputsReading:
    return InputsReading(
        mono_s=readings.mono_s,
        emergency_stop=readings.emergency_stop,
        door_open=readings.door_open,
        plug_temp_c={outlet.evse: outlet.plug_temp_c for outlet in readings.outlets},
    )


class SimulatedScreen:
    """`Screen` with a touch panel."""

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self._screen = _number(options, "screen")

    def show(self, page: str, text: dict[str, str]) -> None:
        self._bus.send(wire.ShowPage(screen=self._screen, page=page, text=text))

    def listen(self, on_select: Callable[[], None], on_stop: Callable[[], None]) -> None:
        def on_message(message: wire.FromWorld) -> None:
            if isinstance(message, wire.Touched) and message.screen == self._screen:
                (on_stop if message.stop else on_select)()

        self._bus.listen(on_message)

    def close(self) -> None:
        _send_quietly(self._bus, wire.ShowPage(screen=self._screen, page=Page.UNAVAILABLE.value, text={}))


class SimulatedNetworkLinks:
    """`NetworkLinks`."""

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus

    def links(self) -> dict[str, bool]:
        return dict(self._bus.readings().links)

    def listen(self, on_change: Callable[[str, bool], None]) -> None:
        last = self.links()

        def on_message(message: wire.FromWorld) -> None:
            nonlocal last
            if not isinstance(message, wire.Readings):
                return
            before, last = last, dict(message.links)
            for interface, up in last.items():
                if before.get(interface) is not up:
                    on_change(interface, up)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Nothing is driven."""


class SimulatedBoard:
    """`Board`."""

    def __init__(self, bus: WorldBus, options: Options) -> None:
        self._bus = bus
        self.boot_id = bus.hello.boot_id
        self.boot_cause = bus.hello.boot_cause
        self.serial_number = bus.hello.serial_number

    def clock(self) -> BoardClock:
        return self._bus.readings().clock

    def listen(
        self,
        on_clock: Callable[[BoardClock], None],
        on_fault: Callable[[Fault, int | None, bool, str], None],
    ) -> None:
        """Faults that are present already are told with the next reading."""
        clock = self.clock()
        faults: dict[tuple[Fault, int | None], str] = {}

        def on_message(message: wire.FromWorld) -> None:
            nonlocal clock, faults
            if not isinstance(message, wire.Readings):
                return
            before, clock = clock, message.clock
            if _stepped(before, clock):
                on_clock(clock)
            known, faults = faults, {(each.fault, each.evse): each.detail for each in message.faults}
            for fault, evse in known.keys() - faults.keys():
                on_fault(fault, evse, False, "")
            for fault, evse in faults.keys() - known.keys():
                on_fault(fault, evse, True, faults[fault, evse])

        self._bus.listen(on_message)

    def reboot(self) -> None:
        self._bus.send(wire.Reboot())

    def feed_watchdog(self) -> None:
        self._bus.send(wire.FeedWatchdog())

    def close(self) -> None:
        """The watchdog runs out by itself."""


def _stepped(before: BoardClock, now: BoardClock) -> bool:
    ahead = (now.utc_s - now.mono_s) - (before.utc_s - before.mono_s)
    return abs(ahead) > CLOCK_STEP_S or (before.is_set, before.synchronised) != (now.is_set, now.synchronised)
