# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tools.conformance.checks.expected import Failure
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.console import closing_lines
from tools.conformance.run.results import Outcome, Result

ENTRY = Entry("TC_B_01_CS", "Core", "Cold Boot Charging Station", "Accepted", "M", "", True, "mandatory")


def test_failures_are_repeated_and_skips_summed_up() -> None:
    failed = Result(ENTRY, Outcome.FAILED, 2.0, [Failure("3", "E07.FR.03", "wrong")])
    skipped = [Result(ENTRY, Outcome.SKIPPED, reason=why) for why in ("C-13 is No", "C-49 is No", "C-13 is No")]
    assert list(closing_lines([Result(ENTRY, Outcome.PASSED, 1.0), failed, *skipped])) == [
        "\nFailed:",
        f"  {failed.line()}",
        "\nSkipped:",
        "    2  C-13 is No",
        "    1  C-49 is No",
    ]


def test_nothing_is_said_twice_in_a_short_run() -> None:
    assert list(closing_lines([Result(ENTRY, Outcome.FAILED, 2.0, [Failure("3", "", "wrong")])])) == []
    assert list(closing_lines([Result(ENTRY, Outcome.PASSED, 1.0)])) == []
