# SPDX-License-Identifier: Apache-2.0
"""What every route can reach, and the shape of a route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from msgspec import Struct

from services.commissioning.sessions import Role, Session

if TYPE_CHECKING:
    from firmware.clock import Clock
    from services.commissioning.accounts import Accounts, Failures
    from services.commissioning.administration import Administration
    from services.commissioning.certificate import PageCertificate
    from services.commissioning.config import CommissioningConfig
    from services.commissioning.events import Hub
    from services.commissioning.hal import Hal
    from services.commissioning.http.messages import Answer, Request
    from services.commissioning.machine import Machine
    from services.commissioning.sessions import Sessions
    from services.commissioning.station import Station
    from services.commissioning.throttle import Allowance

__all__ = ["Access", "Call", "Handler", "Route", "Site", "Who"]

_T = TypeVar("_T")
SMALL_BYTES = 4 * 1024
BODY_BYTES = 64 * 1024


class Access(IntEnum):
    """Who may call a route; each may do what the ones before it may."""

    ANYONE = 0
    SIGNED_IN = 1
    """Also with a password that must be changed first."""
    VIEWER = 2
    INSTALLER = 3
    """And, but for scripts and for reading, has the seat."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who calls: by a session, by a token, or nobody known (neither)."""

    name: str
    role: Role | None
    address: str
    session: Session | None = None
    token: str | None = None
    """Its id."""

    def __str__(self) -> str:
        return f"{self.name} from {self.address}"


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of the process."""

    config: CommissioningConfig
    clock: Clock
    accounts: Accounts
    failures: Failures
    sessions: Sessions
    allowance: Allowance
    certificate: PageCertificate
    station: Station
    hal: Hal
    administration: Administration
    machine: Machine
    hub: Hub

    def may_still_read(self, who: Who) -> bool:
        """Whether who has opened a stream may hear more of it."""
        if who.session is not None:
            return self.sessions.is_open(who.session, self.clock.monotonic())
        return any(token.id == who.token for token in self.accounts.tokens)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be carried out."""

    site: Site
    who: Who
    request: Request
    parameters: dict[str, str]
    """Of the path."""
    content: object = field(default=None, repr=False)
    """The decoded body."""
    query: object = None

    def body(self, kind: type[_T]) -> _T:
        assert isinstance(self.content, kind)
        return self.content

    def asked(self, kind: type[_T]) -> _T:
        """The decoded query."""
        assert isinstance(self.query, kind)
        return self.query


Handler: TypeAlias = Callable[[Call], Awaitable["Struct | Answer | None"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API; the OpenAPI document is made of these."""

    method: str
    path: str
    """With `{name}` for what is a parameter: one segment."""
    access: Access
    summary: str
    handler: Handler
    answer: type[Struct] | None = None
    """None: an empty object."""
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    most_bytes: int = BODY_BYTES
    stream: str = ""
    """The content type, where the answer is no JSON."""
    events: tuple[type[Struct], ...] = ()
    """The data of the events of a stream, where it has a shape."""
    changes: bool = True
    """False: a POST that changes nothing, for which no seat is needed."""
