# SPDX-License-Identifier: Apache-2.0
"""What every functional block is given, and what it must offer.

A block is logic without I/O: plain methods, `now` (monotonic seconds) with every event, no waiting. Its orders go into
the context (`outbox`, `hal`, `emit`, `link_orders`, `start_task`), and the station carries them out after the database
has committed. A block names its next deadline; the station keeps the one timer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from msgspec import Struct, field

from firmware.contract import Event
from firmware.errors import CsmsError
from services.ocpp.background import Task

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from firmware.product import Product
    from services.ocpp.authorization_cache import AuthorizationCache
    from services.ocpp.background import Cancel, Order, Report
    from services.ocpp.certificates import CertificateStore
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.hal_view import HalView
    from services.ocpp.key_values import KeyValueStore
    from services.ocpp.messages import Action, MessageTriggerEnumType, RegistrationStatusEnumType, StatusInfoType
    from services.ocpp.no_connection import NoConnection
    from services.ocpp.outbox import Outbox
    from services.ocpp.security_log import SecurityRecord
    from services.ocpp.signals import Signal
    from services.ocpp.station_time import StationTime

__all__ = ["DISK_FULL", "Block", "Context", "Failure", "Refusal", "Registration", "TriggerAnswer"]

TriggerAnswer = Literal["Accepted", "Rejected", "NotImplemented"]
DISK_FULL: StatusInfoType = {
    "reasonCode": "OutOfStorage",
    "additionalInfo": "the station's disk is full or can't be written: nothing was changed",
}
"""The reason for the refusal of what could not be kept; see `Context.kept`."""


class Refusal(CsmsError):
    """The answer to a CALL is a CALLERROR with this `code`, one of those of part 4."""

    def __init__(self, code: str, description: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.details = dict(details or {})


class Failure(Struct, frozen=True):
    """Why a request of the station has no result: `timeout`, `offline`, or the CSMS's CALLERROR code."""

    code: str
    description: str = ""


class Registration(Struct):
    """State of the connection and of the registration with the CSMS; owner: provisioning (B)."""

    link_up: bool = False
    status: RegistrationStatusEnumType | None = None
    slot: int | None = None
    interface: str | None = None
    """The network interface that the connection goes over, by its OCPP name."""
    security_profile: int | None = None
    offline_since: float = 0.0
    last_contact: float | None = None
    last_failure: NoConnection | None = None
    """Stays when the connection is back; not on disk."""
    failed_at: float = 0.0
    """When `last_failure` happened."""

    @property
    def online(self) -> bool:
        """Whether the station may send requests of its own (B01.FR.08, B02.FR.02)."""
        return self.link_up and self.status == "Accepted"

    def failed(self, failure: NoConnection, now: float) -> None:
        """There is no registered connection, for this reason."""
        self.last_failure, self.failed_at = failure, now

    @property
    def why_offline(self) -> NoConnection | None:
        """Why the station is not online now, if that is known."""
        return None if self.online or self.failed_at < self.offline_since else self.last_failure


class Context(Struct):
    """What the blocks share."""

    product: Product
    model: DeviceModel
    key_values: KeyValueStore
    transaction_store: TransactionStore
    authorization_cache: AuthorizationCache
    outbox: Outbox
    hal: HalView
    time: StationTime
    new_id: Callable[[], str]
    """Returns a new UUID."""
    boot_cause: str
    serial_number: str
    profiles: dict[int, NetworkProfile]
    """Configuration slots; owner: provisioning (B)."""
    commit: Callable[[], bool]
    """Makes what was written so far durable; False while the disk can't be written."""
    certificates: CertificateStore
    """Writes to the disk at once, not with the unit of work: an answer never promises more than is stored."""
    security_log: SecurityRecord
    firmware: Firmware | None = None
    """None on a station that can't update itself."""
    registration: Registration = field(default_factory=Registration)
    signals: list[Signal] = field(default_factory=list)
    link_orders: list[LinkOrder] = field(default_factory=list)
    tasks: list[Task | Cancel] = field(default_factory=list)
    ask_trigger: Callable[[MessageTriggerEnumType, int | None, int | None], TriggerAnswer] = field(
        default=lambda _message, _evse, _connector: "NotImplemented"
    )

    def emit(self, signal: Signal) -> None:
        self.signals.append(signal)

    def kept(self, undo: Callable[[], object]) -> bool:
        """Whether what the CSMS has ordered is on disk, so that the answer may promise it.

        If not, `undo` restores what was there before, in memory and in the database, and the answer is a refusal with
        `DISK_FULL`. Whatever else the order leads to comes after this.
        """
        if self.commit():
            return True
        undo()
        return False


class LinkOrder(Struct, frozen=True):
    """An order to the link to the CSMS: stay down (before a reboot), or dial again."""

    action: Literal["stop", "redial"]
    reason: str


class Firmware(Protocol):
    """Checks of firmware management that need no worker; each returns a reason for refusal, or None."""

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        """Why this certificate (PEM) may not sign firmware here; `utc` None: the time is not known."""

    def location_problem(self, location: str) -> str | None:
        """Why this URL may not be fetched."""


class TransactionStore(Protocol):
    """Open transactions on disk; writes join the unit of work of the event being handled."""

    def load(self) -> list[bytes]: ...

    def save(self, transaction_id: str, evse: int, state: bytes) -> None: ...

    def drop(self, transaction_id: str) -> None: ...


class Block:
    """One functional block. Subclasses override the methods that they need."""

    letter: ClassVar[str]
    handles: ClassVar[tuple[Action, ...]] = ()
    """Requests of the CSMS that this block answers."""
    reads: ClassVar[tuple[Action, ...]] = ()
    """Those of `handles` that change nothing at all: no state, no deadline, no message."""
    asks: ClassVar[tuple[Action, ...]] = ()
    """Requests of the station whose answers this block gets."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def start(self, now: float) -> None:
        """Called once, before any event: restore the state from the database."""

    def on_call(self, action: Action, request: Any, now: float) -> Any:
        """Returns the response's payload; raises `Refusal` for a CALLERROR."""
        raise NotImplementedError

    def on_answer(self, action: Action, request: Any, answer: Any, now: float) -> None:
        """A request of the station was answered; `answer` is the response's payload or a `Failure`."""

    def on_link_up(self, now: float) -> None:
        """The link to the CSMS is up; `context.registration` names the profile."""

    def on_link_down(self, now: float) -> None:
        """The link to the CSMS is down."""

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        """The HAL is connected (again) and its snapshot is in `context.hal`; `same_run`: it had not restarted."""

    def on_hal_down(self, now: float) -> None:
        """The HAL is disconnected."""

    def on_hal_event(self, event: Event, now: float) -> None:
        """`context.hal` already holds the event's effect."""

    def on_signal(self, signal: Signal, now: float) -> None: ...

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """F06: whether this block can send `message` now; None when it is not a message of this block."""
        return None

    def start_task(self, order: Order) -> Task:
        """Have a worker carry out `order` after the commit; its reports come to `on_task`."""
        task = Task(self.letter, order)
        self.context.tasks.append(task)
        return task

    def on_task(self, task: Task, report: Report, now: float) -> None:
        """A task of this block has made progress or has ended."""

    def settle(self, now: float) -> None:
        """All signals that followed from an event have been delivered; the outbox may have changed."""

    def next_deadline(self) -> float | None:
        """When `on_time` has to be called next, monotonic seconds."""
        return None

    def on_time(self, now: float) -> None: ...
