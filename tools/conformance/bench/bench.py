# SPDX-License-Identifier: Apache-2.0
"""What a test case works with: `t.expect`, `t.call`, `t.manual`, `t.check` and the other methods of `Bench`.

Rules of the bench:

- Steps are numbered with `t.step(n)`; every failure names the step and the requirement it breaks.
- A message that must be accounted for (BootNotification, Authorize, a TransactionEvent Started ...) waits until a step
  takes it; if no step does, the case fails at its end. A message that may come at any time (`expected.tolerated`) is
  considered only if it came after the tool's last act (`call`, `manual`, `hang_up`, `on_connect`), and its presence
  never fails a case.
- A wrong field is recorded and the case continues, so that all of them are found; a missing message ends the case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.conformance.bench.control import ControlError
from tools.conformance.bench.expectations import Expectations
from tools.conformance.bench.fixtures import Card, Fixtures, Session
from tools.conformance.bench.preconditions import Preconditions, variable_ref
from tools.conformance.bench.station import Station
from tools.conformance.checks.expected import expected_status
from tools.conformance.peer.answers import Payload, Reply
from tools.conformance.peer.csms import Answer, Csms
from tools.conformance.peer.endpoint import Attempt, Endpoint, OnConnect
from tools.conformance.peer.transcript import Message
from tools.pki import Authority

__all__ = ["Bench", "Card", "Fixtures", "Session"]


class Bench(Expectations):
    """One bench serves one case."""

    def __init__(
        self,
        station: Station,
        csms: Csms,
        fixtures: Fixtures,
        *,
        preconditions: Preconditions | None = None,
        patience: float = 1.0,
        folder: Path = Path(),
    ) -> None:
        super().__init__(csms, fixtures, patience=patience)
        self.station = station
        self.preconditions = preconditions or Preconditions()
        self.folder = folder
        """For the case's files; removed after it."""
        self.csms_root: Authority | None = None
        """Signs the certificates of the main endpoint (security profile 2 or 3) and of file servers."""
        self.manufacturer: Authority | None = None
        """Signs the certificates of firmware signers, with `Preconditions.updates`."""
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
        """Sends a request; the station must answer with a CALLRESULT that fulfils `check`."""
        self._acted()
        await self._be_connected()
        answer = await self.csms.call(action, payload, self._limit(within))
        if answer.error is not None:
            raise self.abort(f"{action} was answered with {answer.error} {answer.description}", req)
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
        """Makes the CSMS answer `action` with `reply`, `times` times or until `answer_normally`.

        `reply` is a payload, a function of the message that returns one (it may be a coroutine function), or a `Reply`:
        `error("InternalError")`, `silence()`, `Reply(payload, delay_s=5)`.
        """
        self.csms.replies.put(action, reply if isinstance(reply, Reply) else Reply(reply), times)

    def answer_normally(self, action: str) -> None:
        """Cancels every `answer` for `action`."""
        self.csms.replies.clear(action)

    def tokens(self, table: Mapping[Card, Payload]) -> None:
        """Sets the idTokenInfo with which the CSMS answers about these cards."""
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

        `if_implemented` skips variables that the station does not have. A refusal is accepted if the variable has
        the value already. Returns the names that were set.
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
                raise self.abort(f"{name} can't be set to {value!r}: {status}", "B05.FR.10")
        if reboot:
            await self.reset()
        return set_now

    async def _remember(self, settings: Mapping[str, str]) -> None:
        for name in settings:
            value = await self.get_variable(name)
            if value is not None:
                self._changed.setdefault(name, value)

    async def restore(self) -> None:
        """Leaves an attached or real station idle, without a car and with the settings it had before the case."""
        for evse in sorted(self._plugged):
            session = self.sessions.get(evse)
            if session is not None and session.transaction_id is not None and not session.ended:
                await self.csms.call("RequestStopTransaction", {"transactionId": session.transaction_id}, 10)
            await self.unplug(evse)
        if self._changed:
            await self.configure(dict(self._changed), if_implemented=True)

    async def reset(self) -> None:
        """Reset Immediate and the messages up to the statuses after the boot; they are only checked to come."""
        await self.call("Reset", {"type": "Immediate"}, {"status": ("Accepted", "Scheduled")})
        await self.expect("BootNotification", within=30)
        await self.expect_statuses_any()

    async def expect_statuses_any(self) -> None:
        """Every connector reports its status, whichever that is."""
        every = ("Available", "Occupied", "Reserved", "Unavailable")
        statuses = [expected_status(every, evse=evse, connector=self.connector) for evse in self.fixtures.evses]
        await self.expect_all(statuses, req="B01.FR.05", within=15)

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        """Does a manual action: by the rig's control socket, or by asking the person at the terminal to do it."""
        self._acted()
        self.transcript.add("tool", "manual", op, fields)
        answer = await self.station.manual(op, **fields)
        if op == "plug_in":
            self._plugged.add(fields["evse"])
        elif op == "plug_out":
            self._plugged.discard(fields["evse"])
        return answer

    async def present(self, card: Card | None = None, *, evse: int | None = None) -> None:
        """The EV driver selects the EVSE and holds a card to the reader."""
        shown = card or self.card
        await self.manual("present_card", uid=shown.uid, evse=self.evse if evse is None else evse)

    async def unplug(self, evse: int | None = None, *, within: float = 20) -> None:
        """The EV driver takes the cable out of the car, as soon as its inlet has unlocked the plug."""
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

    def on_connect(self, reaction: OnConnect, endpoint: Endpoint | None = None) -> None:
        """Sets how `endpoint` (default: all of them) treats new connections."""
        self._acted()
        for one in [endpoint] if endpoint else self.csms.endpoints:
            one.on_connect = reaction
        self.transcript.add("tool", "connect", reaction.value)

    async def hang_up(self, reaction: OnConnect | None = None) -> None:
        """Closes the connection; `reaction` is set before, for the station's next attempt."""
        if reaction is not None:
            self.on_connect(reaction)
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
