# SPDX-License-Identifier: Apache-2.0
"""Anything may happen in any order: the rules of an EVSE hold all the same.

The bench checks the rules that hold in every state (coil on only in the closed stages, modules never driven into an
open contact, no phase published twice); here are those that need a history.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware.contract import Fault, MeterContext, MeterReading, Plugged, Unplugged
from hal.evse.model import Limits
from hal.evse.table import CLOSED, RUNNING, Stage, StopKind, stop_kind_of
from hal.ports import Pilot, VehicleStage
from tests.support.evse_bench import EvseBench

FAULTS = [Fault.EMERGENCY_STOP, Fault.OVER_TEMPERATURE, Fault.METER, Fault.POWER_MODULE, Fault.SCREEN]
STOP_BOUND_S = 5.0
"""Asking the vehicle 1.5 s, ramp-down 2 s, opening at once, and some samples in between."""


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = EvseBench()

    # --- people and cars -------------------------------------------------------------------------------------

    @rule()
    def plug(self) -> None:
        self.bench.plug()

    @rule()
    def unplug(self) -> None:
        self.bench.unplug()

    @rule(stage=st.sampled_from(VehicleStage), pilot=st.sampled_from(Pilot))
    def vehicle_reports_anything(self, stage: VehicleStage, pilot: Pilot) -> None:
        self.bench.change(stage=stage, pilot=pilot)

    @rule(volts=st.floats(0, 1500), amps=st.floats(0, 800))
    def vehicle_requests_anything(self, volts: float, amps: float) -> None:
        self.bench.wanted_a = amps
        self.bench.change(target_voltage_v=volts, target_current_a=amps)

    @rule(obeys=st.booleans())
    def vehicle_obeys(self, obeys: bool) -> None:
        self.bench.obeys = obeys

    @rule()
    def vehicle_link_lost(self) -> None:
        self.bench.vehicle = None

    # --- the service -----------------------------------------------------------------------------------------

    @precondition(lambda self: not any(fault.stops_charging for fault in self.bench.state.faults))
    @rule(session=st.sampled_from(["one", "two"]), lease_s=st.floats(0.1, 60))
    def permit(self, session: str, lease_s: float) -> None:
        held = self.bench.state.session
        if self.bench.state.stage is not Stage.FAULTED and held in (None, session):
            self.bench.permit(session, lease_s)

    @rule(power_w=st.one_of(st.none(), st.just(0.0), st.floats(0, 400_000)))
    def limit(self, power_w: float | None) -> None:
        self.bench.limit(power_w)

    @rule()
    def withdraw_opens_in_bounded_time(self) -> None:
        self.bench.withdraw()
        self.bench.obeys = False
        self.bench.run(STOP_BOUND_S)
        assert not self.bench.coil
        assert self.bench.state.session is None

    # --- hardware ----------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS))
    def fault_comes(self, fault: Fault) -> None:
        self.bench.fault(*self.bench.faults, fault)

    @rule()
    def faults_go(self) -> None:
        self.bench.fault()

    @rule(stuck=st.sampled_from([None, True, False]))
    def mirror_contact(self, stuck: bool | None) -> None:
        self.bench.mirror_stuck = stuck

    @rule(lost=st.booleans(), kohm=st.floats(10, 5000), groups=st.integers(0, 4), amps=st.floats(0, 500))
    def readings(self, lost: bool, kohm: float, groups: int, amps: float) -> None:
        self.bench.meter_lost = lost
        self.bench.insulation_kohm = kohm
        self.bench.groups = groups
        self.bench.ceiling = Limits(amps, amps * 400.0)

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 12.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.run(seconds)

    @rule()
    def a_good_session_begins(self) -> None:
        """Random steps alone seldom reach energy transfer."""
        bench = self.bench
        bench.mirror_stuck, bench.meter_lost, bench.insulation_kohm, bench.groups = None, False, 5000.0, 4
        bench.ceiling, bench.obeys, bench.wanted_a = Limits(500.0, 400_000.0), True, 100.0
        bench.fault()
        bench.unplug()
        bench.withdraw()
        bench.limit(None)
        bench.run(6.0)
        bench.plug()
        bench.permit()
        bench.run_to(Stage.CHARGING)

    # --- rules ---------------------------------------------------------------------------------------------------

    @invariant()
    def closed_only_with_permission(self) -> None:
        state = self.bench.state
        if state.stage in RUNNING:
            assert state.session is not None
            assert not any(
                fault.stops_charging and stop_kind_of(fault) is not StopKind.NORMAL for fault in state.faults
            ), f"{state.faults} in {state.stage}"

    @invariant()
    def current_only_when_closed(self) -> None:
        state = self.bench.state
        if self.bench.output_v > 0.0:
            assert state.stage in CLOSED
            assert state.contactor_closed

    @invariant()
    def plugs_alternate(self) -> None:
        kinds = [type(event) for event in self.bench.events if isinstance(event, Plugged | Unplugged)]
        assert all(kind is (Plugged, Unplugged)[index % 2] for index, kind in enumerate(kinds))

    @invariant()
    def starts_and_stops_alternate_and_the_register_only_rises(self) -> None:
        readings = [event for event in self.bench.events if isinstance(event, MeterReading)]
        registers = [reading.energy_wh for reading in readings]
        assert registers == sorted(registers)
        billed = [reading.context for reading in readings if reading.context is not MeterContext.PERIODIC]
        assert all(context is (MeterContext.START, MeterContext.STOP)[i % 2] for i, context in enumerate(billed))


AnyOrder.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyOrder = AnyOrder.TestCase
