# SPDX-License-Identifier: Apache-2.0
"""The station's core: frames, HAL events and time in; frames, commands and orders out. No I/O.

One `on_…` call is one unit of work. The blocks handle it, then the signals that they emitted are delivered until none
is left, then the outbox is asked for the next message. Everything that leaves the process waits in `Step` until the
caller has committed the database: no message reports a state that a power cut could undo.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from msgspec import Raw, Struct, field

from firmware.contract import ClockChanged, Command, Snapshot, Stamped
from firmware.product import OptionalTrigger
from services.ocpp.blocks import BLOCKS
from services.ocpp.context import Block, Context, Failure, LinkOrder, Refusal, TriggerAnswer
from services.ocpp.device_model import Hardware, keys, request_problem
from services.ocpp.display import Display
from services.ocpp.key_values import Key
from services.ocpp.reason_texts import explain
from services.ocpp.rpc.peer import CONNECTION_LOST, Answered, CallReceived, Failed, RpcPeer
from services.ocpp.rpc.validation import check_request, check_response
from services.ocpp.signals import CardOutcome, SecurityEvent, Signal, TransactionChanged

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.background import Cancel, Report, Task
    from services.ocpp.blocks.provisioning import Provisioning
    from services.ocpp.messages import Action, MessageTriggerEnumType, ResetEnumType, ResetResponse
    from services.ocpp.no_connection import NoConnection
    from services.ocpp.outbox import Item
    from services.ocpp.rpc.validation import ErrorCode

__all__ = ["Station", "Step"]

_log = logging.getLogger(__name__)

_PERSONAL = ("Authorize", "TransactionEvent")
"""Error descriptions of these may name the card, which must not be logged."""


class Step(Struct):
    """What one unit of work asks the caller to do, in this order, once the database has committed."""

    failures: list[Failed] = field(default_factory=list)
    """Calls of this station that have ended without a valid answer."""
    frames: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    orders: list[LinkOrder] = field(default_factory=list)
    tasks: list[Task | Cancel] = field(default_factory=list)
    notices: list[TransactionChanged | CardOutcome] = field(default_factory=list)
    acknowledge: int | None = None
    changes: bool = True
    """False if the unit of work has changed nothing but the time of the last contact with the CSMS."""

    @property
    def leaves(self) -> bool:
        """Whether anybody else learns of this unit of work, so that all before it has to be on the disk."""
        own = self.frames or self.commands or self.orders or self.tasks or self.notices
        return bool(own) or self.acknowledge is not None


class Station:
    """The blocks, the peer and the outbox, wired."""

    def __init__(self, context: Context, blocks: Sequence[type[Block]] = BLOCKS) -> None:
        self.context = context
        self.blocks = [block(context) for block in blocks]
        self._by_letter = {block.letter: block for block in self.blocks}
        self._handlers = {action: block for block in self.blocks for action in block.handles}
        self._askers = {action: block for block in self.blocks for action in block.asks}
        self._reads = frozenset(action for block in self.blocks for action in block.reads)
        self._timed = [block for block in self.blocks if type(block).next_deadline is not Block.next_deadline]
        self._settling = [block for block in self.blocks if type(block).settle is not Block.settle]
        # Connector status first: the CSMS gets the StatusNotification of a cable before the event of it (E02, E03).
        self._hal_listeners = sorted(self.blocks, key=lambda block: block.letter != "G")
        self._peer = RpcPeer(timeout_s=float(context.model.get(keys.MESSAGE_TIMEOUT)), supported=self._handlers)
        self._in_flight: Item | None = None
        self._display = Display(context, dict(enumerate(context.hal.evses, start=1)))
        self._hardware = Hardware(context.model)
        self._step = Step()
        context.ask_trigger = self._ask_trigger

    def block(self, letter: str) -> Block:
        """The block of this letter of the specification."""
        return self._by_letter[letter]

    def start(self, now: float) -> None:
        self.context.registration.offline_since = now
        self.context.time.doubt_board(now)
        for block in self.blocks:
            block.start(now)
        self._settle(now)

    def take_step(self) -> Step:
        """What the caller has to do once the database has committed; call once after each unit of work."""
        step, self._step = self._step, Step()
        context = self.context
        step.commands, context.hal.commands = context.hal.commands, []
        step.orders, context.link_orders = context.link_orders, []
        step.tasks, context.tasks = context.tasks, []
        return step

    def show(self, now: float) -> list[Command]:
        """The pages of the displays that have changed; call after units of work, when what others wait for has left."""
        hal = self.context.hal
        self._display.update(now)
        commands, hal.commands = hal.commands, []
        return commands

    # --- the CSMS ------------------------------------------------------------------------------------------

    def on_link_up(self, profile: NetworkProfile, now: float, *, interface: str | None = None) -> None:
        """`interface`: over which the connection goes, if that is not the profile's."""
        registration = self.context.registration
        registration.interface = interface or profile.interface
        registration.slot, registration.security_profile = profile.slot, profile.security_profile
        registration.last_contact = now
        self._peer.timeout_s = float(profile.message_timeout_s)
        self.context.model.put(keys.MESSAGE_TIMEOUT, profile.message_timeout_s)  # part 2, 2.1.3
        for block in self.blocks:
            block.on_link_up(now)
        self._settle(now)

    def on_link_failed(self, failure: NoConnection, now: float) -> None:
        """An attempt to connect failed."""
        self.context.registration.failed(failure, now)
        self._settle(now)

    def on_link_down(self, failure: NoConnection | None, now: float) -> None:
        """`failure`: why, unless the station wanted it."""
        if failure is not None:
            self.context.registration.failed(failure, now)
        failed = self._peer.reset()
        if failed is not None:
            self._answered(failed, now)
        for block in self.blocks:
            block.on_link_down(now)
        for item in self.context.outbox.go_offline():
            self._deliver_answer(item, Failure("offline"), now)
        self._settle(now)

    def on_frame(self, frame: str | bytes, now: float) -> None:
        registration = self.context.registration
        registration.last_contact = now
        self._peer.barred = registration.status == "Rejected"
        events = self._peer.receive(frame, now)
        self._step.frames += self._peer.take_frames()
        invalid = self._peer.take_invalid()
        if invalid is not None:
            self.context.emit(SecurityEvent("InvalidMessages", invalid))
        for event in events:
            if isinstance(event, CallReceived):
                self._called(event, now)
            else:
                self._answered(event, now)
        if events and all(isinstance(event, CallReceived) and event.action in self._reads for event in events):
            self._step.changes = False
        else:
            self._settle(now)

    def _called(self, call: CallReceived, now: float) -> None:
        emitted = len(self.context.signals)
        try:
            response = self._respond(call, now)
        except Refusal as refusal:
            self._refuse(call, refusal)
            return
        except Exception:
            # A bug must not let one request of the CSMS take the station down.
            _log.exception("%s could not be handled", call.action)
            del self.context.signals[emitted:]
            self._refuse(call, Refusal("InternalError", "the request could not be handled"))
            return
        explain(call.action, response)
        violation = check_response(call.action, response)
        if violation is not None:
            _log.error("%sResponse of this station breaks its schema: %s", call.action, violation.description)
        self._step.frames.append(self._peer.answer(call.message_id, response))

    def _respond(self, call: CallReceived, now: float) -> Any:
        problem = request_problem(self.context.model, call.action, call.payload)
        if problem is not None:  # B06.FR.16, B06.FR.17, B08.FR.17, B08.FR.18
            raise Refusal(*problem)
        action = cast("Action", call.action)
        return self._handlers[action].on_call(action, call.payload, now)

    def request(self, action: Action, payload: Any, now: float) -> Any:
        """A person at the station requests what the CSMS can request: the same schema, block and consequences.

        Returns the response's payload; raises `Refusal` where the CSMS would get a CALLERROR.
        """
        violation = check_request(action, payload)
        if violation is not None:
            raise Refusal(violation.code, violation.description)
        response = self._handlers[action].on_call(action, payload, now)
        explain(action, response)
        self._settle(now)
        return response

    def restart(self, kind: ResetEnumType, now: float) -> ResetResponse:
        """A person at the station wants what Reset of the CSMS does."""
        response = cast("Provisioning", self.block("B")).restart(kind, now)
        self._settle(now)
        return response

    def _refuse(self, call: CallReceived, refusal: Refusal) -> None:
        code = cast("ErrorCode", refusal.code)
        self._step.frames.append(self._peer.refuse(call.message_id, code, refusal.description, refusal.details))

    def _answered(self, event: Answered | Failed, now: float) -> None:
        item, self._in_flight = self._in_flight, None
        if isinstance(event, Failed):
            self._step.failures.append(event)
        if item is None:
            return
        outbox = self.context.outbox
        if isinstance(event, Answered):
            outbox.done(item)
            self._deliver_answer(item, event.payload, now)
        elif event.code == CONNECTION_LOST:
            if outbox.interrupted(item):
                self._deliver_answer(item, Failure("offline"), now)
        else:
            code = "timeout" if event.timed_out else event.code
            description = "" if item.action in _PERSONAL else f" {event.description}"
            _log.warning("%s failed: %s%s", item.action, code, description)
            if outbox.failed(item, now, timed_out=event.timed_out):
                self._deliver_answer(item, Failure(code, event.description), now)

    def _deliver_answer(self, item: Item, answer: Any, now: float) -> None:
        asker = self._askers.get(item.action)
        if asker is not None:
            asker.on_answer(item.action, item.payload, answer, now)

    # --- other parts of the service ------------------------------------------------------------------------

    def on_task(self, task: Task, report: Report, now: float) -> None:
        """A worker reports on a task, to the block that asked for it."""
        self.block(task.asked_by).on_task(task, report, now)
        self._settle(now)

    def on_security_event(self, event: SecurityEvent, now: float) -> None:
        """A security event happened outside the blocks."""
        self.context.emit(event)
        self._settle(now)

    # --- the HAL ---------------------------------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot, now: float) -> None:
        hal, time = self.context.hal, self.context.time
        same_run = hal.run_id == snapshot.run_id
        hal.take_snapshot(snapshot, now)
        self._display.forget()
        self._hardware.take_snapshot(snapshot)
        self._take_board_clock(
            snapshot.clock.utc_s, snapshot.clock.mono_s, snapshot.clock.is_set, snapshot.clock.synchronised
        )
        _log.info("HAL is up (%s run), time %s", "same" if same_run else "new", time.text(now))
        for block in self._hal_listeners:
            block.on_hal_up(same_run=same_run, now=now)
        self._settle(now)

    def on_hal_down(self, now: float) -> None:
        self.context.hal.lose()
        for block in self._hal_listeners:
            block.on_hal_down(now)
        self._settle(now)

    def on_hal_event(self, stamped: Stamped, now: float) -> None:
        """Handle an event. A kept event is stored with its consequences and acknowledged after the commit."""
        if stamped.keep and not self._is_new(stamped):
            self._step.acknowledge = stamped.seq
            return
        if isinstance(stamped.event, ClockChanged):
            self._take_board_clock(stamped.utc_s, stamped.mono_s, stamped.event.is_set, stamped.event.synchronised)
        self.context.hal.take_event(stamped.event, stamped.mono_s)
        self._hardware.reflect(stamped.event)
        happened = min(stamped.mono_s, now)
        for block in self._hal_listeners:
            block.on_hal_event(stamped.event, happened)
        if stamped.keep:
            self.context.key_values.put(Key.HAL_EVENTS_SEEN, [self.context.hal.run_id, stamped.seq])
            self._step.acknowledge = stamped.seq
        self._settle(now)

    def _is_new(self, stamped: Stamped) -> bool:
        """False for a kept event that is repeated because this process ended before it was acknowledged."""
        seen = self.context.key_values.get(Key.HAL_EVENTS_SEEN)
        return not seen or seen[0] != self.context.hal.run_id or stamped.seq > seen[1]

    def _take_board_clock(self, utc: float, mono: float, is_set: bool, synchronised: bool) -> None:
        time = self.context.time
        if is_set:
            time.hear("RealTimeClock", utc, mono)
        else:
            time.forget("RealTimeClock")
        if synchronised:
            time.hear("NTP", utc, mono)
        else:
            time.forget("NTP")

    # --- time ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        deadlines = [block.next_deadline() for block in self._timed]
        deadlines += [self._peer.next_deadline(), self._display.next_deadline()]
        if self._in_flight is None and self.context.registration.online:
            deadlines.append(self.context.outbox.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: float) -> None:
        for event in self._peer.on_time(now):
            if not isinstance(event, CallReceived):
                self._answered(event, now)
        for block in self._timed:
            deadline = block.next_deadline()
            if deadline is not None and now >= deadline:
                block.on_time(now)
        self._settle(now)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _ask_trigger(self, message: MessageTriggerEnumType, evse: int | None, connector: int | None) -> TriggerAnswer:
        """F06.FR.05, F06.FR.08: the block that owns the message answers whether it will be sent."""
        if message in get_args(OptionalTrigger) and message not in self.context.product.features.trigger_messages:
            return "NotImplemented"  # C-29
        answers = (block.triggers(message, evse, connector) for block in self.blocks)
        return next((answer for answer in answers if answer is not None), "NotImplemented")

    def _settle(self, now: float) -> None:
        self._deliver_signals(now)
        for block in self._settling:
            block.settle(now)
        self._deliver_signals(now)
        self._send_next(now)

    def _deliver_signals(self, now: float) -> None:
        queue: list[Signal] = self.context.signals
        while queue:
            signal = queue.pop(0)
            if isinstance(signal, TransactionChanged | CardOutcome):
                self._step.notices.append(signal)
            if isinstance(signal, CardOutcome):
                self._display.card(signal, now)
            for block in self.blocks:
                block.on_signal(signal, now)

    def _send_next(self, now: float) -> None:
        """Send the next message of the outbox, unless one is unanswered (part 4, 4.1.1: one outstanding CALL)."""
        context = self.context
        if self._peer.busy or not context.registration.link_up:
            return
        item = context.outbox.next(now, registered=context.registration.online)
        if item is None:
            return
        offset = context.time.utc(now) - now if context.time.is_known else None
        payload = context.outbox.payload(item, clock_offset=offset)
        # A payload that is JSON already was checked by who has encoded it.
        violation = None if isinstance(payload, Raw) else check_request(item.action, payload)
        if violation is not None:
            _log.error("%sRequest of this station breaks its schema: %s", item.action, violation.description)
        self._in_flight = item
        self._step.frames.append(self._peer.call(context.new_id(), item.action, payload, now))
