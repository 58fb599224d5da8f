# SPDX-License-Identifier: Apache-2.0
"""The written test cases: async functions of the bench with the decorator `@case("TC_B_01_CS")`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions

__all__ = ["Case", "Run", "case", "collect"]

Run: TypeAlias = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One written test case; `limit_s` is its time limit, which begins when the station has booted."""

    id: str
    run: Run
    preconditions: Preconditions
    limit_s: float


_CASES: dict[str, Case] = {}


def case(id: str, *, preconditions: Preconditions | None = None, limit_s: float = 90.0) -> Callable[[Run], Run]:
    """Registers the function as the test case `id`."""

    def register(run: Run) -> Run:
        known = _CASES.get(id)
        if known is not None and (known.run.__module__, known.run.__qualname__) != (run.__module__, run.__qualname__):
            raise ValueError(f"{id} is written twice: {known.run.__module__} and {run.__module__}")
        _CASES[id] = Case(id, run, preconditions or Preconditions(), limit_s)
        return run

    return register


def collect() -> dict[str, Case]:
    """Imports all modules of `tools/conformance/cases`; returns every written case by id."""
    cases = importlib.import_module("tools.conformance.cases")
    for module in pkgutil.iter_modules(cases.__path__):
        importlib.import_module(f"{cases.__name__}.{module.name}")
    return dict(_CASES)
