# SPDX-License-Identifier: Apache-2.0
"""Restarting the board, for a reset (B11, B12) or a firmware update (L01).

A restart waits, for a limited time, until the CSMS has received what is queued for it. Then the link is closed and the
HAL is asked to restart the board; it is asked again if nothing happens. The next run of this process reports
`Key.PLANNED_BOOT` as the reason of its start.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware.contract import Reboot
from services.ocpp.context import Context, LinkOrder
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.messages import BootReasonEnumType

__all__ = ["Restart"]

_LAST_WORDS_S = 0.5
"""From the CSMS's last answer to the restart: time for the frames to leave."""


class Restart:
    """One restart of the board. `why` is the close reason of the link; the HAL is asked every `repeat_s` seconds."""

    def __init__(
        self,
        context: Context,
        reason: BootReasonEnumType,
        why: str,
        *,
        queue_is_empty: Callable[[], bool],
        repeat_s: float,
    ) -> None:
        self.context = context
        self._reason = reason
        self._why = why
        self._queue_is_empty = queue_is_empty
        self._repeat_s = repeat_s
        self._attempts = 0
        self._limit_at: float | None = None
        """When the CSMS is no longer waited for."""
        self._ask_at: float | None = None
        """When the HAL is asked (again); set once the CSMS is no longer waited for."""

    @property
    def is_certain(self) -> bool:
        """The CSMS is no longer waited for: the HAL has been asked, or will be in a moment."""
        return self._ask_at is not None

    def next_deadline(self) -> float | None:
        return self._limit_at if self._ask_at is None else self._ask_at

    def advance(self, now: float, *, ready: bool, patience_s: float, attempts: float = math.inf) -> bool:
        """Restart if it is time; `ready` says that nothing but the CSMS has to be waited for, `patience_s` how long.

        Returns False when the HAL has been asked `attempts` times in vain.
        """
        if not ready:
            self._limit_at = None
        elif self._ask_at is not None:
            return now < self._ask_at or self._ask(now, attempts)
        else:
            self._limit_at = self._limit_at or now + patience_s
            received = self._queue_is_empty() or not self.context.registration.online
            if received or now >= self._limit_at:
                self._ask_at = now + _LAST_WORDS_S
        return True

    def _ask(self, now: float, attempts: float) -> bool:
        if not self.context.hal.present:
            self._ask_at = now + _LAST_WORDS_S
            return True
        if self._attempts >= attempts:
            return False
        self._attempts += 1
        self._ask_at = now + self._repeat_s
        self.context.key_values.put(Key.PLANNED_BOOT, self._reason)
        self.context.link_orders.append(LinkOrder("stop", self._why))
        self.context.hal.ask(Reboot())
        return True
