# SPDX-License-Identifier: Apache-2.0
"""What earlier runs found: the cases to repeat, and what two runs differ in. Read from `report.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware.errors import ConfigError

__all__ = ["Comparison", "compare", "failed_cases", "outcomes"]

_BAD = ("failed", "missing")


class _Case(msgspec.Struct, frozen=True):
    id: str
    outcome: str


class _Report(msgspec.Struct, frozen=True):
    cases: list[_Case]


def outcomes(report: Path) -> dict[str, str]:
    """Case -> `passed`, `failed`, `skipped` or `missing`; `report` is the file, or its folder. Raises `ConfigError`."""
    file = report / "report.json" if report.is_dir() else report
    try:
        cases = msgspec.json.decode(file.read_bytes(), type=_Report).cases
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}: not a report of this runner: {error}") from error
    return {case.id: case.outcome for case in cases}


def failed_cases(report: Path) -> list[str]:
    """The cases that failed or were missing in that run."""
    return [case for case, outcome in outcomes(report).items() if outcome in _BAD]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`worse` and `better` are the cases that fail now, and no longer; `other` those with another kind of change."""

    worse: list[str]
    better: list[str]
    other: list[str]

    def __str__(self) -> str:
        parts = [("worse", self.worse), ("better", self.better), ("changed", self.other)]
        lines = [f"{name:<8} {line}" for name, cases in parts for line in cases]
        counts = ", ".join(f"{len(cases)} {name}" for name, cases in parts)
        return "\n".join([*lines, counts])


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> Comparison:
    found = Comparison([], [], [])
    for case in dict.fromkeys([*old, *new]):
        before, after = old.get(case, "not run"), new.get(case, "not run")
        if before == after:
            continue
        failed = after in _BAD
        kind = found.worse if failed else found.better if before in _BAD and after == "passed" else found.other
        kind.append(f"{case}: {before}, then {after}")
    return found
