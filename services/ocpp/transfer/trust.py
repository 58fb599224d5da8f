# SPDX-License-Identifier: Apache-2.0
"""The authorities of file servers: the CSMS's roots (N01.FR.15) and the operating system's (N01.FR.16).

Storage is often a cloud service and not part of the CSMS. Periods are checked by the station's clock, as the CSMS's
certificates are.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable

from msgspec import Struct

from services.ocpp.csms.tls import Chain, check_periods, client_context

__all__ = ["Trust"]

_log = logging.getLogger(__name__)


class Trust(Struct, frozen=True):
    """`csms_roots` gives PEM texts, of which invalid ones are skipped; `utc` the station's time, None if unknown."""

    csms_roots: Callable[[], Iterable[str]]
    utc: Callable[[], float | None]

    async def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, host names checked."""
        return await asyncio.to_thread(self._make, list(self.csms_roots()))

    def _make(self, csms_roots: list[str]) -> ssl.SSLContext:
        context = client_context(self._check)
        context.load_default_certs()
        for pem in csms_roots:
            try:
                context.load_verify_locations(cadata=pem)
            except (ssl.SSLError, ValueError) as error:
                why = getattr(error, "reason", None) or "not a PEM"
                _log.warning("a CSMS root can't be used for file transfers: %s", why)
        return context

    def _check(self, peer: ssl.SSLObject, chain: Chain) -> None:
        check_periods(peer, chain, self.utc())
