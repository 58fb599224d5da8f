# SPDX-License-Identifier: Apache-2.0
"""Which product file this station uses: the factory's, until a person at the station has chosen another.

The choice is needed before the database can be read, so it is a file beside it; replaced as a whole, it is the old or
the new one after a power cut.
"""

from __future__ import annotations

import logging
from pathlib import Path

from firmware import files, product
from firmware.errors import ConfigError, StorageError
from firmware.product import Product, kept

__all__ = ["FILE_NAME", "ProductChoice"]

FILE_NAME = "product"
_KEPT_NAME = "product.json"
_log = logging.getLogger(__name__)


class ProductChoice:
    """The choice in `folder`; `factory` is the factory's product."""

    def __init__(self, folder: Path, factory: str) -> None:
        self._path = folder / FILE_NAME
        self._kept = folder / _KEPT_NAME
        self._factory = factory
        self.in_force = self.next

    @property
    def next(self) -> str:
        """The product from the next start on."""
        try:
            chosen = self._path.read_text("utf-8").strip()
        except (OSError, ValueError):
            return self._factory
        return chosen if chosen in product.names() else self._factory

    def load(self) -> Product:
        """The product in force. Raises `ConfigError` if the factory's can't be used."""
        try:
            return kept.load(self.in_force, self._kept)
        except ConfigError as error:
            if self.in_force == self._factory:
                raise
            _log.error("the chosen product can't be used, the factory's is: %s", error)
            self.in_force = self._factory
            return product.load(self._factory)

    def choose(self, name: str) -> None:
        """Use this product from the next start on; raises `StorageError`."""
        try:
            files.replace(self._path, name.encode())
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from error
