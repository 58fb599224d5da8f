# SPDX-License-Identifier: Apache-2.0
"""What fails again and again is logged when it begins, changes and ends."""

from __future__ import annotations

import logging

import pytest

from firmware.errors import DeviceLost
from firmware.trouble import MOST_REASONS, Trouble


def test_a_failure_is_logged_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trouble = Trouble(logging.getLogger("test"), "the lamp can't be lit")
    trouble.worked()
    for reason in ("no answer", "no answer", "refused", "refused"):
        trouble.failed(DeviceLost(reason))
    trouble.worked()
    trouble.worked()
    assert [record.message for record in caplog.records] == [
        "the lamp can't be lit: no answer",
        "the lamp can't be lit: refused",
        "the lamp can't be lit: no longer so",
    ]


def test_reasons_that_alternate_or_count_are_logged_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(logging.getLogger("test"), "the lamp can't be lit")
    for _ in range(10):
        trouble.failed(DeviceLost("no answer"))
        trouble.failed(DeviceLost("damaged answer"))
    assert len(caplog.records) == 2
    for number in range(100):
        trouble.failed(DeviceLost(f"no answer for {number} s"))
    assert len(caplog.records) == MOST_REASONS
    trouble.worked()
    trouble.failed(DeviceLost("no answer"))
    assert caplog.records[-1].message == "the lamp can't be lit: no answer"
