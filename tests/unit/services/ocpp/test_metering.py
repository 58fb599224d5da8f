# SPDX-License-Identifier: Apache-2.0
"""The marks of clock-aligned samples."""

from __future__ import annotations

import pytest

from services.ocpp.metering import until_aligned


@pytest.mark.parametrize(
    ("since_midnight", "interval", "wait"),
    [
        (0.0, 900, 900.0),
        (1.0, 900, 899.0),
        (899.5, 900, 0.5),
        (86399.0, 900, 1.0),
        (86000.0, 1000, 400.0),
        (5.0, 86400, 86395.0),
    ],
)
def test_alignment_restarts_at_midnight(since_midnight: float, interval: int, wait: float) -> None:
    assert until_aligned(86400.0 * 20000 + since_midnight, interval) == pytest.approx(wait, abs=0.01)
