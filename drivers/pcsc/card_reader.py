# SPDX-License-Identifier: Apache-2.0
"""`CardReader`: a PC/SC reader behind pcscd, such as the ACR122U, chosen by a part of its name.

    [card_reader]
    driver = "pcsc"
    reader = "ACR122U"

PC/SC has no interface for an event loop: one thread waits for changes and reads the cards, and passes what is to be
reported to the loop. A reader with several slots is watched as a whole, except a slot for SAM cards. The wait ends
after `WAIT_S` at the latest, and then the readers are listed anew, so a lost wake-up costs no more than that. A context
dies with pcscd: a new one is tried until there is one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Annotated

from msgspec import Meta, Struct

from drivers.card_field import IGNORE_S, CardField, CardListener, Sighting
from drivers.pcsc.apdus import has_signal, signal_of
from drivers.pcsc.errors import PcscError, Reaction
from drivers.pcsc.service import PLUGGED, PcscService
from firmware.clock import Clock, SystemClock
from firmware.contract import CardProblem
from firmware.trouble import Trouble
from hal.ports import DeviceInfo

__all__ = ["PcscCardReader"]

WAIT_S = 1.0
RETRY_S = 1.0
JOIN_S = 0.05
_CHANGED = 0x0002
_GONE = 0x0004 | 0x0008
_PRESENT = 0x0020
_MUTE = 0x0200
_COUNT = 0xFFFF0000
"""Insertions and removals are counted in the high half of a state."""
_SAM_SLOT = " SAM"
_log = logging.getLogger(__name__)


class PcscOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reader: Annotated[str, Meta(min_length=1)]
    """A part of the reader's name, as `pcsc_scan -r` lists it."""
    signal: bool = True
    """Show with the LED of an ACR122 whether the card is accepted."""
    beep: bool = False
    """Beep with it."""
    ignore_s: Annotated[float, Meta(ge=0.0, le=60.0, description="for how long a card that has left is ignored")] = (
        IGNORE_S
    )


class PcscCardReader:
    Options = PcscOptions

    def __init__(
        self, options: PcscOptions, clock: Clock | None = None, connect: Callable[[], PcscService] = PcscService
    ) -> None:
        self._options = options
        self._connect = connect
        self._clock = clock or SystemClock()
        self._loop = asyncio.get_running_loop()
        self._listener: CardListener | None = None
        self._service: PcscService | None = None
        self._closing = threading.Event()
        self._signal: bool | None = None
        """The signal that the thread has to send next."""
        # The rest is the thread's.
        self._field = CardField(ignore_s=options.ignore_s)
        self._states: dict[str, int] = {}
        self._cards: dict[str, Sighting | None] = {}
        self._lost: str | None = None
        self._unsignalled = Trouble(_log, "card reader: LED and beeper can't be used", logging.INFO)
        self._thread = threading.Thread(target=self._run, name="card reader", daemon=True)

    def listen(
        self,
        on_card: Callable[[str], None],
        on_problem: Callable[[CardProblem], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        self._listener = CardListener(on_card, on_problem, on_lost)
        self._thread.start()

    def signal(self, accepted: bool) -> None:
        if self._options.signal:
            self._signal = accepted
            self._cancel()

    def close(self) -> None:
        """Ends the thread; it may take longer than this waits if it is just reading a card."""
        self._closing.set()
        self._cancel()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _cancel(self) -> None:
        service = self._service
        if service is not None:
            service.cancel()

    def devices(self) -> list[DeviceInfo]:
        """For `hal.ports.Described`."""
        slots = sorted(self._states)
        if not slots:
            return [DeviceInfo(address=self._options.reader, answers=False, state=self._lost or "no answer yet")]
        return [DeviceInfo(address=name, state="waits for cards") for name in slots]

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with closing(self._connect()) as self._service:
                    self._watch(self._service)
            except PcscError as error:
                self._lose(f"card reader: the service pcscd: {error}")
            except Exception as error:
                detail = f"card reader: {type(error).__name__}: {error}"
                if detail != self._lost:
                    _log.exception("card reader: failed and is started again every %g s", RETRY_S)
                self._lose(detail)
            self._service = None
            self._closing.wait(RETRY_S)

    def _watch(self, service: PcscService) -> None:
        while not self._closing.is_set():
            slots = self._slots(service)
            known = {name: self._states.get(name, 0) for name in [*slots, PLUGGED]}
            self._send_signal(service, slots)
            try:
                self._take(service, known, service.wait(known, WAIT_S))
            except PcscError as error:
                if error.reaction is Reaction.READER_GONE:
                    self._lose(f"card reader {self._options.reader!r} does not answer")
                    self._closing.wait(RETRY_S)
                elif error.reaction not in (Reaction.NOTHING_NEW, Reaction.CANCELLED):
                    raise

    def _slots(self, service: PcscService) -> list[str]:
        """The reader's slots; none while it is lost."""
        names = service.readers()
        slots = [name for name in names if self._options.reader in name and _SAM_SLOT not in name]
        if not slots:
            others = f"only {', '.join(names)}" if names else "nor any other"
            self._lose(f"no card reader {self._options.reader!r} is plugged in, {others}")
        for gone in self._states.keys() - set(slots):
            del self._states[gone], self._cards[gone]
        return slots

    def _take(self, service: PcscService, known: dict[str, int], states: dict[str, int]) -> None:
        """Read the cards of the slots whose state has changed."""
        del states[PLUGGED]
        swapped = False
        for name, state in states.items():
            if state & _GONE:
                raise PcscError("SCardGetStatusChange", 0, Reaction.READER_GONE)
            before, self._states[name] = known[name], state & ~_CHANGED
            self._cards.setdefault(name, None)
            if (state ^ before) & (_COUNT | _PRESENT | _MUTE):
                swapped = swapped or bool(before & state & _PRESENT and (state ^ before) & _COUNT)
                self._cards[name] = self._look(service, name, state)
        if not states:
            return
        self._set_lost(None)
        now = self._clock.monotonic()
        if swapped:
            self._field.see([], now)  # another card, or the same again, between two looks
        self._report(self._field.see([card for card in self._cards.values() if card is not None], now))

    def _look(self, service: PcscService, name: str, state: int) -> Sighting | None:
        if state & _MUTE:
            return CardProblem.UNREADABLE
        return service.card(name) if state & _PRESENT else None

    def _send_signal(self, service: PcscService, slots: list[str]) -> None:
        accepted, self._signal = self._signal, None
        if accepted is None:
            return
        for name in filter(has_signal, slots[:1]):
            try:
                service.send(name, signal_of(accepted=accepted, beep=self._options.beep))
            except PcscError as error:
                self._unsignalled.failed(error)
            else:
                self._unsignalled.worked()

    def _lose(self, detail: str) -> None:
        self._states.clear()
        self._cards.clear()
        self._set_lost(detail)

    def _set_lost(self, detail: str | None) -> None:
        if detail != self._lost and self._listener is not None:
            self._lost = detail
            self._post(self._listener.on_lost, detail)

    def _report(self, card: Sighting | None) -> None:
        if self._listener is not None:
            self._post(self._listener.report, card)

    def _post(self, call: Callable[[str | None], None], value: str | None) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, value)
