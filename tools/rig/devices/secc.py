# SPDX-License-Identifier: Apache-2.0
"""An ADVANTICS ADM-CS-SECC board on the CAN hub: plays the simulated car of one outlet towards the HAL.

Protocol: Generic EVSE v3.6 with sequence flags and external authorisation. The car decides what it wants
(`drivers/simulated/world/car.py`); the board turns that into its states 0, 12, 1 to 11 and frames, and what the host
sends into what the car sees. Nothing here is shared with the driver: both are written from the same documents.

What the host does wrong is listed in `violations`. Faults: `silent`, `index` (an address that the host does not
expect), `interlock_open`, `plug_c`, `boot()`, `stop_by_vehicle()`, `send_garbage()`, a `test_cycles` that is never
reached; frames that are lost, late, doubled or damaged are the hub's.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from drivers.simulated.world.car import Car, Secc
from hal.ports import Pilot, Vehicle, VehicleStage
from tools.rig.devices.can_hub import CanHub, Send

__all__ = ["Outlet", "SeccBoard"]

PERIOD_S = 0.1
BOOT_S = 15.0
"""In life; tests boot faster."""
HOST_TIMEOUT_S = 1.0
"""How long the host may be silent in a session; the manufacturer does not publish it."""
STANDBY_S = 0.3
"""Between pre-charge and energy transfer."""
CLOSING_S = 0.3
EMERGENCY_S = 0.5
TEST_CYCLES = 10
TEST_KOHM = 100.0
TEST_SHARE = 0.9
LOW_V = 20.0
TEST_A = 2.5
PRECHARGE_A = 3.0
OFF_BY_V = 50.0
REPORTED_WITHIN_S = 1.0
"""After a vehicle has closed its contactor, the host reports the voltage of its battery. A vehicle measures the voltage
itself and closes at the end of a ramp, when the host has modules' readings of up to 0.2 s and a report of 0.1 s ago."""
MOST_VIOLATIONS = 100

INITIALISING, WAITING, NEGOTIATING, CONNECTED, INSULATION, PRECHARGE, STANDBY, CHARGING, ENDING, WELDING, CLOSING = (
    range(11)
)
AUTHORISATION, UNAVAILABLE = 11, 12
IN_SESSION: Final = range(CONNECTED, CLOSING + 1)
ENERGISED: Final = range(INSULATION, CHARGING + 1)
OFF, FN_STANDBY, FN_INSULATION, FN_PRECHARGE, FN_TRANSFER = 0, 1, 2, 4, 8
STATION, VEHICLE = 1, 3
_CP = {Pilot.A: 12, Pilot.B: 9, Pilot.C: 6, Pilot.E: 0, Pilot.F: 0}
_STATES = {
    VehicleStage.NONE: WAITING,
    VehicleStage.NEGOTIATING: NEGOTIATING,
    VehicleStage.CABLE_CHECK: INSULATION,
    VehicleStage.PRECHARGE: PRECHARGE,
    VehicleStage.STOP: ENDING,
    VehicleStage.WELDING_DETECTION: WELDING,
}
_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """What is at the board's plug: an EVSE of the simulated world, or what a test puts in its place."""

    secc: Secc
    secc_silent: bool

    @property
    def car(self) -> Car | None: ...

    @property
    def current_a(self) -> float: ...

    @property
    def plug_temp_c(self) -> float | None: ...

    def vehicle(self, mono_s: float) -> Vehicle: ...


@dataclass(slots=True)
class _Host:
    """What the host has sent last."""

    status_at: float | None = None
    voltage_v: float = 0.0
    current_a: float = 0.0
    enabled: bool = False
    kohm: float = 0.0
    limits_at: float | None = None
    flags_at: float = 0.0
    start: bool = False
    granted: bool = False
    refused: bool = False
    parameters_done: bool = False
    user_stop: bool = False


