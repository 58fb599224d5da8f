# SPDX-License-Identifier: Apache-2.0
"""The result of each case, the line that the terminal shows of it, and the last line of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tools.conformance.checks.expected import Failure
from tools.conformance.run.catalogue import Entry

__all__ = ["Outcome", "Result", "count", "last_line"]


class Outcome(Enum):
    """`MISSING`: the case applies and is not written, which counts as failed."""

    PASSED = "PASS"
    FAILED = "FAIL"
    SKIPPED = "SKIP"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Result:
    """One case's outcome; `reason` is why it was skipped."""

    entry: Entry
    outcome: Outcome
    seconds: float = 0.0
    failures: Sequence[Failure] = ()
    reason: str = ""
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    log: str = ""
    station: Mapping[str, str] = field(default_factory=dict)
    """What it said of itself in a BootNotification."""

    def line(self) -> str:
        """The one line that the terminal shows."""
        head = f"{self.outcome.value} {self.entry.id}"
        if self.outcome is Outcome.PASSED:
            return f"{head} {self.seconds:.1f} s {self.entry.title}"
        if self.outcome is Outcome.FAILED:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            return f"{head} {self.seconds:.1f} s {self.entry.title}: {' '.join(str(self.failures[0]).split())}{more}"
        return f"{head} {self.entry.title}: {self.reason}"


def count(results: Sequence[Result]) -> dict[Outcome, int]:
    return {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}


def last_line(results: Sequence[Result]) -> str:
    """`N passed, N failed, N skipped`; a missing case counts as failed."""
    n = count(results)
    return f"{n[Outcome.PASSED]} passed, {n[Outcome.FAILED] + n[Outcome.MISSING]} failed, {n[Outcome.SKIPPED]} skipped"
