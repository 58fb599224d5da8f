# SPDX-License-Identifier: Apache-2.0
"""Tries to reach a CSMS step by step, beside the connection that the station has.

The probe goes as far as TLS; then the product's own dialler makes a whole connection, and one BootNotification is sent
over it. What failed is a cause of the closed list, as for the station's own connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from firmware.contract.administration import ConnectionTest, Outcome, Step, TestStep
from firmware.log import register_secret
from services.ocpp.administration.remedies import REMEDIES
from services.ocpp.csms.diagnosis import DialError
from services.ocpp.csms.dial import dial
from services.ocpp.csms.probe import probe
from services.ocpp.no_connection import Cause, NoConnection, peer_text
from services.ocpp.rpc.codec import CallError, CallResult, decode, encode_call
from services.ocpp.rpc.validation import check_response

if TYPE_CHECKING:
    from firmware.contract.status import FailureKind
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.csms.dial import LinkSettings
    from services.ocpp.csms.wire import Wire

__all__ = ["ALREADY_CONNECTED", "ConnectionTester", "Trial", "of_connection"]

ALREADY_CONNECTED = (
    "The station is connected with this identity, and most CSMSs end the older of two such connections: the test went"
    " no further than TLS. Allow it to disturb the connection to test everything."
)
_BOOT_ID = "connection-test"
_STEP_OF: dict[FailureKind, Step] = {
    "dns": Step.DNS,
    "refused": Step.TCP,
    "unreachable": Step.TCP,
    "timeout": Step.TCP,
    "tls": Step.TLS,
    "http": Step.HTTP,
    "closed": Step.HTTP,
    "subprotocol": Step.SUBPROTOCOL,
    "registration": Step.BOOT,
}
_REGISTRATION = {"Pending": Cause.PENDING, "Rejected": Cause.REJECTED}


class Trial(Struct, frozen=True, kw_only=True):
    """What to try. `boot` is the BootNotificationRequest, without which the test ends after TLS; `link_up`: the
    interface of the profile has a link."""

    profile: NetworkProfile
    identity: str | None
    basic_auth_password: str | None
    boot: Any | None
    link_up: bool

    def __repr__(self) -> str:
        return f"Trial(slot={self.profile.slot})"


class ConnectionTester:
    """`settings` are those of the station's own connection, with TLS contexts apart from it; `dial_via` as in `dial`;
    `device` returns the kernel's interface that a profile is bound to."""

    def __init__(
        self,
        settings: Callable[[], LinkSettings],
        *,
        dial_via: str | None,
        device: Callable[[NetworkProfile], str | None],
    ) -> None:
        self._settings = settings
        self._dial_via = dial_via
        self._device = device

    @property
    def profiles(self) -> tuple[NetworkProfile, ...]:
        """Those that the station dials."""
        return self._settings().profiles

    async def run(self, trial: Trial) -> ConnectionTest:
        settings = self._settings()
        if trial.identity is not None:
            settings = replace(settings, identity=trial.identity)
        if trial.basic_auth_password is not None:
            register_secret(trial.basic_auth_password)
            settings = replace(settings, basic_auth_password=trial.basic_auth_password)
        steps = _Steps(trial.profile, resolves=self._dial_via is None)
        try:
            await self._try(settings, trial, steps)
        except DialError as error:
            steps.failed(error)
        return ConnectionTest(steps.all(), "" if trial.boot is not None else ALREADY_CONNECTED)

    async def _try(self, settings: LinkSettings, trial: Trial, steps: _Steps) -> None:
        profile = trial.profile
        if not trial.link_up:
            raise DialError(Cause.LINK_DOWN, profile.interface)
        device = self._device(profile)
        await probe(
            settings, profile, self._dial_via, device=device, passed=lambda step, text: steps.passed(Step(step), text)
        )
        if trial.boot is None:
            return
        wire = await dial(settings, profile, self._dial_via, device=device)
        try:
            steps.passed(Step.HTTP, f"the CSMS accepts the identity {settings.identity}")
            steps.passed(Step.SUBPROTOCOL, "ocpp2.0.1")
            async with asyncio.timeout(profile.message_timeout_s):
                steps.passed(Step.BOOT, await _register(wire, trial.boot))
        except TimeoutError:
            raise DialError(Cause.NOT_REGISTERED, f"no answer within {profile.message_timeout_s} s") from None
        finally:
            await wire.close()


