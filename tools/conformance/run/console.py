# SPDX-License-Identifier: Apache-2.0
"""What the terminal shows besides the line of each case: a counter while cases run, and a summary at the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from tools.conformance.run.results import Outcome, Result

__all__ = ["Progress", "closing_lines"]


class Progress:
    """A counter below the lines, on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty() and sys.stdout.isatty()

    def show(self, done: Sequence[Result], total: int) -> None:
        if self._live:
            failed = sum(result.outcome is Outcome.FAILED for result in done)
            print(f"\r[{len(done)} of {total} run, {failed} failed]\r", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._live:
            print("\x1b[K", end="", file=sys.stderr, flush=True)


def closing_lines(results: Sequence[Result]) -> Iterator[str]:
    """The failures again, if they have scrolled away, and why cases were skipped."""
    failures = [result for result in results if result.outcome in (Outcome.FAILED, Outcome.MISSING)]
    if failures and len(results) > len(failures):
        yield "\nFailed:"
        yield from (f"  {result.line()}" for result in failures)
    reasons = Counter(result.reason for result in results if result.outcome is Outcome.SKIPPED)
    if len(reasons) > 1:
        yield "\nSkipped:"
        yield from (f"  {number:>3}  {reason}" for reason, number in reasons.most_common())
