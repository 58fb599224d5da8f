# SPDX-License-Identifier: Apache-2.0
"""What fails again and again is logged when it begins, changes and ends."""

from __future__ import annotations

import logging

import pytest

from firmware.errors import DeviceLost
from firmware.trouble import Trouble


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
