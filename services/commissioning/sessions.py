# SPDX-License-Identifier: Apache-2.0
"""Who is signed in, and which installer may change things.

A session ends 15 minutes after its last request, 8 hours after its beginning, at a change of its user's password, and
with the process. It belongs to the address and the browser that it was opened from: its cookie is worth nothing
elsewhere. One installer at a time has the *seat*; another one is told who has it, and may take it over.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["ABSOLUTE_S", "IDLE_S", "MOST_SESSIONS", "Role", "Session", "Sessions"]

IDLE_S = 15 * 60.0
ABSOLUTE_S = 8 * 3600.0
MOST_SESSIONS = 16
MOST_OF_USER = 8
_BYTES = 32


class Role(str, Enum):
    """What a user may do; each may do what the one before it may."""

    VIEWER = "viewer"
    INSTALLER = "installer"


@dataclass(slots=True, eq=False)
class Session:
    """`number` may be shown to others, `id` and `csrf` may not."""

    id: str = field(repr=False)
    csrf: str = field(repr=False)
    number: int
    user: str
    role: Role
    address: str
    browser: str
    """A hash of what it says of itself."""
    began: float
    used: float

    def left_s(self, now: float) -> float:
        return min(self.used + IDLE_S, self.began + ABSOLUTE_S) - now


class Sessions:
    """All sessions; `now` is monotonic."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._last = 0
        self.seat: Session | None = None

    def open(self, user: str, role: Role, address: str, browser: str, now: float) -> Session:
        """A new one; the one that was used the longest ago makes room if there are too many."""
        self.expire(now)
        own = [each for each in self._sessions.values() if each.user == user]
        for crowd, most in ((own, MOST_OF_USER), (list(self._sessions.values()), MOST_SESSIONS)):
            if len(crowd) >= most:
                self.close(min(crowd, key=lambda each: each.used))
        self._last += 1
        session = Session(
            secrets.token_urlsafe(_BYTES),
            secrets.token_urlsafe(_BYTES),
            self._last,
            user,
            role,
            address,
            _hashed(browser),
            now,
            now,
        )
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str, address: str, browser: str, now: float) -> Session | None:
        """The session of a request, if it comes from where it was opened; it counts as used."""
        self.expire(now)
        session = self._sessions.get(session_id)
        if session is None or (session.address, session.browser) != (address, _hashed(browser)):
            return None
        session.used = now
        return session

    def is_open(self, session: Session, now: float) -> bool:
        return session.id in self._sessions and session.left_s(now) > 0

    def close(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        if self.seat is session:
            self.seat = None

    def close_of(self, user: str) -> None:
        for session in [each for each in self._sessions.values() if each.user == user]:
            self.close(session)

    def close_all(self) -> None:
        self._sessions.clear()
        self.seat = None

    def expire(self, now: float) -> None:
        for session in [each for each in self._sessions.values() if each.left_s(now) <= 0]:
            self.close(session)

    def sit(self, session: Session, now: float, *, take_over: bool = False) -> Session | None:
        """Give the seat to `session`; returns who has it, if that is another one."""
        self.expire(now)
        if self.seat is None or take_over:
            self.seat = session
        return None if self.seat is session else self.seat


def _hashed(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()[:16]
