# SPDX-License-Identifier: Apache-2.0
"""Imports libraries without what a charger does not need of them.

Some read, at their import, what is known of installed packages (`importlib.metadata`), for their own version or for
plug-ins. That brings the libraries of e-mail, CSV, ZIP and temporary files: 2 MB and a tenth of a process's time to
start. Here nothing is installed for as long as the import lasts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NoReturn

__all__ = ["without_package_metadata"]

_METADATA = "importlib.metadata"


@contextmanager
def without_package_metadata(library: str) -> Iterator[None]:
    """For the import of `library` in the block; without effect if it, or `importlib.metadata`, is loaded already."""
    if _METADATA in sys.modules or library in sys.modules:
        yield
        return
    sys.modules[_METADATA] = _NothingInstalled(_METADATA)
    try:
        yield
    finally:
        del sys.modules[_METADATA]


class _NothingInstalled(ModuleType):
    PackageNotFoundError = ModuleNotFoundError

    @staticmethod
    def version(name: str) -> NoReturn:
        raise ModuleNotFoundError(name)

    @staticmethod
    def entry_points(**_selection: str) -> tuple[()]:
        return ()
