# SPDX-License-Identifier: Apache-2.0
"""The bench a test case stands at: `t.expect`, `t.call`, `t.manual`, `t.check` and their like.

Rules of the bench:

- Steps are numbered with `t.step(n)`; every failure names the step and the requirement it breaks.
- A message that must be accounted for (BootNotification, Authorize, a TransactionEvent Started ...) waits until a step
  takes it; one that nobody takes fails the case at its end. A message that may come at any time (`verdict.tolerated`)
  is looked at only if it came after the tool's last act (`call`, `manual`, `hang_up`, `door`), and never fails
  anything by being there.
- A wrong field is recorded and the case goes on, so that all of them are found; a message that does not come ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.conformance.bench.control import ControlError
from tools.conformance.bench.expectations import Listener
from tools.conformance.bench.fixtures import Card, Facts, Session
from tools.conformance.bench.preconditions import Setup, variable_ref
from tools.conformance.bench.station import Station
from tools.conformance.checks.expected import status_want
from tools.conformance.peer.answers import Payload, Reply
from tools.conformance.peer.csms import Answer, Csms
from tools.conformance.peer.endpoint import Attempt, Door, Endpoint
from tools.conformance.peer.transcript import Message
from tools.pki import Authority

__all__ = ["Bench", "Card", "Facts", "Session"]


class Bench(Listener):
    """See the module's text. One bench serves one case."""

    def __init__(
        self,
        station: Station,
        csms: Csms,
        facts: Facts,
        *,
        setup: Setup | None = None,
        patience: float = 1.0,
        folder: Path = Path(),
    ) -> None:
        super().__init__(csms, facts, patience=patience)
        self.station = station
        self.setup = setup or Setup()
        self.folder = folder
        """For the case's files; cleared away after it."""
        self.csms_root: Authority | None = None
        """Who signed the main endpoint's certificate, with security profile 2 or 3, and the file server's."""
        self.manufacturer: Authority | None = None
        """Who signs for firmware signers, with `Setup.updates`."""
        self.known: dict[str, str] = {}
        """Values of variables that were read or set, by name."""
        self._changed: dict[str, str] = {}
        self._plugged: set[int] = set()

    async def call(
        self,
        action: str,
        payload: Payload,
        check: Mapping[str, Any] | None = None,
        *,
        req: str = "",
        within: float | None = None,
    ) -> Answer:
        """Sends a request; the station must answer with a CALLRESULT that holds `check`."""
        self._acted()
        await self._be_connected()
        answer = await self.csms.call(action, payload, self._limit(within))
        if answer.error is not None:
            raise self.give_up(f"{action} was answered with {answer.error} {answer.description}", req)
        self.match(answer, check or {}, req)
        return answer

    async def call_error(
        self, action: str, payload: Payload, code: str | tuple[str, ...], *, req: str = "", unchecked: bool = False
    ) -> Answer:
        """Sends a request; the station must answer with a CALLERROR of this code."""
        self._acted()
        await self._be_connected()
        codes = (code,) if isinstance(code, str) else code
        answer = await self.csms.call(action, payload, self._limit(None), unchecked=unchecked)
        came = answer.error or f"a CALLRESULT {answer.payload}"
        self.check(answer.error in codes, req, f"{action} was answered with {came}, expected {' or '.join(codes)}")
        return answer

    async def _be_connected(self) -> None:
        if self.csms.connection is None:
            await self.connected()

    def answer(
        self, action: str, reply: Payload | Reply | Callable[[Message], Any], *, times: int | None = None
    ) -> None:
        """How the CSMS answers `action` from now on, `times` times or until `answer_normally`.

        `reply` is a payload, a function of the message that gives one (it may be a coroutine function), or a `Reply`:
        `error("InternalError")`, `silence()`, `Reply(payload, delay_s=5)`.
        """
        self.csms.replies.put(action, reply if isinstance(reply, Reply) else Reply(reply), times)

    def answer_normally(self, action: str) -> None:
        """Takes back every `answer` for `action`."""
        self.csms.replies.clear(action)

    def tokens(self, table: Mapping[Card, Payload]) -> None:
        """What the CSMS knows of these cards from now on: their idTokenInfo."""
        known = self.csms.replies.default.tokens
        known.update({card.uid.casefold(): info for card, info in table.items()})

    async def get_variable(self, name: str) -> str | None:
        """The actual value of `Component.Variable`; `None` when the station has no such variable."""
        ref = variable_ref(name)
        answer = await self.call("GetVariables", {"getVariableData": [ref.payload()]})
        result = answer.get("getVariableResult.0", {})
        return str(result.get("attributeValue", "")) if result.get("attributeStatus") == "Accepted" else None

    async def configure(self, settings: Mapping[str, str], *, if_implemented: bool = False) -> list[str]:
        """The `Configuration State` of part 6, by SetVariables; resets the station if it says RebootRequired.

        `if_implemented` forgives variables that the station does not have. A refusal is forgiven when the variable
        has the wanted value already. Gives the names that were set.
        """
        if not self.station.own:
            await self._remember(settings)
        data = [{**variable_ref(name).payload(), "attributeValue": value} for name, value in settings.items()]
        answer = await self.call("SetVariables", {"setVariableData": data})
        set_now, reboot = [], False
        for name, value in settings.items():
            status = _status_of(answer, name)
            if status in ("Accepted", "RebootRequired"):
                set_now.append(name)
                self.known[name] = value
                reboot = reboot or status == "RebootRequired"
            elif status in ("UnknownComponent", "UnknownVariable") and if_implemented:
                continue
            elif status != "Rejected" or await self.get_variable(name) != value:
                raise self.give_up(f"{name} can't be set to {value!r}: {status}", "B05.FR.10")
        if reboot:
            await self.reset()
        return set_now

    async def _remember(self, settings: Mapping[str, str]) -> None:
        for name in settings:
            value = await self.get_variable(name)
            if value is not None:
                self._changed.setdefault(name, value)

    async def restore(self) -> None:
        """Gives a station that is not ours back as it was: idle, without a car, with its settings."""
        for evse in sorted(self._plugged):
            session = self.sessions.get(evse)
            if session is not None and session.transaction_id is not None and not session.ended:
                await self.csms.call("RequestStopTransaction", {"transactionId": session.transaction_id}, 10)
            await self.unplug(evse)
        if self._changed:
            await self.configure(dict(self._changed), if_implemented=True)

    async def reset(self) -> None:
        """Reset Immediate, and everything up to the statuses after the boot; a means, not a test."""
        await self.call("Reset", {"type": "Immediate"}, {"status": ("Accepted", "Scheduled")})
        await self.expect("BootNotification", within=30)
        await self.expect_statuses_any()

    async def expect_statuses_any(self) -> None:
        """Every connector reports some status."""
        every = ("Available", "Occupied", "Reserved", "Unavailable")
        wants = [status_want(every, evse=evse, connector=self.connector) for evse in self.facts.evses]
        await self.expect_all(wants, req="B01.FR.05", within=15)

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        """A manual action: an operation of the rig's control socket, or a request to the person at the terminal."""
        self._acted()
        self.transcript.add("tool", "manual", op, fields)
        answer = await self.station.manual(op, **fields)
        if op == "plug_in":
            self._plugged.add(fields["evse"])
        elif op == "plug_out":
            self._plugged.discard(fields["evse"])
        return answer

    async def present(self, card: Card | None = None, *, evse: int | None = None) -> None:
        """The driver selects the EVSE and holds a card to the reader."""
        shown = card or self.card
        await self.manual("present_card", uid=shown.uid, evse=self.evse if evse is None else evse)

    async def unplug(self, evse: int | None = None, *, within: float = 20) -> None:
        """The driver takes the cable out of the car, as soon as its inlet has let go of the plug."""
        number = self.evse if evse is None else evse
        deadline = self.csms.now() + self._limit(within)
        while True:
            try:
                await self.manual("plug_out", evse=number)
                return
            except ControlError as refused:
                if refused.code != "refused" or self.csms.now() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def rig_state(self) -> dict[str, Any]:
        """The rig's snapshot (only with a rig)."""
        answer = await self.station.manual("state")
        state: dict[str, Any] = answer["state"]
        return state

    @property
    def main(self) -> Endpoint:
        """The endpoint of the first configuration slot."""
        return self.csms.endpoints[0]

    def door(self, door: Door, endpoint: Endpoint | None = None) -> None:
        """From now on new connections are treated like this (all endpoints, or one)."""
        self._acted()
        for one in [endpoint] if endpoint else self.csms.endpoints:
            one.door = door
        self.transcript.add("tool", "door", door.value)

    async def hang_up(self, door: Door | None = None) -> None:
        """Closes the connection, after setting the door when one is given."""
        if door is not None:
            self.door(door)
        self._acted()
        await self.csms.hang_up()

    async def connected(
        self, endpoint: Endpoint | None = None, *, within: float | None = None, req: str = ""
    ) -> Endpoint:
        """Waits until the station is connected (to `endpoint`, when given)."""
        place = f" to {endpoint.name}" if endpoint else ""
        found: Endpoint = await self.until(
            lambda: self.csms.endpoint if endpoint in (None, self.csms.endpoint) else None,
            within=30 if within is None else within,
            text=f"the station connects{place}",
            req=req,
        )
        return found

    async def attempt(self, after: int, *, within: float = 30, req: str = "") -> Attempt:
        """The station's first try to connect after attempt number `after` (`len(t.csms.attempts)`)."""
        found: list[Attempt] = await self.until(
            lambda: self.csms.attempts[after : after + 1], within=within, text="the station tries to connect", req=req
        )
        return found[0]


def _status_of(answer: Answer, name: str) -> str:
    wanted = variable_ref(name).payload()
    for result in answer.get("setVariableResult", []):
        if (result.get("component"), result.get("variable")) == (wanted["component"], wanted["variable"]):
            return str(result.get("attributeStatus"))
    return "no result"
