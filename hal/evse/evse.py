# SPDX-License-Identifier: Apache-2.0
"""One EVSE with its ports: reads them, keeps the state, carries the actions out.

A port that fails while an action is carried out raises a fault of this EVSE, which is cleared when a command to it
succeeds. A faulted EVSE has nothing to command, so the harmless command of such a port is repeated with every sample:
modules off, contactor open, insulation monitor off, vehicle not authorised. A contactor that could not be commanded to
open is commanded again in every stage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import assert_never

import msgspec

from firmware.contract import Event, EvseStatus, Fault, MeterReading, PhaseChanged
from firmware.errors import DriverError
from firmware.log import fields
from hal.active_faults import ActiveFaults
from hal.evse.model import (
    Action,
    AnnounceLimits,
    AuthoriseVehicle,
    ClearSessionFaults,
    CloseContactor,
    EmergencyStop,
    EnableInsulation,
    EvseEvent,
    FaultsChanged,
    FinishCableCheck,
    Limits,
    OpenContactor,
    Publish,
    RaiseFault,
    Rating,
    Readings,
    ReportOutput,
    RequestVehicleStop,
    SetAvailable,
    SetOutput,
    StartSelfTest,
    State,
    SwitchOff,
    WakeVehicle,
)
from hal.evse.reading import EvsePorts, PortReader
from hal.evse.register import Register
from hal.evse.step import step
from hal.evse.table import Stage
from hal.known_meters import KnownMeters
from hal.safety import EvseWatch

__all__ = ["Evse", "EvsePorts"]

_log = logging.getLogger(__name__)


FLOWS_A = 5.0
"""A current that is one, and no error of the meter: as much as a contactor may open in an error."""

_FAULT_OF: dict[type, Fault] = {
    CloseContactor: Fault.CONTACTOR_FAILED,
    OpenContactor: Fault.CONTACTOR_FAILED,
    SetOutput: Fault.POWER_MODULE,
    SwitchOff: Fault.POWER_MODULE,
    EnableInsulation: Fault.ISOLATION,
    StartSelfTest: Fault.ISOLATION,
}
"""The fault when the action's port fails; `VEHICLE_LINK` for all other actions."""


