# SPDX-License-Identifier: Apache-2.0
"""Whatever EV drivers, cars, hardware, operator and mains do, the CSMS gets complete transactions.

A state machine of hypothesis plays all of them against one station. It checks what the CSMS can see: the transaction
events, in their order of arrival, and, once every disturbance is over, that no transaction is left open and no message
queued. The station may die at any instant within a unit of work; it restarts with what its files held then.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from firmware.contract import Cause, EnergyFlow, Fault, FaultCleared, Phase, PhaseChanged, StopPressed
from tests.support.station_bench import Instant, StationBench

EVSES = st.sampled_from([1, 2])
CARDS = st.sampled_from(["04AAAAAAAAAA80", "04BBBBBBBBBB80"])
INSTANTS: tuple[Instant, ...] = ("before the commit", "before sending", "after sending")
MODES = ("accepting", "accepting", "refusing", "silent", "mute", "pending", "invalid", "blackhole")
OFTEN = st.sampled_from([True, True, True, False])
POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")


class Ledger:
    """The transactions as the CSMS sees them; fails at the first impossible event."""

    def __init__(self) -> None:
        self.transactions: dict[str, list[Any]] = {}

    def enter(self, event: Any) -> None:
        info = event["transactionInfo"]
        book = self.transactions.setdefault(info["transactionId"], [])
        bare = {key: value for key, value in event.items() if key != "offline"}
        number = event["seqNo"]
        if number < len(book):
            assert book[number] == bare, "the same number for another event"
            return
        assert number == len(book), f"seqNo {number} after {len(book) - 1}"
        assert (number == 0) == (event["eventType"] == "Started")
        assert not book or book[-1]["eventType"] != "Ended", "an event after Ended"
        assert _registers(bare, at_least=max(_registers_of(book), default=0.0)), "the register fell"
        book.append(bare)

    def open(self) -> list[str]:
        return [name for name, book in self.transactions.items() if book[-1]["eventType"] != "Ended"]


def _values(event: Any) -> list[float]:
    return [
        sample["value"]
        for value in event.get("meterValue", [])
        for sample in value["sampledValue"]
        if sample["measurand"] == "Energy.Active.Import.Register"
    ]


def _registers_of(book: list[Any]) -> list[float]:
    """The last register of each event; an Ended event also repeats earlier ones."""
    return [values[-1] for event in book if (values := _values(event))]


def _registers(event: Any, *, at_least: float) -> bool:
    values = _values(event)
    return values == sorted(values) and (not values or values[-1] >= at_least)


class World(RuleBasedStateMachine):
    """One station with its CSMS, EV drivers, cars and hardware."""

    product = "c7am-400-cc"

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger()
        self.read = 0
        self.mode = "accepting"
        self.bench: StationBench

    def variables(self, start: str, stop: str) -> dict[tuple[str, str], str]:
        return {}

    @initialize(start=st.sampled_from(POINTS), stop=st.sampled_from(POINTS), keep=st.booleans())
    def begin(self, start: str, stop: str, keep: bool) -> None:
        variables = {("SampledDataCtrlr", "TxUpdatedInterval"): "20"} | self.variables(start, stop)
        if self.product == "full":
            variables[("TxCtrlr", "StopTxOnEVSideDisconnect")] = "false" if keep else "true"
        self.bench = StationBench(Path(self.directory.name), product_name=self.product, variables=variables)
        self.bench.answers = {"TransactionEvent": self._answer_event, "BootNotification": self._answer_boot}
        self.bench.up()

    def teardown(self) -> None:
        try:
            if hasattr(self, "bench"):
                self._heal()
                self.bench.database.close()
        finally:
            self.directory.cleanup()

    # --- the CSMS ----------------------------------------------------------------------------------------------

    def _answer_event(self, event: Any) -> Any:
        match self.mode:
            case "refusing":
                return "InternalError"
            case "silent" | "mute":
                return None
            case "invalid" if "idToken" in event:
                return {"idTokenInfo": {"status": "Invalid"}}
            case _:
                return {}

    def _answer_boot(self, _: Any) -> Any:
        if self.mode == "mute":
            return None
        status = "Pending" if self.mode == "pending" else "Accepted"
        return {"status": status, "currentTime": "2027-01-15T08:00:00Z", "interval": 30}

    @rule(mode=st.sampled_from(MODES))
    def csms_behaves(self, mode: str) -> None:
        self.mode = mode
        self.bench.blackhole = mode == "blackhole"
        self.bench.answers["Authorize"] = None if mode == "mute" else {"idTokenInfo": {"status": "Accepted"}}

    @rule(evse=EVSES)
    def remote_start(self, evse: int) -> None:
        kind = self.bench.product.features.remote_start_tokens[-1]
        request = {"idToken": {"idToken": "APP", "type": kind}, "remoteStartId": 1, "evseId": evse}
        self.bench.call("RequestStartTransaction", request)
        self.read_events()

    @rule(evse=EVSES)
    def remote_stop(self, evse: int) -> None:
        transaction_id = self.bench.context.hal.evses[evse].transaction_id or "none"
        self.bench.call("RequestStopTransaction", {"transactionId": transaction_id})
        self.read_events()

    @rule(kind=st.sampled_from(["Immediate", "OnIdle"]))
    def reset(self, kind: str) -> None:
        self.bench.call("Reset", {"type": kind})

    @rule()
    def ask_for_an_event(self) -> None:
        self.bench.call("TriggerMessage", {"requestedMessage": "TransactionEvent"})
        self.read_events()

    @rule(back=OFTEN, seconds=st.sampled_from([0.0, 1.0, 100.0]))
    def link_lost(self, back: bool, seconds: float) -> None:
        if self.bench.linked:
            self.bench.link_down()
        if back:
            self._pass(seconds)
            self._reconnect()
        self.read_events()

    @rule(seconds=st.sampled_from([5.0, 25.0]))
    def half_open_link(self, seconds: float) -> None:
        """The link looks alive and carries nothing, until the ping times out."""
        self.bench.blackhole = True
        self._pass(seconds)
        self.bench.link_down()
        self.bench.blackhole = self.mode == "blackhole"
        self._reconnect()
        self.read_events()

    def _reconnect(self) -> None:
        """Restore every missing connection."""
        if not self.bench.alive:
            self.bench.restart_service()
        if not self.bench.hal_linked:
            self.bench.hal_up()
        if not self.bench.linked:
            self.bench.link_up()

    # --- the EV driver and the car ----------------------------------------------------------------------------------

    @rule(evse=EVSES, uid=CARDS)
    def card(self, evse: int, uid: str) -> None:
        self.bench.card(uid, evse)
        self.read_events()

    @rule(evse=EVSES, uid=CARDS)
    def session(self, evse: int, uid: str) -> None:
        """A usual session: a card, a cable, and energy."""
        self.bench.card(uid, evse)
        if not self.bench.plugged[evse]:
            self.bench.plug(evse)
        self._hal_acts()
        self.read_events()

    @rule(evse=EVSES)
    def stop_button(self, evse: int) -> None:
        self.bench.event(StopPressed(evse))
        self.read_events()

    @rule(evse=EVSES)
    def cable(self, evse: int) -> None:
        """Plug in or out, under load or not."""
        if self.bench.plugged[evse]:
            self.bench.unplug(evse)
        else:
            self.bench.plug(evse)
        self.read_events()

    @rule(evse=EVSES, wh=st.sampled_from([0.0, 1.0, 5000.0]))
    def deliver(self, evse: int, wh: float) -> None:
        if self.bench.flow[evse] is EnergyFlow.FLOWING:
            self.bench.deliver(evse, wh)

    @rule(evse=EVSES)
    def vehicle_pauses_or_resumes(self, evse: int) -> None:
        flow = self.bench.flow[evse]
        if flow is EnergyFlow.FLOWING:
            self.bench.suspend(evse, EnergyFlow.SUSPENDED_BY_VEHICLE)
        elif flow is EnergyFlow.SUSPENDED_BY_VEHICLE:
            self.bench.suspend(evse, EnergyFlow.FLOWING)
        self.read_events()
        self._check_states()

    @rule(evse=EVSES)
    def vehicle_has_enough(self, evse: int) -> None:
        if self.bench.flow[evse] is not EnergyFlow.NONE and self.bench.plugged[evse]:
            self.bench.energy_off(evse, Phase.FINISHED, Cause.VEHICLE)
        self.read_events()

    # --- the hardware --------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from([Fault.EMERGENCY_STOP, Fault.ISOLATION]), evse=st.sampled_from([None, 1, 2]))
    def fault(self, fault: Fault, evse: int | None) -> None:
        self.bench.fault(fault, evse)
        self.read_events()

    @rule()
    def repair(self) -> None:
        for evse in (1, 2):
            for fault in list(self.bench.evse_faults[evse]):
                self.bench.clear_fault(fault, evse)
        for fault in list(self.bench.faults):
            self.bench.faults.discard(fault)
            self.bench.event(FaultCleared(fault))
        self.read_events()

    def _hal_acts(self) -> None:
        """Let the HAL open and close contactors as its state requires, and report it."""
        bench = self.bench
        for evse in (1, 2):
            faulted = bool(bench.faults or bench.evse_faults[evse])
            if faulted:
                bench.held[evse] = None
            may = bench.plugged[evse] and bench.permitted(evse) and not faulted
            flows = bench.flow[evse] is not EnergyFlow.NONE
            rest = Phase.FAULTED if faulted else Phase.FINISHED if bench.plugged[evse] else Phase.IDLE
            if may and not flows and bench.limits[evse] != 0.0 and bench.phase[evse] is not Phase.CHARGING:
                bench.energy_on(evse)
            elif flows and not may:
                bench.energy_off(evse, rest, Cause.FAULT if faulted else Cause.SERVICE)
            elif not flows and bench.phase[evse] not in (rest, Phase.PLUGGED, Phase.CHARGING):
                bench.phase[evse] = rest
                bench.event(PhaseChanged(evse, rest, Cause.FAULT if faulted else Cause.SEQUENCE))
        if bench.rebooting:
            bench.reboot()

    @rule(dead=st.booleans(), back=OFTEN, seconds=st.sampled_from([0.0, 1.0, 20.0]))
    def hal_lost(self, dead: bool, back: bool, seconds: float) -> None:
        if self.bench.hal_linked:
            (self.bench.hal_dies if dead else self.bench.hal_down)()
        if back:
            self._pass(seconds)
            self._reconnect()
        self.read_events()

    # --- death and time ------------------------------------------------------------------------------------------

    @rule(instant=st.sampled_from(INSTANTS))
    def death_awaits(self, instant: Instant) -> None:
        """This process dies in its next unit of work."""
        self.bench.dies = instant

    @rule(back=OFTEN)
    def service_restarts(self, back: bool) -> None:
        self.bench.restart_service()
        if back:
            self._reconnect()
        self.read_events()

    @rule(back=OFTEN)
    def power_cut(self, back: bool) -> None:
        before = {evse.transaction_id for evse in self.bench.context.hal.evses.values()} - {None}
        self.bench.power_cut()
        if back:
            self._reconnect()
            after = {evse.transaction_id for evse in self.bench.context.hal.evses.values()}
            assert not before & after, "a transaction outlived a power cut"
        self.read_events()

    @precondition(lambda self: not self.bench.alive or not self.bench.hal_linked or not self.bench.linked)
    @rule()
    def supervisor(self) -> None:
        """The supervisor restores whatever is missing."""
        self._reconnect()
        self.read_events()

    @rule(seconds=st.sampled_from([0.5, 5.0, 20.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self._hal_acts()
        while seconds > 0:
            self.bench.advance(min(seconds, 5.0))
            seconds -= 5.0
            self._hal_acts()
            self.read_events()
        self._check_states()

    # --- what the CSMS sees --------------------------------------------------------------------------------------

    def read_events(self) -> None:
        """Enter the events that have arrived since the last call."""
        events = self.bench.events
        for event in events[self.read :]:
            self.ledger.enter(event)
        self.read = len(events)

    def _check_states(self) -> None:
        """With all connections up and nothing queued, the CSMS knows the state of every car."""
        bench = self.bench
        if not (bench.alive and bench.hal_linked and bench.linked) or len(bench.context.outbox):
            return
        self.read_events()
        for evse in (1, 2):
            transaction_id = bench.context.hal.evses[evse].transaction_id
            if transaction_id is not None and not bench.context.hal.evses[evse].stopping:
                reported = self.ledger.transactions[transaction_id][-1]["transactionInfo"]["chargingState"]
                assert reported == self._true_state(evse)

    def _true_state(self, evse: int) -> str:
        if not self.bench.plugged[evse]:
            return "Idle"
        return {
            EnergyFlow.FLOWING: "Charging",
            EnergyFlow.SUSPENDED_BY_VEHICLE: "SuspendedEV",
            EnergyFlow.SUSPENDED_BY_STATION: "SuspendedEVSE",
        }.get(self.bench.flow[evse], "EVConnected")

    def _heal(self) -> None:
        """End every disturbance, unplug the cars, and let time pass."""
        bench = self.bench
        bench.dies = None
        self.csms_behaves("accepting")
        self.repair()
        self._reconnect()
        self._pass(5.0)
        for evse in (1, 2):
            if bench.plugged[evse]:
                bench.unplug(evse)
        for _ in range(40):
            self._pass(30.0)
            self._reconnect()  # after a reset that had been asked for
        self.read_events()
        assert self.ledger.open() == []
        assert bench.context.transaction_store.load() == []
        assert len(bench.context.outbox) == 0
        assert bench.held == {1: None, 2: None}
        assert bench.refused == []
        assert bench.kept == []
        assert {evse.status for evse in bench.context.hal.evses.values()} == {"Available"}


class FullWorld(World):
    """The same with every start and stop point, alone and together."""

    product = "full"

    def variables(self, start: str, stop: str) -> dict[tuple[str, str], str]:
        return {("TxCtrlr", "TxStartPoint"): start, ("TxCtrlr", "TxStopPoint"): stop}


@pytest.mark.slow
@pytest.mark.timeout(600)  # a failure takes its time to be made small
@pytest.mark.parametrize("world", [World, FullWorld])
def test_transactions_are_whole_whatever_happens(world: type[World]) -> None:
    run_state_machine_as_test(
        world,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
