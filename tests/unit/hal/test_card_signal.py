# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from firmware.contract import Page
from hal.card_signal import CardSignal


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([Page.REJECTED], [False]),
        ([Page.AUTHORISED], [True]),
        ([Page.PLUG_IN, Page.AUTHORISED], [True, None]),
        ([Page.AUTHORISING, Page.REJECTED, Page.IDLE], [None, False, None]),
        ([Page.SELECT, Page.CHARGING, Page.FINISHED], [None, None, True]),
    ],
)
def test_the_first_page_that_says_so(pages: list[Page], expected: list[bool | None]) -> None:
    signal = CardSignal()
    signal.presented(0.0)
    assert [signal.shown(1, page, 1.0) for page in pages] == expected


def test_the_page_of_another_display_does_not_count_while_one_checks_the_card() -> None:
    signal = CardSignal()
    signal.presented(0.0)
    signal.shown(2, Page.AUTHORISING, 0.1)
    assert signal.shown(1, Page.FINISHED, 1.0) is None
    assert signal.shown(2, Page.AUTHORISED, 29.0) is True


def test_a_page_long_after_the_card_does_not_count() -> None:
    signal = CardSignal()
    assert signal.shown(1, Page.REJECTED, 0.0) is None
    signal.presented(0.0)
    assert signal.shown(1, Page.FINISHED, 9.0) is None
    assert signal.shown(1, Page.REJECTED, 9.1) is None
