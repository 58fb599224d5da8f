# SPDX-License-Identifier: Apache-2.0
"""The power fails in the middle of writing a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

__all__ = ["power_cut"]


class PowerCut(BaseException):
    """No code runs after it."""


@contextlib.contextmanager
def power_cut(step: int) -> Iterator[None]:
    """The power fails in place of the `step`-th flush or rename, counted from 0."""
    left = [step]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return real(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(PowerCut):
        for name in ("replace", "fsync"):
            patched.setattr(os, name, counted(getattr(os, name)))
        yield