async def _register(wire: Wire, boot: Any) -> str:
    """Send the BootNotification; the text of an acceptance."""
    answer: asyncio.Future[CallResult | CallError] = asyncio.get_running_loop().create_future()

    def on_frame(frame: str | bytes) -> None:
        message = decode(frame)
        if isinstance(message, CallResult | CallError) and message.message_id == _BOOT_ID and not answer.done():
            answer.set_result(message)

    wire.listen(on_frame)
    wire.send(encode_call(_BOOT_ID, "BootNotification", boot))
    events: list[asyncio.Future[Any]] = [answer, wire.closed]
    await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        closed = wire.protocol.close_rcvd
        how = closed.code if closed else "no closing handshake"
        raise DialError(Cause.NOT_REGISTERED, peer_text(f"it closed the connection with {how}"))
    message = answer.result()
    if isinstance(message, CallError):
        raise DialError(Cause.NOT_REGISTERED, peer_text(f"{message.code} {message.description}"))
    return _accepted(message.payload)


def _accepted(answer: dict[str, Any]) -> str:
    violation = check_response("BootNotification", answer)
    if violation is not None:
        raise DialError(Cause.NOT_REGISTERED, violation.description)
    status = answer["status"]
    if status != "Accepted":
        info = answer.get("statusInfo") or {}
        words = peer_text(f"{info.get('reasonCode', '')} {info.get('additionalInfo', '')}")
        raise DialError(_REGISTRATION[status], f": {words}" if words else "")
    return f"the CSMS accepts the station; heartbeat every {answer['interval']} s"


class _Steps:
    """What has become of each step so far."""

    def __init__(self, profile: NetworkProfile, *, resolves: bool = True) -> None:
        """`resolves`: this station looks names up itself, and not the network of a rig for it."""
        self._profile = profile
        self._resolves = resolves
        self._done: dict[Step, TestStep] = {}
        if profile.security_profile < 2:
            text = f"security profile {profile.security_profile} has no TLS"
            self._done[Step.TLS] = TestStep(Step.TLS, Outcome.SKIPPED, text)

    def passed(self, step: Step, text: str) -> None:
        self._done[step] = TestStep(step, Outcome.OK, text)

    def failed(self, error: DialError) -> None:
        failure = NoConnection.of(error.cause, self._profile, error.detail)
        step = self._step_of(error.cause)
        if step is Step.SUBPROTOCOL:  # the answer to the handshake shows both
            self.passed(Step.HTTP, "the CSMS accepts the identity")
        self._done[step] = TestStep(step, Outcome.FAILED, failure.text, REMEDIES.get(error.cause, ""))

    def _step_of(self, cause: Cause) -> Step:
        """The step of the cause. Of a network that fails before or after TCP, it is the first that was not passed. A
        TLS alert about the station's certificate may come after the handshake."""
        step = _STEP_OF[cause.kind]
        if step not in (Step.DNS, Step.TCP):
            return step
        if not self._resolves and cause.kind != "dns":
            self._done.setdefault(Step.DNS, TestStep(Step.DNS, Outcome.OK, "the name has an address"))
        return next(each for each in Step if each not in self._done)

    def all(self) -> list[TestStep]:
        """In order; what comes after a failure was not tried."""
        found: list[TestStep] = []
        failed = False
        for step in Step:
            done = self._done.get(step)
            found.append(done if done is not None and not failed else TestStep(step, Outcome.SKIPPED, "not tried"))
            failed = failed or (done is not None and done.outcome is Outcome.FAILED)
        return found


def of_connection(profile: NetworkProfile, identity: str, registration: str | None) -> ConnectionTest:
    """The steps of the connection that the station has, without another one."""
    steps = _Steps(profile)
    for step in (Step.DNS, Step.TCP, Step.TLS, Step.HTTP, Step.SUBPROTOCOL):
        if step is not Step.TLS or profile.security_profile >= 2:
            steps.passed(step, "as the station's present connection shows")
    if registration == "Accepted":
        steps.passed(Step.BOOT, f"the CSMS has accepted the station as {identity}")
    else:
        steps.failed(DialError(_REGISTRATION.get(registration or "", Cause.NOT_REGISTERED), "no answer yet"))
    return ConnectionTest(steps.all(), "The state of the present connection: nothing was dialled.")
