# SPDX-License-Identifier: Apache-2.0
"""What a code of PC/SC asks of the caller. Pure.

The codes are those of pcsc-lite's `pcsclite.h`; pyscard returns them as signed numbers.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["PcscError", "Reaction", "check"]


class Reaction(Enum):
    NOTHING_NEW = "nothing has happened within the time"
    CANCELLED = "the wait was cancelled"
    NO_CARD = "there is no card (any more): wait for one"
    TRY_AGAIN = "the card was disturbed, or another program uses it: connect again"
    UNREADABLE = "the card does not answer as a card should"
    READER_GONE = "the reader is not there: wait for it"
    SERVICE_GONE = "the service is not there: a new context, after a pause"


_REACTIONS = {
    0x80100002: Reaction.CANCELLED,  # E_CANCELLED
    0x80100003: Reaction.SERVICE_GONE,  # E_INVALID_HANDLE: of a service that has ended
    0x80100009: Reaction.READER_GONE,  # E_UNKNOWN_READER
    0x8010000A: Reaction.NOTHING_NEW,  # E_TIMEOUT
    0x8010000B: Reaction.TRY_AGAIN,  # E_SHARING_VIOLATION
    0x8010000C: Reaction.NO_CARD,  # E_NO_SMARTCARD
    0x80100013: Reaction.SERVICE_GONE,  # F_COMM_ERROR
    0x80100017: Reaction.READER_GONE,  # E_READER_UNAVAILABLE
    0x8010001D: Reaction.SERVICE_GONE,  # E_NO_SERVICE
    0x8010001E: Reaction.SERVICE_GONE,  # E_SERVICE_STOPPED
    0x8010002E: Reaction.READER_GONE,  # E_NO_READERS_AVAILABLE
    0x80100066: Reaction.UNREADABLE,  # W_UNRESPONSIVE_CARD
    0x80100067: Reaction.UNREADABLE,  # W_UNPOWERED_CARD
    0x80100068: Reaction.TRY_AGAIN,  # W_RESET_CARD
    0x80100069: Reaction.NO_CARD,  # W_REMOVED_CARD
}


class PcscError(Exception):
    """A call has failed; `reaction` is what to do."""

    def __init__(self, call: str, code: int, otherwise: Reaction) -> None:
        self.reaction = _REACTIONS.get(code, otherwise)
        super().__init__(f"{call}: {self.reaction.value} (0x{code:08X})")


def check(call: str, result: int, *, otherwise: Reaction = Reaction.SERVICE_GONE) -> None:
    """Raise `PcscError` unless the call has succeeded; `otherwise` is the reaction to an unknown code."""
    if result:
        raise PcscError(call, result & 0xFFFFFFFF, otherwise)
