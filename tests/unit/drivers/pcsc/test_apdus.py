# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.card_field import Sighting
from drivers.pcsc.apdus import GET_UID, card_of, has_signal, length_wanted, signal_of
from drivers.pcsc.errors import PcscError, Reaction, check
from firmware.contract import CardProblem


def test_commands() -> None:
    assert bytes.fromhex("FF CA 00 00 00") == GET_UID
    assert signal_of(accepted=True, beep=True) == bytes.fromhex("FF 00 40 2E 04 01 00 01 01")
    assert signal_of(accepted=False, beep=True) == bytes.fromhex("FF 00 40 5D 04 02 01 05 01")
    assert signal_of(accepted=False, beep=False) == bytes.fromhex("FF 00 40 5D 04 02 01 05 00")


@pytest.mark.parametrize(
    ("response", "card"),
    [
        ("04 A1 B2 C3 D4 E5 80 90 00", "04A1B2C3D4E580"),
        ("DE AD BE EF 90 00", "DEADBEEF"),
        ("04 A1 B2 C3 D4 E5 F6 A7 B8 C9 90 00", "04A1B2C3D4E5F6A7B8C9"),
        ("08 12 34 56 90 00", CardProblem.NO_IDENTITY),
        ("63 00", CardProblem.UNREADABLE),
        ("6A 81", CardProblem.UNREADABLE),
        ("90 00", CardProblem.UNREADABLE),
        ("DE AD 90 00", CardProblem.UNREADABLE),
        ("DE AD BE EF 90", CardProblem.UNREADABLE),
        ("", CardProblem.UNREADABLE),
    ],
)
def test_card_of_an_answer(response: str, card: Sighting) -> None:
    assert card_of(list(bytes.fromhex(response))) == card


def test_wrong_length() -> None:
    assert length_wanted([0x6C, 0x07]) == 7
    assert length_wanted([0x90, 0x00]) is None
    assert length_wanted([]) is None


def test_readers_with_led_and_beeper() -> None:
    assert has_signal("ACS ACR122U PICC Interface 00 00")
    assert not has_signal("Virtual PCD 00 00")


@pytest.mark.parametrize(
    ("code", "reaction"),
    [
        (0x80100002, Reaction.CANCELLED),
        (0x80100009, Reaction.READER_GONE),
        (0x8010000A, Reaction.NOTHING_NEW),
        (0x8010000B, Reaction.TRY_AGAIN),
        (0x8010000C, Reaction.NO_CARD),
        (0x80100013, Reaction.SERVICE_GONE),
        (0x80100017, Reaction.READER_GONE),
        (0x8010001D, Reaction.SERVICE_GONE),
        (0x8010002E, Reaction.READER_GONE),
        (0x80100066, Reaction.UNREADABLE),
        (0x80100068, Reaction.TRY_AGAIN),
        (0x80100069, Reaction.NO_CARD),
        (0x80100099, Reaction.SERVICE_GONE),
    ],
)
def test_reaction_to_each_code(code: int, reaction: Reaction) -> None:
    with pytest.raises(PcscError, match=f"SCardConnect: .* \\(0x{code:08X}\\)") as failed:
        check("SCardConnect", code - 2**32)
    assert failed.value.reaction is reaction


def test_success_is_no_error() -> None:
    check("SCardConnect", 0)
