# SPDX-License-Identifier: Apache-2.0
"""What the driver makes of each answer of the service: pcscd is played here, because few answers can be provoked."""

from __future__ import annotations

import queue
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from smartcard import scard

from drivers.card_field import Sighting
from drivers.pcsc import service
from drivers.pcsc.card_reader import PcscCardReader, PcscOptions
from drivers.pcsc.errors import PcscError, Reaction
from drivers.pcsc.service import PLUGGED, PcscService
from firmware.contract import CardProblem
from tests.support.sockets import eventually

NO_CARD, SHARING, REMOVED, RESET, UNRESPONSIVE, NO_SERVICE = (
    code - 2**32 for code in (0x8010000C, 0x8010000B, 0x80100069, 0x80100068, 0x80100066, 0x8010001D)
)
UID = [0x04, 0xA1, 0xB2, 0xC3, 0x90, 0x00]

# --- one read of a card -------------------------------------------------------------------------------------------


class Scard:
    """pyscard's calls: the next of these results for each connection and transmission."""

    def __init__(self, connect: Sequence[int], transmit: Sequence[tuple[int, list[int]]]) -> None:
        self.connect, self.transmit = list(connect), list(transmit)
        self.disconnected = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(scard, name)

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:
        return 0, 1

    def SCardConnect(self, *_: object) -> tuple[int, int, int]:
        return self.connect.pop(0), 7, scard.SCARD_PROTOCOL_T1

    def SCardTransmit(self, *_: object) -> tuple[int, list[int]]:
        return self.transmit.pop(0)

    def SCardDisconnect(self, *_: object) -> int:
        self.disconnected += 1
        return 0


@pytest.mark.parametrize(
    ("connect", "transmit", "expected"),
    [
        ([0], [(0, UID)], "04A1B2C3"),
        ([NO_CARD], [], None),
        ([0], [(REMOVED, [])], None),
        ([UNRESPONSIVE], [], CardProblem.UNREADABLE),
        ([SHARING, SHARING, 0], [(0, UID)], "04A1B2C3"),
        ([0, 0], [(RESET, []), (0, UID)], "04A1B2C3"),
        ([0, NO_CARD], [(0, [])], None),
        ([SHARING] * 5, [], CardProblem.UNREADABLE),
        ([0], [(0, [0x6C, 0x04]), (0, UID)], "04A1B2C3"),
        ([0], [(0, [0x63, 0x00])], CardProblem.UNREADABLE),
    ],
)
def test_reading_a_card(
    monkeypatch: pytest.MonkeyPatch,
    connect: list[int],
    transmit: list[tuple[int, list[int]]],
    expected: Sighting | None,
) -> None:
    played = Scard(connect, transmit)
    monkeypatch.setattr(service, "scard", played)
    monkeypatch.setattr(service, "RETRY_S", 0.0)
    assert PcscService().card("reader") == expected
    assert (played.connect, played.transmit) == ([], [])
    assert played.disconnected == connect.count(0)


def test_a_service_that_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "scard", Scard([NO_SERVICE], []))
    with pytest.raises(PcscError) as failed:
        PcscService().card("reader")
    assert failed.value.reaction is Reaction.SERVICE_GONE


# --- what a driver reports ------------------------------------------------------------------------------------------

PICC, SAM = "ACS ACR1252 1S CL Reader PICC 00 00", "ACS ACR1252 1S CL Reader SAM 01 00"
EMPTY, PRESENT, MUTE, UNAVAILABLE = 0x10, 0x20, 0x220, 0x08


class PlayedService(PcscService):
    """A service whose readers have the states that the test gives; a wait takes one after another."""

    def __init__(self) -> None:
        self.names = [PICC, SAM]
        self.states: queue.SimpleQueue[int | PcscError] = queue.SimpleQueue()
        self.uid: Sighting | None = "04A1B2C3"
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def cancel(self) -> None:
        """Its waits are short."""

    def readers(self) -> list[str]:
        return self.names

    def wait(self, known: Mapping[str, int], timeout_s: float) -> dict[str, int]:
        assert SAM not in known
        nothing_new = PcscError("SCardGetStatusChange", 0x8010000A, Reaction.SERVICE_GONE)
        if len(known) == 1:  # the states are those of a reader
            time.sleep(0.01)
            raise nothing_new
        try:
            state = self.states.get(timeout=0.01)
        except queue.Empty:
            raise nothing_new from None
        if isinstance(state, PcscError):
            raise state
        return {name: 0 if name == PLUGGED else state for name in known}

    def card(self, reader: str) -> Sighting | None:
        return self.uid


