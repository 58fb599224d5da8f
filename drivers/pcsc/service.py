# SPDX-License-Identifier: Apache-2.0
"""The PC/SC service (pcscd) by pyscard's plain calls: one context, used by one thread, `cancel` by any.

pyscard's own CardMonitor is not used: it keeps one context for the process, which does not survive a restart of pcscd.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from smartcard import scard

from drivers.card_field import Sighting
from drivers.pcsc.apdus import GET_UID, card_of, length_wanted
from drivers.pcsc.errors import PcscError, Reaction, check
from firmware.contract import CardProblem

__all__ = ["PLUGGED", "PcscService"]

PLUGGED = "\\\\?PnP?\\Notification"
"""A reader that is always there; its state changes when one is plugged in or removed."""
TRIES = 5
RETRY_S = 0.1
_ESCAPE = 0x42000001
_STATUS_BYTES = 2
_PROTOCOLS = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1


class PcscService:
    """A context; raises `PcscError`, and is to be replaced by another one after `SERVICE_GONE`."""

    def __init__(self) -> None:
        result, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        check("SCardEstablishContext", result)

    def close(self) -> None:
        scard.SCardReleaseContext(self._context)

    def cancel(self) -> None:
        """End `wait` now, if it is in progress."""
        scard.SCardCancel(self._context)

    def readers(self) -> list[str]:
        """The names of all readers."""
        result, names = scard.SCardListReaders(self._context, [])
        try:
            check("SCardListReaders", result)
        except PcscError as error:
            if error.reaction is Reaction.READER_GONE:
                return []
            raise
        return list(names)

    def wait(self, known: Mapping[str, int], timeout_s: float) -> dict[str, int]:
        """Wait until the state of a reader is another than the known one; returns all states."""
        asked = list(known.items())
        result, states = scard.SCardGetStatusChange(self._context, int(timeout_s * 1000), asked)
        check("SCardGetStatusChange", result)
        return {name: state for name, state, _atr in states}

    def card(self, reader: str) -> Sighting | None:
        """The card at a reader, or None if there is none any more."""
        for _ in range(TRIES):
            try:
                with self._connected(reader) as (card, protocol):
                    return _read(card, protocol)
            except PcscError as error:
                match error.reaction:
                    case Reaction.NO_CARD:
                        return None
                    case Reaction.UNREADABLE:
                        return CardProblem.UNREADABLE
                    case Reaction.TRY_AGAIN:
                        time.sleep(RETRY_S)
                    case _:
                        raise
        return CardProblem.UNREADABLE

    def send(self, reader: str, command: bytes) -> None:
        """Send a command to the reader itself, with or without a card."""
        try:
            with self._connected(reader) as (card, protocol):
                _transmit(card, protocol, command)
        except PcscError as error:
            if error.reaction is not Reaction.NO_CARD:
                raise
            with self._connected(reader, scard.SCARD_SHARE_DIRECT, 0) as (card, _):
                result, _response = scard.SCardControl(card, _ESCAPE, list(command))
                check("SCardControl", result, otherwise=Reaction.UNREADABLE)

    @contextmanager
    def _connected(
        self, reader: str, share: int = scard.SCARD_SHARE_SHARED, protocols: int = _PROTOCOLS
    ) -> Iterator[tuple[int, int]]:
        result, card, protocol = scard.SCardConnect(self._context, reader, share, protocols)
        check("SCardConnect", result, otherwise=Reaction.UNREADABLE)
        try:
            yield card, protocol
        finally:
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


def _read(card: int, protocol: int) -> Sighting:
    response = _transmit(card, protocol, GET_UID)
    length = length_wanted(response)
    if length is not None:
        response = _transmit(card, protocol, GET_UID[:-1] + bytes([length]))
    return card_of(response)


def _transmit(card: int, protocol: int, command: bytes) -> list[int]:
    header = scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
    result, response = scard.SCardTransmit(card, header, list(command))
    check("SCardTransmit", result, otherwise=Reaction.TRY_AGAIN)
    if len(response) < _STATUS_BYTES:  # a card on its way out of the field
        raise PcscError("SCardTransmit", 0, Reaction.TRY_AGAIN)
    return list(response)