class SeccBoard:
    """One board with one plug. `step` runs ten times a second by itself once it is started."""

    def __init__(
        self,
        hub: CanHub,
        index: int,
        outlet: Outlet,
        *,
        boot_s: float = BOOT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.index = index
        self.silent = False
        self.interlock_open = False
        self.plug_c: tuple[float | None, float | None] | None = None
        """Both sensors of the plug; None: what the outlet's has."""
        self.test_cycles = TEST_CYCLES
        self.test_v: float | None = None
        """Voltage of the insulation test; None: 10 % above the car's maximum."""
        self.host_timeout_s = HOST_TIMEOUT_S
        self.violations: list[str] = []
        self.state = INITIALISING
        self._hub = hub
        self._outlet = outlet
        self.boot_s = boot_s
        self._monotonic = monotonic
        self._send: Send | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._host = _Host()
        self._since = 0.0
        self._stage = VehicleStage.NONE
        self._stage_since = 0.0
        self._ticks = 0
        self._cycles = 0
        self._tested = False
        self._ready_at = 0.0
        self._emergency: tuple[int, float] | None = None
        """Origin, and when it is over."""

    # --- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Power on; also after `close`."""
        self._send = self._hub.attach(self.on_frame)
        self.boot()
        self._tick()

    def close(self) -> None:
        """Power off: the pilot is gone, too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._send is not None:
            self._hub.detach(self.on_frame)
            self._send = None
        self._outlet.secc.available = False

    def boot(self) -> None:
        """Restart: nothing is sent and there is no pilot for the time that it takes."""
        now = self._monotonic()
        self._host = _Host()
        self.state, self._since = INITIALISING, now
        self._ready_at = now + self.boot_s
        self._emergency = None
        self._outlet.secc.available = False

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._tick)
        self.step(self._monotonic())

    # --- what tests do ---------------------------------------------------------------------------------------

    def stop_by_vehicle(self) -> None:
        """The vehicle stops at once, for a reason of its own."""
        self._stop_at_once(VEHICLE, self._monotonic())

    def send_garbage(self) -> None:
        """Frames of this board that make no sense: too short, unknown states, functions and levels."""
        for number, data in (
            (0x000, b""),
            (0x000, b"\xee"),
            (0x003, b"\x01\x02"),
            (0x003, b"\xff" * 7),
            (0x005, b"\x07"),
            (0x101, b"\xff"),
            (0x105, b"\x00"),
            (0x203, b"\xaa\xaa"),
            (0xFFF, b"\x00" * 8),
        ):
            self._put(number, data)

    # --- from the host ----------------------------------------------------------------------------------------

    def on_frame(self, can_id: int, data: bytes) -> None:
        if can_id >> 24 != self.index or can_id & 0xFFF000 != 0x63000:
            return
        if self._monotonic() < self._ready_at:
            return
        handler = _HANDLERS.get(can_id & 0xFFF)
        if handler is None:
            self._violation(f"frame {can_id:08X} does not exist")
        elif len(data) != handler[0]:
            self._violation(f"frame {can_id:08X} has {len(data)} bytes")
        else:
            handler[1](self, data, self._monotonic())

    def _on_status(self, data: bytes, now: float) -> None:
        host = self._host
        volts, amps, module_c, cabinet_c, enable, insulation = struct.unpack("<HhBBBB", data)
        if enable > 1 or module_c == 0 or cabinet_c == 0:
            self._violation(f"modules' status {data.hex()}")
        host.status_at = now
        host.voltage_v, host.current_a = volts / 10, amps / 10
        host.enabled, host.kohm = bool(enable), insulation * 2.0
        if self.state == INSULATION:
            good = volts / 10 >= TEST_SHARE * self._test_v() and host.kohm >= TEST_KOHM
            self._cycles = self._cycles + 1 if good else 0
            self._tested = self._tested or self._cycles >= self.test_cycles
        limit_a = {INSULATION: TEST_A, PRECHARGE: PRECHARGE_A}.get(self.state)
        if limit_a is not None and host.current_a > limit_a:
            self._violation(f"{host.current_a} A in state {self.state}")
        car = self._outlet.car
        settled = self.state in (STANDBY, CHARGING) and now - self._stage_since > REPORTED_WITHIN_S
        if settled and car is not None and host.voltage_v < car.battery.ocv_v - OFF_BY_V:
            self._violation(f"{host.voltage_v} V reported while the battery of {car.battery.ocv_v:.0f} V is connected")

    def _on_parameters(self, data: bytes, now: float) -> None:
        host, secc = self._host, self._outlet.secc
        if host.limits_at is not None and now - host.limits_at < 0.8 * PERIOD_S:
            self._violation("limits less than 100 ms apart")
        host.limits_at = now
        _max_v, max_charge, _max_discharge, _range = struct.unpack("<HHHh", data)
        secc.max_current_a = max_charge / 10 if max_charge else float("inf")
        secc.max_power_w = float("inf")

    def _on_sequence(self, data: bytes, now: float) -> None:
        host = self._host
        if data[0] > 3 or data[1] > 7 or data[2] > 1:
            self._violation(f"sequence flags {data.hex()}")
        done, valid = bool(data[1] & 1), bool(data[1] & 2)
        host.flags_at = now
        host.start, host.granted, host.refused = bool(data[0] & 1), done and valid, done and not valid
        host.parameters_done, host.user_stop = bool(data[1] & 4), bool(data[2] & 1)
        if data[1] and self.state in (WAITING, UNAVAILABLE) and now - self._since > 3 * PERIOD_S:
            self._violation("flags of the last session are still set")
        if host.parameters_done and host.limits_at is None:
            self._violation("parameters done without any")

    # --- the board --------------------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Take what the car does into the board's state, and send what is due."""
        if now < self._ready_at:
            return
        self._ticks += 1
        outlet, car, host = self._outlet, self._outlet.car, self._host
        outlet.secc.available = host.start
        stage = car.stage if car is not None else VehicleStage.NONE
        if stage is not self._stage:
            self._stage, self._stage_since = stage, now
        self._lead(car, now)
        self._watch(now)
        self._enter(self._state_of(stage, now), now)
        if not (self.silent or outlet.secc_silent):
            self._report(now)

    def _state_of(self, stage: VehicleStage, now: float) -> int:
        if not self._host.start:
            return UNAVAILABLE
        spent_s = now - self._stage_since
        match stage:
            case VehicleStage.WAITING_AUTHORISATION:
                return CONNECTED if self._host.granted else AUTHORISATION
            case VehicleStage.CHARGE:
                return STANDBY if spent_s < STANDBY_S else CHARGING
            case VehicleStage.ENDED:
                return CLOSING if spent_s < CLOSING_S else WAITING
            case _:
                return _STATES[stage]

    def _enter(self, state: int, now: float) -> None:
        before = self.state
        if state == before:
            return
        self.state, self._since = state, now
        self._cycles, self._tested = 0, False
        if state == NEGOTIATING:
            self._host.limits_at = None
        if (state == CHARGING) != (before == CHARGING):
            self._put(0x002, bytes((state == CHARGING,)))
        if before in IN_SESSION and state not in IN_SESSION:
            self._put(0x004, bytes((self._emergency is not None,)))

    def _lead(self, car: Car | None, now: float) -> None:
        """What the car sees of the station."""
        host, secc = self._host, self._outlet.secc
        if car is None or car.stage is VehicleStage.NEGOTIATING:
            secc.authorise(False)
        elif car.stage is VehicleStage.WAITING_AUTHORISATION:
            secc.authorise(host.granted and host.parameters_done and host.enabled and not self.interlock_open)
        elif self.state in ENERGISED and host.user_stop:
            secc.stop_requested = True
        if self.state == INSULATION and self._tested and host.voltage_v <= LOW_V:
            secc.cable_check = True

    def _watch(self, now: float) -> None:
        """The board's own interlocks, and the duties of the host."""
        host, session = self._host, self.state in IN_SESSION
        silent_s = now - host.status_at if host.status_at is not None else 0.0
        if self._emergency is not None and now >= self._emergency[1]:
            self._emergency = None
        pilot_lost = self._stage is VehicleStage.NONE and self._outlet.vehicle(now).pilot is not Pilot.C
        if (
            (session and silent_s > self.host_timeout_s)
            or self.interlock_open
            or (self.state in ENERGISED and not host.enabled)
        ):
            self._stop_at_once(STATION, now)
        elif self.state in ENERGISED and pilot_lost:
            self._stop_at_once(VEHICLE, now)
        if session and host.flags_at and now - max(host.flags_at, self._since) > 2.0:
            self._violation("sequence flags are not repeated")

    def _stop_at_once(self, origin: int, now: float) -> None:
        self._emergency = (origin, now + EMERGENCY_S)
        if self._outlet.car is not None and self.state in IN_SESSION:
            self._outlet.car.emergency_stop(self._outlet.secc)

    def _test_v(self) -> float:
        if self.test_v is not None:
            return self.test_v
        return 1.1 * self._outlet.car.battery.max_voltage_v if self._outlet.car is not None else 0.0

    # --- to the host ------------------------------------------------------------------------------------------

    def _report(self, now: float) -> None:
        vehicle = self._outlet.vehicle(now)
        self._put(0x000, bytes((self.state,)))
        self._put(0x203, struct.pack("<BH5x", _CP[vehicle.pilot], 50 if vehicle.pilot in (Pilot.B, Pilot.C) else 1000))
        if self._emergency is not None:
            self._put(0x005, bytes((self._emergency[0],)))
        if self.state == CONNECTED and not self._host.parameters_done:
            self._put(0x001, b"\x00\x01")
        if self.state in range(INSULATION, CLOSING + 1):
            self._put(0x003, self._request(vehicle))
        if self.state in IN_SESSION and (self._ticks % 5 == 0 or now - self._since < 2 * PERIOD_S):
            self._report_vehicle(now)
        if self._ticks % 10 == 0:
            self._put(0x201, self._inputs())

    def _request(self, vehicle: Vehicle) -> bytes:
        """What the power side shall do now."""
        volts, amps, function = 0.0, 0.0, FN_STANDBY
        if self.state == INSULATION and not self._tested:
            volts, amps, function = self._test_v(), 2.0, FN_INSULATION
        elif self.state == PRECHARGE:
            volts, amps, function = vehicle.target_voltage_v, vehicle.target_current_a, FN_PRECHARGE
        elif self.state == CHARGING or (self.state == ENDING and vehicle.target_current_a > 0.0):
            volts, amps, function = vehicle.target_voltage_v, vehicle.target_current_a, FN_TRANSFER
        elif self.state in (WELDING, CLOSING):
            function = OFF
        closed = self.state in (PRECHARGE, STANDBY, CHARGING) or (self.state == ENDING and self._outlet.current_a > 1.0)
        lower = (self.state == INSULATION and self._tested) or (self.state >= ENDING and not closed)
        flags = function | closed << 6 | lower << 7
        return struct.pack("<HhhB", min(round(volts * 10), 0xFFFF), round(amps * 10), round(amps * 10), flags)

    def _report_vehicle(self, now: float) -> None:
        car = self._outlet.car
        if car is None:
            return
        battery = car.battery
        soc = round(battery.soc_percent)
        self._put(
            0x100, struct.pack("<HBBBB", round(battery.capacity_wh / 1000), soc, 0, round(car.target_soc_percent), 100)
        )
        volts = (0.7 * battery.max_voltage_v, battery.max_voltage_v, battery.ocv_v)
        self._put(0x101, struct.pack("<HHH", *(round(each * 10) for each in volts)))
        self._put(0x102, struct.pack("<HHHH", 0, round(car.max_a * 10), 0, round(car.max_kw)))
        if len(car.evcc_id) == 12:
            self._put(0x105, bytes.fromhex(car.evcc_id))

    def _inputs(self) -> bytes:
        sensors = self.plug_c or (self._outlet.plug_temp_c, self._outlet.plug_temp_c)
        raw = [min(max(round(each) + 40, 1), 255) if each is not None else 0 for each in sensors]
        return bytes((0, 0, 0, 0, 0, 85, *raw))

    def _put(self, number: int, data: bytes) -> None:
        if self._send is not None:
            self._send(self.index << 24 | 0x6B000 | number, data)

    def _violation(self, text: str) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            _log.warning("SECC %d: the host breaks the protocol: %s", self.index, text)
            self.violations.append(text)


_HANDLERS: dict[int, tuple[int, Callable[[SeccBoard, bytes, float], None]]] = {
    0x000: (8, SeccBoard._on_status),
    0x001: (8, SeccBoard._on_parameters),
    0x002: (3, SeccBoard._on_sequence),
    0x201: (8, lambda _board, _data, _now: None),
}
"""Length and handler of each frame of the host."""
