# SPDX-License-Identifier: Apache-2.0
"""The half of the bench that checks: steps, failures, and waiting for messages of the station."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tools.conformance.bench.fixtures import Card, Fixtures, Session
from tools.conformance.checks import values, whole_conversation
from tools.conformance.checks.expected import CaseFailed, Expected, Failure, expected, expected_status, tolerated
from tools.conformance.peer.csms import Answer, Csms
from tools.conformance.peer.transcript import Message, Transcript

__all__ = ["Expectations"]

_WITHIN_S = 10.0
_T = TypeVar("_T")


class Expectations:
    """The rules are those of `bench.py`."""

    def __init__(self, csms: Csms, fixtures: Fixtures, *, patience: float = 1.0) -> None:
        self.csms = csms
        self.fixtures = fixtures
        self.failures: list[Failure] = []
        self.sessions: dict[int, Session] = {}
        self.patience = patience
        self._floor = 0
        self._ids = itertools.count(1)
        csms.violation = self._violation

    @property
    def transcript(self) -> Transcript:
        return self.csms.transcript

    @property
    def messages(self) -> list[Message]:
        """Every call of the station so far."""
        return self.csms.inbox.messages

    @property
    def evse(self) -> int:
        return self.fixtures.evse

    @property
    def connector(self) -> int:
        return self.fixtures.connector

    @property
    def card(self) -> Card:
        return self.fixtures.card

    @property
    def elapsed(self) -> float:
        """Seconds since the case began, on the clock of `Message.at` and `Attempt.at`."""
        return self.transcript.elapsed()

    def step(self, number: int | str) -> None:
        """What follows is this step of the test case."""
        self.transcript.step = str(number)

    def new_id(self) -> int:
        """A number that the case has not used yet (requestId, remoteStartId)."""
        return next(self._ids)

    def session(self, evse: int | None = None) -> Session:
        """The session of `evse` (default: the configured one)."""
        number = self.evse if evse is None else evse
        return self.sessions.setdefault(number, Session(number, self.card))

    def mark(self) -> int:
        """The present position in the conversation, for `since=`."""
        return len(self.messages)

    def fail(self, text: str, req: str = "", message: Message | None = None) -> Failure:
        """Records a failure; the case continues."""
        failure = Failure(self.transcript.step, req, text, str(message) if message else "")
        self.failures.append(failure)
        self.transcript.add("tool", "FAIL", req, text)
        return failure

    def abort(self, text: str, req: str = "", message: Message | None = None) -> CaseFailed:
        """Records a failure that ends the case: `raise t.abort(...)`."""
        return CaseFailed(self.fail(text, req, message))

    def check(self, condition: object, req: str, text: str, message: Message | None = None) -> bool:
        """Records a failure unless `condition` holds; returns whether it does."""
        if not condition:
            self.fail(text, req, message)
        return bool(condition)

    def post(self, condition: object, req: str, text: str) -> bool:
        """A post scenario validation."""
        self.step("post")
        return self.check(condition, req, text)

    def match(self, message: Message | Answer, check: Mapping[str, Any], req: str = "") -> bool:
        """Checks the fields of a message or an answer."""
        wrong = values.mismatches(message.payload, check)
        for text in wrong:
            self.fail(f"{message.action}: {text}", req, message if isinstance(message, Message) else None)
        return not wrong

    def _violation(self, requirement: str, text: str, message: Message | None) -> None:
        self.fail(text, requirement, message)
        self.csms.inbox.wake()

    def finish(self) -> None:
        """Checks the whole conversation, at the end of the case."""
        self.step("end")
        for failure in whole_conversation.failures(self.messages):
            self.failures.append(failure)
            self.transcript.add("tool", "FAIL", failure.requirement, f"{failure.text} {failure.message}")

    def _limit(self, within: float | None) -> float:
        return (_WITHIN_S if within is None else within) * self.patience

    def _visible(self, since: int | None) -> list[Message]:
        """The messages that a step may still take, in order of arrival."""
        floor = self._floor if since is None else since
        return [
            message
            for message in self.messages
            if not message.taken and (message.index >= floor or (since is None and not tolerated(message)))
        ]

    async def expect(
        self,
        action: str,
        check: Mapping[str, Any] | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        req: str = "",
        within: float | None = None,
        since: int | None = None,
    ) -> Message:
        """The next call of `action`, within `within` seconds (default 10).

        `where` selects it (other calls are left for later steps), `check` is what it must hold.
        """
        return await self.expect_message(expected(action, check, where=where), req=req, within=within, since=since)

    async def expect_message(
        self, wanted: Expected, *, req: str = "", within: float | None = None, since: int | None = None
    ) -> Message:
        """The next message that `wanted` is about; each wrong field in it is a failure.

        A message that may come at any time is passed over instead, until one without wrong fields comes.
        """
        near: list[str] = []

        def look() -> Message | None:
            near.clear()
            for message in self._visible(since):
                wrong = wanted.compare(message)
                if wrong and tolerated(message):
                    near.extend(wrong)
                elif wrong is not None:
                    for text in wrong:
                        self.fail(f"{message.action}: {text}", req, message)
                    return message
            return None

        limit = self._limit(within)
        found = await self._await(look, limit)
        if found is None:
            hint = f" ({near[-1]})" if near else ""
            raise self.abort(f"no {wanted.name} within {limit:g} s{hint}", req)
        found.taken = True
        return found

    async def optional(
        self,
        action: str,
        check: Mapping[str, Any] | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        within: float = 1.0,
        since: int | None = None,
    ) -> Message | None:
        """The next call of `action` that fulfils `where` and `check`, or `None` if none comes within `within`."""
        return await self.optional_message(expected(action, check, where=where), within=within, since=since)

    async def optional_message(
        self, wanted: Expected, *, within: float = 1.0, since: int | None = None
    ) -> Message | None:
        """The next message that is as `wanted`, or `None` if none comes within `within`."""
        found = await self._await(lambda: self._first(wanted, since), within * self.patience)
        if found is not None:
            found.taken = True
        return found

    async def expect_all(
        self, messages: Sequence[Expected], *, req: str = "", within: float | None = None, since: int | None = None
    ) -> list[Message]:
        """One message for each of `messages`, in any order; returns them in the order of `messages`."""
        found: dict[int, Message] = {}

        def look() -> bool | None:
            for number, wanted in enumerate(messages):
                if number not in found and (message := self._first(wanted, since)) is not None:
                    message.taken = True
                    found[number] = message
            return True if len(found) == len(messages) else None

        limit = self._limit(within)
        if not await self._await(look, limit):
            missing = "; ".join(wanted.name for number, wanted in enumerate(messages) if number not in found)
            raise self.abort(f"not within {limit:g} s: {missing}", req)
        return [found[number] for number in range(len(messages))]

    def _first(self, wanted: Expected, since: int | None) -> Message | None:
        return next((message for message in self._visible(since) if wanted.compare(message) == []), None)

    async def expect_status(
        self, status: str | tuple[str, ...], *, evse: int | None = None, req: str = "", within: float | None = None
    ) -> Message:
        """The connector of `evse` reports `status`, by StatusNotification or NotifyEvent."""
        number = self.evse if evse is None else evse
        wanted = expected_status(status, evse=number, connector=self.connector)
        rule = req or {"Occupied": "G01.FR.03", "Available": "G01.FR.04"}.get(str(status), "G01.FR.01")
        return await self.expect_message(wanted, req=rule, within=within)

    async def expect_statuses(
        self, status: str | Mapping[int, str], *, req: str = "B01.FR.05", within: float | None = None
    ) -> None:
        """Every connector reports its status: `status` for all, or a status for each EVSE."""
        each = dict.fromkeys(self.fixtures.evses, status) if isinstance(status, str) else status
        statuses = [expected_status(value, evse=evse, connector=self.connector) for evse, value in each.items()]
        await self.expect_all(statuses, req=req, within=within)

    async def quiet(self, for_s: float, *, within: float = 30) -> None:
        """Waits until the station has sent nothing for `for_s` seconds, at most `within`."""
        deadline = self.csms.now() + within
        while await self.csms.inbox.changed(for_s) and self.csms.now() < deadline:
            pass

    def discard_messages(self) -> None:
        """Takes every message so far: they belong to the preparation."""
        for message in self.messages:
            message.taken = True
        self._acted()

    async def first_boot(self) -> None:
        """The first boot: it is accepted, every connector is reported, and the station has nothing more to send."""
        await self.expect("BootNotification", within=30, req="B01.FR.01")
        await self.expect_statuses("Available", within=15)
        await self.quiet(0.3)
        self.discard_messages()

    async def never(
        self,
        action: str | None,
        for_s: float,
        *,
        where: Mapping[str, Any] | None = None,
        req: str = "",
        since: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        """No such call comes in the next `for_s` seconds (or came after `since`).

        `action` `None`: no call at all but those named in `allow`.
        """
        start = self.mark() if since is None else since

        def look() -> Message | None:
            for message in self.messages[start:]:
                named = message.action == action if action else message.action not in allow
                if named and not message.taken and not (where and values.mismatches(message.payload, where)):
                    return message
            return None

        found = await self._await(look, for_s)
        if found is not None:
            found.taken = True
            raise self.abort(f"{found.action} was not to be sent", req, found)

    async def _await(self, look: Callable[[], _T | None], limit: float) -> _T | None:
        """What `look` returns, called at each arrival until that is not `None`; `None` after `limit` seconds."""
        deadline = self.csms.now() + limit
        while (found := look()) is None:
            left = deadline - self.csms.now()
            if left <= 0:
                return None
            await self.csms.inbox.changed(left)
        return found

    async def until(
        self, condition: Callable[[], Any], *, within: float | None = None, text: str, req: str = ""
    ) -> Any:
        """Waits until `condition()` is true and returns it; called at each message or connection of the station."""
        limit = self._limit(within)
        found: Any = await self._await(lambda: condition() or None, limit)
        if found is None:
            raise self.abort(f"{text}: not within {limit:g} s", req)
        return found

    def _acted(self) -> None:
        self._floor = self.mark()
