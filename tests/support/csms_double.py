# SPDX-License-Identifier: Apache-2.0
"""A CSMS without I/O: it checks each frame against its schema, records it, and answers."""

from __future__ import annotations

import itertools
import json
from typing import Any

from firmware.clock import Clock, format_utc
from services.ocpp.rpc.validation import check_request, check_response

__all__ = ["CsmsDouble"]


class CsmsDouble:
    """`answers` maps an action to a response payload, a CALLERROR code, None (no answer), or a callable that returns
    one of these for a request. Without an entry the CSMS accepts."""

    def __init__(self, clock: Clock) -> None:
        self._csms_clock = clock
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, Any]] = []
        self.errors: list[Any] = []
        """CALLERRORs of the station."""
        self.frames: list[Any] = []
        """Everything that the CSMS received, decoded, in order."""
        self._called: dict[str, str] = {}
        """The action of each call of the CSMS, by message id."""
        self._responses: dict[str, Any] = {}
        self._message_ids = (f"csms-{number}" for number in itertools.count(1))

    def sent(self, action: str) -> list[Any]:
        """The payloads of every request of this action so far."""
        return [payload for name, payload in self.requests if name == action]

    @property
    def events(self) -> list[Any]:
        return self.sent("TransactionEvent")

    def summary(self) -> list[tuple[str, str, str]]:
        """(eventType, triggerReason, chargingState) of every TransactionEvent."""
        return [
            (event["eventType"], event["triggerReason"], event["transactionInfo"].get("chargingState"))
            for event in self.events
        ]

    def new_call(self, action: str, payload: Any) -> tuple[str, str]:
        """The message id and the frame of a request of the CSMS."""
        message_id = next(self._message_ids)
        self._called[message_id] = action
        return message_id, json.dumps([2, message_id, action, payload])

    def response_to(self, message_id: str) -> Any:
        """The payload of the response, or the whole CALLERROR; None when there was no answer."""
        return self._responses.get(message_id)

    def receive(self, frame: str) -> str | None:
        """Take a frame of the station; returns the frame that answers it, if any."""
        message = json.loads(frame)
        self.frames.append(message)
        if message[0] == 2:
            return self._receive_request(*message[1:])
        if message[0] == 3:
            problem = check_response(self._called[message[1]], message[2])
            assert problem is None, (self._called[message[1]], problem)
            self._responses[message[1]] = message[2]
        else:
            self._responses[message[1]] = message
            self.errors.append(message)
        return None

    def _receive_request(self, message_id: str, action: str, payload: Any) -> str | None:
        problem = check_request(action, payload)
        assert problem is None, (action, problem)
        self.requests.append((action, payload))
        answer = self.answers.get(action, self._default(action))
        if callable(answer):
            answer = answer(payload)
        if answer is None:
            return None
        return json.dumps([4, message_id, answer, "", {}] if isinstance(answer, str) else [3, message_id, answer])

    def _default(self, action: str) -> Any:
        now = format_utc(self._csms_clock.utc())
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": now, "interval": 60}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize":
                return {"idTokenInfo": {"status": "Accepted"}}
            case _:
                return {}