class Evse:
    """State and ports of one EVSE."""

    def __init__(
        self,
        number: int,
        connector: int,
        rating: Rating,
        *,
        ports: EvsePorts,
        faults: ActiveFaults,
        meters: KnownMeters,
        publish: Callable[[Event], None],
        started: float,
    ) -> None:
        self._log = logging.LoggerAdapter(_log, fields(evse=number))
        self.number = number
        self.connector = connector
        self.state = State(
            evse=number,
            rating=rating,
            next_reading=started,
            since=started,
            register=Register(ports.meter.resolution_wh, ports.meter.speed),
        )
        self.readings: Readings | None = None
        self.busy = False
        """A step is in progress: a callback of a port must not start another."""
        self._ports = ports
        self._faults = faults
        self._publish = publish
        self._watch = EvseWatch(started)
        self._reader = PortReader(number, ports, faults, meters)
        self._reopen = False
        self._sampled_at = self._reading_at = started
        """When the ports were read, and when the published register was read."""

    # --- reading -------------------------------------------------------------------------------------------

    def read_ports(self, plug_temps_c: tuple[float | None, ...] | None, share: Limits | None, now: float) -> Readings:
        """Read every port (`PortReader.read`), and update the active faults by what the watch finds in the readings."""
        if self._reopen:
            self._carry_out(OpenContactor())
        if self.state.stage is Stage.FAULTED:
            for fault in self._faults.reported("driver", self.number):
                self._try_again(fault)
        self.readings = readings = self._reader.read(self.state.rating, plug_temps_c, share, now)
        self._sampled_at = now
        found = self._watch.check(self.state, readings, now)
        self._faults.replace("watch", self.number, [finding for finding in found if not finding.latched])
        for finding in found:
            if finding.latched and self.state.plugged:
                self._faults.add("session", finding.fault, self.number, detail=finding.detail)
        return readings

    def _try_again(self, fault: Fault) -> None:
        """Repeat the harmless command of a port that failed; its fault is cleared if the command succeeds."""
        match fault:
            case Fault.POWER_MODULE:
                self.switch_off()
            case Fault.CONTACTOR_FAILED:
                self.open_contactor()
            case Fault.ISOLATION:
                self._carry_out(EnableInsulation(False))
            case _:
                self.reset_vehicle_link()

    # --- acting ----------------------------------------------------------------------------------------------

    def apply(self, event: EvseEvent, now: float) -> None:
        """Step the EVSE and carry out the actions."""
        self.busy = True
        before = self.state.register
        try:
            self.state, actions = step(self.state, event, now)
            if self.state.register.outliers != before.outliers:
                self._log.warning("EVSE %d: meter not believed: %s", self.number, self.state.register.doubt)
            for action in actions:
                self._carry_out(action)
        finally:
            self.busy = False

    def refresh_faults(self, now: float) -> None:
        """Pass the active faults to `step`, if they changed."""
        faults = self._faults.touching(self.number)
        if faults != self.state.faults:
            self.apply(FaultsChanged(faults), now)

    def open_contactor(self) -> None:
        """Switch the coil off, whatever the stage."""
        self._carry_out(OpenContactor())

    def close_for_test(self) -> None:
        """Switch the coil on outside a session: `hal/self_tests.py` alone does so, and opens again."""
        self._carry_out(CloseContactor())

    def monitor(self, active: bool) -> None:
        """Switch the insulation monitor on or off, outside a session."""
        self._carry_out(EnableInsulation(active))

    def switch_off(self) -> None:
        self._carry_out(SwitchOff())

    def reset_vehicle_link(self) -> None:
        """Also at the HAL's start, when it is in service: withdraw the authorisation of an earlier run."""
        try:
            self._ports.vehicle.set_available(self.state.available)
            self._ports.vehicle.authorise(False)
        except DriverError as error:
            self._faults.add("driver", Fault.VEHICLE_LINK, self.number, detail=str(error))
        else:
            self._faults.remove("driver", Fault.VEHICLE_LINK, self.number)

    @property
    def is_open(self) -> bool:
        """Whether coil and mirror contact are both off and no `stop` reading is pending."""
        return not (self.state.coil_on or self._reader.mirror or self.state.stop_reading_due)

    @property
    def closed_against_command(self) -> bool:
        """Whether the contactor is closed, by its last reading, though its coil is to be off."""
        return self._reader.mirror and not self.state.coil_on

    @property
    def defiance(self) -> str:
        """Why nothing but its coil's supply can stop the energy of this outlet; empty if there is none to stop."""
        if not self.closed_against_command or self.readings is None:
            return ""
        power, meter = self.readings.power, self.readings.meter
        amps = max((abs(sample.current_a) for sample in (power, meter) if sample is not None), default=0.0)
        if amps >= FLOWS_A:
            return f"{amps:.0f} A flow"
        return "neither it nor the modules can be commanded" if self._reopen and power is None else ""

    def _carry_out(self, action: Action) -> None:
        fault = _FAULT_OF.get(type(action), Fault.VEHICLE_LINK)
        try:
            self._perform(action)
        except DriverError as error:
            self._faults.add("driver", fault, self.number, detail=str(error))
            self._reopen = self._reopen or isinstance(action, OpenContactor)
        else:
            if not isinstance(action, Publish | RaiseFault | ClearSessionFaults):
                self._faults.remove("driver", fault, self.number)
            if isinstance(action, OpenContactor):
                self._reopen = False

    def _perform(self, action: Action) -> None:
        if isinstance(action, Publish):
            self._publish_event(action.event)
        elif isinstance(action, RaiseFault):
            self._faults.add("session", action.fault, self.number, detail=action.detail)
        elif isinstance(action, ClearSessionFaults):
            self._faults.replace("session", self.number, ())
        elif isinstance(action, SetOutput | SwitchOff | CloseContactor | OpenContactor):
            self._command_power(action)
        elif isinstance(action, EnableInsulation):
            self._ports.insulation.enable(action.active)
        elif isinstance(action, StartSelfTest):
            self._ports.insulation.start_self_test()
        else:
            self._command_vehicle(action)

    def _command_power(self, action: SetOutput | SwitchOff | CloseContactor | OpenContactor) -> None:
        match action:
            case SetOutput(voltage_v, current_a):
                self._ports.shelf.set_output(self.number, voltage_v, current_a)
            case SwitchOff():
                self._ports.shelf.switch_off(self.number)
            case CloseContactor():
                self._ports.contactor.command(True)
            case OpenContactor():
                self._ports.contactor.command(False)
            case _:
                assert_never(action)

    def _command_vehicle(
        self,
        action: AuthoriseVehicle
        | SetAvailable
        | WakeVehicle
        | AnnounceLimits
        | ReportOutput
        | FinishCableCheck
        | RequestVehicleStop
        | EmergencyStop,
    ) -> None:
        vehicle = self._ports.vehicle
        match action:
            case AuthoriseVehicle(granted):
                vehicle.authorise(granted)
            case SetAvailable(available):
                vehicle.set_available(available)
            case WakeVehicle():
                self._log.info("EVSE %d: the vehicle does not begin, its pilot is interrupted", self.number)
                vehicle.wake()
            case AnnounceLimits(voltage_v, current_a, power_w):
                vehicle.announce_limits(voltage_v, current_a, power_w)
            case ReportOutput(voltage_v, current_a, insulation_kohm):
                vehicle.report_output(voltage_v, current_a, insulation_kohm)
            case FinishCableCheck(passed):
                vehicle.finish_cable_check(passed)
            case RequestVehicleStop():
                vehicle.request_stop()
            case EmergencyStop():
                vehicle.emergency_stop()
            case _:
                assert_never(action)

    def _publish_event(self, event: Event) -> None:
        if isinstance(event, PhaseChanged):
            self._log.info("EVSE %d %s by %s", self.number, event.phase.value, event.cause.value)
        elif isinstance(event, MeterReading):
            self._reading_at = self.state.register.read_at
            event = self._aged(event, self._sampled_at)
        self._publish(event)

    def _aged(self, reading: MeterReading, now: float) -> MeterReading:
        return msgspec.structs.replace(reading, age_s=round(max(0.0, now - self._reading_at), 3))

    # --- status --------------------------------------------------------------------------------------------

    def status(self, now: float) -> EvseStatus:
        state = self.state
        return EvseStatus(
            evse=self.number,
            connector=self.connector,
            phase=state.phase,
            plugged=state.plugged,
            locked=state.locked,
            contactor_closed=state.contactor_closed,
            flow=state.flow,
            session=state.session,
            lease_left_s=max(0.0, state.lease_until - now) if state.session is not None else 0.0,
            limit_w=state.limit_w,
            reading=self._aged(state.reading, now) if state.reading is not None else None,
            faults=self._faults.own(self.number),
            evcc_id=state.evcc_id,
            max_wh_per_s=state.rating.max_power_w * state.register.speed / 3600.0,
        )