class Bench:
    def __init__(self) -> None:
        self.service = PlayedService()
        self.reports: list[Sighting] = []
        self.lost: list[str | None] = []
        self.reader = PcscCardReader(PcscOptions(reader="ACR1252", ignore_s=0.0), connect=lambda: self.service)
        self.reader.listen(self.reports.append, self.reports.append, self.lost.append)

    async def see(self, *states: int) -> None:
        for state in states:
            self.service.states.put(state)
        await eventually(self.service.states.empty)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.reader.close()


async def test_the_slot_of_a_sam_card_is_not_watched(bench: Bench) -> None:
    await bench.see(0x10000 | PRESENT)
    await eventually(lambda: bench.reports == ["04A1B2C3"])


async def test_a_mute_card(bench: Bench) -> None:
    await bench.see(EMPTY, 0x10000 | MUTE)
    await eventually(lambda: bench.reports == [CardProblem.UNREADABLE])


async def test_use_by_another_program_is_no_other_card(bench: Bench) -> None:
    await bench.see(0x10000 | PRESENT)
    await eventually(lambda: bench.reports)
    bench.service.uid = "DEADBEEF"
    await bench.see(0x10000 | PRESENT | 0x100, 0x10000 | PRESENT, 0x30000 | PRESENT)
    await eventually(lambda: len(bench.reports) == 2)
    assert bench.reports == ["04A1B2C3", "DEADBEEF"], "only the last one is another insertion"


async def test_the_same_card_twice_between_two_looks(bench: Bench) -> None:
    await bench.see(0x10000 | PRESENT, 0x30000 | PRESENT)
    await eventually(lambda: bench.reports == ["04A1B2C3", "04A1B2C3"])


@pytest.mark.parametrize("gone", [UNAVAILABLE, PcscError("SCardGetStatusChange", 0x80100017, Reaction.SERVICE_GONE)])
async def test_a_reader_that_does_not_answer(bench: Bench, gone: int | PcscError) -> None:
    await bench.see(0x10000 | PRESENT)
    bench.service.states.put(gone)
    await eventually(lambda: bench.lost == ["card reader 'ACR1252' does not answer"])
    await bench.see(PRESENT)
    await eventually(lambda: bench.lost[-1] is None)
    assert bench.reports == ["04A1B2C3"], "the card has stayed"


async def test_a_reader_that_is_unplugged(bench: Bench) -> None:
    await bench.see(0x10000 | PRESENT)
    bench.service.names = []
    await eventually(lambda: bench.lost == ["no card reader 'ACR1252' is plugged in, nor any other"])
    bench.service.names = [SAM, PICC]
    await bench.see(EMPTY, 0x10000 | PRESENT)
    await eventually(lambda: bench.reports == ["04A1B2C3", "04A1B2C3"])
    assert bench.lost[-1] is None


async def test_a_slot_that_vanishes_takes_its_card_along(bench: Bench) -> None:
    other = PICC.replace("00 00", "00 01")
    bench.service.names = [PICC, other]
    await bench.see(EMPTY, 0x10000 | PRESENT)
    await eventually(lambda: bench.reports == [CardProblem.SEVERAL_CARDS])
    bench.service.names = [PICC]
    await bench.see(0x20000 | EMPTY, 0x30000 | PRESENT)
    await eventually(lambda: bench.reports == [CardProblem.SEVERAL_CARDS, "04A1B2C3"])


async def test_an_unforeseen_error_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(reader: str) -> None:
        raise KeyError(reader)

    bench.service.card = fail  # type: ignore[method-assign]
    await bench.see(0x10000 | PRESENT)
    await eventually(lambda: bench.lost)
    await bench.see(0x10000 | PRESENT)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "KeyError" in str(bench.lost[0])


async def test_a_service_that_ends(bench: Bench) -> None:
    await bench.see(EMPTY)
    bench.service.states.put(PcscError("SCardGetStatusChange", 0x80100013, Reaction.SERVICE_GONE))
    await eventually(lambda: bench.service.closed)
    await eventually(lambda: bench.lost)
    assert str(bench.lost[0]).endswith("(0x80100013)")
    await bench.see(0x10000 | PRESENT)
    await eventually(lambda: bench.reports == ["04A1B2C3"])
