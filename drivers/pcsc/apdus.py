# SPDX-License-Identifier: Apache-2.0
"""Commands to a contactless reader and what it answers: PC/SC part 3, and the ACR122U's interface (ACS). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.card_field import Sighting, identity
from firmware.contract import CardProblem

__all__ = ["GET_UID", "card_of", "has_signal", "length_wanted", "signal_of"]

GET_UID = bytes.fromhex("FFCA000000")
_DONE = [0x90, 0x00]
_WRONG_LENGTH = 0x6C
_ACCEPTED = bytes.fromhex("FF00402E0401000101")
"""Green for 0.1 s."""
_REFUSED = bytes.fromhex("FF00405D0402010501")
"""Red, blinking five times."""


def card_of(response: Sequence[int]) -> Sighting:
    """The card of an answer to `GET_UID`: the UID, then 90 00."""
    if list(response[-2:]) != _DONE:
        return CardProblem.UNREADABLE
    return identity(bytes(response[:-2]))


def length_wanted(response: Sequence[int]) -> int | None:
    """The length that the command has to ask for, if it is refused with 6C xx."""
    return response[1] if len(response) == 2 and response[0] == _WRONG_LENGTH else None


def has_signal(reader: str) -> bool:
    """Whether a reader of this name has the LED and the beeper of the ACR122 family."""
    return "ACR122" in reader


def signal_of(*, accepted: bool, beep: bool) -> bytes:
    """The command for LED and beeper; its last byte says during which part it beeps."""
    command = _ACCEPTED if accepted else _REFUSED
    return command if beep else command[:-1] + b"\x00"
