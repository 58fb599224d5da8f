# SPDX-License-Identifier: Apache-2.0
"""Which password is presented to the CSMS: BasicAuthPassword (A01.FR.01).

A new BasicAuthPassword is in force as soon as it is stored, before the CSMS receives the answer. If that answer gets
lost, the CSMS keeps the old one (A01.FR.04), and every connection would be refused. So the password that the CSMS
accepted last is remembered: when the new one is refused, the old one is tried, and if it is accepted, the change is
undone. From the first connection with the new password on, the old one is forgotten.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from services.ocpp.device_model import keys
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.key_values import KeyValueStore

__all__ = ["Credentials"]

_log = logging.getLogger(__name__)


class Credentials:
    def __init__(self, model: DeviceModel, key_values: KeyValueStore) -> None:
        self._model = model
        self._key_values = key_values
        self._refused: str | None = None
        """The password that the CSMS refused last, if there is another."""

    @property
    def password(self) -> str | None:
        """The one for the next attempt; None if none is set."""
        current, proven = self._model.get(keys.BASIC_AUTH_PASSWORD), self._key_values.get(Key.PROVEN_PASSWORD)
        return (proven if proven and self._refused == current else current) or None

    def refused(self) -> None:
        """The CSMS refused `password`: the other one is next, if there is another."""
        self._refused = None if self.password == self._key_values.get(Key.PROVEN_PASSWORD) else self.password

    def accepted(self) -> bool:
        """The CSMS accepted `password`. Returns whether that undoes a change."""
        password, current = self.password, self._model.get(keys.BASIC_AUTH_PASSWORD)
        self._refused = None
        if password != self._key_values.get(Key.PROVEN_PASSWORD):
            self._key_values.put(Key.PROVEN_PASSWORD, password)
        if not password or password == current:
            return False
        _log.warning("the CSMS does not know the new BasicAuthPassword: the former one is in use again")
        self._model.put(keys.BASIC_AUTH_PASSWORD, password)
        return True
