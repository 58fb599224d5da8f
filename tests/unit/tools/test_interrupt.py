# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tools import interrupt


async def _answer() -> int | None:
    return None


def test_the_result_is_that_of_the_command() -> None:
    assert interrupt.run(_answer()) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_however_often_it_is_pressed_the_cleaning_up_is_whole(number: signal.Signals) -> None:
    steps = []

    async def command() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        interrupt.run(command())
    assert steps == ["cleaned up"]
