# SPDX-License-Identifier: Apache-2.0
"""Imports `websockets` without what it does not need; the package `csms` imports this before any module of its own.

`websockets.version` imports `importlib.metadata`, which only its unreleased versions use, and which brings the
libraries of e-mail, CSV, ZIP and temporary files: a tenth of the service's time to start, and 2 MB. If it is used after
all, `websockets` is imported as usual.
"""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType

_METADATA = "importlib.metadata"

if _METADATA not in sys.modules and "websockets" not in sys.modules:
    sys.modules[_METADATA] = ModuleType(_METADATA)
    try:
        with contextlib.suppress(AttributeError):  # the module in its place has nothing in it
            import websockets.version  # noqa: F401
    finally:
        del sys.modules[_METADATA]
